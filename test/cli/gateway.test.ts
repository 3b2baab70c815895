import { once } from 'node:events'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { stripVTControlCharacters } from 'node:util'
import test from 'ava'
import { findTool } from '../lab/sandbox.ts'
import { authority, certified, renewed } from '../peer/tls.ts'
import { tokens, World } from './world.ts'

test('a gateway that others can reach over UDP takes the token on loopback too, for a proxy may stand there', async t => {
  const answers = async (udp: string, admin = '') => {
    await using world = await World.open()
    const yaml = `listen: { http: '127.0.0.1:0', udp: { addresses: [${udp}], ports: [0, 0] } }\n${admin}`
    const child = world.start(['gateway', '--config', await world.write('some.yaml', yaml), '--json'])
    const { http, open } = await child.event('listening')
    const { status } = await fetch(`http://${http}/api/status`)
    return [open, status]
  }
  t.deepEqual(await answers('0.0.0.0'), [false, 401])
  t.deepEqual(await answers('127.0.0.1', 'admin: { open: loopback }'), [true, 200])
  t.deepEqual(await answers('0.0.0.0', 'admin: { open: loopback }'), [false, 401])
  t.deepEqual(await answers('127.0.0.1'), [false, 401])
})

/** The link, as nothing else that is printed looks. */
const link = /http:\S+\/login\?link=[\w-]{32}/

const atTerminal = findTool('python3') ? test : test.skip

/** Tokens are made up. */
const bare = `listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1], ports: [0, 0] } }\n`

const noTokens = { POSTERN_TOKEN: '', POSTERN_ADMIN_TOKEN: '' }

/** Runs what is behind it at a terminal of its own. */
const terminal = ['python3', '-c', 'import pty, sys; pty.spawn(sys.argv[1:])']

atTerminal(
  'a login link and a token that was made up are told at a terminal, and the link logs a browser in',
  async t => {
    await using world = await World.open()
    const argv = ['gateway', '--config', await world.write('bare.yaml', bare)]
    const gateway = world.start(argv, { through: terminal, stdin: 'open', env: noTokens })
    await gateway.line(line => line.includes('--token '))
    const token = (await readFile(join(world.folder, 'state', 'join-token'), 'utf8')).trim()
    t.true(gateway.lines.some(line => line.includes(`--token ${token}`)))
    const [found = ''] = link.exec(await gateway.line(line => link.test(line))) ?? []
    const body = new URLSearchParams({ link: new URL(found).searchParams.get('link') ?? '' })
    const answer = await fetch(new URL('/login', found), { method: 'POST', body, redirect: 'manual' })
    t.is(answer.status, 303)
  }
)

atTerminal('the log is text at a terminal, in colour unless NO_COLOR is set', async t => {
  await using world = await World.open()
  const argv = ['gateway', '--config', await world.config(), '--json']
  const told = async (env: Record<string, string>) => {
    const gateway = world.start(argv, { through: terminal, stdin: 'open', env: { TERM: 'xterm', ...env } })
    return await gateway.line(line => /listening.*http=/.test(line))
  }
  const [coloured, plain] = [await told({}), await told({ NO_COLOR: '1' })]
  const text = /^\d\d:\d\d:\d\d info {3}listening {2}http=127\.0\.0\.1:\d+/
  t.regex(plain, text)
  t.notRegex(coloured, text)
  t.regex(stripVTControlCharacters(coloured), text)
})

test('the log is text also where it goes to a program or a file, if log.format says so', async t => {
  await using world = await World.open()
  const gateway = await world.gateway('log: { format: pretty }')
  gateway.signal('SIGTERM')
  await gateway.ended
  const lines = gateway.stderr.trim().split('\n')
  t.true(
    lines.every(line => /^(\d\d:\d\d:\d\d (info|warn) | {16})/.test(line)),
    gateway.stderr
  )
})

