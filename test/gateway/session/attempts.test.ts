import test from 'ava'
import { Attempts } from '../../../src/gateway/session/attempts.ts'
import { Evidence } from '../../../src/gateway/session/evidence.ts'
import type { FromTrial } from '../../../src/gateway/session/trial.ts'
import type { Plan } from '../../../src/strategy/plan.ts'
import type { Order } from '../../../src/wire/order.ts'
import type { Report } from '../../../src/wire/report.ts'
import type { SideName } from '../../../src/wire/side.ts'
import type { FromGateway, Message } from '../../../src/wire/signal.ts'
import { nothingDone } from '../../hand-made.ts'
import { Hand, Home, pair, planOf, socket } from './made.ts'

type Ordered = Message<FromGateway, 'order'>
/** What a side says when it is given an order. */
type Word = (order: Ordered, side: SideName) => FromTrial | FromTrial[]

const at = { address: '192.0.2.9', port: 9 }
const own = { address: '10.0.0.2', port: 4001 }
const of = ({ session, plan }: Ordered) => ({ session, plan })
const opens =
  (report: Partial<Report> = {}): Word =>
  order => ({ ...of(order), type: 'opened', local: at, remote: at, report: { ...nothingDone, ...report } })
const fails =
  (code: string, report: Partial<Report> = {}): Word =>
  order => ({ ...of(order), type: 'failed', code, reason: 'it did not work', report: { ...nothingDone, ...report } })

const strategy = { name: 'mine', planner: { plan: () => [] }, lastResort: false }
const never = new AbortController().signal
const limits = { perSession: 8000, perPeer: 8000, total: 8000 }
const splice: Order = { kind: 'splice', target: at }
const relayed = planOf({ caller: splice, callee: splice, limits })
const guess = (probes: number): Order => ({ kind: 'punch', targets: [at], probes })

/** Plans tried one after the other between two sides that answer each order as they are told to. */
async function tries(
  home: Home,
  plans: readonly Plan[],
  word: Word,
  seenBy?: (peers: ReturnType<typeof pair>) => void,
  continues?: { readonly mtu: number }
) {
  const peers = pair(home)
  seenBy?.(peers)
  const evidence = new Evidence(home, { ...peers, gone: never, ask: () => {}, tell: () => {} })
  const attempts = new Attempts(home, { ...peers, id: 's', continues }, evidence)
  for (const peer of [peers.caller, peers.callee]) {
    peer.warmed(socket(1))
    home.observer.sees(peer, 1, peer === peers.caller ? '192.0.2.1' : '192.0.2.2')
  }
  home.onTold = ({ peer, message }) => {
    if (message.type !== 'order') return
    const side = peer === peers.caller.id ? 'caller' : 'callee'
    for (const said of [word(message, side)].flat()) attempts.receive(side, said)
  }
  const results = await home.step(async step => {
    const all = []
    for (const plan of plans) {
      await evidence.scene(step, [])
      all.push(await attempts.try(step, plan, strategy, never))
    }
    return all
  })
  return {
    ...peers,
    results,
    attempts,
    evidence,
    orders: home.heard('order').map(({ plan, socket }) => [plan, socket])
  }
}

const attributesOf = ({ spans }: Home, name: string) => spans.find(span => span.name === `postern.${name}`)?.attributes

test('a plan that both sides open is a path, and is not called off', async t => {
  using home = new Home()
  const { results, orders, attempts } = await tries(home, [planOf()], opens())
  t.deepEqual(results, [true])
  t.deepEqual(orders, [
    [1, 0],
    [1, 0]
  ])
  t.deepEqual(home.heard('cancel'), [])
  t.true(attempts.hasOpened('caller') && attempts.hasOpened('callee'))
  t.like(attributesOf(home, 'plan'), { 'postern.outcome': 'path', 'postern.plugin': 'mine' })
})

test('a plan that a side fails is called off on both, and the socket that was handed over is gone', async t => {
  using home = new Home()
  const word: Word = (order, side) =>
    side === 'caller' ? { ...of(order), type: 'progress', step: 'found' } : fails('io')(order, side)
  const { results, orders, attempts } = await tries(home, [planOf(), planOf()], word)
  t.like(results, [{ cause: 'handover-lost', reason: 'callee: it did not work' }])
  t.deepEqual(
    home.heard('cancel').map(({ plan }) => plan),
    [1, 1, 2, 2]
  )
  t.deepEqual(orders, [
    [1, 0],
    [1, 0],
    [2, 1],
    [2, 0]
  ])
  t.false(attempts.hasOpened('caller'))
})

/** Probes that may still be aimed at the caller, and at the callee. */
const probesLeft = (home: Home) =>
  ['192.0.2.1', '192.0.2.2'].map(address =>
    home.budget.left(address, { caller: new Hand('ann'), callee: new Hand('bob') })
  )

