import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import test from 'ava'
import { World } from './world.ts'

const pessimist = `export default {
  name: 'none',
  defaults: {},
  start: () => ({ plan: () => [{ kind: 'pass', reason: 'it never rains but it pours' }] })
}
`

test.serial('a mistake in the configuration is told with its file, line and column, and exit code 1', async t => {
  await using world = await World.open()
  const file = await world.write('wrong.yaml', 'deadline: soon\nlimit: 3\nstrategies: [direct, stunn]\n')
  for (const argv of [
    ['config', 'validate', file],
    ['gateway', '--config', file]
  ]) {
    const { code, stderr } = await world.run(argv)
    t.is(code, 1)
    t.regex(stderr, /postern: bad-config: .*wrong\.yaml:1:11: deadline: /)
    t.regex(stderr, /wrong\.yaml:2:1: limit: .*did you mean/i)
    t.notRegex(stderr, / at .*\.ts:/)
  }
})

test.serial(
  'config validate finds every mistake in one round, those of strategies too, and says which are right',
  async t => {
    await using world = await World.open()
    const text = 'deadline: 10\nstrategies: [direct, stunn, relay: { waitMs: 5 }]\njoin: { token: short }\n'
    const wrong = await world.write('wrong.yaml', text)
    const found = await world.run(['config', 'validate', wrong, '--json'], { env: { POSTERN_TOKEN: '' } })
    t.is(found.code, 1)
    t.deepEqual(
      found.events.map(({ event, line, column }) => [event, line, column]),
      [
        ['problem', 1, 11],
        ['problem', 2, 22],
        ['problem', 2, 38],
        ['problem', 3, 16],
        ['failed', undefined, undefined]
      ]
    )
    t.like(found.events[0], { file: wrong })
    t.regex(String(found.events[2]?.reason), /waitMs: got "5"; expected a duration/)
    t.regex(found.stderr, /wrong\.yaml:2:22: .*stunn/)
    const right = await world.run(['config', 'validate', await world.config()])
    t.is(right.code, 0)
    t.regex(right.lines.join(), /is right.*direct, stun, map, predict, spray, relay/)
  }
)

