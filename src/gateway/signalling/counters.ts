// What is counted while peers are served. This file stands alone because programs see these counters (`Gateway.status`), and
// need no WebSocket for them.

import type { Bound } from '../peers/full.ts'

export interface SignallingCounters {
  joined: number
  refused: number
  malformed: number
  /** How often the gateway stopped reading for a while from a peer that sent too much. */
  slowed: number
  /** Peers that were disconnected, since nothing was left to keep in what they said too fast. */
  flooded: number
  /** Refused joins and requests that are in no trace because there were too many. */
  unrecorded: number
  /** Joins for which there was no room, by the bound that was reached. */
  readonly full: Record<JoinBound, number>
}

export type JoinBound = Extract<Bound, 'peers' | 'strangers' | 'joinsPerCertificate' | 'wrongTokens' | 'knocks'>

export const noneYet = (): SignallingCounters => ({
  ...{ joined: 0, refused: 0, malformed: 0, slowed: 0, flooded: 0, unrecorded: 0 },
  full: { peers: 0, strangers: 0, joinsPerCertificate: 0, wrongTokens: 0, knocks: 0 }
})
