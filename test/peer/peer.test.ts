import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { PosternError } from '../../src/errors.ts'
import type { Connection } from '../../src/peer/connection/connection.ts'
import type { ForwardNews, StrategyReport } from '../../src/peer/peer.ts'
import { RawSocket } from '../../src/peer/punch/raw.ts'
import { endNative } from '../end-native.ts'
import { HandMade } from '../hand-made.ts'
import { until } from '../until.ts'
import { World } from '../world.ts'
import { HandMadeGateway } from './hand-made-gateway.ts'

test.after.always(endNative)

test.serial('a gateway that cannot prove a forward is not asked to, and the user is told', async t => {
  await using gateway = await HandMadeGateway.open()
  const told = Promise.withResolvers<ForwardNews>()
  const raw = await RawSocket.bind()
  const { port } = raw
  await raw.close()
  const forward = { port, public: { address: '198.51.100.7', port }, onForward: told.resolve }
  const { guest } = await gateway.join('ann', forward)
  t.like(await told.promise, { proved: false, port, by: 'given' })
  t.regex((await told.promise).reason, /proves no forwards/)
  t.false(guest.said.some(({ type }) => type === 'claim'))
})

test.serial(
  'a gateway that says what it can do after a socket is warm is asked to prove a forward all the same',
  async t => {
    await using gateway = await HandMadeGateway.open()
    const raw = await RawSocket.bind()
    const { port } = raw
    await raw.close()
    const news: ForwardNews[] = []
    const forward = {
      port,
      public: { address: '198.51.100.7', port },
      onForward: (told: ForwardNews) => news.push(told)
    }
    const { guest } = await gateway.join('ann', forward)
    t.deepEqual([news, guest.said.filter(({ type }) => type === 'claim')], [[], []])
    guest.say({ type: 'features', features: ['proofs'] })
    t.like(await until(() => guest.said.find(({ type }) => type === 'claim')), { port, endpoint: forward.public })
    t.deepEqual(news, [])
  }
)

test.serial('two peers meet, both know who the other is, and bytes pass', async t => {
  await using world = await World.open()
  const arrived = Promise.withResolvers<Connection>()
  await world.join('bob', { onConnection: arrived.resolve })
  const ann = await world.join('ann')
  const reports: StrategyReport[] = []
  const told = Promise.withResolvers<void>()
  const connection = await ann.connect(
    { name: 'bob' },
    { onStrategy: report => reports.push(report), onPath: () => told.resolve() }
  )
  const other = await arrived.promise
  t.like(connection.peer, { name: 'bob', fingerprint: (await world.identity('bob')).fingerprint })
  t.like(other.peer, { name: 'ann', fingerprint: (await world.identity('ann')).fingerprint })
  t.deepEqual([connection.path.kind, connection.path.by], ['direct', 'direct'])
  t.is(connection.path.trace, other.path.trace)
  t.is(connection.path.local, other.path.remote)
  t.true((await connection.ping()) < 1000)
  await told.promise
  t.deepEqual(
    reports.map(({ name, outcome }) => [name, outcome]),
    [['direct', 'path']]
  )
  await connection.close()
})

test.serial(
  'peers wait for another path as long as the one that waits longer, and a wrong wait is refused at once',
  async t => {
    await using world = await World.open()
    for (const resumeMs of [-1, 600_001, Number.NaN])
      await t.throwsAsync(world.join('dan', { resumeMs }), { code: 'bad-config', message: /to 600000 \(10 min\)/ })
    await world.join('bob', { resumeMs: 90_000 })
    await world.join('carol', { resumeMs: 0 })
    const ann = await world.join('ann')
    const [bob, carol] = [await ann.connect({ name: 'bob' }), await ann.connect({ name: 'carol' })]
    await Promise.all([bob.ping(), carol.ping()])
    t.deepEqual([bob.resumeMs, carol.resumeMs], [90_000, 0])
    t.false(bob.isAdrift)
  }
)

test.serial('a peer without a name may call, and cannot be called', async t => {
  await using world = await World.open()
  const arrived = Promise.withResolvers<Connection>()
  const bob = await world.join('bob', { onConnection: arrived.resolve })
  const guest = await world.join('guest', { name: undefined })
  t.regex(guest.name, /^guest-[0-9a-f]{12}$/)
  const connection = await guest.connect({ name: 'bob' })
  t.is((await arrived.promise).peer.name, guest.name)
  await t.throwsAsync(bob.connect({ name: guest.name }), { instanceOf: PosternError, code: 'unknown-peer' })
  await connection.close()
})

test.serial('connections at once each get a path of their own', async t => {
  await using world = await World.open()
  await world.join('bob')
  const ann = await world.join('ann')
  const connections = await Promise.all([1, 2, 3].map(() => ann.connect({ name: 'bob' })))
  t.is(new Set(connections.map(({ path }) => path.local)).size, 3)
  for (const connection of connections) t.true((await connection.ping()) < 1000)
  await Promise.all(connections.map(connection => connection.close()))
})

test.serial('connections that stand do not count among those that are set up at once', async t => {
  await using world = await World.open({ strategies: '[direct]' })
  await world.join('bob')
  const ann = await world.join('ann')
  const standing: Connection[] = []
  while (standing.length < 17) standing.push(await ann.connect({ name: 'bob' }))
  t.true((await (standing.at(-1) ?? t.fail()).ping()) < 1000)
  await Promise.all(standing.map(connection => connection.close()))
})

