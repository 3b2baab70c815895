// What `direct` and `stun` share: how two sides that know each other's endpoint start, and how long that may take.

import type { Plan } from '../strategy/plan.ts'
import type { Side } from '../strategy/scene.ts'
import type { Endpoint } from '../wire/endpoint.ts'

/**
 * Peers whose round trips to the gateway add up to less than this may be as close to each other as to the gateway. Their
 * orders may then arrive further apart than a packet between the peers takes. So a first ICE check could be lost at the
 * other side's filter, which costs 500 ms (libjuice's first retransmission). Probes settle it in one round trip, which is
 * short for such peers. Further apart, that round trip is worth saving.
 */
export const NEAR_MS = 20

/** What `waitMs` of a strategy may be, in milliseconds: no peer obeys an order for longer than a minute. */
export const waitRange = { waitMs: { least: 1, most: 60_000 } } as const

/** A plan that makes each side aim at the other's endpoints: by ICE alone if one round trip is worth saving. */
export function aim(
  { caller, callee }: { caller: Side; callee: Side },
  targets: { caller: readonly Endpoint[]; callee: readonly Endpoint[] },
  options: { waitMs: number; why: string; sure: boolean; label?: string }
): Plan {
  const rttMs = caller.rttMs + callee.rttMs
  const kind =
    options.sure && rttMs > NEAR_MS && targets.caller.length === 1 && targets.callee.length === 1 ? 'ice' : 'punch'
  return {
    kind: 'plan',
    caller: { kind, targets: [...targets.caller] },
    callee: { kind, targets: [...targets.callee] },
    // Time for the orders to arrive, then for two round trips between the peers. Each takes at most both round trips to the
    // gateway.
    waitMs: Math.round(options.waitMs + 3 * rttMs),
    why: options.why,
    ...(options.label ? { label: options.label } : {})
  }
}
