import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { loadIdentity } from '../../src/peer/identity/identity.ts'
import { pinOf } from '../../src/wire/identity/fingerprint.ts'
import { World } from './world.ts'

// One at a time: each is several processes, and strategies give up after some hundred milliseconds.
const seconds = (since: number) => (performance.now() - since) / 1000

test.serial('files sent arrive intact, and both sides say so event by event', async t => {
  await using world = await World.withGateway()
  const bob = await world.peer('bob', ['--receive', 'inbox'])
  const big = randomBytes(3_000_000)
  await world.write('big.bin', big)
  await world.write('empty', '')
  const { code, events, stderr } = await world.run(['send', 'bob', 'big.bin', 'empty', '--json'])
  t.is(code, 0, stderr)
  t.deepEqual(await readFile(join(world.folder, 'inbox', 'big.bin')), big)
  t.deepEqual(await readFile(join(world.folder, 'inbox', 'empty')), Buffer.alloc(0))
  const sha256 = createHash('sha256').update(big).digest('hex')
  const names = events.map(({ event }) => event).filter(name => name !== 'progress' && name !== 'strategy')
  t.deepEqual(names, ['joined', 'path', 'done', 'done'])
  t.like(
    events.findLast(({ event }) => event === 'strategy'),
    { outcome: 'path' }
  )
  t.like(
    events.find(({ event }) => event === 'done'),
    { file: 'big.bin', bytes: big.length, sha256 }
  )
  t.like(
    events.findLast(({ event, file }) => event === 'progress' && file === 'big.bin'),
    { bytes: big.length, total: big.length }
  )
  t.like(await bob.event('connection'), { kind: 'direct' })
  t.like(await bob.event('done'), { file: 'big.bin', bytes: big.length, sha256, outcome: 'sent' })
})

test.serial('what a person reads has no escape codes and fits 80 columns where no terminal listens', async t => {
  await using world = await World.withGateway()
  await world.peer('bob', ['--receive', 'inbox'])
  await world.makeFolder('from')
  await world.write('from/note.txt', 'hello')
  for (const argv of [
    ['send', 'bob', 'from/note.txt'],
    ['ping', 'bob', '--count', '3'],
    ['traces'],
    ['names', 'list']
  ]) {
    const { code, lines, stderr } = await world.run(argv)
    t.is(code, 0, stderr)
    t.false(lines.some(line => line.includes('\x1b')))
    // The table of traces is shortened on a terminal only.
    if (argv[0] !== 'traces')
      t.deepEqual(
        lines.filter(line => line.length > 80),
        []
      )
  }
})

test.serial('a relayed path is said to be one, with its limit', async t => {
  await using world = await World.withGateway('strategies: [{ relay: { perSession: 3 Mbit/s } }]')
  await world.peer('bob')
  const { code, lines, stderr } = await world.run(['ping', 'bob', '--count', '1'])
  t.is(code, 0, stderr)
  t.regex(lines.join(' '), /path to bob: relayed through the gateway, limited to 3 Mbit\/s/)
})

test.serial('who shows its address to nobody is relayed, and both are told that it was asked for', async t => {
  await using world = await World.withGateway()
  await world.peer('bob', ['--relay-only'])
  await world.peer('carol')
  for (const argv of [['bob'], ['carol', '--relay-only']]) {
    const { code, lines, stderr } = await world.run(['ping', '--count', '1', ...argv])
    t.is(code, 0, stderr)
    t.regex(lines.join(' '), /relayed through the gateway/)
    t.regex(lines.join(' '), /shows its address to no other peer/)
  }
})

test.serial('pipe joins both directions of the standard streams with who may, and both ends end', async t => {
  await using world = await World.withGateway()
  const from = await loadIdentity(join(world.folder, 'alice'))
  const args = ['peer', 'bob', '--pipe', '--json', '--from', `alice@${pinOf(from.fingerprint)}`]
  const bob = world.start(args, { who: 'bob', stdin: 'from bob\n' })
  await bob.said(/"event":"joined"/)
  const mallory = await world.run(['pipe', 'bob', '--json'], { who: 'mallory', stdin: 'from mallory\n' })
  t.regex(mallory.stderr, /postern: io: peer bob: --from names others, and not guest-[0-9a-f]{12}@[0-9a-f]{64}/)
  t.deepEqual(mallory.lines, [])
  const alice = await world.run(['pipe', 'bob', '--json'], { stdin: 'from alice\n' })
  t.is(alice.code, 0, alice.stderr)
  t.deepEqual(alice.lines, ['from bob'])
  t.is(await bob.ended, 0)
  t.deepEqual(bob.lines, ['from alice'])
  t.regex(alice.stderr, /"event":"path"/)
})

test.serial('ping --json ends with the path, its round trip and its trace', async t => {
  await using world = await World.withGateway()
  await world.peer('bob')
  const { code, events, lines, stderr } = await world.run(['ping', 'bob', '--count', '2', '--json'])
  t.is(code, 0, stderr)
  t.is(events.length, lines.length)
  t.deepEqual(
    events.map(({ event }) => event).filter(name => name !== 'strategy'),
    ['joined', 'ping', 'ping', 'path']
  )
  const path = events.at(-1)
  const keys = ['event', 'by', 'kind', 'local', 'remote', 'ms', 'rttMs', 'mtu', 'trace', 'verdict', 'traceKey']
  t.deepEqual(Object.keys(path ?? {}), keys)
  t.like(path?.verdict, { code: 'direct' })
  t.is(path?.kind, 'direct')
  t.regex(String(path?.trace), /^[0-9a-f]{32}$/)
  t.true(Number(path?.ms) > 0 && Number(path?.rttMs) > 0)
  const shown = await world.run(['trace', String(path?.trace)])
  t.regex(shown.lines.join('\n'), /→ bob {2}direct, by /)
})

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  test.serial(`${name} ends a gateway, and a peer with an open connection, with 0 and without delay`, async t => {
    await using world = await World.open()
    const gateway = await world.gateway()
    const bob = await world.peer('bob')
    const ping = world.start(['ping', 'bob', '--count', '10000', '--json'])
    await ping.event('ping')
    const since = performance.now()
    bob.signal(name)
    t.is(await bob.ended, 0)
    gateway.signal(name)
    t.is(await gateway.ended, 0)
    // A goodbye that is not answered is waited for as long as 2 s; all that lies beyond is a busy computer.
    t.true(seconds(since) < 10)
    t.is(bob.stderr, '')
    t.is(await ping.ended, 1)
    t.like(ping.events.at(-1), { event: 'failed', code: 'io' })
  })
}

