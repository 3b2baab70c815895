// What one link has said, in its order. What comes faster than it may (pace.ts) waits, and the link is not read from meanwhile: TCP
// holds the peer back, and nothing it said is lost.
//
//   message ─► may be served now ─► served
//         └──► waits, behind what waits already; the link is paused ─► served in its turn
//                   └─► nothing is left to keep it in: the link is flooded

import type { WebSocket } from 'ws'
import type { Holder } from '../shares/shares.ts'
import type { Pace } from './pace.ts'

export interface InboxOptions {
  readonly ws: Pick<WebSocket, 'pause' | 'resume'>
  readonly pace: Pick<Pace, 'admit' | 'untilMs' | 'frame' | 'waiting'>
  /** Whose link it is now. */
  readonly holder: () => Holder
  readonly serve: (data: Buffer, isBinary: boolean) => void
  /** Is told each time that the link is paused. */
  readonly slowed: () => void
  /** Is told when a message cannot be kept. */
  readonly flooded: () => void
}

interface Kept {
  readonly data: Buffer
  readonly isBinary: boolean
  readonly holder: Holder
}

export class Inbox {
  readonly #options: InboxOptions
  #waiting: Kept[] = []
  #rest: NodeJS.Timeout | undefined
  #isHeld = false
  #isClosed = false

  constructor(options: InboxOptions) {
    this.#options = options
  }

  /** Takes a message. What was read before the link was paused comes all the same. */
  hear(data: Buffer, isBinary: boolean): void {
    if (this.#isClosed) return
    const { pace, serve, flooded } = this.#options
    const holder = this.#options.holder()
    const mustWait = this.#isHeld || this.#rest !== undefined
    const restMs = mustWait ? 0 : pace.admit(holder)
    if (!mustWait && restMs === 0) return serve(data, isBinary)
    if (!pace.waiting.take(holder)) return flooded()
    this.#waiting.push({ data, isBinary, holder })
    this.#pause(restMs)
  }

  /** Serves nothing until some work is over. */
  async hold(work: Promise<void>): Promise<void> {
    this.#isHeld = true
    this.#options.ws.pause()
    await work
    this.#isHeld = false
    if (!this.#rest) this.#goOn()
  }

  /** A ping or a pong. The WebSocket answers it before anybody is asked, but reads the next ones later. */
  frame(): void {
    const { pace, holder } = this.#options
    pace.frame(holder())
    if (!this.#rest && !this.#isClosed) this.#pause(pace.untilMs(holder()))
  }

  /** Nothing more is served. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#rest)
    for (const { holder } of this.#waiting) this.#options.pace.waiting.giveBack(holder)
    this.#waiting = []
    // Otherwise the answer to a close would not be read either.
    this.#options.ws.resume()
  }

  #pause(restMs: number): void {
    if (this.#rest || restMs === 0) return
    this.#options.ws.pause()
    this.#options.slowed()
    this.#rest = setTimeout(() => this.#goOn(), restMs)
  }

  #goOn(): void {
    const { pace, serve, ws } = this.#options
    this.#rest = undefined
    while (!this.#isHeld) {
      const [next] = this.#waiting
      if (!next) return ws.resume()
      const restMs = pace.admit(next.holder)
      if (restMs > 0) {
        this.#rest = setTimeout(() => this.#goOn(), restMs)
        return
      }
      this.#waiting.shift()
      pace.waiting.giveBack(next.holder)
      serve(next.data, next.isBinary)
    }
  }
}
