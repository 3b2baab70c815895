// A token bucket. Tokens come at an even rate and are kept up to a capacity. Whatever takes them proceeds at that rate, in
// bursts of at most the capacity. The relay has buckets of its own, which are shared and retuned (gateway/relay/limit.ts).

export interface TokenBucketOptions {
  readonly perSecond: number
  /** The most tokens that are kept. */
  readonly capacity: number
  /** Tokens at the start; `capacity` if left out. */
  readonly tokens?: number
  /** Milliseconds on any clock that does not go back; the process's own clock if left out. */
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

  /** Takes tokens and returns true, if there are enough of them. */
  take(tokens = 1): boolean {
    if (this.level < tokens) return false
    this.#tokens -= tokens
    return true
  }

  /** Takes tokens even if there are too few. A negative number gives tokens back. */
  charge(tokens: number): void {
    this.#tokens = this.level - tokens
  }

  /** Milliseconds until there are enough tokens; 0 if there are enough now. */
  untilMs(tokens = 1): number {
    return Math.max(0, (tokens - this.level) / this.#perMs)
  }
}
