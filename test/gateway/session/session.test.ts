import test from 'ava'
import type { RawSocket } from '../../../src/peer/punch/raw.ts'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import { FAR_MS, HandMade, nothingDone } from '../../hand-made.ts'
import { until } from '../../until.ts'
import { handMade, patient } from '../signalling/room.ts'

const never = `export default {
  name: 'never',
  defaults: {},
  start: () => ({ plan: () => [{ kind: 'pass', reason: 'not today' }] })
}`

/** Asks for fresh samples of the caller, then aims at what it sees. */
const sampler = `export default {
  name: 'sampler',
  defaults: {},
  start: () => ({
    *plan(scene) {
      const before = scene.caller.observations.length
      yield { kind: 'sample', sides: ['caller'] }
      const { mapped, observations } = scene.caller
      const ports = observations.slice(before).map(({ port }) => port)
      const order = { kind: 'punch', targets: [] }
      yield {
        kind: 'plan',
        caller: { kind: 'punch', targets: [scene.callee.mapped] },
        callee: { ...order, guesses: [{ address: mapped.address, ports }], probes: 100 },
        passive: 'caller',
        afterMs: { callee: 7 },
        waitMs: 500,
        why: 'its ports were ' + ports
      }
    }
  })
}`

const sampling = { strategies: '[./sampler.mjs]', files: { 'sampler.mjs': sampler } }

const failed = { type: 'failed', code: 'io', reason: 'it did not work', report: nothingDone }

test('both orders belong together, and the keys of the two sides do not', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  ann.say({ type: 'connect', request: 5, to: 'bob' })
  const [forAnn, forBob] = [await ann.hears('session'), await bob.hears('session')]
  t.deepEqual([forAnn.role, forAnn.request, forAnn.peer.name], ['caller', 5, 'bob'])
  t.deepEqual([forBob.role, forBob.request, forBob.peer.name], ['callee', undefined, 'ann'])
  t.is(forBob.peer.fingerprint, (await room.world.identity('ann')).fingerprint)
  t.is(forAnn.probeKey, forBob.probeKey)
  t.not(forAnn.key, forBob.key)
  const [a, b] = [(await ann.hears('order')).handover, (await bob.hears('order')).handover]
  t.deepEqual([a.role, b.role], ['active', 'passive'])
  t.deepEqual([a.local, a.remote], [b.remote, b.local])
  t.is(a.fingerprint, forAnn.peer.fingerprint)
})

test('a strategy that asks for samples orders the fresh socket, and knows its mappings', async t => {
  await using room = await handMade(['ann', 'bob'], sampling)
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0, { rttMs: FAR_MS }), bob.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const fresh = await ann.fresh(await ann.hears('sample'), 5)
  const [toAnn, toBob] = [await ann.hears('order'), await bob.hears('order')]
  t.is(toAnn.socket, 5)
  t.deepEqual([toAnn.handover.role, toBob.handover.role], ['passive', 'active'])
  t.deepEqual([toAnn.afterMs, toBob.afterMs], [0, 7])
  const { order } = toBob
  t.true(order.kind === 'punch' && order.guesses?.[0]?.ports.every(port => port === fresh.port))
})

test('a peer that shows no fresh socket fails the strategy within its time, not the gateway', async t => {
  await using room = await handMade(['ann', 'bob'], sampling)
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  for (const lie of [{}, { round: 9, socket: 0, port: 9 }, { round: 1, socket: 77, port: 9 }]) {
    ann.say({ type: 'connect', request: 0, to: 'bob' })
    const { session } = await ann.hears('sample')
    ann.say({ type: 'fresh', session, round: 0, socket: 3, port: 1, ...lie })
    const { code, reason } = await ann.hears('over')
    t.is(code, 'no-path')
    t.regex(reason, /sampler failed \((ann showed no fresh socket|no sample of ann came) in time\)/)
  }
})

test('a side that leaves while samples are awaited is no deadline', async t => {
  await using room = await handMade(['ann', 'bob'], sampling)
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0, { rttMs: FAR_MS }), bob.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { session } = await ann.hears('sample')
  ann.say({ type: 'leave', session, code: 'timeout', reason: 'it takes too long' })
  const { trace } = await bob.hears('over')
  const [record] = await until(() => room.world.gateway.traces.get(trace))
  const causes = record?.spans.map(({ attributes }) => attributes['postern.cause']).filter(cause => cause !== undefined)
  t.deepEqual(new Set(causes), new Set(['peer-left']))
  t.like(record?.verdict, { code: 'peer-left', side: 'caller', also: ['not-tried'] })
})

