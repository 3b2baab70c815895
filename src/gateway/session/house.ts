// What every session of a gateway shares.

import type { Strategy } from '../../strategy/turn.ts'
import type { Outcomes } from '../memory/outcomes.ts'
import type { Paths } from '../memory/paths.ts'
import type { Commander } from '../peers/commander.ts'
import type { Recording } from '../recording/refusals.ts'
import type { Relay } from '../relay/relay.ts'
import type { Watch } from './side-seen.ts'

export interface House extends Watch, Recording {
  readonly commander: Commander
  readonly relay: Relay
  /** In the operator's order. */
  readonly strategies: readonly Strategy[]
  readonly paths: Paths
  readonly outcomes: Outcomes
  /** Milliseconds for all strategies of one request together, except those of the last resort. */
  readonly deadlineMs: number
}
