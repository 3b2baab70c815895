// What a plugin sees and what it says. The gateway builds a Scene from what its own sockets observed, a planner answers
// with plans (data, no I/O), the session turns a plan into two orders that leave together.

import type { Observation } from '../nat/assignment.ts'
import type { Profile } from '../nat/profile.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import type { Address, Order, Outcome } from '../wire/signal.ts'

export const roles = ['caller', 'callee'] as const
export type Role = (typeof roles)[number]

/** One side of a connect request, as the gateway sees it now. */
export interface Side {
  readonly name: string
  /** Where the primary endpoint of the gateway saw this side's socket: an address proved by a nonce that came back. */
  readonly mapped: Endpoint
  /** The endpoint of the gateway that this side was told first: where it latches when it is relayed. */
  readonly gateway: Endpoint
  /** The socket's own port and the addresses of the host's links, as the peer told them. */
  readonly port: number
  readonly addresses: readonly Address[]
  readonly profile: Profile
  /** Mappings seen of this peer's sockets at its public addresses, oldest first. */
  readonly observations: readonly Observation[]
  /** Probes that may still be aimed at ports guessed of this side's address: the budget that all sessions share. */
  readonly probes: number
  /** Round trip between this side and the gateway over UDP, in milliseconds. */
  readonly rttMs: number
}

export interface Attempt {
  readonly by: string
  readonly outcome: Outcome
  readonly reason: string
  readonly cause?: Cause
}

/**
 * Why a strategy, or one of its plans, did not lead to a path, in one word that the verdict can read.
 *
 *   unsuited        nothing for this strategy to do here                    (a pass)
 *   unlikely        its best plan is worth less than it asks for            (a pass)
 *   shared-budget   probes were left for too few ports: others used them    (a pass, or a refused plan)
 *   threw           the plugin threw, or yielded what no peer could obey    (a pass)
 *   deadline        the time of all strategies was over
 *   unheard         no side found the path within the plan's time
 *   handover        the path was found, and no channel was opened on it
 *   failed          a side said that it could not obey
 *   no-sample       a side did not show a fresh socket
 *   relay-full      the relay, or a share of it, had no room
 *   gone            a side left, or was lost
 */
export type Cause =
  | 'unsuited'
  | 'unlikely'
  | 'shared-budget'
  | 'threw'
  | 'deadline'
  | 'unheard'
  | 'handover'
  | 'failed'
  | 'no-sample'
  | 'relay-full'
  | 'gone'

/** What became of a plan, or of a wish for samples, that came to nothing. */
export interface Failure {
  readonly reason: string
  readonly cause: Cause
}

/** Everything a planner may base its plans on. It is read again after each plan: samples may be fresher then. */
export interface Scene {
  readonly caller: Side
  readonly callee: Side
  /** What was tried before, oldest first. */
  readonly attempts: readonly Attempt[]
  /** Why the plan that this planner yielded before came to nothing; undefined before its first one. */
  readonly last?: Cause | undefined
  /** When it was so, on the clock of the observations, in milliseconds. */
  readonly atMs: number
  /** What became of plans between networks like these, by plugin and label (`stun/together`). A hint, never a truth. */
  readonly memory: Readonly<Record<string, Outcomes>>
}

export interface Outcomes {
  readonly opened: number
  readonly failed: number
}

/** An order for each side, and how long the two sides have to find a path by it. */
export interface Plan {
  readonly kind: 'plan'
  readonly caller: Order
  readonly callee: Order
  /** Milliseconds from the orders leaving the gateway until both sides must have found the path. */
  readonly waitMs: number
  /** One line for the trace: what is tried and why it should work. */
  readonly why: string
  /** Who is the DTLS server, and hands its socket over first. The callee where left out. */
  readonly passive?: Role
  /** Milliseconds a side listens before its first datagram; 0 where left out. */
  readonly afterMs?: Partial<Record<Role, number>>
  /** Probability, 0 to 1, that the two sides meet: what the models say before it is tried. */
  readonly expected?: number
  /** What the plan is remembered by (`scene.memory`), among those of its plugin. */
  readonly label?: string
  /** Rates in bits per second, for a plan whose orders are `splice`. */
  readonly limits?: RelayLimits
}

export interface RelayLimits {
  readonly perSession: number
  readonly perPeer: number
  readonly total: number
}

/**
 * Instead of a plan: shows the mappings of fresh sockets of these sides first. The scene is then another: the orders
 * of the next plan are for those sockets, whose next mapping is the one to predict.
 */
export interface Sampling {
  readonly kind: 'sample'
  readonly sides: readonly Role[]
}

/** What a planner may yield. */
export type Proposal = Plan | Pass | Sampling

/** The plugin cannot do anything for this pair, and says why in one line. */
export interface Pass {
  readonly kind: 'pass'
  readonly reason: string
  /** `unsuited` where left out. */
  readonly cause?: Cause
  /** What its best plan would have been worth, 0 to 1, where that is why it passes. */
  readonly expected?: number
}

export const pass = (reason: string, why: Pick<Pass, 'cause' | 'expected'> = {}): Pass => ({
  kind: 'pass',
  reason,
  ...why
})

/** What a plugin is given at its start. */
export interface Toolbox {
  readonly log: { info(message: string): void; warn(message: string): void }
  /** Aborted when the gateway stops. */
  readonly signal: AbortSignal
}

/**
 * By how much an order reaches `side` earlier than one that left with it reaches the other, in milliseconds; 0 where it is
 * the other way round.
 */
export const headStartMs = (side: { readonly rttMs: number }, other: { readonly rttMs: number }): number =>
  Math.max(0, (other.rttMs - side.rttMs) / 2)

/** The datagrams an order may send at most, where it has a limit: those that guess ports have one. */
export const probesOf = (order: Order): number => (order.kind === 'splice' ? 0 : (order.probes ?? 0))

/** How well a way of doing things, as `plugin/label`, has worked between these networks: above 0 if it did more often than not. */
export const score = ({ memory }: Pick<Scene, 'memory'>, way: string): number =>
  (memory[way]?.opened ?? 0) - (memory[way]?.failed ?? 0)

export const otherRole = (role: Role): Role => (role === 'caller' ? 'callee' : 'caller')
