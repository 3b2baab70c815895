import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { Full } from '../../../src/gateway/peers/full.ts'
import { Sessions } from '../../../src/gateway/session/sessions.ts'
import type { Plan } from '../../../src/strategy/plan.ts'
import type { Order } from '../../../src/wire/order.ts'
import type { FromGateway, Message } from '../../../src/wire/signal.ts'
import { nothingDone } from '../../hand-made.ts'
import { until } from '../../until.ts'
import { awake, Hand, Home, pair, planOf, socket } from './made.ts'

const at = { address: '192.0.2.9', port: 9 }
const splice: Order = { kind: 'splice', target: at }
const limits = { perSession: 8000, perPeer: 8000, total: 8000 }
const relayed = planOf({ caller: splice, callee: splice, limits })

type Bounds = Partial<ConstructorParameters<typeof Sessions>[1]>

/** Sessions of peers that show no socket: they go on until somebody leaves. */
function open(home: Home, bounds: Bounds = {}) {
  const sessions = new Sessions(home, { sessions: 100, sessionsPerPeer: 100, peers: 100, ...bounds })
  const call = (caller: Hand, callee: Hand) => sessions.connect({ caller, callee, request: 0 })
  const refused = (caller: Hand, callee: Hand): Partial<Full> => {
    try {
      call(caller, callee)
      return {}
    } catch (thrown) {
      return thrown instanceof Full || thrown instanceof PosternError ? thrown : {}
    }
  }
  /** How many calls of these find a place, each calling until one does not. */
  const calls = (callers: readonly Hand[], calleeOf: (caller: Hand) => Hand): number =>
    callers.reduce((count, caller) => {
      while (!refused(caller, calleeOf(caller)).message) count++
      return count
    }, 0)
  return { sessions, call, calls, refused }
}

const from = (name: string, network: string): Hand =>
  new Hand(name, { account: { network, certificate: `print of ${name}` } })

/** Peers that came from one network. */
const peersOf = (network: string, count: number): Hand[] =>
  Array.from({ length: count }, (_, at) => from(`${network} ${at}`, network))

/** A session of two that open a plan at once, with its id, when there is a path. */
async function connected(home: Home, plan: Plan, bounds: Bounds = {}) {
  const { sessions, call } = open(home, bounds)
  const { caller, callee } = pair(home)
  home.strategies = [{ name: 'mine', planner: { plan: () => [plan] }, lastResort: false }]
  home.onTold = ({ peer, message }) => {
    if (message.type !== 'order') return
    const { session, plan } = message
    sessions.receive(peer, { type: 'opened', session, plan, local: at, remote: at, report: nothingDone })
  }
  call(caller, callee)
  const { session } = await until(() => home.heard('path')[0])
  await until(() => sessions.counters.won.mine === 1)
  return { sessions, caller, callee, session }
}

const [ann, bob, carol, dave] = ['ann', 'bob', 'carol', 'dave'].map(name => new Hand(name)) as [Hand, Hand, Hand, Hand]

const changes = ({ spans }: Home) =>
  spans.flatMap(({ name, attributes }) => (name === 'postern.change' ? [attributes['postern.change']] : []))

test('there are so many sessions in all', t => {
  using home = new Home()
  const { call, refused, sessions } = open(home, { sessions: 2 })
  call(ann, bob)
  call(carol, dave)
  const { message = '', ...full } = refused(ann, carol)
  t.like(full, { bound: 'sessions', side: undefined })
  t.regex(message, /^the gateway serves 2 requests at once, and no more; ask again in [123] s$/)
  t.is(sessions.size, 2)
  t.like(sessions.counters, { started: 2, refused: 1 })
})

test('one network leaves others room among the requests, however many certificates it has and however busy the gateway is', t => {
  using home = new Home()
  const { calls, refused } = open(home)
  const held = calls(peersOf('a', 64), ({ name }) => new Hand(`callee of ${name}`))
  t.is(held, 90)
  const [busy, free] = [refused(from('one more', 'a'), bob), refused(ann, bob)]
  t.like(busy, { bound: 'sessions', code: 'relay-full' })
  t.regex(
    busy.message ?? '',
    /^the gateway serves 100 requests at once, and the network of one more has its share of them; /
  )
  t.true((busy.retryMs ?? 0) > 0)
  t.deepEqual(free, {})
})

test('callers of one network leave one of another what a callee can set up at once, and then room for more', t => {
  using home = new Home()
  const { calls, refused, call } = open(home, { sessionsPerPeer: 32 })
  t.is(
    calls(peersOf('a', 4), () => bob),
    14
  )
  t.like(refused(from('fifth', 'a'), bob), { bound: 'settingUp', side: 'callee', code: 'relay-full' })
  t.true((refused(from('fifth', 'a'), bob).retryMs ?? 0) > 0)
  t.notThrows(() => call(from('fifth', 'b'), bob))
  t.notThrows(() => call(bob, carol))
})

