// The facts that the spans of one request tell, with types (reading.ts fills them in), and the questions that several rules
// ask of them.

import type { Code } from '../../errors.ts'
import { kinds } from '../../nat/assignment.ts'
import { isHard } from '../../nat/hard.ts'
import type { Behaviour } from '../../nat/profile.ts'
import type { Cause } from '../../strategy/plan.ts'
import type { Known, Nat } from '../../strategy/remedy.ts'
import { otherSide, type SideName, sideNames } from '../../wire/side.ts'
import type { Observed } from '../record/observed.ts'

export interface Facts {
  /** The strategies that could be recommended. */
  readonly known: readonly Known[]
  readonly kind: 'connect' | 'join'
  readonly outcome: string | undefined
  readonly path: string | undefined
  /** The strategy that won. */
  readonly by: string | undefined
  readonly code: Code | undefined
  readonly reason: string | undefined
  readonly names: Readonly<Record<SideName, string>>
  /** Local ports that were not answered, while others of the same host were. */
  readonly deadPorts: Readonly<Record<SideName, readonly number[]>>
  /** The sides that show their address to no other peer. */
  readonly relayOnly: readonly SideName[]
  /** The side that the request itself names: it left, was lost, refused, or has too many sessions. */
  readonly side: SideName | undefined
  readonly limit: string | undefined
  /** Both peers were told of the request. */
  readonly begun: boolean
  readonly strategies: readonly string[]
  readonly relayConfigured: boolean | undefined
  readonly deadlineMs: number | undefined
  readonly gateway: {
    readonly addresses: number | undefined
    readonly endpoints: number | undefined
    /** Other peers than these two were heard over UDP lately. */
    readonly heard: boolean | undefined
    /** Endpoints where nobody at all was heard lately. */
    readonly deaf: readonly string[] | undefined
  }
  readonly waits: readonly Wait[]
  /** Oldest first. */
  readonly profiles: Readonly<Record<SideName, readonly ProfileFacts[]>>
  readonly turns: readonly TurnFacts[]
  /** In the order they were tried. */
  readonly plans: readonly PlanFacts[]
  /** The code that the connection ended with later, and what its peers said of paths whose packets did not pass. */
  readonly ended: { readonly code: string; readonly narrow: readonly string[] } | undefined
}

/** A wait for sockets. */
export interface Wait {
  readonly fresh: boolean
  readonly failed: boolean
  readonly sides: readonly SideName[]
  readonly warm: readonly SideName[]
  readonly cold: readonly ColdFacts[]
}

/** A side without a socket, and why. */
export interface ColdFacts {
  readonly side: SideName
  /** `wrong-family` or `silent-peer`; `udp-blocked` or none where nothing more is known. */
  readonly code: string | undefined
  readonly reason: string | undefined
  /** The gateway's address that it was told, where that may be the wrong one. */
  readonly told: string | undefined
}

/** The sides whose fresh socket was not seen in time, where a strategy gave up for that. */
export function unsampled({ waits, turns }: Facts): SideName[] {
  const wait = waits.findLast(({ fresh, failed }) => fresh && failed)
  if (!wait || !turns.some(({ cause }) => cause === 'no-sample')) return []
  return wait.sides.filter(side => !wait.warm.includes(side))
}

/** The sides that had no socket for this reason when they were waited for last, whether the request ended for it or not. */
export function coldAs({ waits, code: ended }: Facts, code: Code): ColdFacts[] {
  const isEnd = ended === code || ended === 'udp-blocked'
  const wait = waits.findLast(({ fresh, failed }) => !fresh && failed === isEnd)
  return (wait?.cold ?? []).filter(cold => cold.code === code)
}

export interface ProfileFacts {
  readonly atMs: number
  readonly mapping: Behaviour
  readonly filtering: Behaviour
  readonly translated: boolean | undefined
  readonly remaps: boolean | undefined
  /** Something in front of the gateway hides where the side's datagrams come from. */
  readonly hidden: boolean
  /** Where such a side reached the gateway. */
  readonly reached: string | undefined
  readonly mapped: string | undefined
  readonly port: number | undefined
  readonly assignment: string | undefined
  readonly step: number | undefined
  /** Mappings of others per second. */
  readonly drift: number | undefined
  /** As `low-high`. */
  readonly range: string | undefined
  readonly probesLeft: number | undefined
  /** What became of a forward that the side claims: `proved`, `unheard` … */
  readonly forward: string | undefined
  /** What its router said when it was asked for a port: `granted`, `silent`, `carrier` … */
  readonly router: string | undefined
  /** The router's own outside address. */
  readonly routerOutside: string | undefined
  /** How many endpoints of the gateway saw the socket: a number, because masked endpoints may look the same. */
  readonly seenBy: number
  readonly observed: readonly Observed[]
}

