// Whether UDP to the gateway is blocked, found out soon enough for a person who waits for a connection. Where a socket is not answered
// in a while, a door of the relay is asked beside it. If that answers, and UDP still does not in a time that is long by what the door
// has shown of the way, the gateway is told so: connections then go by the door at once. UDP is tried on and on all the same.
//
//   UDP is silent ── 300 ms ──┬── ask the doors ── answered ── 300 ms, two round trips ──► blocked: told
//                             └── answered over UDP ──► nothing is said

import { setTimeout as sleep } from 'node:timers/promises'
import { asPosternError, messageOf } from '../../errors.ts'
import { type StreamDoor, streams } from '../../wire/doors/door.ts'
import type { Door } from './door.ts'
import { enter } from './enter.ts'
import type { Proof } from './line.ts'

/** How long UDP is waited for after it was found silent, in milliseconds, besides two round trips of the door. */
const STILL_MS = 300

/** How long an answer of a door is good, in milliseconds: for so long no door is asked again, however often UDP is tried. */
const GOOD_MS = 60_000

/** Doors that answered. */
export interface Around {
  readonly doors: readonly StreamDoor[]
  readonly rttMs: number
}

export interface WatchOptions {
  readonly doors: () => readonly Door[]
  /** UDP is blocked, and these doors are not. */
  readonly blocked: (around: Around) => void
  readonly signal: AbortSignal
}

export class DoorWatch {
  readonly #options: WatchOptions
  readonly #proof: Proof
  #asking: Promise<void> | undefined
  #around: Around | undefined
  #askedMs = Number.NEGATIVE_INFINITY
  /** Aborted when UDP is answered. */
  #heard = new AbortController()
  #isTold = false
  #said = ''

  /** @param proof of the peer itself, which latches nothing */
  constructor(proof: Proof, options: WatchOptions) {
    this.#proof = proof
    this.#options = options
  }

  /** The gateway was told that UDP is blocked, and not yet that it is not any more. */
  get isTold(): boolean {
    return this.#isTold
  }

  /** A socket is not answered soon. */
  silent(): void {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
  }

  /** UDP is answered: what is being found out about it is of no use. */
  heard(): void {
    this.#heard.abort()
    this.#heard = new AbortController()
  }

  /** The gateway knows that UDP is answered. */
  warmed(): void {
    this.heard()
    this.#isTold = false
    this.#around = undefined
  }

  /** UDP is not answered at all: resolves with the doors that are, or with what they said. */
  async answer(): Promise<Around | string> {
    await this.#asking
    return this.#around ?? this.#said
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    const signal = AbortSignal.any([this.#options.signal, this.#heard.signal])
    try {
      const silentMs = performance.now()
      if (performance.now() - this.#askedMs > GOOD_MS || !this.#around) await this.#enter(signal)
      const around = this.#around
      if (!around || this.#isTold) return
      const leftMs = silentMs + STILL_MS + 2 * around.rttMs - performance.now()
      await sleep(Math.max(0, leftMs), undefined, { signal })
      this.#isTold = true
      this.#options.blocked(around)
    } catch (error) {
      this.#said = asPosternError(error).code === 'udp-blocked' ? messageOf(error) : ''
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    this.#around = undefined
    const doors = this.#options.doors()
    if (doors.length === 0) return
    const { line, rttMs } = await enter(doors, this.#proof, signal)
    line.close()
    this.#askedMs = performance.now()
    // What comes before it in the order did not answer, and what comes behind it was not asked.
    const kinds = streams.slice(streams.indexOf(line.door.kind))
    this.#around = { doors: kinds.filter(kind => doors.some(door => door.kind === kind)), rttMs }
  }
}