test.serial('an open connection survives the gateway, and with a new gateway there are new ones', async t => {
  await using world = await World.open()
  const arrived = Promise.withResolvers<Connection>()
  const joined = { ann: 0, bob: 0 }
  const counting = (name: 'ann' | 'bob') => (state: { joined: boolean }) => {
    if (state.joined) joined[name]++
  }
  await world.join('bob', { onConnection: arrived.resolve, onState: counting('bob') })
  const ann = await world.join('ann', { onState: counting('ann') })
  const connection = await ann.connect({ name: 'bob' })
  await arrived.promise
  await world.gateway.close()
  t.true((await connection.ping()) < 1000, 'the path does not lead through the gateway')
  await t.throwsAsync(ann.connect({ name: 'bob' }), { code: 'gateway-unreachable' })
  await world.start()
  await until(() => joined.ann === 2 && joined.bob === 2)
  const second = await ann.connect({ name: 'bob' })
  t.true((await second.ping()) < 1000)
  t.true((await connection.ping()) < 1000)
  await Promise.all([connection.close(), second.close()])
})

test.serial('what a lost gateway was still asked for fails at once', async t => {
  await using world = await World.open()
  const ann = await world.join('ann')
  const bob = await HandMade.join(world.url, {
    identity: await world.identity('bob'),
    token: world.gateway.joinToken,
    name: 'bob'
  })
  const connecting = ann.connect({ name: 'bob' })
  await bob.hears('session')
  const failed = t.throwsAsync(connecting, { instanceOf: PosternError })
  await world.gateway.close()
  const error = await failed
  t.true(['gateway-unreachable', 'peer-offline'].includes(error?.code ?? ''), error?.code)
  t.regex(error?.trace ?? '', /^[0-9a-f]{32}$/)
  await world.start()
})

test.serial('a request can be given up, and the gateway hears of it', async t => {
  await using world = await World.open()
  const ann = await world.join('ann')
  const bob = await HandMade.join(world.url, {
    identity: await world.identity('bob'),
    token: world.gateway.joinToken,
    name: 'bob'
  })
  const controller = new AbortController()
  const reason = new PosternError('io', 'changed my mind')
  const connecting = ann.connect({ name: 'bob' }, { signal: controller.signal })
  const early = new AbortController()
  const given = ann.connect({ name: 'bob' }, { signal: early.signal })
  early.abort(reason)
  await t.throwsAsync(given, { instanceOf: PosternError, message: 'changed my mind' })
  t.is((await bob.hears('over')).reason, 'ann left: the request was given up', 'before it had begun')
  await until(() => bob.heard.some(({ type }) => type === 'session'))
  controller.abort(reason)
  await t.throwsAsync(connecting, { instanceOf: PosternError, message: 'changed my mind' })
  t.is((await bob.hears('over')).reason, 'ann left: changed my mind')
  t.is(await t.throwsAsync(ann.connect({ name: 'bob' }, { signal: AbortSignal.abort(reason) })), reason)
  await bob.close()
})

test.serial('a pinned fingerprint is held against the gateway and the peer', async t => {
  await using world = await World.open()
  await world.join('bob')
  const ann = await world.join('ann')
  const { fingerprint: pin } = await world.identity('bob')
  const connection = await ann.connect({ name: 'bob', pin })
  t.is(connection.peer.fingerprint, pin)
  await connection.close()
  const { fingerprint: other } = await world.identity('ann')
  await t.throwsAsync(ann.connect({ name: 'bob', pin: other }), { code: 'fingerprint-mismatch' })
})

test.serial('a peer that was met with another certificate before is refused, though its path had opened', async t => {
  await using world = await World.open()
  const served: Connection[] = []
  await world.join('bob', { onConnection: connection => served.push(connection) })
  const ann = await world.join('ann')
  const { fingerprint } = await world.identity('eve')
  await writeFile(join(world.folder, 'ann', 'known-peers'), `${new URL(world.url).host} bob ${fingerprint}\n`)
  const error = await t.throwsAsync(ann.connect({ name: 'bob' }), { code: 'fingerprint-mismatch' })
  t.regex(error?.message ?? '', /had .* before/)
  await until(async () => (await world.gateway.status()).sessions.failed === 1)
  await until(() => served.every(({ closed }) => closed.aborted))
})

test.serial('a peer that serves nobody closes what others open', async t => {
  await using world = await World.open()
  await world.join('bob', { onConnection: undefined as never })
  const ann = await world.join('ann')
  const connection = await ann.connect({ name: 'bob' })
  if (!connection.closed.aborted) await once(connection.closed, 'abort')
  t.is(connection.closed.reason.code, 'io')
})

test.serial('a process that has closed its peers ends by itself, and nothing pending is left', async t => {
  const script = fileURLToPath(new URL('leaves.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 15_000 })
  t.regex(stdout, /^left, and what was pending ended with (io|gateway-unreachable)$/)
})

test('where the gateway is reached by IPv6, UDP goes by IPv4, and peers meet', async t => {
  await using world = await World.open({ host: '[::1]', addresses: ['0.0.0.0'] })
  const [ann] = [await world.join('ann'), await world.join('bob')]
  const connection = await ann.connect({ name: 'bob' })
  t.is(connection.path.kind, 'direct')
  t.regex(connection.path.remote, /^127\.0\.0\.1:\d+$/)
})

test.serial('an order of a session that is over takes its socket with it, and another one is warmed', async t => {
  await using gateway = await HandMadeGateway.open()
  const { guest, warm } = await gateway.join('ann')
  const { fingerprint } = await gateway.identity('bob')
  guest.order(warm.socket, { kind: 'punch', targets: [] }, { role: 'passive', fingerprint })
  t.not((await guest.heard('warm')).socket, warm.socket)
})
