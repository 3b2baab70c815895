// Measures how far the gateway's clock is from this peer's, so that a trace shows the steps of both peers and the gateway in
// one order. The arithmetic is NTP's (RFC 5905 section 8). The gateway answers at once, so it names one time instead of two:
//
//   ping { at } -->                the gateway read its clock somewhere between the two: in the middle, give or take half
//   <-- pong { at, timeMs }        the round trip. Of several, the one with the smallest round trip is the best (section 10).

import { nowMs, sleep } from '../clock.ts'
import type { FromGateway, FromPeer, Message } from '../wire/signal.ts'

/** Pings of one measurement, one after the other. They are enough for one of them to meet no queue. */
const PINGS = 5

/**
 * Milliseconds between measurements. Clocks drift by 15 ppm or less (RFC 5905 section 7.1), which is a millisecond in that
 * time.
 */
const AGAIN_MS = 60_000

/** The clocks that a timekeeper reads. */
export interface Clocks {
  /** The time of day, in milliseconds since the epoch. */
  readonly nowMs: () => number
  /** Milliseconds since some moment, unaffected by changes of the time of day. */
  readonly elapsedMs: () => number
}

const system: Clocks = { nowMs, elapsedMs: () => performance.now() }

type Offset = Omit<Message<FromPeer, 'clock'>, 'type'>

export class Timekeeper {
  readonly #send: (message: FromPeer) => void
  readonly #clocks: Clocks
  #asked: { readonly at: number; readonly sentMs: number; readonly done: (offset: Offset) => void } | undefined

  constructor(send: (message: FromPeer) => void, clocks: Clocks = system) {
    this.#send = send
    this.#clocks = clocks
  }

  /**
   * Measures until `signal` aborts. The first ping is reported at once, because a connection may be over before there are
   * more.
   */
  async keep(signal: AbortSignal): Promise<void> {
    try {
      let best = await this.#ping(signal)
      this.#send({ type: 'clock', ...best })
      for (;;) {
        for (let ping = 1; ping < PINGS; ping++) best = closer(best, await this.#ping(signal))
        this.#send({ type: 'clock', ...best })
        await sleep(AGAIN_MS, signal)
        best = await this.#ping(signal)
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown
    }
  }

  /** An answer that was not asked for, or was asked for on another link, is ignored. */
  answer({ at, timeMs }: Message<FromGateway, 'pong'>): void {
    if (this.#asked?.at !== at) return
    const { sentMs, done } = this.#asked
    this.#asked = undefined
    const uncertaintyMs = (this.#clocks.elapsedMs() - sentMs) / 2
    done({ offsetMs: timeMs - (this.#clocks.nowMs() - uncertaintyMs), uncertaintyMs })
  }

  /** Throws what `signal` aborts with. */
  async #ping(signal: AbortSignal): Promise<Offset> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<Offset>()
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort)
    this.#asked = { at: this.#clocks.nowMs(), sentMs: this.#clocks.elapsedMs(), done: resolve }
    this.#send({ type: 'ping', at: this.#asked.at })
    return await promise.finally(() => signal.removeEventListener('abort', abort))
  }
}

const closer = (one: Offset, other: Offset): Offset => (other.uncertaintyMs < one.uncertaintyMs ? other : one)
