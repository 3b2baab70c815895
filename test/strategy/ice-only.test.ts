// What becomes of plans for a pair of which a side speaks ICE alone.

import test from 'ava'
import { forIce } from '../../src/strategy/ice-only.ts'
import type { Plan } from '../../src/strategy/plan.ts'
import type { Order } from '../../src/wire/order.ts'

const at = (port: number) => ({ address: '192.0.2.9', port })
const mapped = { caller: at(1), callee: at(2) }
const punch = (...ports: number[]): Order => ({ kind: 'punch', targets: ports.map(at) })
const plan = (more: Partial<Plan> = {}): Plan => ({
  kind: 'plan',
  caller: punch(2),
  callee: punch(1),
  waitMs: 500,
  why: 'seen',
  ...more
})
const browserCalls = { caller: true, callee: false }
const browserIsCalled = { caller: false, callee: true }

test('a pair without a browser keeps its plan', t => {
  const given = plan()
  t.is(forIce(given, { caller: false, callee: false }, mapped), given)
})

test('the browser is active whoever calls, and gets its candidate first', t => {
  for (const [iceOnly, other] of [
    [browserCalls, 'callee'],
    [browserIsCalled, 'caller']
  ] as const)
    t.like(forIce(plan(), iceOnly, mapped), {
      caller: { kind: 'ice', targets: [at(2)] },
      callee: { kind: 'ice', targets: [at(1)] },
      passive: other,
      waitMs: 1_300,
      afterMs: { [other]: 20 }
    })
})

test('of two browsers the callee is passive', t => {
  t.like(forIce(plan(), { caller: true, callee: true }, mapped), { passive: 'callee', caller: { kind: 'ice' } })
})

test('a side that is only to be reached is told where the browser was seen', t => {
  t.like(forIce(plan({ callee: punch() }), browserCalls, mapped), { callee: { kind: 'ice', targets: [at(1)] } })
})

test('guesses become candidates after the targets, and no more than an agent can check', t => {
  const ports = Array.from({ length: 200 }, (_, index) => 40_000 + index)
  const guessing: Order = { kind: 'punch', targets: [at(2)], guesses: [{ address: '192.0.2.9', ports }], probes: 300 }
  const made = forIce(plan({ caller: guessing }), browserCalls, mapped)
  if (typeof made === 'string' || made.caller.kind !== 'ice') return t.fail()
  t.deepEqual(made.caller.targets.slice(0, 2), [at(2), at(40_000)])
  t.is(made.caller.targets.length, 64)
  t.is(made.caller.guesses, undefined)
})

test('a browser that would have to be searched for is none of ours to find', t => {
  for (const callee of [
    punch(1, 2),
    { kind: 'punch', targets: [at(1)], sockets: 9 },
    { kind: 'punch', targets: [], guesses: [{ address: '192.0.2.9', ports: [1, 2] }] }
  ] as Order[])
    t.regex(String(forIce(plan({ callee }), browserCalls, mapped)), /cannot be searched for/)
})

test('through the relay the side opposite a browser hands its socket over at once', t => {
  const limits = { perSession: 1, perPeer: 1, total: 1 }
  const splice = { kind: 'splice', target: at(3480) } as const
  const made = forIce(plan({ caller: splice, callee: splice, limits }), browserIsCalled, mapped)
  t.like(made, { caller: { kind: 'splice', blind: true }, callee: { kind: 'splice' }, passive: 'caller' })
  t.false(typeof made !== 'string' && 'blind' in made.callee)
})