test.serial('config show masks the tokens, and config schema is JSON', async t => {
  await using world = await World.open()
  const shown = await world.run(['config', 'show', await world.config()])
  t.regex(shown.lines.join('\n'), /token: "?\*+/)
  t.notRegex(shown.lines.join('\n'), /token-of-the-test/)
  const schema = await world.run(['config', 'schema'])
  t.is(typeof JSON.parse(schema.lines.join('')).properties.strategies, 'object')
})

test.serial('POSTERN_CONFIG names the file that is shown, and an empty one is as good as none', async t => {
  await using world = await World.open()
  const shown = async (file: string) => {
    const { lines } = await world.run(['config', 'show'], { env: { POSTERN_CONFIG: file } })
    return lines.join('\n')
  }
  t.regex(await shown(await world.write('named.yaml', 'limits: { peers: 7 }')), /peers: 7 # .*named\.yaml:1:18/)
  t.regex(await shown(''), /peers: 2000 # default/)
  const { stderr } = await world.run(['healthcheck', '--set', 'listen.http=127.0.0.1:1'], {
    env: { POSTERN_CONFIG: '' }
  })
  t.regex(stderr, /gateway-unreachable: no gateway is up at/)
})

test.serial('a gateway says which port is in use', async t => {
  await using world = await World.open()
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const { code, stderr } = await world.run(['gateway', '--config', await world.config('', port)])
  server.close()
  t.is(code, 1)
  t.regex(stderr, new RegExp(`^postern: port-in-use: TCP 127\\.0\\.0\\.1:${port} is already in use$`, 'm'))
})

test.serial('a port of a peer that is in use, or nonsense, is told before anything else is tried', async t => {
  await using world = await World.withGateway()
  const foreign = createSocket('udp4').bind(0, '0.0.0.0')
  await once(foreign, 'listening')
  const { port } = foreign.address()
  const taken = await world.run(['peer', 'bob', '--port', String(port)])
  foreign.close()
  t.is(taken.code, 1)
  t.regex(taken.stderr, new RegExp(`^postern: port-in-use: UDP port ${port} is in use by another program; choose`, 'm'))
  for (const [argv, words] of [
    [['--port', 'x'], /Expected a UDP port such as 4000, or a range such as 4000-4003/],
    [['--port', '4003-4000'], /bad-config: 4003-4000 is no range of UDP ports/],
    [['--public', '198.51.100.7:4000'], /bad-config: .* choose one with --port/],
    [['--mtu', '1500'], /Expected a whole number from 800 to 1280/],
    [['--port', '4000', '--public', 'router'], /Expected an address and a port such as 198\.51\.100\.7:4000/],
    [['--port', '4000', '--public', '10.0.0.1:4000'], /bad-config: 10\.0\.0\.1 is no public IPv4 address; expected/]
  ] as const) {
    const { code, stderr } = await world.run(['ping', 'bob', ...argv])
    t.is(code, 1, argv.join(' '))
    t.regex(stderr, words)
  }
})

test.serial('a gateway that is not there is gateway-unreachable, for peers and for who reads traces', async t => {
  await using world = await World.open()
  const gateway = await world.gateway()
  gateway.signal('SIGTERM')
  await gateway.ended
  for (const argv of [['ping', 'bob'], ['traces']]) {
    const { code, stderr } = await world.run([...argv, '--json'])
    t.is(code, 1)
    t.regex(stderr, /^postern: gateway-unreachable: .*ECONNREFUSED/)
  }
})

test.serial('a wrong token is bad-token and a missing one says how to give it', async t => {
  await using world = await World.withGateway()
  const wrong = await world.run(['peer', 'bob', '--token', 'wrong', '--json'])
  t.is(wrong.code, 1)
  t.like(wrong.events.at(-1), { event: 'failed', code: 'bad-token' })
  t.regex(wrong.stderr, /^postern: bad-token: /)
  const admin = await world.run(['traces', '--admin-token', 'wrong'])
  t.is(admin.code, 1)
  t.regex(admin.stderr, /^postern: bad-token: the admin token/)
  const missing = await world.run(['ping', 'bob'], { env: { POSTERN_TOKEN: '' } })
  t.regex(missing.stderr, /^postern: bad-config: a join token is needed: --token, or POSTERN_TOKEN/)
})

test.serial('a token does not leave for a public address in clear', async t => {
  await using world = await World.open()
  for (const command of ['ping bob', 'traces']) {
    const { code, stderr } = await world.run([...command.split(' '), '--gateway', 'http://203.0.113.1:9'])
    t.is(code, 1)
    t.regex(stderr, /^postern: bad-config: .*in clear.*--insecure/)
  }
})

test.serial('whom nobody knows, who is away and oneself: each is told apart', async t => {
  await using world = await World.withGateway()
  const bob = await world.peer('bob')
  const unknown = await world.run(['ping', 'carol', '--json'])
  t.like(unknown.events.at(-1), { event: 'failed', code: 'unknown-peer' })
  const self = await world.run(['ping', 'bob', '--json'], { who: 'bob' })
  t.like(self.events.at(-1), { event: 'failed', code: 'self-connect' })
  t.regex(
    self.stderr,
    /\n {2}two peers [^\n]* POSTERN_HOME[^\n]*\n {2}what was tried: postern trace [0-9a-f]{32} --key [\w-]+\n$/
  )
  bob.signal('SIGTERM')
  await bob.ended
  const away = await world.run(['ping', 'bob', '--json'])
  t.like(away.events.at(-1), { event: 'failed', code: 'peer-offline' })
  t.deepEqual([unknown.code, self.code, away.code], [1, 1, 1])
})

test.serial('a peer that is not who was pinned is refused', async t => {
  await using world = await World.withGateway()
  const bob = await world.peer('bob')
  const { fingerprint } = await bob.event('joined')
  const right = await world.run(['ping', `bob@${fingerprint}`, '--count', '1'])
  t.is(right.code, 0, right.stderr)
  const wrong = await world.run(['ping', `bob@${'00'.repeat(32)}`, '--json'])
  t.is(wrong.code, 1)
  t.like(wrong.events.at(-1), { event: 'failed', code: 'fingerprint-mismatch' })
})

test.serial(
  'a name that belongs to another certificate ends the peer with name-taken, until it is forgotten',
  async t => {
    await using world = await World.withGateway()
    const bob = await world.peer('bob')
    bob.signal('SIGTERM')
    await bob.ended
    const other = await world.run(['peer', 'bob', '--json'], { who: 'mallory' })
    t.is(other.code, 1)
    t.like(other.events.at(-1), { event: 'failed', code: 'name-taken' })
    t.regex((await world.run(['names', 'list'])).lines.join(), /^bob +[0-9a-f]{64}$/)
    t.regex((await world.run(['names', 'forget'])).stderr, /^postern: bad-config: give a name, or --fingerprint/)
    const fingerprint = /[0-9a-f]{64}/.exec((await world.run(['names', 'list'])).lines.join())?.[0] ?? ''
    const forgotten = await world.run(['names', 'forget', '--fingerprint', fingerprint, '--json'])
    t.deepEqual(forgotten.events, [{ event: 'forgotten', name: 'bob' }])
    t.regex((await world.run(['names', 'forget', 'bob'])).stderr, /^postern: unknown-peer: /)
    await world.peer('bob', [], { who: 'mallory' })
  }
)

test.serial('a connection without a path fails with no-path and the id of its trace', async t => {
  await using world = await World.open()
  await world.write('none.js', pessimist)
  await world.gateway('strategies: [./none.js]')
  await world.peer('bob')
  const { code, events, stderr } = await world.run(['ping', 'bob', '--json'])
  t.is(code, 1)
  const failed = events.at(-1)
  t.like(failed, { event: 'failed', code: 'no-path' })
  t.regex(stderr, new RegExp(`postern trace ${failed?.trace}`))
  const shown = await world.run(['trace', String(failed?.trace).slice(0, 10)])
  t.regex(shown.lines.join('\n'), /failed: no-path[\s\S]* none {2}passed[^\n]*\n +it never rains but it pours/)
  t.true(shown.lines.every(line => line.length <= 80))
  const list = await world.run(['traces', '--failed', '--json'])
  t.like(list.events[0], { event: 'trace', id: failed?.trace, by: 'no-path' })
})

test.serial('files that cannot be read, and folders that cannot be written to, are told by name', async t => {
  await using world = await World.withGateway()
  const file = await world.write('plain', 'a file')
  const folder = await world.run(['peer', 'bob', '--receive', file])
  t.is(folder.code, 1)
  t.regex(folder.stderr, /^postern: io: files cannot be received in .*plain: it is no folder/)
  const bob = await world.peer('bob')
  const missing = await world.run(['send', 'bob', 'nowhere.txt'])
  t.is(missing.code, 1)
  t.regex(missing.stderr, /^postern: io: nowhere\.txt does not exist/)
  const nowhere = { env: { POSTERN_GATEWAY: 'http://127.0.0.1:1' } }
  t.regex((await world.run(['send', 'bob', '.'], nowhere)).stderr, /^postern: io: \. is a directory; send its files/)
  const refused = await world.run(['send', 'bob', 'plain'])
  t.is(refused.code, 1)
  t.regex(refused.stderr, /^postern: io: .*no folder to receive/)
  t.like(await bob.event('failed'), { code: 'io', reason: 'there is no folder to receive files in' })
})

test.serial('a wrong command, option or argument is bad-config, and points to the help', async t => {
  await using world = await World.open()
  for (const argv of [
    ['pign', 'bob'],
    ['ping'],
    ['ping', 'bob', '--cuont', '1'],
    ['ping', 'bob', '--count', '0'],
    ['ping', 'bob', '--resume', '11m'],
    ['send', 'bob', 'file', '--resume', '30'],
    ['peer', 'bob', '--resume', 'never'],
    ['ping', 'no name']
  ]) {
    const { code, stderr, lines } = await world.run(argv)
    t.is(code, 1, argv.join(' '))
    t.regex(stderr, /^postern: bad-config: .+\n$/, argv.join(' '))
    t.deepEqual(lines, [])
  }
})

test.serial('every command explains itself within 80 columns, and --version is that of the package', async t => {
  await using world = await World.open()
  for (const command of ['', 'gateway', 'config', 'peer', 'send', 'pipe', 'ping', 'traces', 'trace', 'names']) {
    const { code, lines } = await world.run([...command.split(' ').filter(Boolean), '--help'])
    t.is(code, 0)
    t.deepEqual(
      lines.filter(line => line.length > 80),
      [],
      command
    )
    if (command)
      t.true(
        lines.some(line => /^Examples?:$/.test(line)),
        command
      )
  }
  t.regex((await world.run(['--version'])).lines.join(), /^\d+\.\d+\.\d+$/)
})
