// What every session of a gateway shares.

import type { Link } from '../../strategy/chain.ts'
import type { Outcomes } from '../memory/outcomes.ts'
import type { Paths } from '../memory/paths.ts'
import type { Commander } from '../peers/commander.ts'
import type { Recording } from '../recording/refusals.ts'
import type { Relay } from '../relay/relay.ts'
import type { Watch } from './sides.ts'

export interface House extends Watch, Recording {
  readonly commander: Commander
  readonly relay: Relay
  readonly links: readonly Link[]
  readonly paths: Paths
  readonly outcomes: Outcomes
  readonly deadlineMs: number
}