test('the start tells every port that has to be open, and how a room is made where rooms are', async t => {
  await using world = await World.open()
  const yaml = `listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1], ports: [0, 0] }, tcp: [0] }\ncall: { enabled: true }\n`
  const gateway = world.start(['gateway', '--config', await world.write('call.yaml', yaml)])
  await gateway.line(line => /postern traces/.test(line))
  const text = gateway.lines.join('\n')
  t.regex(text, /^ {2}relay {11}127\.0\.0\.1:\d+\/tcp$/m)
  t.regex(text, /^ {2}postern room standup --gateway http:\/\/127\.0\.0\.1:\d+ \\$/m)
  const plain = world.start(['gateway', '--config', await world.write('bare.yaml', bare)])
  await plain.line(line => /postern traces/.test(line))
  t.notRegex(plain.lines.join('\n'), /room|^ {2}relay {11}/m)
})

test('where the output goes to a program or a file, no link is told, nor does any stand in the log', async t => {
  await using world = await World.open()
  for (const more of [[], ['--json']]) {
    const gateway = world.start(['gateway', '--config', await world.config(), ...more])
    await gateway.line(line => /postern traces|"listening"/.test(line))
    gateway.signal('SIGTERM')
    t.is(await gateway.ended, 0)
    t.notRegex(gateway.lines.join('\n') + gateway.stderr, /link/)
    for (const line of gateway.stderr.trim().split('\n')) t.regex(JSON.parse(line).level, /^(info|warn)$/)
    if (more.length === 0) t.regex(gateway.lines.join('\n'), /postern peer bob --receive \.\/received /)
  }
})

test('a token that was made up is in no output but a terminal: its file is told', async t => {
  await using world = await World.open()
  const argv = ['gateway', '--config', await world.write('bare.yaml', bare)]
  const gateway = world.start(argv, { env: noTokens })
  const line = await gateway.line(line => line.includes('--token '))
  const file = join(world.folder, 'state', 'join-token')
  t.true(line.includes(`--token "$(cat ${file})"`), line)
  await gateway.line(line => /postern traces/.test(line))
  const token = (await readFile(file, 'utf8')).trim()
  t.false((gateway.lines.join() + gateway.stderr).includes(token))
})

test('SIGHUP ends neither gateway nor peer: one reads its configuration again, the other says so', async t => {
  await using world = await World.open()
  const gateway = await world.gateway()
  const bob = await world.peer('bob')
  gateway.signal('SIGHUP')
  bob.signal('SIGHUP')
  await bob.event('hangup')
  t.is((await fetch(`${world.url}/healthz`)).status, 200)
  for (const child of [bob, gateway]) {
    child.signal('SIGTERM')
    t.is(await child.ended, 0)
  }
  t.regex(gateway.stderr, /the configuration was read again/)
})

test('SIGHUP: a file with a mistake changes nothing and is told, and one that is right counts with what variables say', async t => {
  await using world = await World.open()
  const yaml = (more: string) => world.write('some.yaml', `${bare}${more}\n`)
  const argv = ['gateway', '--config', await yaml(''), '--json', '--set', 'limits.names=5']
  const gateway = world.start(argv, { env: { POSTERN_LIMITS_PEERS: '1' } })
  const { http } = await gateway.event('listening')
  await yaml('limits: { peers: many }\nstrategies: [direkt]')
  gateway.signal('SIGHUP')
  await gateway.said(/as it was, .*limits\.peers|as it was, .*direkt/)
  await yaml('deadline: 1 parsec')
  gateway.signal('SIGHUP')
  await gateway.said(
    /the configuration is as it was, since the one that was read is wrong: .*some\.yaml:2:11: deadline: got/
  )
  await yaml('listen: { url: [] }')
  gateway.signal('SIGHUP')
  await gateway.said(/the option is there twice in this map/)
  await world.write(
    'some.yaml',
    `listen: { http: '127.0.0.1:1', udp: { addresses: [127.0.0.1], ports: [0, 0] } }\nlog: { level: warn }\n`
  )
  gateway.signal('SIGHUP')
  await gateway.said(/the configuration was read again; what takes a restart is as it was: listen\.http/)
  const status = (await (
    await fetch(`http://${http}/api/status`, { headers: { authorization: `Bearer ${tokens.admin}` } }).catch(e => {
      console.log(e.cause, http, gateway.stderr)
      throw e
    })
  ).json()) as { reloads?: object }
  t.deepEqual(status.reloads, { applied: 1, refused: 3 })
  gateway.signal('SIGTERM')
  t.is(await gateway.ended, 0)
  t.notRegex(gateway.stderr, /"msg":"stopping"/, 'the level of the log is another')
})

