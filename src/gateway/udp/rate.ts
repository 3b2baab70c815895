// How often one source may ask within a second. The table is bounded: a flood from more sources only makes the limit forgetful,
// never the memory large.

import { LRUCache } from 'lru-cache'

/** Sources that are remembered. */
const SOURCES = 10_000

export class Rate {
  readonly #seen = new LRUCache<string, { count: number }>({ max: SOURCES, ttl: 1000 })
  readonly #perSecond: number

  /** @param perSecond how often a source is admitted within the second that begins with its first request */
  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  admits(source: string): boolean {
    const seen = this.#seen.get(source)
    if (!seen) this.#seen.set(source, { count: 1 })
    return seen === undefined || ++seen.count <= this.#perSecond
  }
}