test('five callers of one network leave a callee room for a sixth from another, and for its own calls', t => {
  using home = new Home()
  const { calls, refused, call } = open(home, { sessionsPerPeer: 15 })
  const held = calls(peersOf('a', 5), () => bob)
  t.is(held, 13)
  t.like(refused(from('sixth', 'a'), bob), { bound: 'sessionsPerPeer', side: 'callee' })
  t.notThrows(() => call(from('sixth', 'b'), bob))
  t.notThrows(() => call(bob, carol))
})

test('a caller whose network has used up its share of the judging waits before he asks for more of it', t => {
  using home = new Home()
  const { refused, sessions } = open(home)
  home.judging.hasRoom = ({ certificate }) => certificate !== ann.fingerprint
  t.like(refused(ann, bob), { bound: 'judging', code: 'relay-full' })
  t.true((refused(ann, bob).retryMs ?? 0) > 0)
  t.deepEqual(refused(bob, ann), {})
  t.like(sessions.counters, { started: 1, refused: 2 })
})

test('each peer has its share, whichever side it is on, and the error names whose is used up', t => {
  using home = new Home()
  const { call, refused } = open(home, { sessionsPerPeer: 2 })
  call(ann, bob)
  call(carol, ann)
  t.like(refused(ann, dave), { bound: 'sessionsPerPeer', side: 'caller' })
  const { message = '', side, retryMs } = refused(dave, ann)
  t.is(side, 'callee')
  t.regex(message, /^ann takes part in 2 sessions already; ask again in [123] s$/)
  t.true((retryMs ?? 0) > 0)
  t.deepEqual(refused(bob, dave), {})
})

test('a pair has a quarter of a share, at least one, both ways together', t => {
  using home = new Home()
  const { call, refused } = open(home, { sessionsPerPeer: 8 })
  call(ann, bob)
  call(bob, ann)
  const { bound, message = '', retryMs = 0 } = refused(ann, bob)
  t.is(bound, 'sessionsPerPair')
  t.regex(message, /^ann and bob have 2 sessions already; ask again in [123] s$/)
  t.true(retryMs > 0)
  t.deepEqual(refused(ann, carol), {})
  const few = open(home, { sessionsPerPeer: 3 })
  few.call(ann, bob)
  t.like(few.refused(ann, bob), { bound: 'sessionsPerPair' })
})

test('who joins again is the same peer: to itself, and for its share', t => {
  using home = new Home()
  const { call, refused } = open(home, { sessionsPerPeer: 2 })
  const again = new Hand('anna', { fingerprint: ann.fingerprint })
  t.like(refused(ann, again), { code: 'self-connect', message: 'anna is this peer itself' })
  call(ann, bob)
  call(again, carol)
  t.like(refused(again, dave), { bound: 'sessionsPerPeer', side: 'caller' })
})

test('a session ends when one of its two leaves, and for no stranger’s word', async t => {
  using home = new Home()
  const { call, sessions } = open(home)
  call(ann, bob)
  const [{ session = '' } = {}] = home.heard('session')
  const leave = { type: 'leave', session, code: 'timeout', reason: 'it takes too long' } as const
  sessions.receive(carol.id, leave)
  sessions.receive(ann.id, { ...leave, session: 'another' })
  t.is(sessions.size, 1)
  sessions.receive(bob.id, leave)
  await until(() => sessions.size === 0)
  t.deepEqual(
    home.heard('over').map(({ code, reason }) => [code, reason]),
    [0, 1].map(() => ['timeout', 'bob left: it takes too long'])
  )
  t.like(sessions.counters, { started: 1, failed: 1, won: {} })
  t.deepEqual(changes(home), [])
})

test('a session on a direct path is forgotten, and counted by who found it', async t => {
  using home = new Home()
  const { sessions, session } = await connected(home, planOf())
  t.is(sessions.size, 0)
  t.is(sessions.get(session), undefined)
  t.like(sessions.counters, { started: 1, failed: 0, won: { mine: 1 } })
})

test('a session on a relayed path is kept until a side leaves, and the relay is disarmed then', async t => {
  using home = new Home()
  const { sessions, session, callee } = await connected(home, relayed)
  t.is(sessions.size, 1)
  t.is((await home.relay.totals()).sessions, 1)
  sessions.relatched(session, 'caller', { ...at, door: 'udp' })
  sessions.receive(callee.id, { type: 'leave', session, code: 'io', reason: 'that was all' })
  t.is(sessions.size, 0)
  t.is((await home.relay.totals()).sessions, 0)
  await until(() => changes(home).length === 2)
  t.deepEqual(changes(home), ['relatched', 'ended'])
  t.is(home.spans.at(-1)?.attributes['postern.side'], 'callee')
})