/** A strategy that starts once there is a file `go` beside it. */
const waiting = `import { once } from 'node:events'
import { existsSync, watch } from 'node:fs'
export default { name: 'waiting', defaults: {}, async start() {
  const changes = watch(new URL('.', import.meta.url))
  process.stderr.write('it waits\\n')
  while (!existsSync(new URL('go', import.meta.url))) await once(changes, 'change')
  changes.close()
  return { async *plan() { yield { kind: 'pass', reason: 'never' } } }
} }`

test('SIGHUP during the start is heard after it, and SIGTERM ends a start that waits', async t => {
  await using world = await World.open()
  await world.write('waiting.mjs', waiting)
  const yaml = (more: string) => world.write('some.yaml', `${bare}strategies: [./waiting.mjs, direct]\n${more}`)
  const argv = ['gateway', '--config', await yaml(''), '--json']
  const ended = world.start(argv)
  await ended.said(/it waits/)
  ended.signal('SIGTERM')
  t.is(await ended.ended, 0)
  const gateway = world.start(argv)
  await gateway.said(/it waits/)
  await yaml('log: { level: warn }\nstate: ./other\n')
  gateway.signal('SIGHUP')
  await world.write('go', '')
  await gateway.said(/the configuration was read again; what takes a restart is as it was: state/)
  gateway.signal('SIGTERM')
  t.is(await gateway.ended, 0)
})

test('a gateway that speaks TLS says so, is used with --ca, and takes another certificate by itself and at SIGHUP', async t => {
  await using world = await World.open()
  const put = async (pair: { cert: string; key: string }) => {
    // In the place of the files before, as a program that renews does it.
    for (const [name, text] of Object.entries(pair)) {
      await world.write(`${name}.new`, text)
      await rename(join(world.folder, `${name}.new`), join(world.folder, `${name}.pem`))
    }
  }
  await put(certified)
  const ca = await world.write('ca.pem', `a comment\n${authority}`)
  const listen = `listen: { http: '127.0.0.1:0', tls: { cert: cert.pem, key: key.pem }, udp: { addresses: [127.0.0.1], ports: [0, 0] } }`
  const yaml = `${listen}\njoin: { token: ${tokens.join} }\nadmin: { token: ${tokens.admin} }\n`
  const gateway = world.start(['gateway', '--config', await world.write('tls.yaml', yaml), '--json'])
  const { url, http } = await gateway.event('listening')
  t.is(url, `https://${http}`)
  world.url = String(url)
  await world.peer('bob', ['--ca', ca])
  const pinged = await world.run(['ping', 'bob', '--count', '1', '--ca', ca])
  t.is(pinged.code, 0, pinged.stderr)
  for (const argv of [['traces'], ['names', 'list'], ['nat']]) {
    const run = await world.run([...argv, '--ca', ca])
    t.is(run.code, 0, run.stderr)
  }
  t.is((await world.run(['names', 'list'], { env: { NODE_EXTRA_CA_CERTS: ca } })).code, 0)
  const untrusted = await world.run(['names', 'list'])
  t.regex(untrusted.stderr, /gateway-unreachable: .*not trusted here; .*--ca FILE/)
  const clear = await world.run(['names', 'list', '--gateway', String(url).replace('https', 'http')])
  t.regex(clear.stderr, /it speaks TLS there; write https:\/\/127\.0\.0\.1/)

  const port = Number(String(http).split(':')[1])
  const shown = async () => {
    const socket = connect({ port, host: '127.0.0.1', ca: authority })
    await once(socket, 'secureConnect')
    const certificate = socket.getPeerX509Certificate()?.toString()
    socket.destroy()
    return certificate
  }
  t.is(await shown(), certified.cert)
  await put(renewed)
  await gateway.said(/certificate: renewed/)
  t.is(await shown(), renewed.cert)
  await writeFile(join(world.folder, 'key.pem'), certified.key)
  gateway.signal('SIGHUP')
  await gateway.said(/certificate: not renewed/)
  t.is(await shown(), renewed.cert)
  gateway.signal('SIGTERM')
  t.is(await gateway.ended, 0)
  const again = await world.run(['gateway', '--config', join(world.folder, 'tls.yaml')])
  t.is(again.code, 1)
  t.regex(
    again.stderr,
    /bad-config: .*tls\.yaml:1:\d+: listen\.tls\.key: .*key\.pem: it does not belong to the certificate in /
  )
})

