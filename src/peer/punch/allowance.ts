// What a peer sends at the most for the orders of its gateway, whatever these say, and however many there are. A gateway may be in
// error, or in hands that want others flooded. All that leaves for an order is counted here: probes, what shows a fresh socket,
// what latches at a relay, and each handover. Refreshing the peer's own mappings is no order.

/** The most datagrams in any second, for all orders together. `spray` asks for 1000 a second. */
export const PER_SECOND = 2048

/** So many of them no walk takes: they are for answers and checks, without which all the others were for nothing. */
export const KEPT = 256

/** How long an order is obeyed, in milliseconds. */
export const ORDER_MS = 60_000

export class Allowance {
  readonly #now: () => number
  /** When the last datagrams left, in a ring. */
  readonly #sentMs = new Float64Array(PER_SECOND).fill(Number.NEGATIVE_INFINITY)
  #sent = 0

  /** @param now milliseconds on any clock that does not go back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** What an order that arrives now may send. */
  order(): OrderAllowance {
    return new OrderAllowance(this, this.#now)
  }

  /** Whether a datagram may leave now, and so many more after it. */
  isFree(kept = 0): boolean {
    return this.#now() - (this.#sentMs[(this.#sent + kept) % PER_SECOND] ?? 0) >= 1000
  }

  /** Counts a datagram that leaves now and returns true, or returns false if it may not. */
  take(kept = 0): boolean {
    if (!this.isFree(kept)) return false
    this.#sentMs[this.#sent++ % PER_SECOND] = this.#now()
    return true
  }
}

/** The share of one order: as much as the others leave, until its time is over. */
export class OrderAllowance {
  readonly #all: Allowance
  readonly #now: () => number
  readonly #untilMs: number

  constructor(all: Allowance, now: () => number) {
    this.#all = all
    this.#now = now
    this.#untilMs = now() + ORDER_MS
  }

  /** Nothing leaves for this order any more. */
  get isOver(): boolean {
    return this.#now() >= this.#untilMs
  }

  isFree(kept = 0): boolean {
    return !this.isOver && this.#all.isFree(kept)
  }

  take(kept = 0): boolean {
    return !this.isOver && this.#all.take(kept)
  }
}
