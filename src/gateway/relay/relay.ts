// The relay as the rest of the gateway sees it.

import type { RelayLimits } from '../../strategy/plan.ts'
import type { Role } from '../../wire/role.ts'
import type { Joined } from '../peers/joined.ts'
import type { Splice, SpliceCounters } from './splice.ts'

/** The relay as a session sees it. */
export interface Relay {
  /** Makes room for the session. Throws `relay-full`. */
  arm(session: Readonly<Record<Role, Joined>> & { readonly id: string }, limits: RelayLimits): Splice
  /** Its final counts; undefined where it is not armed. */
  disarm(session: string): SpliceCounters | undefined
}