test('a gateway that speaks TLS is printed with a name of its certificate, where its address is none', async t => {
  await using world = await World.open()
  await world.write('cert.pem', renewed.cert)
  await world.write('key.pem', renewed.key)
  const told = async (http: string) => {
    const yaml = `listen: { http: '${http}:0', tls: { cert: cert.pem, key: key.pem }, udp: { addresses: [127.0.0.1], ports: [0, 0] } }`
    const gateway = world.start(['gateway', '--config', await world.write('tls.yaml', yaml), '--json'])
    const { url } = await gateway.event('listening')
    gateway.signal('SIGTERM')
    await gateway.ended
    return String(url)
  }
  t.regex(await told('127.0.0.2'), /^https:\/\/gateway\.example\.org:\d+$/)
  t.regex(await told('127.0.0.1'), /^https:\/\/127\.0\.0\.1:\d+$/)
})

test('--ca takes a file of certificates and nothing else', async t => {
  await using world = await World.open()
  const told = async (file: string) => (await world.run(['names', 'list', '--ca', file])).stderr
  t.regex(await told('nowhere.pem'), /nowhere\.pem: there is no such file; expected certificates in PEM/)
  t.regex(await told('.'), /\.: it cannot be read: it is not a file; expected certificates in PEM/)
  t.regex(
    await told(await world.write('key.pem', certified.key)),
    /key\.pem: it holds no certificate; expected certificates in PEM/
  )
  const torn = authority + certified.cert.replace('MIIB', 'AAAA')
  t.regex(await told(await world.write('torn.pem', torn)), /torn\.pem: a certificate in it cannot be read/)
})

test('healthcheck asks the gateway of its configuration, with TLS and without, and says why it is not up', async t => {
  await using world = await World.open()
  const free = createServer(socket => void socket.resume()).listen(0, '127.0.0.1')
  await once(free, 'listening')
  t.teardown(() => free.close())
  const { port } = free.address() as AddressInfo
  const at = `http: '0.0.0.0:${port}', udp: { addresses: [127.0.0.1], ports: [0, 0] }`
  const plain = await world.write('plain.yaml', `listen: { ${at} }\n`)
  const check = (config: string) => world.start(['healthcheck', '--config', config, '--json'])

  // Somebody who is no gateway, and says nothing.
  const silent = check(plain)
  t.is(await silent.ended, 1)
  t.regex(String((await silent.event('failed')).reason), /^no gateway is up at .*: it did not answer within 2 s$/)
  await new Promise(closed => free.close(closed))
  const nobody = check(plain)
  t.is(await nobody.ended, 1)
  t.regex(String((await nobody.event('failed')).reason), /:\d+: ECONNREFUSED$/)

  await world.write('cert.pem', certified.cert)
  await world.write('key.pem', certified.key)
  const secure = await world.write('tls.yaml', `listen: { ${at}, tls: { cert: cert.pem, key: key.pem } }\n`)
  const behind = 'trustProxy: [127.0.0.0/8], proxyProtocol: true'
  const introduced = await world.write('behind.yaml', `listen: { ${at}, ${behind} }\n`)
  const both = await world.write('both.yaml', `listen: { ${at}, ${behind}, tls: { cert: cert.pem, key: key.pem } }\n`)
  const nobodyBehind = check(both)
  t.is(await nobodyBehind.ended, 1)
  t.regex(String((await nobodyBehind.event('failed')).reason), /:\d+: ECONNREFUSED$/)
  for (const config of [plain, secure, introduced, both]) {
    const gateway = world.start(['gateway', '--config', config, '--json'])
    await gateway.event('listening')
    const healthy = check(config)
    t.is(await healthy.ended, 0)
    t.true(Array.isArray((await healthy.event('healthy')).warnings))
    gateway.signal('SIGTERM')
    await gateway.ended
  }
  const unknown = check(await world.write('any.yaml', `listen: { http: '127.0.0.1:0' }\n`))
  t.is(await unknown.ended, 1)
  t.like(await unknown.event('failed'), { code: 'bad-config' })
})
