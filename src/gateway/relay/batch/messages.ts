// What the gateway and a thread of its relay say to each other. All is data that threads can copy; memory that is shared stays shared.

import type { Asker } from '../../shares/shares.ts'
import type { LimitName } from '../limit.ts'
import type { RawSocket } from './raw.ts'

/** What a thread is given when it begins. */
export interface Beginning {
  /** Its socket of each port of the gateway, in the order of the ports. */
  readonly sockets: readonly RawSocket[]
  /** Happens when there is something to read from the gateway. */
  readonly event: number
  /** Accounts of the directions, by their numbers. */
  readonly accounts: SharedArrayBuffer
  readonly buckets: SharedArrayBuffer
  /** Of the total, which is the first of the buckets: who waits for it on which thread. */
  readonly deal: SharedArrayBuffer
  /** The number of this thread, from 1; that of the gateway is 0. */
  readonly thread: number
  /** Three Int32: datagrams on their way to the gateway, those that were lost because too many were, and those lost on the way out. */
  readonly strangers: SharedArrayBuffer
  /** `performance.timeOrigin` of the gateway, whose clock is that of all. */
  readonly originMs: number
}

/** A direction that the thread is to carry from now on, or how it is carried from now on. */
export interface Carry {
  readonly type: 'carry'
  /** Its number, which is that of its account. */
  readonly flow: number
  /** Where it comes from: a socket, and the name of a source. */
  readonly socket: number
  readonly source: Uint8Array
  /** Where it goes: out of a socket, to a name. */
  readonly exit: number
  readonly target: Uint8Array
  /** Its own limit, in bits per second. */
  readonly bitsPerSecond: number
  /** Limits that it shares, by their numbers. */
  readonly shared: readonly (readonly [LimitName, number])[]
  readonly holder: Asker
  readonly queueMs: number
}

export type ToThread = Carry | { readonly type: 'stop'; readonly flow: number } | { readonly type: 'close' }

export type FromThread =
  /** It receives from now on. */
  | { readonly type: 'ready' }
  /** Nothing is counted in the account of this direction any more. */
  | { readonly type: 'stopped'; readonly flow: number }
  /** Datagrams that are of no direction, each with a header (strangers.ts). */
  | { readonly type: 'strangers'; readonly packed: Uint8Array<ArrayBuffer>; readonly count: number }
