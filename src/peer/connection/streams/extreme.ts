// The largest, or the smallest, of the values of the last while.

export class Extreme {
  readonly #pick: (one: number, other: number) => number
  readonly #spanMs: number
  #fromMs = 0
  #now: number | undefined
  #before: number | undefined

  /** Values count for `spanMs` milliseconds, and for twice as long at most. */
  constructor(pick: (one: number, other: number) => number, spanMs: number) {
    this.#pick = pick
    this.#spanMs = spanMs
  }

  /** Takes a value, and returns the extreme with it. */
  of(value: number, nowMs: number): number {
    if (nowMs - this.#fromMs >= this.#spanMs) {
      this.#before = this.#now
      this.#now = undefined
      this.#fromMs = nowMs
    }
    this.#now = this.#pick(value, this.#now ?? value)
    return this.#pick(this.#now, this.#before ?? value)
  }
}
