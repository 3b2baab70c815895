// What the UDP ports need to know of whom they hear, and whom they tell.

import type { Endpoint } from '../../wire/endpoint.ts'
import type { SideName } from '../../wire/side.ts'
import type { Port } from './listen.ts'
import type { Front, StrangerCounters } from './strangers.ts'

/** Whom a USERNAME names, and the key that its MAC is made with. */
export type Credential =
  | { kind: 'sample'; key: Buffer; peer: string; socket: number }
  | { kind: 'filter'; key: Buffer }
  | { kind: 'latch'; key: Buffer; session: string; side: SideName }

/** The ports are those of the gateway: an answer may have to leave from another one. */
export interface Desk extends Front {
  credentialOf(username: string): Credential | undefined
  sample(credential: Extract<Credential, { kind: 'sample' }>, port: Port, mapped: Endpoint, echo: Echo): void
  /** Something without credentials came from there, as what a browser sends to keep a mapping that it has shown. */
  repeats(port: Port, mapped: Endpoint): void
}

/** What came back from where a request is from. */
export interface Echo {
  /** A nonce that had been sent there. */
  readonly proved: boolean
  /** How long that took, in milliseconds, where the nonce tells. */
  readonly rttMs?: number | undefined
}

export interface Counters extends StrangerCounters {
  authenticated: number
  /** Allocate requests that were asked for credentials. */
  challenged: number
  unproved: number
  refused: number
  foreign: number
}
