// A plan for a pair of which a side speaks ICE alone, as a browser does. It cannot be told when to send what, and knows no probes. So
// both sides do as its agent does: the browser offers, controls ICE and is the DTLS client, and gets its candidates a moment before
// the other side begins.
//
//   where the browser was seen is where it is    the other hands its socket over, and its first check finds the way open
//   its port, or its own, has to be found        the other sends checks by hand, until one of the browser's comes in

import { type AgentPace, checksIn } from '../wire/agent.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { aimsOf, CANDIDATES, type Effort, GUESSES, natureOf, type Order, onlyTarget, TARGETS } from '../wire/order.ts'
import { otherSide, type SideName, sideNames } from '../wire/side.ts'
import type { Plan } from './plan.ts'
import type { Scene } from './scene.ts'

type Pair = Pick<Scene, SideName>

/** The browser's own check has left by then, in milliseconds. */
const AHEAD_MS = 20

/** An agent needs so much longer than probes, in milliseconds: it has several checks, at a pace of its own. */
const CHECKS_MS = 800

/** The plan as both sides can obey it, or the reason why they cannot. */
export function forIce(plan: Plan, pair: Pair): Plan | string {
  const browsers = sideNames.filter(side => pair[side].agent)
  const browser = browsers.find(side => !isCrowd(plan[side])) ?? browsers[0]
  const { agent } = pair[browser ?? 'caller']
  if (!browser || !agent) return plan
  const other = otherSide(browser)
  if (plan.limits) return { ...plan, ...spliced(plan, pair), passive: other }
  const waitMs = plan.waitMs + CHECKS_MS
  const far = { seen: pair[browser].mapped, agent: pair[other].agent, waitMs }
  const orders = { [browser]: checking(plan[browser], agent, waitMs), [other]: answering(plan[other], far) }
  const idle = sideNames.find(side => aimsOf(plan[side]) > 0 && orders[side] && aimsOf(orders[side]) === 0)
  if (idle)
    return `a browser sends nothing to the ports at which ${pair[otherSide(idle)].name} would have to be reached`
  return {
    ...plan,
    ...(orders as Pick<Plan, SideName>),
    passive: other,
    waitMs,
    afterMs: { ...plan.afterMs, [other]: (plan.afterMs?.[other] ?? 0) + AHEAD_MS }
  }
}

/**
 * Of two browsers the one with many connections is passive: the other one may find two of them at once, and none of both knows which it
 * goes on with, but by the one handshake that it begins.
 */
const isCrowd = (order: Order): boolean => (natureOf(order).effort?.sockets ?? 1) > 1

/** An agent is given candidates: targets, then guesses, the likeliest first. What it sends to guesses is charged as it sends them. */
function checking(given: Order, agent: AgentPace, waitMs: number): Order {
  const { targets, guesses = [], probes, ...effort }: Effort = natureOf(given).effort ?? { targets: [] }
  const sockets = Math.min(effort.sockets ?? 1, agent.connections)
  const guessed = guesses.flatMap(({ address, ports }) => ports.map(port => ({ address, port })))
  const charged = guessed.length > 0 ? Math.min(GUESSES, checksIn(agent, sockets, waitMs)) : probes
  return {
    kind: 'ice',
    targets: [...targets, ...guessed].filter(({ port }) => !isRefused(port)).slice(0, CANDIDATES),
    ...(given.kind !== 'splice' && given.hosts ? { hosts: given.hosts } : {}),
    ...(sockets > 1 ? { sockets } : {}),
    ...(charged === undefined ? {} : { probes: charged })
  }
}

/** An agent that is to be reached answers to where the check came from, which it has to know before. */
function answering(
  given: Order,
  { seen, agent, waitMs }: { seen: Endpoint; agent: AgentPace | undefined; waitMs: number }
): Order {
  const { effort } = natureOf(given)
  if (!effort || aimsOf(given) === 0) return { kind: 'ice', targets: [seen] }
  if (agent) return checking(given, agent, waitMs)
  const target = onlyTarget(effort)
  if (target) return { kind: 'ice', targets: [target] }
  return { ...effort, kind: 'punch', targets: effort.targets.slice(0, TARGETS), bindOn: 'checked' }
}

/** The far side of a browser gets no answer to probes. */
function spliced(plan: Plan, pair: Pair): Pick<Plan, SideName> {
  const order = (side: SideName): Order => {
    const given = plan[side]
    return given.kind === 'splice' && pair[otherSide(side)].agent ? { ...given, blind: true } : given
  }
  return { caller: order('caller'), callee: order('callee') }
}

/**
 * Ports that Chromium 156 or Firefox 153 check no candidate at, of the ports that were tried. Those of well-known services are left out
 * altogether, but for two.
 */
const refused = new Set([1719, 1720, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6667, 6697, 10_080])
const isRefused = (port: number): boolean => refused.has(port) || (port < 1024 && port !== 80 && port !== 443)
