// What a strategy says of the pairs that it could join. From this a verdict recommends a strategy that was not tried, and
// says what to change if it was tried in vain. So a verdict knows no strategy by its name, and an operator's own can be
// recommended like those that come with postern.

import type { Kind } from '../nat/assignment.ts'
import type { Profile } from '../nat/profile.ts'
import type { SideName } from '../wire/side.ts'

/** One side's NAT, as far as a trace tells. */
export interface Nat extends Pick<Profile, 'mapping' | 'filtering'> {
  /** The port used towards a peer is none that was observed (nat/hard.ts). */
  readonly isHard: boolean
  /** How the NAT chooses ports; undefined if it is not known, or is of no consequence. */
  readonly assignment: Kind | undefined
  /** A forwarded endpoint was proved to lead to its socket. */
  readonly isOpen?: boolean
}

export interface Remedies {
  /** Whether the strategy is made for two NATs such as these. */
  suits(pair: Readonly<Record<SideName, Nat>>): boolean
  /** What an operator can change if it tried such a pair in vain, as a clause: `raise probes of spray`. */
  readonly advice?: string
}

/** A strategy that verdicts know, configured or not. */
export interface Known {
  readonly name: string
  readonly lastResort: boolean
  /** Left out if the strategy says nothing of the kind. */
  readonly remedies?: Remedies | undefined
}

/** The sides that are hard. */
export const hardOf = ({ caller, callee }: Readonly<Record<SideName, Nat>>): Nat[] =>
  [caller, callee].filter(({ isHard }) => isHard)

/** True if its ports are scattered: the last port does not tell the next one. */
export const scatters = ({ assignment }: Pick<Nat, 'assignment'>): boolean =>
  assignment === 'random' || assignment === 'block'
