import test from 'ava'
import { activeOf, agentsOf, blindOf, flowsOf, ordersOf } from '../../../src/gateway/session/orders.ts'
import type { Plan } from '../../../src/strategy/plan.ts'
import { checkMsOf, handoverMsOf, type Order } from '../../../src/wire/order.ts'
import type { FromGateway, Message } from '../../../src/wire/signal.ts'
import { Hand, planOf, punch } from './made.ts'

type Sent = Message<FromGateway, 'order'>

const target = { address: '192.0.2.9', port: 9 }
const ice: Order = { kind: 'ice', targets: [target] }
const splice: Order = { kind: 'splice', target }
const peers = { caller: new Hand('ann'), callee: new Hand('bob') }

/** The two orders of a plan, the caller's first. */
function orders(
  plan: Partial<Plan> = {},
  { rttMs = [0, 0], betweenMs }: { rttMs?: number[]; betweenMs?: number } = {}
) {
  const [caller = 0, callee = 0] = rttMs
  const ordering = { session: 's', number: 3, by: 'stun', sockets: { caller: 5, callee: 6 }, rttMs: { caller, callee } }
  return ordersOf(planOf(plan), peers, { ...ordering, betweenMs, ice: agentsOf(() => undefined), mtu: 1280 }).map(
    ({ message }) => message
  ) as [Sent, Sent]
}

test('each order names its side’s socket, and both belong to one plan', t => {
  const [ann, bob] = orders()
  t.like(ann, { type: 'order', session: 's', plan: 3, by: 'stun', socket: 5, order: punch, waitMs: 60_000 })
  t.like(bob, { session: 's', plan: 3, by: 'stun', socket: 6 })
})

test('the callee is passive unless the plan says otherwise', t => {
  t.deepEqual(
    orders().map(({ handover: { role } }) => role),
    ['active', 'passive']
  )
  t.deepEqual(
    orders({ passive: 'caller' }).map(({ handover: { role } }) => role),
    ['passive', 'active']
  )
  t.is(activeOf(planOf()), 'caller')
  t.is(activeOf(planOf({ passive: 'caller' })), 'callee')
})

test('each side is given the other’s certificate, and both the same credentials, new for each plan', t => {
  const [{ handover: ann }, { handover: bob }] = orders()
  t.deepEqual([ann.fingerprint, bob.fingerprint], ['print of bob', 'print of ann'])
  t.deepEqual([ann.local, ann.remote], [bob.remote, bob.local])
  t.notDeepEqual(ann.local, ann.remote)
  t.notDeepEqual(orders()[0].handover.local, ann.local)
})

test('the passive side of an ice order that is nearer to the gateway waits for half of what the other is farther', t => {
  const both = { caller: ice, callee: ice }
  const after = (plan: Partial<Plan>, rttMs: number[]) => orders(plan, { rttMs }).map(({ afterMs }) => afterMs)
  t.deepEqual(after(both, [50, 10]), [0, 20])
  t.deepEqual(after(both, [10, 50]), [0, 0], 'it is the farther one')
  t.deepEqual(after({ ...both, passive: 'caller' }, [10, 50]), [20, 0])
  t.deepEqual(after({}, [50, 10]), [0, 0], 'probes are repeated')
  t.deepEqual(after({ ...both, afterMs: { caller: 7, callee: 5 } }, [50, 10]), [7, 25], 'beyond what the plan says')
})

test('patience is for networks that are known to be far apart', t => {
  const patience = (betweenMs?: number, rttMs: [number, number] = [30, 30]) =>
    orders({ caller: ice, callee: ice }, { rttMs, ...(betweenMs === undefined ? {} : { betweenMs }) }).map(
      ({ patienceMs }) => patienceMs
    )
  t.deepEqual(patience(), [undefined, undefined])
  t.deepEqual(patience(39), [undefined, undefined])
  t.deepEqual(patience(40), [10, 10])
  // Nobody is further from another than the way by the gateway: a busy host was slow.
  t.deepEqual(patience(40, [19, 20]), [undefined, undefined])
})

test('a handover may take eight round trips of both sides, and 4 s', t => {
  t.is(handoverMsOf(0), 4000)
  t.is(handoverMsOf(150), 5200)
  t.is(orders({}, { rttMs: [100, 50] })[1].handoverMs, 5200)
})

test('ICE on a path that was heard may take three round trips of that, and 800 ms', t => {
  t.is(checkMsOf(handoverMsOf(0)), 800)
  t.is(checkMsOf(handoverMsOf(300)), 1700)
})

test('only the passive side of an ice order hands its socket over before it has heard anything', t => {
  t.is(blindOf(planOf({ caller: ice, callee: ice })), 'callee')
  t.is(blindOf(planOf({ caller: ice, callee: ice, passive: 'caller' })), 'caller')
  t.is(blindOf(planOf({ caller: ice })), undefined)
  t.is(blindOf(planOf({ caller: splice, callee: splice })), undefined)
})

test('an order makes a mapping for each socket and each endpoint, and none at the relay', t => {
  const guesses = [
    { address: '192.0.2.9', ports: [1, 2] },
    { address: '192.0.2.10', ports: [3] }
  ]
  t.is(flowsOf(ice), 1)
  t.is(flowsOf({ kind: 'punch', targets: [target, target], guesses, sockets: 4 }), 20)
  t.is(flowsOf({ kind: 'punch', targets: [] }), 0)
  t.is(flowsOf(splice), 0)
})
