// The facts about one loss of a path, with types (reading.ts fills them in), and the questions that several rules ask of them.

import { otherSide, type SideName, sideNames } from '../../../wire/side.ts'
import type { Happening } from '../../record/course.ts'

export type Kind = Happening['kind']

export type OfSides<Fact> = Readonly<Partial<Record<SideName, Fact>>>

export interface LossFacts {
  readonly names: Readonly<Record<SideName, string>>
  readonly atMs: number
  /** Of the path that was lost. */
  readonly kind: Kind
  /** What each side told of the loss; a side that lost nothing tells nothing. */
  readonly lost: OfSides<Told>
  /** What each side told next of the path. */
  readonly next: OfSides<Told>
  /** Sides that did not run about then, and for how long, in milliseconds. */
  readonly slept: OfSides<number>
  /** Sides that told of another network about then. */
  readonly changed: OfSides<boolean>
  /** Where a side was seen last before the loss, and last soon after it. */
  readonly before: OfSides<Place>
  readonly after: OfSides<Place>
  /** A mapping of a side changed about then: of one of its sockets, or of its source at the relay. */
  readonly remapped: OfSides<Remapping>
  /** When a side joined anew after it, in milliseconds since the epoch. */
  readonly rejoined: OfSides<number>
  /** Sides of which no UDP reached the gateway when another path was looked for. */
  readonly blocked: OfSides<string>
  /** The gateway has begun since; where it knew nothing of the connection, it began shortly before. */
  readonly restarted: boolean
  readonly searches: readonly Search[]
  /** The other path that was found, as it was told first. */
  readonly found: Told | undefined
  readonly settled: boolean
}

/** What a side told, once. */
export interface Told {
  readonly what: Happening['what']
  readonly atMs: number
  readonly kind: Kind
  /** For how long nothing had been heard on the path that was lost or left, in milliseconds. */
  readonly quietMs: number | undefined
  /** How long before an answer had been asked for that did not come, in milliseconds. */
  readonly unansweredMs: number | undefined
  /** Packets of so many bytes did not pass on the path that was lost. */
  readonly mtu: number | undefined
  /** The path that was lost is heard again. */
  readonly isBack: boolean
  /** The connection ended because no other path was found in time. */
  readonly isLate: boolean
}

/** Where the gateway saw a side, and where the side says that it is. */
export interface Place {
  readonly atMs: number
  readonly address: string
  /** A NAT that has several public addresses shows more than one of them at a time. */
  readonly hasMore: boolean
  /** A mapping of the side had just changed: its NAT forgets them all the time. */
  readonly isForgetful: boolean
  /** Of the interface by which it reaches the gateway. */
  readonly own: string | undefined
}

export interface Remapping {
  /** Endpoints. */
  readonly was: string
  readonly is: string
}

export interface Search {
  readonly only: string | undefined
  readonly found: boolean
  readonly code: string | undefined
  readonly startMs: number
  /** Direct paths were tried, and none was heard on both sides. */
  readonly unheard: boolean
  /** Sides that heard something of the other one in it. */
  readonly heard: readonly SideName[]
}

/** The sides that a fact is known of. */
export const sidesOf = (facts: OfSides<unknown>): SideName[] =>
  sideNames.filter(side => facts[side] !== undefined && facts[side] !== false)

/** A side has another address than before, its own or the one that it is seen at; undefined where that is not known. */
export function isElsewhere({ before, after }: LossFacts, side: SideName): boolean | undefined {
  const [was, is] = [before[side], after[side]]
  if (!was || !is) return undefined
  if (was.own !== undefined && is.own !== undefined && was.own !== is.own) return true
  if (was.hasMore || is.hasMore) return undefined
  if (was.address !== is.address) return true
  // Addresses that were cut before they were recorded are alike more often than they are the same.
  return isMasked(was.address) ? undefined : false
}

const isMasked = (address: string): boolean => /(?:\.0|::)$/.test(address)

/** Both are known to be where they were. */
export const areWhereTheyWere = (facts: LossFacts): boolean =>
  sideNames.every(side => isElsewhere(facts, side) === false)

/** The port alone is another one. */
export const hasOtherPort = ({ was, is }: Remapping): boolean => was !== is && hostOf(was) === hostOf(is)

export const hostOf = (endpoint: string): string => endpoint.slice(0, endpoint.lastIndexOf(':')).replace(/^\[|\]$/g, '')

/** The first search for another direct path. */
export const directSearch = ({ searches }: LossFacts): Search | undefined =>
  searches.find(({ only }) => only === 'direct')

/** In the first search for a direct path that was in vain, the other side heard this one, and this one heard nothing. */
export function wasUnheard(facts: LossFacts, side: SideName): boolean {
  const { heard = [], unheard = false } = directSearch(facts) ?? {}
  return unheard && heard.length === 1 && heard[0] === otherSide(side)
}

/**
 * A side asked for an answer, and none came, although the other side heard something since then: what it sent arrived, and what
 * it was sent did not.
 */
export function isDeaf({ lost, next }: LossFacts, side: SideName): boolean {
  const [own, other] = [lost[side], otherSide(side)]
  if (!own?.unansweredMs) return false
  const heardMs = lastHeardMs(lost[other]) ?? lastHeardMs(next[other])
  return heardMs !== undefined && heardMs >= own.atMs - own.unansweredMs
}

const lastHeardMs = (told: Told | undefined): number | undefined =>
  told?.quietMs === undefined ? undefined : told.atMs - told.quietMs
