// What a strategy knows of the pairs that it could join: a verdict recommends it where it was not among the strategies, and
// says what to change where it tried in vain. So no strategy has to be known by its name, and one of somebody's own can be
// recommended like those that come with postern.

import type { Kind } from '../nat/assignment.ts'
import type { Profile } from '../nat/profile.ts'
import type { SideName } from '../wire/side.ts'

/** One side's NAT, as far as a trace tells. */
export interface Nat extends Pick<Profile, 'mapping' | 'filtering'> {
  /** The port used towards a peer is none that was observed (nat/hard.ts). */
  readonly isHard: boolean
  /** How the NAT chooses ports; undefined where it is not known, or is of no consequence. */
  readonly assignment: Kind | undefined
}

export interface Remedies {
  /** Whether two NATs such as these are what the strategy is made for. */
  suits(pair: Readonly<Record<SideName, Nat>>): boolean
  /** What an operator can change where it tried such a pair in vain, as a clause: `raise probes of spray`. */
  readonly advice?: string
}

/** Of a strategy that is known to whoever judges, configured or not. */
export interface Known {
  readonly name: string
  readonly lastResort: boolean
  /** Left out where the strategy says nothing of the kind. */
  readonly remedies?: Remedies | undefined
}

/** The sides that are hard. */
export const hardOf = ({ caller, callee }: Readonly<Record<SideName, Nat>>): Nat[] =>
  [caller, callee].filter(({ isHard }) => isHard)

/** Its ports are scattered: the next one cannot be told from the last. */
export const scatters = ({ assignment }: Pick<Nat, 'assignment'>): boolean =>
  assignment === 'random' || assignment === 'block'
