// Proves that packets of a path's full size pass on it, both ways, by a message that fills exactly one packet and leaves by the path's
// own transport: nothing fragments it. Both sides send one, and answer that of the other.
//
//   ping, at once ─► answered, and the far side's answered too ─► the message ─► its answer, and as much heard: proved
//                                                                 not so: thrice more within six round trips ─► too large
//
// The pings come first, since the system may know of a router (by ICMP) that a packet is too large. The library then keeps it, and
// everything behind it, so nothing else leaves by that transport: no answer, and no smaller packet either. What a side is answered
// tells of its own direction, and what it hears of the other one. The proof is made again, of what this side sends, where streams
// send and nothing of it arrives. A message may also be lost where much is sent on a slow path, as one of a full queue; so several are
// sent, and a proof that was begun again is left where something arrives meanwhile.

import type { Timer } from '../../clock.ts'
import { filling } from '../transport/packet.ts'
import { type Channel, safely } from '../transport/transport.ts'

export interface ProofHooks {
  /** Measures a round trip. */
  readonly ping: (answered: (ms: number) => void) => { forget: () => void }
  /** Says on the control channel that the far side's message has arrived. */
  readonly answer: () => void
  /** Called with whether packets of that size pass, while small ones do. The first proof is of both directions. */
  readonly decided: (fits: boolean, isFirst: boolean) => void
}

/** After so long, or so many round trips, without an answer the message is too large. A host that is busy takes a while to answer. */
const WAIT = { leastMs: 400, roundTrips: 6 } as const

/** Into so many ticks the wait is cut: a process that is held up wakes late from each, and not before it has heard what came. */
const TICKS = 10

/** The message leaves at once, and again at these ticks. */
const AGAIN_TICKS: readonly number[] = [3, 5, 8]

/** So often it is answered within the time in which the proof is not made again. */
const MOST_ANSWERS = 1 + AGAIN_TICKS.length

/** A far side may prove its size again after so long, in milliseconds. */
const AGAIN_MS = 700

export class SizeProof {
  readonly #channel: Channel
  readonly #hooks: ProofHooks
  /** Of the message, in bytes. */
  readonly #length: number
  #roundTripMs: number | undefined
  #hasAnsweredPing = false
  #isAnswered = false
  #hasHeard = false
  #answers = 0
  #answersSinceMs = 0
  #ticks = 0
  #timer: Timer | undefined
  #asked: { forget: () => void } | undefined
  #isFirst = true
  #isOver = true

  /** @param bytes the size of the path's packets */
  constructor(channel: Channel, bytes: number, hooks: ProofHooks) {
    this.#channel = channel
    this.#hooks = hooks
    this.#length = filling(bytes)
  }

  /** Throws when the channel is closed. */
  listen(): void {
    this.#channel.onMessage(safely(message => this.#hears(message)))
  }

  begin(): void {
    this.#isOver = false
    this.#isAnswered = false
    this.#roundTripMs = undefined
    this.#ticks = 0
    this.#asked = this.#hooks.ping(ms => {
      this.#roundTripMs = ms
      this.#send()
    })
  }

  /** Proves once more that what this side sends passes, unless that is under way. */
  again(): void {
    if (!this.#isOver) return
    this.#isFirst = false
    this.#hasHeard = true
    this.begin()
  }

  /** What streams send arrives after all, so what made it doubtful was something else. */
  arrives(): void {
    if (!this.#isFirst && !this.#isOver) this.stop()
  }

  /** A ping of the far side was answered. */
  answeredPing(): void {
    this.#hasAnsweredPing = true
    if (!this.#isOver) this.#send()
  }

  /** The message has arrived at the far side. */
  answered(): void {
    this.#isAnswered = true
    this.#look()
  }

  stop(): void {
    this.#isOver = true
    this.#asked?.forget()
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Small packets pass both ways, whatever becomes of this one. */
  #send(): void {
    if (this.#roundTripMs === undefined || !this.#hasAnsweredPing || this.#timer) return
    const waitMs = Math.max(WAIT.leastMs, WAIT.roundTrips * this.#roundTripMs)
    this.#timer = setInterval(() => this.#tick(), waitMs / TICKS)
    this.#say()
    this.#look()
  }

  #say(): void {
    try {
      this.#channel.sendMessageBinary(new Uint8Array(this.#length))
    } catch {
      // The path is gone, and says so itself.
    }
  }

  #tick(): void {
    this.#ticks++
    if (this.#ticks >= TICKS) this.#decide(false)
    else if (AGAIN_TICKS.includes(this.#ticks) && !this.#isAnswered) this.#say()
  }

  #hears(message: string | Uint8Array | ArrayBuffer): void {
    if (typeof message === 'string' || message.byteLength !== this.#length || !this.#mayAnswer()) return
    this.#hasHeard = true
    this.#hooks.answer()
    this.#look()
  }

  /** Answers are small, and no more than a far side has a use for. */
  #mayAnswer(): boolean {
    const nowMs = performance.now()
    if (nowMs - this.#answersSinceMs > AGAIN_MS) {
      this.#answersSinceMs = nowMs
      this.#answers = 0
    }
    return ++this.#answers <= MOST_ANSWERS
  }

  #look(): void {
    if (this.#isAnswered && this.#hasHeard) this.#decide(true)
  }

  #decide(fits: boolean): void {
    if (this.#isOver) return
    this.stop()
    this.#hooks.decided(fits, this.#isFirst)
  }
}
