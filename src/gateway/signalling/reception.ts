// The parts of the gateway that serve a peer: the door, which lets peers in or turns them away, and the desk, which serves
// the peers that have joined.

import type { WebSocket } from 'ws'
import type { Directory } from '../peers/directory.ts'
import type { Members } from '../peers/member.ts'
import type { Names } from '../peers/names.ts'
import type { Observer } from '../peers/observer.ts'
import type { Places } from '../peers/places.ts'
import type { Sources } from '../peers/sources.ts'
import type { Twins } from '../peers/twins.ts'
import type { Refusals } from '../recording/refusals.ts'
import type { Sessions } from '../session/sessions.ts'
import type { NatDesk } from '../survey/nat-desk.ts'
import type { Forwards } from '../udp/forwards.ts'
import type { SignallingCounters } from './counters.ts'

export interface Reception {
  readonly door: Door
  readonly desk: Desk
  /** Messages that one peer may send per second. */
  readonly messagesPerSecond: number
  readonly log: { info(fields: object, message: string): void }
  readonly counters: SignallingCounters
  /** Records the joins and requests that are refused. */
  readonly refusals: Refusals
}

export interface Door {
  readonly joinToken: string
  readonly directory: Directory
  readonly names: Names
  readonly observer: Observer
  /** Where this gateway is found. */
  readonly places: Places
  /** Most peers joined at once. */
  readonly peers: number
  /** WebSockets of peers that have not joined yet, with the address each came from. There are at most `peers` of them. */
  readonly strangers: Map<WebSocket, string>
  /** How long the gateway waits for a hello, in milliseconds; 10 s if left out. */
  readonly helloMs?: number
}

export interface Desk {
  readonly members: Members
  readonly sessions: Sessions
  /** Watches whether peers are seen where they are. */
  readonly sources: Pick<Sources, 'look'>
  /** Finds certificates that are joined from two places. */
  readonly twins: Twins
  /** Judges a peer's network. */
  readonly nat: NatDesk
  /** Proves the endpoints that peers claim to be reached at. */
  readonly forwards: Forwards
}
