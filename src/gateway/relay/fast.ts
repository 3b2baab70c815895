// A shorter way for what passes between two UDP ports of the gateway: threads that carry a direction by themselves, once both sides are
// latched (batch/batch.ts). All else stays with the splice: who may latch, what comes before, what goes over other doors, and when it ends.

import type { Endpoint } from '../../wire/endpoint.ts'
import type { Asker } from '../shares/shares.ts'
import type { Exit } from '../udp/listen.ts'
import type { Bucket, LimitName, ShaperCounters } from './limit.ts'

/** A direction between two latched sides. */
export interface Way {
  readonly from: Exit
  readonly source: Endpoint
  readonly to: Exit
  readonly target: Endpoint
  readonly holder: Asker
  /** Its own limit, in bits per second. */
  readonly bitsPerSecond: number
  /** Limits that it shares, made by `bucket`. */
  readonly shared: readonly Bucket[]
  readonly queueMs: number
}

/** A direction that is carried. */
export interface Carried {
  /** What was counted of it so far. */
  readonly counters: ShaperCounters
  /** When something came from its source last, on the clock of `performance.now`; 0 where nothing has. */
  readonly heardMs: number
  /** It goes another way from now on, and what waits goes with it. False where it has to be stopped, and carried anew. */
  moves(way: Way): boolean
  /** Resolves with the last counts, once nothing is counted any more. */
  stop(): Promise<ShaperCounters>
}

export interface FastPath {
  /** Undefined where it takes no part in this: then the splice forwards it. */
  carry(way: Way): Carried | undefined
  /** A limit that directions of threads and of the splice share. */
  bucket(name: LimitName, bitsPerSecond: number): Bucket
  /** The part of a network's turns that it has on the event loop, where it waits for the total on threads as well. */
  partOf(network: string): number
  /** Nobody shares this limit any more. */
  release(bucket: Bucket): void
  /** Datagrams of no direction that were lost because too many were on their way to the gateway. */
  readonly strangersLost: number
  /** Datagrams that the kernel took no more, on the way out. */
  readonly sendsLost: number
}