test('what a plan may send is charged to the address it aims at, and what it did not need is given back when it opened', async t => {
  using home = new Home()
  let during: number[] = []
  await tries(home, [planOf({ caller: guess(60), callee: guess(30) })], (order, side) => {
    during = probesLeft(home)
    return opens({ sent: side === 'callee' ? 10 : 3 })(order, side)
  })
  t.deepEqual(during, [70, 40])
  t.deepEqual(probesLeft(home), [90, 97])
})

test('what a side alone says that it did not send stays charged', async t => {
  using home = new Home()
  await tries(home, [planOf({ caller: guess(60), callee: guess(30) })], fails('io', { sent: 0 }))
  t.deepEqual(probesLeft(home), [70, 40])
})

test('what cannot have been sent at the pace of the order is given back, whatever is said', async t => {
  using home = new Home()
  const slow: Order = { kind: 'punch', targets: [at], probes: 100, perSecond: 10 }
  await tries(home, [planOf({ caller: slow, callee: slow })], fails('io', { sent: 100 }))
  // A quarter of a second ahead, and answers.
  t.true(Math.min(...probesLeft(home)) > 70, `${probesLeft(home)}`)
})

test('a plan that is ordered once more is charged once more, and not ordered where there are too few probes', async t => {
  const word: Word = (order, side) => (side === 'callee' ? fails('stale-socket')(order, side) : [])
  using home = new Home()
  t.deepEqual(
    (await tries(home, [planOf({ caller: guess(40) })], word)).orders.map(([plan]) => plan),
    [1, 1, 2, 2]
  )
  t.deepEqual(probesLeft(home), [100, 20])
  using short = new Home()
  t.deepEqual(
    (await tries(short, [planOf({ caller: guess(60) })], word)).orders.map(([plan]) => plan),
    [1, 1]
  )
})

test('a plan that there are too few probes for is not ordered, charged or called off, but counted', async t => {
  using home = new Home()
  const plans = [planOf({ caller: guess(10), callee: guess(101) })]
  const { results, orders } = await tries(home, plans, opens())
  const reason = 'the probe budget of 192.0.2.1 (ann) is shared out: 100 left of the 101 needed'
  t.deepEqual(results, [{ reason, cause: 'budget-shared-out' }])
  t.deepEqual(orders, [])
  t.deepEqual(home.told, [])
  t.is(home.budget.refused, 1)
  t.deepEqual(probesLeft(home), [100, 100])
})

/** Two that have the same address, as far as the gateway is told. */
const twins = planOf({ caller: { kind: 'punch', targets: [own] }, callee: { kind: 'punch', targets: [own] } })

test('whether two are peers of one host is asked of them once, and what is their own is not ordered again', async t => {
  using home = new Home()
  const { results, orders } = await tries(home, [twins, twins], fails('own-address', { sent: 0 }))
  t.like(results, [{ cause: 'own-address', reason: 'caller: it did not work' }, { cause: 'own-address' }])
  t.is((results[1] as { reason: string }).reason, 'ann has 10.0.0.2 itself; bob has 10.0.0.2 itself')
  t.deepEqual(
    orders.map(([plan]) => plan),
    [1, 1]
  )
  t.like(attributesOf(home, 'plan'), { 'postern.cause': 'own-address', 'postern.caller.own': true })
})

test('where one side finds the address to be its own, both have it, whoever says so first', async t => {
  using home = new Home()
  const word: Word = (order, side) => (side === 'callee' ? fails('own-address', { sent: 0 })(order, side) : [])
  await tries(home, [twins], word)
  t.like(attributesOf(home, 'plan'), { 'postern.caller.own': true, 'postern.callee.own': true })
})

test('two peers of one host meet at the address that both have', async t => {
  using home = new Home()
  const { results } = await tries(home, [twins], opens())
  t.deepEqual(results, [true])
})

test('a socket that turns out to be gone is replaced by a warm one, and the plan ordered once more', async t => {
  using home = new Home()
  const stale = fails('stale-socket')
  const word: Word = (order, side) => (order.plan === 1 && side === 'callee' ? stale : opens())(order, side)
  const { results, orders } = await tries(home, [planOf()], word)
  t.deepEqual(results, [true])
  t.deepEqual(
    orders,
    [
      [1, 0],
      [1, 0],
      [2, 1],
      [2, 1]
    ],
    'the caller had handed its own over'
  )
  t.deepEqual(
    home.heard('cancel').map(({ plan }) => plan),
    [1, 1]
  )
})

test('it is ordered once more, and not again', async t => {
  using home = new Home()
  const { results, orders } = await tries(home, [planOf()], (order, side) =>
    side === 'callee' ? fails('stale-socket')(order, side) : []
  )
  t.like(results, [{ cause: 'never-obeyed' }])
  t.deepEqual(orders, [
    [1, 0],
    [1, 0],
    [2, 0],
    [2, 1]
  ])
})

test('the relay is armed while its plan is tried and where it opened, and disarmed with its counts where not', async t => {
  for (const [word, after] of [
    [fails('io'), 0],
    [opens(), 1]
  ] as const) {
    using home = new Home()
    const during: Promise<number>[] = []
    await tries(home, [relayed], (order, side) => {
      during.push(home.relay.totals().then(({ sessions }) => sessions))
      return word(order, side)
    })
    t.deepEqual(await Promise.all(during), [1, 1])
    t.is((await home.relay.totals()).sessions, after)
    t.is(attributesOf(home, 'relay')?.['postern.callee.bytes'], after === 0 ? 0 : undefined)
  }
})

