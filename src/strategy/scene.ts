// What a plugin sees. The gateway builds a Scene from what its own sockets observed. A planner answers it with proposals
// (plan.ts).

import type { Observation } from '../nat/assignment.ts'
import { isHard } from '../nat/hard.ts'
import type { Profile } from '../nat/profile.ts'
import type { AgentPace, LinkHost } from '../wire/agent.ts'
import type { StreamDoor } from '../wire/doors/door.ts'
import { type Endpoint, formatEndpoint } from '../wire/endpoint.ts'
import type { ForwardOrigin, RouterAnswer } from '../wire/forward.ts'
import type { Address } from '../wire/shapes.ts'
import type { SideName } from '../wire/side.ts'
import type { Outcome } from '../wire/signal.ts'
import type { Cause } from './plan.ts'

/** One side of a connect request, as the gateway sees it now. */
export interface Side {
  readonly name: string
  /** Where the primary endpoint of the gateway saw this side's socket: an address proved by a nonce that came back. */
  readonly mapped: Endpoint
  /** The endpoint of the gateway where this side latches when it is relayed. Its address is the one that the side was told first. */
  readonly gateway: Endpoint
  /** The socket's own port and the addresses of the host's interfaces, as the peer told them: the most useful first. */
  readonly port: number
  readonly addresses: readonly Address[]
  readonly profile: Profile
  /** Mappings seen of this peer's sockets at its public addresses, oldest first. */
  readonly observations: readonly Observation[]
  /** Probes that this pair may still have aimed at guessed ports of this side's address: its part of a budget for all. */
  readonly probes: number
  /** Round trip between this side and the gateway over UDP, in milliseconds. */
  readonly rttMs: number
  /** An endpoint from where a router leads to this very socket whatever anybody sends there; it was proved by a nonce. */
  readonly open?: Open
  /** What became of such an endpoint that the peer has claimed; left out if it claims none, or it is proved. */
  readonly claim?: Claim
  /** What this side's router said when the peer asked it for a port; left out if it was not asked. */
  readonly router?: RouterFacts
  /**
   * Its UDP is blocked, and these doors of the relay lead to it. Nothing was observed of its NAT then: `mapped` is 0.0.0.0:0, and
   * nothing can be aimed at it. Strategies that are no last resort are not asked about such a side.
   */
  readonly doors?: readonly StreamDoor[]
  /** What its ICE agent can do, where it speaks ICE alone and so obeys orders in its own way (ice-only.ts). */
  readonly agent?: AgentPace
  /** Where that agent is found by others of its link, as it says. */
  readonly hosts?: readonly LinkHost[]
}

export interface RouterFacts {
  readonly answer: RouterAnswer
  /** The router's own outside address, where it told one. */
  readonly outside?: string | undefined
}

export interface Open {
  readonly endpoint: Endpoint
  readonly by: ForwardOrigin
}

/** The endpoint itself is told to nobody. `proving`: the nonce is on its way. `unheard`: it did not come in. */
export interface Claim {
  readonly by: ForwardOrigin
  readonly state: 'proving' | 'unheard' | 'refused'
}

export interface Attempt {
  readonly by: string
  readonly outcome: Outcome
  readonly reason: string
  readonly cause?: Cause
}

/** Everything a planner may base its plans on. It is read again after each plan: samples may be fresher then. */
export interface Scene {
  readonly caller: Side
  readonly callee: Side
  /**
   * True if one side was heard by the other on a link that both have. It is found out only where both sources are hidden.
   */
  readonly neighbours?: boolean
  /** What was tried before, oldest first. */
  readonly attempts: readonly Attempt[]
  /** Why the plan that this planner yielded before came to nothing; undefined before its first one. */
  readonly last?: Cause | undefined
  /** The moment of the scene, on the clock of the observations, in milliseconds. */
  readonly atMs: number
  /** What became of plans between networks like these, by plugin and label (`stun/together`). A hint, never a truth. */
  readonly memory: Readonly<Record<string, Outcomes>>
}

export interface Outcomes {
  readonly opened: number
  readonly failed: number
}

/** True if the side's port towards a peer is none that was observed (nat/hard.ts). */
export const isHardSide = ({ profile, port, observations }: Side): boolean =>
  isHard(profile.mapping, observations.filter(({ localPort }) => localPort === port).map(formatEndpoint))

/**
 * Why nothing can be aimed at what the gateway saw: the sides whose sources something in front of it hides. Undefined if it
 * sees both.
 */
export function hiddenSources({ caller, callee }: Pick<Scene, SideName>): string | undefined {
  const hidden = [caller, callee].filter(({ profile }) => profile.hidden)
  if (hidden.length === 0) return undefined
  const seen = [...new Set(hidden.map(({ mapped }) => mapped.address))].join(' and ')
  const names = hidden.map(({ name }) => name).join(' and ')
  return `sources are hidden from the gateway: it sees ${names} at ${seen}, an address of something in front of it`
}

/** Why a pair can meet at the relay alone: the sides whose UDP is blocked. Undefined if UDP of both reaches the gateway. */
export function blockedSides({ caller, callee }: Pick<Scene, SideName>): string | undefined {
  const blocked = [caller, callee].filter(({ doors }) => doors !== undefined)
  if (blocked.length === 0) return undefined
  return `UDP of ${blocked.map(({ name }) => name).join(' and ')} is blocked`
}

/**
 * How many milliseconds earlier an order reaches `side` than an order that left with it reaches the other; 0 if it does
 * not.
 */
export const headStartMs = (side: { readonly rttMs: number }, other: { readonly rttMs: number }): number =>
  Math.max(0, (other.rttMs - side.rttMs) / 2)

/**
 * How well a way of doing things, as `plugin/label`, has worked between these networks: above 0 if it worked more often
 * than not.
 */
export const score = ({ memory }: Pick<Scene, 'memory'>, way: string): number =>
  (memory[way]?.opened ?? 0) - (memory[way]?.failed ?? 0)
