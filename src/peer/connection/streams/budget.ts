// How much memory the streams of one connection may fill together, in one direction: each has a little for certain, and the
// rest goes to whoever uses it, half of what is free at a time, so that some is left for the next one.

/** For one stream, in bytes: 40 MB/s at a round trip of 100 ms. */
export const STREAM_BYTES = 4_194_304

/** For all streams of a connection, in bytes. */
export const CONNECTION_BYTES = 16_777_216

/** What each stream has for certain, in bytes. */
const CERTAIN_BYTES = 32_768

export class Budget {
  #freeBytes: number
  readonly #extra = new Map<object, number>()

  /** @param streams the most streams that there will be */
  constructor(streams: number) {
    this.#freeBytes = CONNECTION_BYTES - streams * CERTAIN_BYTES
  }

  /**
   * How many bytes `stream` may hold now: never fewer than it holds.
   * @param heldBytes how many it holds, or has promised to hold
   * @param wantedBytes how many it has a use for
   */
  window(stream: object, heldBytes: number, wantedBytes: number): number {
    const free = this.#freeBytes + (this.#extra.get(stream) ?? 0)
    const wanted = Math.min(wantedBytes, STREAM_BYTES) - CERTAIN_BYTES
    const extra = Math.max(0, heldBytes - CERTAIN_BYTES, Math.min(wanted, Math.floor(free / 2)))
    this.#extra.set(stream, extra)
    this.#freeBytes = free - extra
    return CERTAIN_BYTES + extra
  }

  /** The stream holds nothing any more. */
  release(stream: object): void {
    this.#freeBytes += this.#extra.get(stream) ?? 0
    this.#extra.delete(stream)
  }
}