test('a side that leaves cannot put it on the gateway or on the other: its word is no verdict', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  for (const code of ['relay-full', 'unknown-peer', 'self-connect', 'peer-offline', 'internal', 'udp-blocked']) {
    ann.say({ type: 'connect', request: 0, to: 'bob' })
    const { session } = await bob.hears('session')
    bob.say({ type: 'leave', session, code, reason: 'the gateway is at fault' })
    const over = await ann.hears('over')
    t.is(over.code, 'io', code)
    t.like(over.verdict, { code: 'peer-left', side: 'callee' }, code)
  }
})

test('a side that sets up as many connections as it does at once says so, and the caller hears it', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { session } = await bob.hears('session')
  bob.say({ type: 'leave', session, code: 'over-quota', reason: 'it is setting up 16 connections' })
  const over = await ann.hears('over')
  t.like(over, { code: 'over-quota', reason: 'bob left: it is setting up 16 connections' })
  t.like(over.verdict, { code: 'over-quota', side: 'callee' })
})

test('a plan that aims more probes at an address than all may is not ordered, and counted', async t => {
  await using room = await handMade(['ann', 'bob'], {
    strategies: '[./sampler.mjs]',
    files: { 'sampler.mjs': sampler },
    more: 'limits: { probesPerAddress: 396 }'
  })
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0, { rttMs: FAR_MS }), bob.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  await ann.fresh(await ann.hears('sample'), 5)
  t.regex(
    (await ann.hears('over')).reason,
    /the probe budget of 127\.0\.0\.1 \(ann\) is shared out: 99 left of the 100/
  )
  t.is((await room.world.gateway.status()).probes.refused, 1)
})

test('two connect requests at once of one peer get two sockets', async t => {
  await using room = await handMade(['ann', 'bob', 'carol'])
  const [ann, bob, carol] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0), carol.warm(0)])
  for (const [request, to] of ['bob', 'carol'].entries()) ann.say({ type: 'connect', request, to })
  const first = await ann.hears('order')
  t.is(first.socket, 0)
  await ann.warm(1)
  const { session } = await carol.hears('order')
  t.not(session, first.session)
  t.is((await ann.hearsOf(session, 'order')).socket, 1)
})

test('while one peer is waited for, the socket of the other is free for others', async t => {
  await using room = await handMade(['ann', 'bob', 'carol'])
  const [ann, bob, carol] = room.peers
  await Promise.all([ann.warm(0), carol.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  await bob.hears('session')
  ann.say({ type: 'connect', request: 1, to: 'carol' })
  const { session } = await carol.hears('session')
  t.is((await ann.hears('order')).session, session)
})

test('a session that never ordered anything gives its sockets back', async t => {
  await using room = await handMade(['ann', 'bob'], { strategies: '[./never.mjs]', files: { 'never.mjs': never } })
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  for (let request = 0; request < 3; request++) {
    ann.say({ type: 'connect', request, to: 'bob' })
    const { code, reason } = await ann.hears('over')
    t.deepEqual([code, reason], ['no-path', 'no path to bob: never passed (not today)'])
  }
})

test('a socket that has gone cold is not ordered to do anything', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  ann.say({ type: 'cold', socket: 0, reason: 'the gateway does not answer' })
  await ann.warm(1)
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  t.is((await ann.hears('order')).socket, 1)
})

test('a peer that hears nothing over UDP fails with udp-blocked, and is named', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  await ann.warm(0)
  bob.say({ type: 'cold', socket: 0, reason: 'silence' })
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { code, reason } = await ann.hears('over')
  t.is(code, 'udp-blocked')
  t.is(reason, 'no UDP datagram from bob reaches the gateway: silence')
})

test('nobody is told to send to an address that was only claimed', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  const lies = [
    '8.8.8.8',
    '10.1.2.3',
    '192.0.2.7',
    '2001:db8::1',
    ...Array.from({ length: 9 }, (_, n) => `127.0.0.${n + 1}`)
  ]
  const raw = await ann.warm(0, { port: 9, addresses: lies.map(address => ({ address, prefix: 0 })) })
  await bob.warm(0)
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const told = []
  for (let plan = 1; plan <= 3; plan++) {
    const { session, order } = await bob.hears('order')
    if (order.kind === 'splice') break
    told.push(order.targets)
    bob.say({ ...failed, session, plan })
  }
  const mapped = { address: '127.0.0.1', port: raw.port }
  const onLink = [1, 2, 3, 4].map(n => ({ address: `127.0.0.${n}`, port: 9 }))
  t.deepEqual(told, [onLink, [], [mapped]], 'at most four on the shared link, else what was proved')
})

test('a socket that was never seen is not believed in', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  await bob.warm(0)
  ann.say({ type: 'warm', socket: 0, port: 4242, addresses: [{ address: '127.0.0.1', prefix: 8 }], rttMs: 1 })
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  t.is((await ann.hears('over')).code, 'udp-blocked')
  await bob.settled()
  t.false(bob.heard.some(({ type }) => type === 'order'))
})

