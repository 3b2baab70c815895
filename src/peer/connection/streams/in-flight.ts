// How much may be on its way on one path. What waits below the streams, in the library, in the network and at the far side,
// cannot be overtaken, so a small stream beside a large one waits for all of it. The path itself holds its rate times its round
// trip; what is sent beyond that only waits. Both are measured here by what the far side says has arrived, as BBR does for
// packets (draft-ietf-ccwg-bbr). SCTP's own congestion control works below, undisturbed.

import { Extreme } from './extreme.ts'
import { MESSAGE_BYTES } from './kept.ts'

/** Before anything is measured, and never less, in bytes. */
const FLIGHT_BYTES = { first: 131_072, least: 32_768 } as const

/**
 * The path is filled by so much more than it holds, so that a rate that has grown is seen; while it still grows by a quarter
 * in three rounds, by twice as much.
 */
const GAIN = { steady: 1.25, growing: 2 } as const
const GROWTH = { factor: 1.25, rounds: 3 } as const

/**
 * So long may what was sent wait at both sides before their programs turn to it, in milliseconds, at the full rate: longer where
 * no other stream waits for it, since a busy computer turns to it late.
 */
const TURN_MS = { alone: 12, shared: 1.5 } as const

/** A path on which several streams had something on their way at once counts as shared for so long, in milliseconds. */
const SHARED_MS = 10_000

/** A stream that is alone on a path sends messages that take it so long there, in milliseconds, within these bounds, in bytes. */
const MESSAGE_MS = 1.5
const MESSAGE_LIMITS = { shared: MESSAGE_BYTES, alone: 65_536 } as const

/** The highest rate and the shortest round trip count for so long, at least, in milliseconds. */
const REMEMBERED_MS = { rate: 1_000, roundTrip: 20_000 } as const

/** What arrives is counted for so long, at least, before it is a rate: it is told in bursts. In milliseconds. */
const MEASURED_MS = 100

/** A round trip on the same computer, in milliseconds. */
const SHORTEST_MS = 0.1

export class InFlight {
  readonly #rate = new Extreme(Math.max, REMEMBERED_MS.rate)
  readonly #roundTripMs = new Extreme(Math.min, REMEMBERED_MS.roundTrip)
  #sentBytes = 0
  #arrivedBytes = 0
  /** The message whose round trip is measured, by the offset behind it. */
  #probe: { sentMs: number; untilBytes: number } | undefined
  /** Since when the rate is measured. */
  #since = { ms: 0, arrivedBytes: 0 }
  /** The rate that the next one has to exceed, and for how many rounds none has. */
  #grown = { rate: 0, rounds: 0 }
  #shortestMs = 0
  #isFilled = false
  #isShared = false
  #sharedMs = Number.NEGATIVE_INFINITY
  /** What is measured: bytes a millisecond, and what a round trip holds, in bytes. */
  #measured: { rate: number; roundTripBytes: number } | undefined

  /** So much may be on its way, in bytes. */
  get limitBytes(): number {
    if (!this.#measured) return FLIGHT_BYTES.first
    const { rate, roundTripBytes } = this.#measured
    return Math.max(roundTripBytes + rate * (this.#isShared ? TURN_MS.shared : TURN_MS.alone), FLIGHT_BYTES.least)
  }

  /** The longest message now, in bytes: what a stream that comes waits for, where it is not on its way already. */
  get messageBytes(): number {
    const { shared, alone } = MESSAGE_LIMITS
    if (!this.#measured || this.#isShared) return shared
    return Math.min(Math.max(Math.floor(this.#measured.rate * MESSAGE_MS), shared), alone)
  }

  /** @param isNow several streams have something on their way */
  shares(isNow: boolean, nowMs: number): void {
    if (isNow) this.#sharedMs = nowMs
    this.#isShared = nowMs - this.#sharedMs < SHARED_MS
  }

  sent(bytes: number, nowMs: number): void {
    if (this.#sentBytes === this.#arrivedBytes) this.#since = { ms: nowMs, arrivedBytes: this.#arrivedBytes }
    this.#sentBytes += bytes
    this.#probe ??= { sentMs: nowMs, untilBytes: this.#sentBytes }
  }

  /** Somebody waits because so much is on its way. A rate at which nobody had to wait says little of the path. */
  fills(): void {
    this.#isFilled = true
  }

  /** @param flyingBytes sent here and not known to have arrived */
  flies(flyingBytes: number, nowMs: number): void {
    this.#arrivedBytes = Math.max(this.#arrivedBytes, this.#sentBytes - flyingBytes)
    if (!this.#probe || this.#arrivedBytes < this.#probe.untilBytes) return
    this.#shortestMs = this.#roundTripMs.of(Math.max(nowMs - this.#probe.sentMs, SHORTEST_MS), nowMs)
    this.#probe = undefined
    const { ms, arrivedBytes } = this.#since
    if (nowMs - ms >= MEASURED_MS) this.#measure((this.#arrivedBytes - arrivedBytes) / (nowMs - ms), nowMs)
  }

  /** @param rate bytes a millisecond */
  #measure(rate: number, nowMs: number): void {
    this.#since = { ms: nowMs, arrivedBytes: this.#arrivedBytes }
    if (!this.#isFilled) return
    this.#isFilled = false
    const highest = this.#rate.of(rate, nowMs)
    if (highest >= GROWTH.factor * this.#grown.rate) this.#grown = { rate: highest, rounds: 0 }
    else this.#grown.rounds++
    const gain = this.#grown.rounds < GROWTH.rounds ? GAIN.growing : GAIN.steady
    this.#measured = { rate: highest, roundTripBytes: highest * gain * this.#shortestMs }
  }
}
