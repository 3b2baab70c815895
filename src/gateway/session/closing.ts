// How long a request may take, whatever its peers say. The strategies have the operator's deadline together, and the last
// resort some seconds more. It has longer only where the gateway itself sees both sides at its relay: what they say of their
// progress costs them nothing.
//
//   begin ──────── deadline ──────── + LAST_MS ─┬─ both are at the relay ──────── + RELAYING_MS
//   strategies               last resort        └─ over                            over

/** Milliseconds for the last resort after the deadline. Two sides by satellite latch within 3 s, with new sockets. */
const LAST_MS = 4000

/** Milliseconds more for two sides that have latched: two by satellite (1.2 s from one to the other) open within 8 s. */
const RELAYING_MS = 10_000

export class Closing implements Disposable {
  readonly #deadlineMs: number
  readonly #isRelaying: () => Promise<boolean>
  readonly #strategies = new AbortController()
  readonly #all = new AbortController()
  #timers: NodeJS.Timeout[] = []

  /** @param isRelaying whether the gateway sees both sides at its relay now */
  constructor(deadlineMs: number, isRelaying: () => Promise<boolean>) {
    this.#deadlineMs = deadlineMs
    this.#isRelaying = isRelaying
  }

  /** Aborts with a TimeoutError at the deadline of the strategies. */
  get strategies(): AbortSignal {
    return this.#strategies.signal
  }

  /** Aborts with a TimeoutError when the whole request is over. */
  get all(): AbortSignal {
    return this.#all.signal
  }

  begin(): void {
    this.#after(this.#deadlineMs, () => end(this.#strategies))
    this.#after(this.#deadlineMs + LAST_MS, () => void this.#extend())
  }

  /** Nothing is closed any more. */
  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers = []
  }

  async #extend(): Promise<void> {
    const isRelaying = await this.#isRelaying().catch(() => false)
    if (isRelaying) this.#after(RELAYING_MS, () => end(this.#all))
    else end(this.#all)
  }

  #after(waitMs: number, run: () => void): void {
    this.#timers.push(setTimeout(run, waitMs).unref())
  }
}

const end = (over: AbortController): void => over.abort(new DOMException('the time is over', 'TimeoutError'))
