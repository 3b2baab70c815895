// A row of the table of faults: what is done, when, what is measured from then on, and how good that has to be.

import type { NatType } from '../nat.ts'
import type { Ground } from './ground.ts'

/**
 * `new byte`: from the fault to the first new byte that the receiver hands on, of a stream that flows again.
 * `direct`: to when the bulk goes from NAT to NAT again, by the kernel's count.
 * `pause`: the longest time without a byte; counted from the connect request where the fault was there before it.
 * `connected`: from the connect request to the open channel.
 */
export type Measure = 'new byte' | 'direct' | 'pause' | 'connected'

export interface Goal {
  readonly medianMs?: number
  readonly worstMs: number
}

export interface Row {
  /** By which it is asked for. */
  readonly word: string
  /** A sentence for the table. */
  readonly what: string
  readonly nats: readonly [NatType, NatType]
  /** How the path has to be when the fault comes, or else the trial says nothing. */
  readonly begins?: 'direct' | 'relay'
  /** More options of both peers. */
  readonly options?: readonly string[]
  /** At most so many trials. */
  readonly trials?: number
  /** Whether the fault is there before anybody joins; false: it comes under a transfer. */
  readonly first?: boolean
  readonly fault: (ground: Ground, nth: number) => Promise<unknown>
  /** Where the fault ends: from then on it is measured. */
  readonly end?: (ground: Ground, nth: number) => Promise<unknown>
  /** So many milliseconds the fault lasts; until the stream flows again where this is left out. */
  readonly lastsMs?: number
  readonly measure: Measure
  /** How long the transfer goes on after it flows again, at least; it is counted in pauses. */
  readonly watchMs?: number
  readonly goal: Goal
}