test('an address whose prefix is none is malformed', async t => {
  await using room = await handMade(['ann'])
  const [ann] = room.peers
  ann.say({ type: 'warm', socket: 0, port: 4242, addresses: [{ address: '127.0.0.1', prefix: 33 }], rttMs: 1 })
  t.is((await ann.hears('refused')).code, 'bad-message')
})

test('words about an older plan are ignored', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { session } = await bob.hears('order')
  bob.say({ ...failed, session, plan: 1 })
  t.is((await ann.hears('cancel')).plan, 1)
  t.is((await bob.hears('order')).plan, 2)
  const { endpoints } = bob.welcome
  const opened = { type: 'opened', session, plan: 1, local: endpoints[0], remote: endpoints[1], report: nothingDone }
  for (const peer of [ann, bob]) {
    peer.say({ ...failed, session, plan: 1 })
    peer.say(opened)
    peer.say({ ...failed, session, plan: 9 })
    await peer.settled()
  }
  t.false(ann.heard.some(({ type }) => type === 'cancel' || type === 'path'))
  for (const peer of [ann, bob]) peer.say({ ...opened, plan: 2 })
  t.is((await ann.hears('path')).by, 'direct')
})

test('a path counts only when both sides have opened it', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { session, plan } = await bob.hears('order')
  const { endpoints } = bob.welcome
  const opened = { type: 'opened', session, plan, local: endpoints[0], remote: endpoints[1], report: nothingDone }
  ann.say(opened)
  ann.say(opened)
  await ann.settled()
  t.false(ann.heard.some(({ type }) => type === 'path'))
  bob.say(opened)
  t.is((await ann.hears('path')).kind, 'direct')
})

test('a path that was opened and closed at once counts, though one side has left before the other says so', async t => {
  for (const strategies of [`[${patient.direct}]`, `[${patient.relay}]`]) {
    await using room = await handMade(['ann', 'bob'], { strategies })
    const [ann, bob] = room.peers
    await Promise.all([ann.warm(0), bob.warm(0)])
    ann.say({ type: 'connect', request: 0, to: 'bob' })
    const { session, plan } = await bob.hears('order')
    const { endpoints } = bob.welcome
    const opened = { type: 'opened', session, plan, local: endpoints[0], remote: endpoints[1], report: nothingDone }
    bob.say(opened)
    bob.say({ type: 'leave', session, code: 'io', reason: 'that was all' })
    await bob.settled()
    ann.say(opened)
    t.is((await ann.hears('path')).session, session)
    const { now, relayed, failed } = await until(async () => {
      const { sessions } = await room.world.gateway.status()
      return sessions.now === 0 && sessions
    })
    t.deepEqual([now, relayed, failed], [0, 0, 0], strategies)
  }
})

test('who refuses a path is the one that left, though the other, which had opened it, said so before', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { session, plan } = await bob.hears('order')
  const { endpoints } = bob.welcome
  bob.say({ type: 'opened', session, plan, local: endpoints[0], remote: endpoints[1], report: nothingDone })
  bob.say({ type: 'leave', session, code: 'io', reason: 'the connection was closed' })
  await bob.settled()
  ann.say({ type: 'leave', session, code: 'fingerprint-mismatch', reason: 'it had another before' })
  const { verdict } = await ann.hears('over')
  t.like(verdict, { code: 'fingerprint-mismatch', side: 'callee' })
})

test('a relayed session ends with the first side that leaves', async t => {
  await using room = await handMade(['ann', 'bob'], { strategies: `[${patient.relay}]` })
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { session, plan } = await bob.hears('order')
  const { endpoints } = bob.welcome
  for (const peer of [ann, bob])
    peer.say({ type: 'opened', session, plan, local: endpoints[0], remote: endpoints[1], report: nothingDone })
  await ann.hears('path')
  t.is((await room.world.gateway.status()).sessions.relayed, 1)
  ann.say({ type: 'leave', session, code: 'io', reason: 'that was all' })
  await ann.settled()
  t.is((await room.world.gateway.status()).sessions.relayed, 0)
  t.is((await room.world.gateway.status()).sessions.now, 0)
})

test('what a peer may send over the relay is one limit for its certificate, however often it has joined', async t => {
  await using room = await handMade(['ann', 'bob', 'carol'], {
    strategies: '[relay: { perPeer: 800 bit/s, waitMs: 60s }]'
  })
  const [ann, bob, carol] = room.peers
  const { world } = room
  await using again = await HandMade.join(world.url, {
    identity: await world.identity('ann'),
    token: world.gateway.joinToken
  })
  again.say({ type: 'filtering', port: true, address: true })
  const [from, to] = await relayed(ann, bob, 'bob')
  const [fromAgain, toCarol] = await relayed(again, carol, 'carol')
  // Twelve seconds' worth.
  from.say('x'.repeat(1200))
  t.is((await to.hears()).length, 1200)
  for (let sent = 0; sent < 10; sent++) from.say('x'.repeat(1200))
  fromAgain.say('y'.repeat(1200))
  toCarol.say('z')
  t.is(await fromAgain.hears(), 'z', 'carol has a limit of her own')
  await carol.settled()
  t.deepEqual(toCarol.heard, [])
})

