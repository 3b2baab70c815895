// How often one source may do something within a second or a minute. The table is bounded: a flood from more sources only makes
// the limit forgetful, never the memory large.

import { LRUCache } from 'lru-cache'
import { latest } from './latest.ts'
import { type Bound, boundOf } from './shares.ts'

/** Sources that are remembered. */
const SOURCES = 10_000

export class Rate {
  readonly #seen: LRUCache<string, { count: number }>
  readonly #most: Bound

  /**
   * @param most how often a source is admitted within the time that begins with its first request
   * @param withinMs that time, in milliseconds
   */
  constructor(most: Bound, withinMs = 1000) {
    this.#most = most
    this.#seen = new LRUCache({ ...latest(SOURCES), ttl: withinMs })
  }

  admits(source: string): boolean {
    const seen = this.#seen.get(source)
    if (!seen) this.#seen.set(source, { count: 1 })
    return seen === undefined || ++seen.count <= boundOf(this.#most)
  }

  /** After how many milliseconds a source that has had all there is may come again. */
  waitMs(source: string): number {
    return this.#seen.getRemainingTTL(source)
  }

  /** Whether a source has had all there is for now. It counts nothing. */
  isSpent(source: string): boolean {
    return (this.#seen.get(source)?.count ?? 0) >= boundOf(this.#most)
  }
}
