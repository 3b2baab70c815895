// A plan for a pair of which a side speaks ICE alone, as a browser does. It cannot be told when to send what, and knows no probes. So
// both sides do as for an `ice` order: the browser offers, controls ICE and is the DTLS client, and gets its candidates a moment
// before the other side hands its socket over, whose first check then finds the way open.

import type { Endpoint } from '../wire/endpoint.ts'
import { aimsOf, type Effort, natureOf, type Order, onlyTarget } from '../wire/order.ts'
import { otherSide, type SideName, sideNames } from '../wire/side.ts'
import type { Plan } from './plan.ts'

type IceOnly = Readonly<Record<SideName, boolean>>

/** The browser's own check has left by then, in milliseconds. */
const AHEAD_MS = 20

/** An agent needs so much longer than probes, in milliseconds: it has several checks, at a pace of its own. */
const CHECKS_MS = 800

/** The most candidates that one agent is given: Chromium checks sixteen a second. */
const CANDIDATES = 64

/**
 * The plan as both sides can obey it, or the reason why they cannot.
 * @param mapped where the gateway saw each side
 */
export function forIce(plan: Plan, iceOnly: IceOnly, mapped: Readonly<Record<SideName, Endpoint>>): Plan | string {
  const browser = sideNames.find(side => iceOnly[side])
  if (!browser) return plan
  const other = otherSide(browser)
  if (plan.limits) return { ...plan, ...spliced(plan, iceOnly), passive: other }
  const isAiming = aimsOf(plan[other]) > 0
  if (!iceOnly[other] && isAiming && !onlyTarget(natureOf(plan[other]).effort))
    return 'a browser cannot be searched for behind a NAT that gives it another port for each destination'
  const order = (side: SideName): Order => ({ kind: 'ice', targets: candidatesOf(natureOf(plan[side]).effort) })
  // An agent that is to be reached answers to where the check came from, which it has to know before.
  const told = isAiming ? order(other) : { kind: 'ice' as const, targets: [mapped[browser]] }
  return {
    ...plan,
    ...(browser === 'caller' ? { caller: order(browser), callee: told } : { caller: told, callee: order(browser) }),
    passive: other,
    waitMs: plan.waitMs + CHECKS_MS,
    afterMs: { ...plan.afterMs, [other]: (plan.afterMs?.[other] ?? 0) + AHEAD_MS }
  }
}

/** The far side of a browser gets no answer to probes. */
function spliced(plan: Plan, iceOnly: IceOnly): Pick<Plan, SideName> {
  const order = (side: SideName): Order => {
    const given = plan[side]
    return given.kind === 'splice' && iceOnly[otherSide(side)] ? { ...given, blind: true } : given
  }
  return { caller: order('caller'), callee: order('callee') }
}

/** Targets, then guesses, the likeliest first. */
function candidatesOf({ targets, guesses = [] }: Effort = { targets: [] }): Endpoint[] {
  const guessed = guesses.flatMap(({ address, ports }) => ports.map(port => ({ address, port })))
  return [...targets, ...guessed].slice(0, CANDIDATES)
}
