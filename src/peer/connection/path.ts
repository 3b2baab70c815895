// What is known of a path, of the peer at its end, and of how a connection came from one path to the next.

import type { Verdict } from '../../verdict.ts'
import type { DoorKind } from '../../wire/doors/door.ts'
import type { Certificates } from '../../wire/identity/fingerprint.ts'
import type { Assure } from '../room/assuring.ts'
import type { Media } from '../transport/media.ts'
import type { Channel, Transport } from '../transport/transport.ts'
import type { Role } from './resume-key.ts'

export interface PathReport {
  /** The plugin that found it. */
  by: string
  kind: 'direct' | 'relay'
  /** The door through which this side reaches the relay; left out on a direct path. */
  door?: DoorKind
  local: string
  remote: string
  /** Milliseconds from the connect request to the open channel. */
  ms: number
  trace: string
  /** The largest IP packet that either side sends on it, in bytes. */
  mtu: number
}

/** What the relay lets through now, in bits of UDP payload per second; left out on a direct path. */
export interface Passes {
  /** Of what this side sends. */
  readonly bitsPerSecond?: number | undefined
  /** Of what the far side sends. It is told a moment later, and not by a gateway of the first release. */
  readonly incomingBitsPerSecond?: number | undefined
}

/** What the gateway has told of the path of now. Before its first word nothing is known. */
export interface GatewayNotice extends Passes {
  /** Why the connection's first path is relayed, or `direct`. Left out if the gateway does not record the request. */
  readonly verdict?: Verdict | undefined
}

/** The gateway's words on a path, of the session that found it. */
export interface PathTold extends GatewayNotice {
  readonly session: string
}

export interface FarPeer {
  readonly name: string
  readonly fingerprint: string
  /** The gateway's id for it, by which it is found again. */
  readonly id?: string
  /** Whether it has joined under that name. If not, the gateway has made the name up. */
  readonly named?: boolean
}

/** An opened path, whose events nobody has handled yet. */
export interface OpenPath {
  readonly transport: Transport
  /** Negotiated, id 0, open on both sides. */
  readonly control: Channel
  /** Negotiated, unreliable, for the proof of the packets' size. */
  readonly sizing: Channel
  /** Left out where the path has no tracks. */
  readonly media?: Media
  readonly path: PathReport
  /** The gateway's id of the session that found it. */
  readonly session: string
  readonly certificates: Certificates
}

/** A path that a connection goes over. */
export interface Carried {
  /** Resolves when the path is closed, whether or not the connection goes on over another one. */
  readonly over: Promise<void>
  readonly close: () => void
}

export interface ConnectionParts extends OpenPath {
  readonly peer: FarPeer
  /** This side's part in the connect request; it stays the same on later paths. */
  readonly role: Role
  /** How long the connection waits for another path when its own is lost, in milliseconds; 0 if left out. */
  readonly resumeMs?: number
  /** How both sides prove that nobody stands between, before either hears more of the other; left out where they do not. */
  readonly assure?: Assure | undefined
  /** By this key the trace of the request may be read, if this side made it. */
  readonly traceKey?: string | undefined
}

/** For how long nothing has been heard on a path, and how long ago an answer was asked for that has not come, in milliseconds. */
export interface Quiet {
  readonly quietMs: number
  readonly askedMs: number
}

/** What became of a connection's path. Times are in milliseconds. */
export type PathNews =
  /**
   * Nothing is heard on it, for `quietMs` by now, or it is gone, or its packets do not pass (`isNarrow`). The connection waits for
   * another one.
   */
  | ({ readonly what: 'lost'; readonly path: PathReport; readonly reason: string; readonly isNarrow: boolean } & Quiet)
  /** The connection goes on over another path, `ms` after the one before was lost; 0 where it was not. */
  | {
      readonly what: 'moved'
      readonly path: PathReport
      readonly before: PathReport
      readonly ms: number
      /** For how long nothing had been heard on the path before, in milliseconds. */
      readonly quietMs: number
      /** Bytes that had been sent on the path before, and were not known to have arrived. */
      readonly resentBytes: number
    }
  /** Packets of its size pass in both directions. Later paths are proved before they are moved to. */
  | { readonly what: 'proved'; readonly path: PathReport }
  /** Another path was opened, and left since packets of its size do not pass. */
  | { readonly what: 'narrow'; readonly path: PathReport; readonly reason: string }
  /** It was heard again before another was found, `ms` after it had been heard last. */
  | { readonly what: 'back'; readonly path: PathReport; readonly ms: number }
