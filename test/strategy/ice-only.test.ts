// What becomes of plans for a pair of which a side speaks ICE alone.

import test from 'ava'
import { forIce } from '../../src/strategy/ice-only.ts'
import type { Plan } from '../../src/strategy/plan.ts'
import type { Order } from '../../src/wire/order.ts'
import { pace } from '../agent-pace.ts'
import { sideOf } from '../scenes.ts'

const at = (port: number) => ({ address: '192.0.2.9', port })
const punch = (...ports: number[]): Order => ({ kind: 'punch', targets: ports.map(at) })
const plan = (more: Partial<Plan> = {}): Plan => ({
  kind: 'plan',
  caller: punch(2002),
  callee: punch(2001),
  waitMs: 500,
  why: 'seen',
  ...more
})
const pairOf = (...browsers: string[]) => {
  const side = (name: string, port: number) =>
    sideOf(name, { mapped: at(port), ...(browsers.includes(name) ? { agent: pace } : {}) })
  return { caller: side('caller', 2001), callee: side('callee', 2002) }
}
const browserCalls = pairOf('caller')
const browserIsCalled = pairOf('callee')
const guessing = (ports: number[], more = {}): Order => ({
  kind: 'punch',
  targets: [],
  guesses: [{ address: '192.0.2.9', ports }],
  probes: 300,
  ...more
})

function made(given: Plan, pair = browserCalls): Plan {
  const plan = forIce(given, pair)
  if (typeof plan === 'string') throw new Error(plan)
  return plan
}

test('a pair without a browser keeps its plan', t => {
  const given = plan()
  t.is(forIce(given, pairOf()), given)
})

test('the browser is active whoever calls, and gets its candidate first', t => {
  for (const [pair, other] of [
    [browserCalls, 'callee'],
    [browserIsCalled, 'caller']
  ] as const)
    t.like(made(plan(), pair), {
      caller: { kind: 'ice', targets: [at(2002)] },
      callee: { kind: 'ice', targets: [at(2001)] },
      passive: other,
      waitMs: 1_300,
      afterMs: { [other]: 20 }
    })
})

test('of two browsers the callee is passive', t => {
  t.like(made(plan(), pairOf('caller', 'callee')), { passive: 'callee', caller: { kind: 'ice' } })
})

test('of two browsers the one that makes many connections is passive, whoever calls', t => {
  const crowd: Order = { kind: 'punch', targets: [at(2002)], sockets: 64, probes: 160 }
  const both = pairOf('caller', 'callee')
  t.like(made(plan({ caller: crowd }), both), { passive: 'caller', caller: { sockets: 64 }, afterMs: { caller: 20 } })
  t.like(made(plan({ callee: crowd }), both), { passive: 'callee' })
  t.like(made(plan({ caller: crowd, callee: crowd }), both), { passive: 'callee' })
  t.like(made(plan({ caller: crowd })), { passive: 'callee' })
})

test('a side that is only to be reached is told where the browser was seen', t => {
  t.like(made(plan({ callee: punch() })), { callee: { kind: 'ice', targets: [at(2001)] } })
})

test('guesses become candidates after the targets, as many as an agent is given at most', t => {
  const ports = Array.from({ length: 300 }, (_, index) => 40_000 + index)
  const { caller } = made(plan({ caller: { ...guessing(ports), targets: [at(2002)] } as Order }))
  if (caller.kind !== 'ice') return t.fail()
  t.deepEqual(caller.targets.slice(0, 2), [at(2002), at(40_000)])
  t.is(caller.targets.length, 192)
  // One connection goes on at its pace for as long as the plan lasts.
  t.like(caller, { guesses: undefined, probes: Math.ceil((16 * 1300) / 1000) })
})

test('who searches for a browser, or is searched for by one, sends checks by hand until one of its comes in', t => {
  for (const callee of [
    punch(2001, 2003),
    { kind: 'punch', targets: [at(2001)], sockets: 9, bindOn: 'heard' },
    guessing([2001, 2003], { perSecond: 1000 })
  ] as Order[]) {
    const plan2 = made(plan({ callee }))
    t.deepEqual(plan2.callee, { ...callee, bindOn: 'checked' } as Order)
  }
})

test('a browser behind a NAT that scatters makes as many connections as the plan has sockets', t => {
  const scattering: Order = { kind: 'punch', targets: [at(2002)], sockets: 64, probes: 160 }
  const { caller } = made(plan({ caller: scattering, callee: guessing([2001, 2003]) }))
  t.deepEqual(caller, { kind: 'ice', targets: [at(2002)], sockets: 64, probes: 160 })
})

test('two browsers both go by candidates', t => {
  const { caller, callee } = made(plan({ callee: guessing([2001, 2003]) }), pairOf('caller', 'callee'))
  t.like(caller, { kind: 'ice', targets: [at(2002)] })
  t.like(callee, { kind: 'ice', targets: [at(2001), at(2003)] })
})

test('ports that browsers check nothing at are left out, and a plan that rests on one is none', t => {
  const { caller } = made(plan({ caller: guessing([6000, 40_000, 443, 53]) }))
  t.like(caller, { targets: [at(40_000), at(443)] })
  t.regex(String(forIce(plan({ caller: punch(6000) }), browserCalls)), /sends nothing to the ports at which callee/)
})

test('through the relay the side opposite a browser hands its socket over at once', t => {
  const limits = { perSession: 1, perPeer: 1, total: 1 }
  const splice = { kind: 'splice', target: at(3480) } as const
  const relayed = made(plan({ caller: splice, callee: splice, limits }), browserIsCalled)
  t.like(relayed, { caller: { kind: 'splice', blind: true }, callee: { kind: 'splice' }, passive: 'caller' })
  t.false('blind' in relayed.callee)
})