/** A relayed session with both sides latched, as what goes through it. */
async function relayed(caller: HandMade, callee: HandMade, to: string) {
  const raws = [await caller.warm(0), await callee.warm(0)] as const
  caller.say({ type: 'connect', request: 0, to })
  const sides = [caller, callee].map(async (peer, index) => {
    const { session, key, role: side } = await peer.hears('session')
    await peer.hears('order')
    const raw = raws[index] as RawSocket
    const [relay] = peer.welcome.endpoints as [Endpoint]
    const heard: string[] = []
    raw.onDatagram = datagram => heard.push(String(datagram))
    await peer.show(raw, relay, `s:${session}:${side}`, Buffer.from(key, 'base64'))
    return {
      heard,
      say: (text: string) => raw.send(Buffer.from(text), relay),
      hears: () => until(() => heard.shift(), 20_000)
    }
  })
  type Way = Awaited<(typeof sides)[number]>
  return (await Promise.all(sides)) as [Way, Way]
}

test('a peer that is lost midway ends the session, and the other is told', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  await bob.hears('order')
  bob.ws.terminate()
  t.is((await ann.hears('over')).code, 'peer-offline')
  await until(async () => (await room.world.gateway.status()).sessions.now === 0)
})

test('one peer cannot fill the table of sessions alone, nor by joining twice', async t => {
  await using room = await handMade(['ann', 'bob', 'carol'], { more: 'limits: { sessionsPerPeer: 2 }' })
  const [ann, bob, carol] = room.peers
  const { world } = room
  await using again = await HandMade.join(world.url, {
    identity: await world.identity('ann'),
    token: world.gateway.joinToken
  })
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  await bob.hears('session')
  again.say({ type: 'connect', request: 1, to: 'carol' })
  await carol.hears('session')
  for (const link of [ann, again]) {
    link.say({ type: 'connect', request: 2, to: 'carol' })
    const { code, request, reason } = await link.hears('refused')
    t.deepEqual([code, request], ['relay-full', 2])
    t.regex(reason, /takes part in 2 sessions already/)
  }
  carol.say({ type: 'connect', request: 3, to: 'ann' })
  const { retryMs = 0 } = await carol.hears('refused')
  t.true(retryMs > 0, 'who did not fill it is told when to ask again')
})

test('one caller takes a quarter of the sessions of a callee at most, and others still reach it', async t => {
  await using room = await handMade(['ann', 'bob', 'carol'], { more: 'limits: { sessionsPerPeer: 8 }' })
  const [ann, bob, carol] = room.peers
  const { world } = room
  await using again = await HandMade.join(world.url, {
    identity: await world.identity('ann'),
    token: world.gateway.joinToken
  })
  for (let request = 0; request < 3; request++) ann.say({ type: 'connect', request, to: 'bob' })
  const { code, request, reason } = await ann.hears('refused')
  t.deepEqual([code, request], ['relay-full', 2])
  t.regex(reason, /^ann and bob have 2 sessions already; ask again in [123] s$/)
  again.say({ type: 'connect', request: 3, to: 'bob' })
  t.is((await again.hears('refused')).code, 'relay-full')
  carol.say({ type: 'connect', request: 4, to: 'bob' })
  t.is((await carol.hears('session')).request, 4)
  t.is((await bob.hears('session')).role, 'callee')
})

test('with one endpoint nothing is waited for that cannot be known', async t => {
  await using room = await handMade(['ann', 'bob'], { filtering: false, addresses: ['127.0.0.1'], ports: [0] })
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  await ann.hears('order')
  t.deepEqual(await filtersAwaited(room), [])
})

test('where a filtering test does not come, it is waited for once in a session', async t => {
  await using room = await handMade(['ann', 'bob'], { filtering: false })
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { session } = await bob.hears('order')
  bob.say({ ...failed, session, plan: 1 })
  t.is((await bob.hears('order')).by, 'stun')
  t.deepEqual(await filtersAwaited(room), ['caller callee'])
})

/** Whose tests were waited for in the session under way, each time; the caller gives it up. */
async function filtersAwaited({ world, peers: [ann] }: Awaited<ReturnType<typeof handMade>>) {
  const { session, trace } = await ann.hears('session')
  ann.say({ type: 'leave', session, code: 'io', reason: 'enough' })
  const { spans } = await world.trace(trace)
  const observed = spans.filter(({ attributes }) => attributes['postern.test'] === 'filtering')
  return observed.map(({ attributes }) => attributes['postern.sides'])
}
