// How long the event loop was held up: while it is, nothing is relayed and nobody is answered. Node's own histogram of the event
// loop's delay looks each 10 ms whether its timer came late.

import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Milliseconds between two looks. A delay that is measured has these in it. */
const EVERY_MS = 10

export class Stalls implements Disposable {
  readonly #delays = monitorEventLoopDelay({ resolution: EVERY_MS })

  constructor() {
    this.#delays.enable()
  }

  /** Seconds, of all looks since it was asked last: the longest one, and the one that 1 in 1000 exceeds. */
  take(): { readonly max: number; readonly p999: number } {
    const taken = { max: this.#seconds(this.#delays.max), p999: this.#seconds(this.#delays.percentile(99.9)) }
    this.#delays.reset()
    return taken
  }

  [Symbol.dispose](): void {
    this.#delays.disable()
  }

  #seconds(nanoseconds: number): number {
    return Math.max(0, nanoseconds / 1e9 - EVERY_MS / 1000)
  }
}
