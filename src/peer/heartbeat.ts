// Finds out whether the WebSocket to the gateway still lives. A NAT that has started anew, or a line that was cut, tells nobody:
// what is sent vanishes, and TCP goes on sending it for a quarter of an hour. So the peer pings (RFC 6455 section 5.5.2).
//
//   every 10 s:  ping ─► anything heard within 5 s ─► alive        else the WebSocket is dropped
//   a probe:     ping ─► anything within 1 s       ─► alive        else the same
//   after a change of network, or a sleep: its own pong alone, for what lies in the buffers came before

import type { WebSocket } from 'ws'

/** Between two pings, and how long one may go unanswered, in milliseconds. Proxies cut what is idle for longer (test/gateway/proxy/idle.test.ts). */
export const EVERY_MS = 10_000
const PATIENCE_MS = 5000

/** How long a probe may go unanswered: for this many milliseconds and this many round trips, whichever is longer. */
const PROBED_MS = 1000
const ROUND_TRIPS = 3

/**
 * A timer runs before what has arrived is read, so the answer has so many milliseconds more to be read. Where the timer itself is
 * later than this, the process was stopped, and the gateway is asked again.
 */
const READ_MS = 100
const LATE_MS = 500

export interface HeartbeatOptions {
  /** Called right before the WebSocket is dropped. */
  readonly dead?: () => void
  readonly everyMs?: number
  readonly patienceMs?: number
}

export class Heartbeat {
  readonly #ws: WebSocket
  readonly #options: HeartbeatOptions
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #every: NodeJS.Timeout
  #pings = 0
  #answered = 0
  #sentMs = 0
  #heardMs = 0
  /** The shortest that was measured: a longer one may be a sleep. */
  #rttMs = Number.POSITIVE_INFINITY

  constructor(ws: WebSocket, options: HeartbeatOptions = {}) {
    const { everyMs = EVERY_MS, patienceMs = PATIENCE_MS } = options
    this.#ws = ws
    this.#options = options
    this.#every = setInterval(() => this.#ask(patienceMs, sentMs => this.#heardMs < sentMs), everyMs)
    ws.on('ping', () => this.heard())
    ws.on('pong', data => this.#pong(Number(data)))
    ws.on('close', () => this.#stop())
  }

  /** Something was heard. Frames of the WebSocket itself are heard here. */
  heard(): void {
    this.#heardMs = performance.now()
  }

  /**
   * Asks now. The WebSocket is dropped unless something is heard at once.
   * @param isStrict only the answer itself counts
   */
  probe({ isStrict = false } = {}): void {
    const number = this.#pings + 1
    const patienceMs = Math.max(PROBED_MS, this.#answered > 0 ? ROUND_TRIPS * this.#rttMs : 0)
    this.#ask(patienceMs, sentMs => (isStrict ? this.#answered < number : this.#heardMs < sentMs))
  }

  #ask(patienceMs: number, isDead: (sentMs: number) => boolean): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    const sentMs = performance.now()
    this.#sentMs = sentMs
    this.#ws.ping(String(++this.#pings))
    this.#after(patienceMs, () => {
      if (performance.now() - sentMs - patienceMs > LATE_MS) return this.#ask(patienceMs, isDead)
      this.#after(READ_MS, () => {
        if (isDead(sentMs)) this.#drop()
      })
    })
  }

  #after(waitMs: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      run()
    }, waitMs)
    this.#timers.add(timer)
  }

  #pong(number: number): void {
    this.heard()
    // Whatever else the gateway says in a pong is no answer.
    if (!(number > this.#answered && number <= this.#pings)) return
    this.#answered = number
    if (number === this.#pings) this.#rttMs = Math.min(this.#rttMs, performance.now() - this.#sentMs)
  }

  #drop(): void {
    this.#options.dead?.()
    this.#ws.terminate()
  }

  #stop(): void {
    clearInterval(this.#every)
    for (const timer of this.#timers) clearTimeout(timer)
  }
}
