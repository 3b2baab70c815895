// The role of the registration server that watches mappings. It is an interface, so that it can run on another host. What is
// answered at once (`endpoints`, `iceEndpoints`, `rttMs`, `remapped`, `heardOthers`, `deaf`) is then a copy of what that host told last.

import type { Sample } from '../../nat/profile.ts'
import type { Endpoint } from '../../wire/endpoint.ts'

/** One socket, seen at one endpoint of the gateway, had another mapping a while before. */
export interface Remapped {
  readonly was: Endpoint
  readonly mapped: Endpoint
  /** When the later one was seen first, in milliseconds since the epoch. */
  readonly atMs: number
}

/** What a peer is told that speaks ICE alone. */
export interface IceEndpoints {
  /** Those that it asks, the primary first. */
  readonly endpoints: Endpoint[]
  /** Where it is relayed: none that it asks, since browsers take nothing from these. Left out: there is no other. */
  readonly relay?: Endpoint
}

/** Watches the mappings of peers' sockets on UDP endpoints of its own. */
export interface Observer {
  /**
   * The endpoints a peer is told to ask, the primary first; all are IPv4. For a listening address of 0.0.0.0 the address at
   * which the peer reached the gateway stands in, or an IPv4 address of the gateway's where that is IPv6. None: there is none.
   */
  endpoints(reachedAt: string): Endpoint[]
  /** The same for a peer that speaks ICE alone: all ports but the last of each address, if there is more than one. */
  iceEndpoints(reachedAt: string): IceEndpoints
  /** Learns the key of a peer whose requests it may believe from now on. */
  admit(peer: string, key: Buffer): void
  dismiss(peer: string): void
  /**
   * The mappings of a peer's socket, one for each endpoint that has seen it, in the order they were made; empty for a socket
   * it never heard of. Their addresses are proved.
   */
  samples(peer: string, socket: number): Promise<readonly Sample[]>
  /** Resolves when this many endpoints have seen a socket, or when `signal` aborts. */
  seen(peer: string, socket: number, endpoints: number, signal: AbortSignal): Promise<void>
  /**
   * The most that a round trip to a peer over UDP takes, in milliseconds: the shortest time in which one of its sockets echoed a
   * nonce that was sent to it. 0 if none has. A peer can make it longer than it is, by waiting, and never shorter.
   */
  rttMs(peer: string): number
  /** The last change of a mapping of one of the peer's sockets, of this join of its or one before. */
  remapped(peer: string): Remapped | undefined
  /** Whether a peer other than these, which are at most two, reached the gateway over UDP within the last `withinMs`. */
  heardOthers(peers: readonly string[], withinMs: number): boolean
  /** The endpoints, as peers know them, at which no peer was heard within the last `withinMs`. */
  deaf(withinMs: number): Endpoint[]
}
