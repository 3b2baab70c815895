// A path on which a connection is to go on, until both sides have proved there that they hold the connection. Until then nothing of
// the streams passes: channels that are offered on it wait, because on a lossy path they may overtake the proof.

import type { Timer } from '../../clock.ts'
import { type Channel, closeAtOnce, safely } from '../transport/transport.ts'
import type { Lane } from './lane.ts'

/** As many channels as streams that a connection can hold, refused ones included. */
const MOST_OFFERED = 256

/** Between two questions on a path that has to prove itself for a while, in milliseconds. */
const WATCH_MS = 500

export class Coming {
  readonly lane: Lane
  /** Resolves when the connection is on it. */
  readonly moved: Promise<void>
  /** This side proves itself on it. */
  saying: Promise<void> | undefined
  /** The far side has said its proof. */
  isHeard = false
  /** Packets of its size pass. */
  isSized = false
  /** It has to be seen to carry something for a while. */
  isWatched = false
  readonly #moving = Promise.withResolvers<void>()
  readonly #offered = new Set<Channel>()
  readonly #timers: Timer[] = []

  constructor(lane: Lane) {
    this.lane = lane
    this.moved = this.#moving.promise
  }

  /** Calls `act` after so many milliseconds, unless it is over by then. */
  after(ms: number, act: () => void): void {
    this.#timers.push(setTimeout(act, ms))
  }

  /** Asks on the path now and then, so that it is seen when it carries nothing. */
  watch(): void {
    let asked = this.lane.ping(() => {})
    const again = () => {
      asked.forget()
      asked = this.lane.ping(() => {})
    }
    this.#timers.push(setInterval(again, WATCH_MS))
  }

  hold(channel: Channel): void {
    if (this.#offered.size >= MOST_OFFERED) return closeAtOnce(channel)
    this.#offered.add(channel)
    channel.onClosed(safely(() => void this.#offered.delete(channel)))
  }

  /** The connection is on it. Returns the channels that were offered meanwhile. */
  succeed(): readonly Channel[] {
    this.#settle()
    this.#moving.resolve()
    return [...this.#offered]
  }

  /** @param afterMs how long last words may pass on it */
  fail(error: Error, afterMs = 0): void {
    this.#settle()
    this.lane.close(afterMs)
    this.#moving.reject(error)
  }

  #settle(): void {
    for (const timer of this.#timers) clearTimeout(timer)
  }
}