export interface TurnFacts {
  readonly plugin: string
  readonly outcome: string | undefined
  readonly cause: Cause | undefined
  readonly reason: string | undefined
  readonly expected: number | undefined
  readonly ms: number
}

export interface PlanFacts {
  readonly plugin: string
  readonly isRelay: boolean
  readonly isOpen: boolean
  readonly cause: Cause | undefined
  readonly expected: number | undefined
  readonly startMs: number
  /** By this name the plan is remembered. */
  readonly label: string | undefined
  /** Both were to send to the one public address that both are behind. */
  readonly isHairpin: boolean
  /** Each of them has a private address that a router between their subnets could lead to. */
  readonly hasBeyond: boolean
  readonly sides: Readonly<Record<SideName, SideFacts>>
}

export interface SideFacts {
  /** It reported what it did. */
  readonly reported: boolean
  /** It handed its socket over. Nothing is known of what ICE sent and received then. */
  readonly bound: boolean
  readonly sent: number
  readonly received: number
  /** Endpoints the other side was heard from. */
  readonly heard: readonly string[]
  /** Steps of its search and of the handover: `heard`, `latched`, `ice`, `dtls` … */
  readonly steps: readonly string[]
  readonly code: string | undefined
  readonly reason: string | undefined
  /** It said that it could not obey. What it says of an order that was called off does not count. */
  readonly failed: boolean
  readonly localPort: number | undefined
  /** Where the relay saw it. */
  readonly latched: string | undefined
  /** Through which door it came there. */
  readonly door: string | undefined
  /** Datagrams of this side that the relay dropped. */
  readonly dropped: number
  /** All that it was to send to is on its own interfaces. */
  readonly isOwn: boolean
  readonly sockets: number | undefined
  readonly probes: number | undefined
  readonly ports: number | undefined
}

/** What is known of a side's NAT now. */
export const latest = ({ profiles }: Facts, side: SideName): ProfileFacts | undefined => profiles[side].at(-1)

/** Something of the other side reached this one. */
export const hears = ({ received, heard, steps }: SideFacts): boolean =>
  received > 0 || heard.length > 0 || steps.includes('ice')

/** The plans that were tried, except the relay's: not those without enough probes, or that aim at one's own addresses. */
export const direct = ({ plans }: Facts): PlanFacts[] =>
  plans.filter(({ isRelay, cause }) => !isRelay && cause !== 'budget-shared-out' && cause !== 'own-address')

/** A smaller chance than this is not taken for what happened. */
const BAD_LUCK = 0.01

/** True if the failure is not bad luck: by what was expected of all plans together, one of them should have met. */
export function isNoBadLuck(facts: Facts): boolean {
  const tried = direct(facts).filter(({ cause }) => cause === 'unheard')
  return tried.reduce((chance, { expected = 0 }) => chance * (1 - expected), 1) < BAD_LUCK
}

/** True if a side's NAT is known to be hard: its ports have to be guessed. */
export const hasHard = (facts: Facts, side: SideName): boolean => {
  const profile = latest(facts, side)
  return profile !== undefined && natOf(profile).isHard
}

export const hardSides = (facts: Facts): SideName[] => sideNames.filter(side => hasHard(facts, side))

/**
 * The NAT in the terms in which strategies are asked about it. A host without NAT whose source address depends on the route
 * has several mappings, but none of its ports has to be guessed.
 */
export const natOf = ({ mapping, filtering, translated, assignment, port, observed, forward }: ProfileFacts): Nat => ({
  mapping,
  filtering,
  isOpen: forward === 'proved',
  assignment: kinds.find(kind => kind === assignment),
  isHard:
    translated !== false &&
    isHard(
      mapping,
      observed.filter(({ localPort }) => localPort === port).map(({ mapped }) => mapped)
    )
})

/** The strategies that are made for these two NATs, configured or not. */
export function suited(facts: Facts): Known[] {
  const [caller, callee] = sideNames.map(side => latest(facts, side))
  if (!caller || !callee || caller.hidden || callee.hidden) return []
  const pair = { caller: natOf(caller), callee: natOf(callee) }
  return facts.known.filter(({ remedies }) => remedies?.suits(pair))
}

/** The side that heard nothing on a plan although it was heard: at most one. */
export const deafIn = ({ sides }: PlanFacts): SideName[] =>
  sideNames.filter(side => sides[side].reported && !hears(sides[side]) && hears(sides[otherSide(side)]))
