// What a strategy says: a plan, a pass, or a wish for samples; and why one of these did not lead to a path. Plain data: the
// session turns a plan into two orders that leave together.

import { wordsFor } from '../vocabulary.ts'
import { ANSWERS, natureOf, type Order } from '../wire/order.ts'
import type { SideName } from '../wire/side.ts'

/** Why a strategy, or one of its plans, did not lead to a path. */
export const causes = wordsFor(
  'unsuited',
  'unlikely',
  'budget-shared-out',
  'plugin-threw',
  'deadline',
  'unheard',
  'handover-lost',
  'never-obeyed',
  'own-address',
  'no-sample',
  'relay-full',
  'peer-left',
  'peer-lost'
)
export type Cause = keyof typeof causes

/** The causes that a plugin may give for its own pass. The others are what the gateway found. */
export const passCauses = ['unsuited', 'unlikely', 'budget-shared-out', 'handover-lost'] as const satisfies Cause[]
export type PassCause = (typeof passCauses)[number]

/** Why a plan, or a wish for samples, came to nothing. */
export interface Failure {
  readonly reason: string
  readonly cause: Cause
}

/** An order for each side, and how long the two sides have to find a path by it. */
export interface Plan {
  readonly kind: 'plan'
  readonly caller: Order
  readonly callee: Order
  /** Milliseconds from when the orders leave the gateway until both sides must have found the path. */
  readonly waitMs: number
  /** One line for the trace: what is tried and why it should work. */
  readonly why: string
  /** The side that is the DTLS server, and hands its socket over first. The callee if left out. */
  readonly passive?: SideName
  /** Milliseconds that a side listens before its first datagram; 0 if left out. */
  readonly afterMs?: Partial<Record<SideName, number>>
  /** Probability, 0 to 1, that the two sides meet: what the models say before it is tried. */
  readonly expected?: number
  /** The name by which the plan is remembered among those of its plugin (`scene.memory`). */
  readonly label?: string
  /** Rates in bits per second. A plan whose orders are `splice` must have them, and no other plan may. */
  readonly limits?: RelayLimits
}

export interface RelayLimits {
  readonly perSession: number
  readonly perPeer: number
  /** Of all that the sessions carry which one source network asked for, a /24 or /56; left out: as much as `total`. */
  readonly perNetwork?: number
  readonly total: number
}

/**
 * A wish instead of a plan: the mappings of fresh sockets of these sides are shown first. The scene is then another one.
 * The orders of the next plan are for those sockets, whose next mapping is the one to predict.
 */
export interface Sampling {
  readonly kind: 'sample'
  readonly sides: readonly SideName[]
}

/** What a planner may yield. */
export type Proposal = Plan | Pass | Sampling

/** The plugin cannot do anything for this pair, and says why in one line. */
export interface Pass {
  readonly kind: 'pass'
  readonly reason: string
  /** `unsuited` if left out. */
  readonly cause?: PassCause
  /** What its best plan would have been worth, 0 to 1, if that is why it passes. */
  readonly expected?: number
}

export const pass = (reason: string, why: Pick<Pass, 'cause' | 'expected'> = {}): Pass => ({
  kind: 'pass',
  reason,
  ...why
})

/** How many datagrams an order may send at most; 0 if it has no limit. Orders that guess ports have one. */
export const probesOf = (order: Order): number => natureOf(order).effort?.probes ?? 0

/** A walk may be so much ahead of its pace, in milliseconds: it catches up, and words over TCP come late. */
const AHEAD_MS = 250

/** How many datagrams an order may have sent when so much time has passed since it was given, in milliseconds. */
export function probesWithin(order: Order, ms: number): number {
  const { perSecond } = natureOf(order).effort ?? {}
  if (perSecond === undefined) return probesOf(order)
  return Math.min(probesOf(order), Math.ceil(((ms + AHEAD_MS) * perSecond) / 1000) + ANSWERS)
}
