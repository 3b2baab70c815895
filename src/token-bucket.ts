// A token bucket: tokens come evenly and are kept up to a capacity; what takes them goes on at that rate, and in bursts of at
// most the capacity. The relay's buckets, which are shared and retuned, are its own (gateway/relay/limit.ts).

export interface TokenBucketOptions {
  readonly perSecond: number
  /** Most tokens that are kept. */
  readonly capacity: number
  /** Tokens at the start; as many as are kept where left out. */
  readonly tokens?: number
  /** Milliseconds on any clock that does not go back; the process's own where left out. */
  readonly now?: () => number
}

export class TokenBucket {
  readonly #perMs: number
  readonly #capacity: number
  readonly #now: () => number
  #tokens: number
  #atMs: number

  constructor({ perSecond, capacity, tokens = capacity, now = () => performance.now() }: TokenBucketOptions) {
    this.#perMs = perSecond / 1000
    this.#capacity = capacity
    this.#tokens = tokens
    this.#now = now
    this.#atMs = now()
  }

  /** Tokens now; below zero while there is a debt. */
  get level(): number {
    const nowMs = this.#now()
    const come = Math.max(0, nowMs - this.#atMs) * this.#perMs
    this.#tokens = Math.min(this.#capacity, this.#tokens + come)
    this.#atMs = nowMs
    return this.#tokens
  }

  /** Takes tokens if there are so many. */
  take(tokens = 1): boolean {
    if (this.level < tokens) return false
    this.#tokens -= tokens
    return true
  }

  /** Takes tokens whether they are there or not; gives them back where there are fewer than none. */
  charge(tokens: number): void {
    this.#tokens = this.level - tokens
  }

  /** Milliseconds until there are so many tokens; 0 where they are there. */
  untilMs(tokens = 1): number {
    return Math.max(0, (tokens - this.level) / this.#perMs)
  }
}