test('what is relayed takes no place from requests, and keeps those of its two peers', async t => {
  using home = new Home()
  const { sessions, caller, callee, session } = await connected(home, relayed, { sessions: 1, sessionsPerPeer: 1 })
  t.notThrows(() => sessions.connect({ caller: carol, callee: dave, request: 0 }))
  t.throws(() => sessions.connect({ caller: carol, callee, request: 0 }), { message: /serves 1 requests at once/ })
  const [{ session: other = '' } = {}] = home.heard('session').slice(-1)
  sessions.receive(carol.id, { type: 'leave', session: other, code: 'io', reason: 'enough' })
  await until(() => sessions.size === 1)
  t.throws(() => sessions.connect({ caller: carol, callee, request: 0 }), { message: /bob takes part in 1 sessions/ })
  sessions.receive(caller.id, { type: 'leave', session, code: 'io', reason: 'that was all' })
  t.notThrows(() => sessions.connect({ caller: carol, callee, request: 0 }))
})

test('a relayed session that the relay has forgotten is forgotten', async t => {
  using home = new Home()
  const { sessions, session } = await connected(home, relayed)
  const counters = (await home.relay.disarm(session)) ?? t.fail()
  home.relay.listener?.idle(session, counters)
  t.is(sessions.size, 0)
  t.deepEqual(changes(home), ['idle'])
})

test('a session of silent peers is over in time, whatever they have said and wherever they say to be', async t => {
  using home = new Home()
  const { sessions, call } = open(home)
  const { caller, callee } = pair(home, { rttMs: 3000 })
  home.deadlineMs = 10
  home.strategies = [{ name: 'mine', planner: { plan: () => [relayed] }, lastResort: true }]
  const { promise: over, resolve } = Promise.withResolvers<Message<FromGateway, 'over'>>()
  home.onTold = ({ peer, message }) => {
    if (message.type === 'over') resolve(message)
    if (message.type !== 'order') return
    const { session, plan } = message
    for (let times = 0; times < 3; times++) sessions.receive(peer, { type: 'progress', session, plan, step: 'found' })
  }
  const startMs = performance.now()
  using _waiting = awake()
  call(caller, callee)
  const { code, reason } = await over
  t.true(performance.now() - startMs < 15_000, 'a plan may wait for a minute here, and its handover for 52 s')
  t.is(code, 'no-path')
  t.regex(reason, /mine failed \(the deadline passed/)
  await until(() => sessions.size === 0)
})

test('a session that ended without an order leaves both as warm as they were', async t => {
  using home = new Home()
  const { sessions, call } = open(home)
  const { caller, callee } = pair(home)
  call(caller, callee)
  await until(() => sessions.size === 0)
  t.is(home.heard('over')[0]?.code, 'no-path')
  t.true(caller.isWarm && callee.isWarm)
})

/** Guests of rooms that one certificate made. */
const guestsOf = (certificate: string, count: number): Hand[] =>
  Array.from({ length: count }, (_, at) => new Hand(`guest ${at}`, { account: { network: 'a', certificate } }))

test("what guests do together is one session of their maker's, and theirs with others as well", t => {
  using home = new Home()
  const { call, refused } = open(home, { sessionsPerPeer: 12 })
  const [one, two, three, four] = guestsOf('print of ann', 4) as [Hand, Hand, Hand, Hand]
  for (const [caller, callee] of [
    [one, two],
    [one, three],
    [one, four],
    [two, three],
    [two, four],
    [three, four]
  ] as const)
    call(caller, callee)
  const others = ['b', 'c', 'd', 'e', 'f'].map(name => new Hand(name))
  for (const callee of others) call(ann, callee)
  // The last seat is for who calls her.
  t.like(refused(ann, new Hand('g')), { bound: 'sessionsPerPeer', side: 'caller' })
  t.like(refused(three, one), { bound: 'sessionsPerPeer', side: 'caller' })
  t.is(refused(bob, carol).bound, undefined)
})

test('two guests have a share of the sessions of one pair, as any two', t => {
  using home = new Home()
  const { call, refused } = open(home, { sessionsPerPeer: 8 })
  const [one, two, three] = guestsOf('print of ann', 3) as [Hand, Hand, Hand]
  call(one, two)
  call(two, one)
  t.like(refused(one, two), { bound: 'sessionsPerPair' })
  t.is(refused(one, three).bound, undefined)
})

test("what guests relay is limited as their maker's", async t => {
  using home = new Home()
  const { call } = open(home)
  const guests = guestsOf('print of ann', 2) as [Hand, Hand]
  const armed = Promise.withResolvers<unknown[]>()
  home.relay.arm = async (...args) => armed.resolve(args.slice(1))
  home.strategies = [{ name: 'mine', planner: { plan: () => [relayed] }, lastResort: false }]
  for (const [at, peer] of guests.entries()) {
    peer.warmed(socket(0))
    peer.filters({ port: true, address: true })
    home.observer.sees(peer, 0, `192.0.2.${at + 1}`)
  }
  call(...guests)
  const maker = 'print of ann'
  t.deepEqual(await armed.promise, [{ caller: maker, callee: maker }, limits, { network: 'a', certificate: maker }])
  guests[0].leave(new PosternError('io', 'enough'))
})