test('a relay without room ends the plan, and nothing is ordered', async t => {
  using home = new Home({ relayed: 0 })
  await t.throwsAsync(tries(home, [relayed], opens()), { code: 'relay-full' })
  t.deepEqual(home.heard('order'), [])
})

test('words about an older order, and what came of one that was called off, change nothing', async t => {
  using home = new Home()
  const [failed, open] = [fails('io'), opens()]
  const { results } = await tries(home, [planOf(), planOf(), planOf()], (order, side) => {
    const older = { ...order, plan: order.plan - 1 }
    const late = [failed(older, side), failed({ ...order, plan: 9 }, side), fails('called-off')(order, side)].flat()
    if (order.plan === 1) return failed(order, side)
    if (order.plan === 2) return [...late, open(order, side)].flat()
    return [open(older, side), side === 'callee' ? failed(order, side) : []].flat()
  })
  t.is(results[1], true)
  t.like(results[2], { cause: 'never-obeyed' })
})

test('how far apart two networks are is learned from the active side, and not of a relayed path', async t => {
  const learned = async (plan: Plan) => {
    using home = new Home()
    const word: Word = (order, side) =>
      opens({
        steps: [
          ['bound', 10],
          ['ice', side === 'caller' ? 40 : 100]
        ]
      })(order, side)
    await tries(home, [plan], word)
    return home.paths.rttMs('192.0.2.1', '192.0.2.2')
  }
  t.is(await learned(planOf()), 30)
  t.is(await learned(planOf({ passive: 'caller' })), 90)
  t.is(await learned(relayed), undefined)
})

/** The size of packets that each order of a plan has. */
async function sizes(home: Home, plan: Plan, word: Word, continues?: { readonly mtu: number }): Promise<unknown[]> {
  const before = home.heard('order').length
  await tries(home, [plan], word, undefined, continues)
  return home
    .heard('order')
    .slice(before)
    .map(({ mtu }) => mtu)
}

test('both sides are told one size of packets, and what was asked for and opened is remembered for its kind of path', async t => {
  using home = new Home()
  t.deepEqual(await sizes(home, planOf(), opens()), [1280, 1280])
  t.deepEqual(await sizes(home, planOf(), fails('io'), { mtu: 1200 }), [1200, 1200])
  t.deepEqual(await sizes(home, planOf(), opens()), [1280, 1280], 'nothing is learned of a path that did not open')
  t.deepEqual(await sizes(home, planOf(), opens(), { mtu: 1200 }), [1200, 1200])
  t.deepEqual(await sizes(home, planOf(), opens()), [1200, 1200])
  t.deepEqual(await sizes(home, relayed, opens()), [1280, 1280])
  t.is(attributesOf(home, 'plan')?.['postern.mtu'], 1280)
})

test('a path has no larger packets than either side wants', async t => {
  using home = new Home()
  const small = (peers: ReturnType<typeof pair>) => void Object.assign(peers.callee, { mtu: 1000 })
  await tries(home, [planOf()], opens(), small)
  t.deepEqual(
    home
      .heard('order')
      .slice(-2)
      .map(({ mtu }) => mtu),
    [1000, 1000]
  )
})

test('what became of a plan with a label is remembered for the two networks', async t => {
  using home = new Home()
  const { evidence } = await tries(home, [planOf({ label: 'together' }), planOf()], fails('io'))
  t.deepEqual((await evidence.seen()).memory, { 'mine/together': { opened: 0, failed: 1 } })
})

test('a side that is met where the gateway saw it has one mapping for all: with one address this is learned', async t => {
  const learned = async (remote: string, here = '192.0.2.1') => {
    using home = new Home()
    const word: Word = (order, side) => {
      const met = { address: side === 'caller' ? remote : here, port: 4000 }
      return { ...of(order), type: 'opened', local: at, remote: met, report: nothingDone }
    }
    const { evidence } = await tries(home, [planOf()], word, ({ caller, callee }) => {
      // Two ports of one address.
      home.observer.sees(caller, 0, here, [4000, 4000])
      home.observer.sees(callee, 0, '192.0.2.2', [4000, 4000])
    })
    const { caller, callee } = await evidence.seen()
    return [caller, callee].map(({ profile }) => profile.mapping)
  }
  t.deepEqual(await learned('192.0.2.2'), ['endpoint-independent', 'endpoint-independent'])
  t.deepEqual(await learned('192.0.2.77'), ['endpoint-independent', 'unknown'], 'met elsewhere')
  t.deepEqual(await learned('192.0.2.2', '192.0.2.2'), ['unknown', 'unknown'], 'met within one network')
  t.deepEqual(
    await learned('192.0.2.2', '203.0.113.1'),
    ['endpoint-independent', 'unknown'],
    "at the gateway's address"
  )
})
