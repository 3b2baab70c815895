// What every session of a gateway shares.

import type { Link } from '../../strategy/chain.ts'
import type { RelayLimits, Role } from '../../strategy/scene.ts'
import type { Outcomes } from '../memory/outcomes.ts'
import type { Paths } from '../memory/paths.ts'
import type { Joined } from '../peers/joined.ts'
import type { Commander } from '../peers/roles.ts'
import type { Recording } from '../recording/refusals.ts'
import type { Splice, SpliceCounters } from '../relay/splice.ts'
import type { Watch } from './sides.ts'

export interface House extends Watch, Recording {
  readonly commander: Commander
  readonly relay: Relay
  readonly links: readonly Link[]
  readonly paths: Paths
  readonly outcomes: Outcomes
  readonly deadlineMs: number
}

/** The relay as a session sees it. */
export interface Relay {
  /** Makes room for the session. Throws `relay-full`. */
  arm(session: Readonly<Record<Role, Joined>> & { readonly id: string }, limits: RelayLimits): Splice
  /** Its final counts; undefined where it is not armed. */
  disarm(session: string): SpliceCounters | undefined
}
