// Whether a path still carries anything, from the bytes that were sent and heard on it. Whoever has sent something since it last
// heard the far side asks for an answer, and so does whoever was sent much until it fell quiet. If none comes, the path is silent.
// Time is counted in ticks of a timer, each at its nominal length, and not by the clock: the time in which a computer slept, or
// this process was held up, is no silence.

/** What is to be done after a tick. */
export type Act = 'ask' | 'silent' | 'heard' | undefined

/** The length of a tick, in milliseconds. */
export const TICK_MS = 200

/** Milliseconds of quiet after which an answer is asked for: where something is expected, or came until now, and otherwise. */
const ASK_MS = { expecting: 400, idle: 9_000 } as const

/** Who has heard so much within a tick was being sent something, in bytes: a question, or an answer to one, is shorter. */
const FLOW_BYTES = 4_096

/** A side that has said nothing for so long says that it is alive. */
const SPEAK_MS = 5_000

/**
 * How long an answer that was asked for may take until the path is silent, in milliseconds: between these two, two round trips, or
 * three times the longest wait of late. A busy far side, or a queue of megabytes on a slow path, is quiet for a while and comes back.
 */
const SILENT_MS = { least: 600, most: 5_000 } as const

export class Silence {
  #heardBytes = 0
  #saidBytes = 0
  #saidWhenHeard = 0
  #quietMs = 0
  #muteMs = 0
  #longestWaitMs = 0
  #isFlowing = false
  #hasAsked = false
  #quietWhenAskedMs = 0

  /** How long nothing has been heard, in milliseconds. */
  get quietMs(): number {
    return this.#quietMs
  }

  /** How long ago an answer was asked for that has not come, in milliseconds; 0 where none is. */
  get askedMs(): number {
    return this.#hasAsked ? this.#quietMs - this.#quietWhenAskedMs : 0
  }

  /**
   * @param saidBytes sent so far
   * @param heardBytes heard so far
   * @param rttMs the round trip as it was measured last; 0 if it was not
   */
  tick(saidBytes: number, heardBytes: number, rttMs: number): Act {
    this.#muteMs = saidBytes === this.#saidBytes ? this.#muteMs + TICK_MS : 0
    this.#saidBytes = saidBytes
    if (heardBytes !== this.#heardBytes) return this.#hears(heardBytes)
    this.#quietMs += TICK_MS
    if (this.#hasAsked) return this.askedMs >= patienceMs(rttMs, this.#longestWaitMs) ? 'silent' : undefined
    this.#hasAsked = this.#quietMs >= (this.isExpecting || this.#isFlowing ? ASK_MS.expecting : ASK_MS.idle)
    this.#quietWhenAskedMs = this.#quietMs
    return this.#hasAsked ? 'ask' : undefined
  }

  /** True once where nothing has been said for so long that the far side may wonder. */
  isMute(): boolean {
    if (this.#muteMs < SPEAK_MS) return false
    this.#muteMs = 0
    return true
  }

  /** Something was sent since the far side was heard. */
  get isExpecting(): boolean {
    return this.#saidBytes > this.#saidWhenHeard
  }

  #hears(bytes: number): Act {
    this.#isFlowing = bytes - this.#heardBytes >= FLOW_BYTES
    this.#heardBytes = bytes
    this.#saidWhenHeard = this.#saidBytes
    if (this.#hasAsked) this.#longestWaitMs = Math.max(this.#longestWaitMs * 0.8, this.askedMs)
    this.#quietMs = 0
    this.#hasAsked = false
    return 'heard'
  }
}

const patienceMs = (rttMs: number, waitMs: number): number =>
  Math.min(SILENT_MS.most, Math.max(SILENT_MS.least, 2 * rttMs, 3 * waitMs))