test.serial(
  'signals that arrive together, as a terminal and npm send them, count as one: a peer ends in order',
  async t => {
    await using world = await World.withGateway()
    const bob = await world.peer('bob')
    const ping = world.start(['ping', 'bob', '--count', '10000', '--json'])
    await ping.event('ping')
    bob.signal('SIGINT')
    bob.signal('SIGTERM')
    t.is(await bob.ended, 0)
  }
)

test.serial('an interrupted task ends with 130 or 143', async t => {
  await using world = await World.withGateway()
  const bob = world.start(['peer', 'bob', '--pipe', '--json'], { who: 'bob', stdin: 'open' })
  await bob.said(/"event":"joined"/)
  const ping = world.start(['ping', 'bob', '--count', '10000', '--json'])
  const pipe = world.start(['pipe', 'bob', '--json'], { stdin: 'open' })
  await Promise.all([ping.event('ping'), pipe.said(/"event":"path"/)])
  ping.signal('SIGINT')
  pipe.signal('SIGTERM')
  t.is(await ping.ended, 130)
  t.is(await pipe.ended, 143)
})

test.serial(
  'a peer that is started before its gateway says so once, and joins as soon as it can; --once ends it',
  async t => {
    await using world = await World.open()
    const first = await world.gateway()
    const { port } = new URL(world.url)
    first.signal('SIGTERM')
    await first.ended
    const once = await world.run(['peer', 'bob', '--once', '--json'], { who: 'bob' })
    t.is(once.code, 1)
    t.like(once.events, [{ event: 'failed', code: 'gateway-unreachable' }])
    const bob = world.start(['peer', 'bob', '--json'], { who: 'bob', stdin: 'open' })
    t.like(await bob.event('waiting'), { code: 'gateway-unreachable' })
    await world.gateway('', Number(port))
    await bob.event('joined')
    t.deepEqual(
      bob.events.map(({ event }) => event),
      ['waiting', 'joined']
    )
  }
)

test.serial('a peer finds a restarted gateway by itself, and an open connection outlives it', async t => {
  await using world = await World.open()
  const first = await world.gateway()
  const { port } = new URL(world.url)
  const bob = await world.peer('bob')
  const ping = world.start(['ping', 'bob', '--count', '10000', '--json'])
  await ping.event('ping')
  first.signal('SIGKILL')
  await bob.event('lost')
  const heard = ping.lines.length
  await world.gateway('', Number(port))
  await bob.event('rejoined')
  await ping.event('ping', heard + 2)
  const again = await world.run(['ping', 'bob', '--count', '1'], { who: 'carol' })
  t.is(again.code, 0, again.stderr)
})

test.serial(
  'ping without a number goes on, and tells live that its relayed path is lost with the gateway, and found',
  async t => {
    await using world = await World.open()
    const relay = 'strategies: [relay]'
    const first = await world.gateway(relay)
    const { port } = new URL(world.url)
    const bob = await world.peer('bob')
    const ping = world.start(['ping', 'bob', '--json'])
    t.like(await ping.event('path'), { kind: 'relay' })
    await ping.event('ping', ping.lines.length)
    first.signal('SIGKILL')
    t.like(await ping.event('lost'), { code: 'gateway-unreachable' })
    const { trace } = await ping.event('path')
    t.like(await ping.event('path-changed'), { what: 'lost', peer: 'bob', kind: 'relay', trace })
    const heard = ping.lines.length
    await world.gateway(relay, Number(port))
    await ping.event('rejoined')
    t.like(await ping.event('path-changed', heard), { what: 'moved', kind: 'relay', before: 'relay' })
    t.like(await bob.event('path-changed'), { peer: ping.events[0]?.name })
    await ping.event('ping', ping.lines.length)
    ping.signal('SIGINT')
    t.is(await ping.ended, 130)
    t.is(ping.events.filter(({ event }) => event === 'path').length, 1)
  }
)

test.serial('a path that is lost for longer than --resume ends with path-lost, the trace and a key to it', async t => {
  await using world = await World.open()
  const gateway = await world.gateway('strategies: [relay]')
  const bob = await world.peer('bob', ['--resume', '1s'])
  const ping = world.start(['ping', 'bob', '--json', '--resume', '1500ms'])
  const { trace, traceKey } = await ping.event('path')
  gateway.signal('SIGKILL')
  t.is(await ping.ended, 1)
  t.like(ping.events.at(-1), { event: 'failed', code: 'path-lost', trace, traceKey })
  t.regex(ping.stderr, /^postern: path-lost: .+ was lost, and no other was found within 1\.5 s\n/)
  t.true(ping.stderr.includes(`postern trace ${trace} --key ${traceKey}`))
  t.like(await bob.event('closed'), { code: 'path-lost', trace })
})
