// What serving a peer takes of the gateway: the door, which lets peers in or turns them away, and the desk, where those that
// have joined ask for things.

import type { WebSocket } from 'ws'
import type { Directory } from '../peers/directory.ts'
import type { Members } from '../peers/member.ts'
import type { Names } from '../peers/names.ts'
import type { Observer } from '../peers/observer.ts'
import type { Refusals } from '../recording/refusals.ts'
import type { Sessions } from '../session/sessions.ts'
import type { NatDesk } from '../survey/nat-desk.ts'
import type { SignallingCounters } from './counters.ts'

export interface Reception {
  readonly door: Door
  readonly desk: Desk
  /** Messages of one peer per second. */
  readonly messagesPerSecond: number
  readonly log: { info(fields: object, message: string): void }
  readonly counters: SignallingCounters
  /** Records what is turned away. */
  readonly refusals: Refusals
}

export interface Door {
  readonly joinToken: string
  readonly directory: Directory
  readonly names: Names
  readonly observer: Observer
  /** Most peers joined at once. */
  readonly peers: number
  /** Those that have not joined yet, with the address each came from: no more of them than of peers. */
  readonly strangers: Map<WebSocket, string>
  /** How long a hello is waited for, in milliseconds: 10 s unless told. */
  readonly helloMs?: number
}

export interface Desk {
  readonly members: Members
  readonly sessions: Sessions
  /** Judges a peer's network. */
  readonly nat: NatDesk
}
