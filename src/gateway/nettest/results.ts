// The results of tests, in memory. Whoever has the id of one may read it, and nobody can guess an id.

import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { TestResult } from './result.ts'

/** How long a result is kept, in milliseconds. */
export const KEPT_MS = 24 * 3_600_000

/** Results that are kept: the one that nobody has read for the longest goes first. Each has about a kilobyte. */
const MOST = 10_000
const BYTES = 16 * 1024 * 1024

/** 128 bits, in base64url. */
const ID_BYTES = 16
const ID = /^[\w-]{22}$/

export class Results {
  readonly #kept: LRUCache<string, string>

  /** @param now milliseconds on a clock that does not go back */
  constructor(now: () => number = () => performance.now()) {
    this.#kept = new LRUCache({
      ...{ max: MOST, maxSize: BYTES, ttl: KEPT_MS, perf: { now } },
      // The clock is asked each time, so that none is shown a moment too long.
      ttlResolution: 0,
      sizeCalculation: text => text.length
    })
  }

  get size(): number {
    this.#kept.purgeStale()
    return this.#kept.size
  }

  /** Keeps it, and returns the id by which it is read. */
  keep(result: TestResult): string {
    const id = randomBytes(ID_BYTES).toString('base64url')
    this.#kept.set(id, JSON.stringify(result))
    return id
  }

  read(id: string): TestResult | undefined {
    const text = ID.test(id) ? this.#kept.get(id) : undefined
    return text === undefined ? undefined : (JSON.parse(text) as TestResult)
  }
}
