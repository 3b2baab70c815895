// Whether what the streams send on a path arrives, while the path itself is alive: full packets may be lost where small ones pass,
// because the path has become too narrow. Whoever finds that proves the size again. Time is counted in ticks, as in silence.ts.

import { TICK_MS } from './silence.ts'

/** Nothing arrives for so long, in milliseconds, or for four round trips, before it is looked into; twice as long the next time. */
const STALLED = { firstMs: 1_000, longestMs: 16_000, roundTrips: 4 } as const

export class Stall {
  /** Whether something has arrived since the tick before. */
  hasMoved = false
  #arrivedBytes = 0
  #stalledMs = 0
  #patienceMs: number = STALLED.firstMs

  /**
   * True when it is to be looked into.
   * @param flyingBytes sent on all streams, and not known to have arrived
   * @param arrivedBytes known to have arrived
   */
  tick({ flyingBytes, arrivedBytes }: Flight, rttMs: number): boolean {
    this.hasMoved = arrivedBytes !== this.#arrivedBytes
    if (flyingBytes === 0 || this.hasMoved) {
      this.#patienceMs = STALLED.firstMs
      this.#stalledMs = 0
    }
    this.#arrivedBytes = arrivedBytes
    if (flyingBytes > 0) this.#stalledMs += TICK_MS
    if (this.#stalledMs < Math.max(this.#patienceMs, STALLED.roundTrips * rttMs)) return false
    this.#stalledMs = 0
    this.#patienceMs = Math.min(2 * this.#patienceMs, STALLED.longestMs)
    return true
  }
}

/** Bytes of streams on their way. */
export interface Flight {
  readonly flyingBytes: number
  readonly arrivedBytes: number
}
