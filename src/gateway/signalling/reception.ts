// The parts of the gateway that serve a peer: the door, which lets peers in or turns them away, and the desk, which serves
// the peers that have joined.

import type { Directory } from '../peers/directory.ts'
import type { GuardedToken } from '../peers/guarded-token.ts'
import type { Members } from '../peers/member.ts'
import type { Names } from '../peers/names.ts'
import type { Observer } from '../peers/observer.ts'
import type { Places, Way } from '../peers/places.ts'
import type { Sources } from '../peers/sources.ts'
import type { Twins } from '../peers/twins.ts'
import type { Refusals } from '../recording/refusals.ts'
import type { Rooms } from '../rooms/rooms.ts'
import type { Drain } from '../session/drain.ts'
import type { Sessions } from '../session/sessions.ts'
import type { Shares } from '../shares/shares.ts'
import type { NatDesk } from '../survey/nat-desk.ts'
import type { Forwards } from '../udp/forwards.ts'
import type { SignallingCounters } from './counters.ts'
import type { Pace } from './pace.ts'
import type { RefusalLog } from './refusal-log.ts'

export interface Reception {
  readonly door: Door
  readonly desk: Desk
  /** Whether anything new is still taken. */
  readonly drain: Pick<Drain, 'check' | 'hasBegun'>
  /** How fast peers are heard. */
  readonly pace: Pace
  readonly log: { info(fields: object, message: string): void }
  /** What the log says about who is refused. */
  readonly refusalLog: RefusalLog
  readonly counters: SignallingCounters
  /** Records the joins and requests that are refused. */
  readonly refusals: Refusals
}

/** Who has opened a WebSocket, and how it came. */
export interface Newcomer extends Way {
  /** It has shown what it takes: its connection is not closed for others any more. */
  prove(): void
  /** Until then it may be; `tell` is called right before. */
  whenShed(tell: () => void): void
}

export interface Door {
  readonly token: GuardedToken
  /** Undefined where the gateway has none. */
  readonly rooms: Rooms | undefined
  readonly directory: Directory
  readonly names: Names
  readonly observer: Observer
  /** Where this gateway is found. */
  readonly places: Places
  /** Most peers joined at once. */
  readonly peers: number
  /** The seats of so many peers, by `network` and `certificate`. */
  readonly seats: Shares
  /** How long the gateway waits for a hello, in milliseconds; 10 s if left out. */
  readonly helloMs?: number
  /** TCP ports of the relay's own, which peers are told. */
  readonly relayPorts: number[]
}

export interface Desk {
  readonly members: Members
  readonly rooms: Rooms | undefined
  /** The URL by which others find this gateway, where its operator has said one. */
  readonly url?: string | undefined
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
