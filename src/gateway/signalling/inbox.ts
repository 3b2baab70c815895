// What one link has said, in its order. What comes faster than it may (pace.ts) waits, and the link is not read from meanwhile: TCP
// holds the peer back, and nothing it said is lost.
//
//   message ─► may be served now ─► served
//         └──► waits, behind what waits already; the link is paused ─► served in its turn
//                   └─► nothing is left to keep it in: the link is flooded

import type { WebSocket } from 'ws'
import type { Holder } from '../shares/shares.ts'
import type { Pace } from './pace.ts'

/** Who has the inbox, and serves what comes. */
export interface Owner {
  readonly ws: Pick<WebSocket, 'pause' | 'resume'>
  readonly pace: Pick<Pace, 'admit' | 'untilMs' | 'frame' | 'waiting'>
  /** Whose link it is now. */
  readonly holder: Holder
  serve(data: Buffer, isBinary: boolean): void
  /** Is told each time that the link is paused. */
  slowed(): void
  /** Is told when a message cannot be kept. */
  flooded(): void
}

interface Kept {
  readonly data: Buffer
  readonly isBinary: boolean
  readonly holder: Holder
}

export class Inbox {
  readonly #owner: Owner
  /** Made when the first has to wait. */
  #waiting: Kept[] | undefined
  #rest: NodeJS.Timeout | undefined
  #isHeld = false
  #isClosed = false

  constructor(owner: Owner) {
    this.#owner = owner
  }

  /** Takes a message. What was read before the link was paused comes all the same. */
  hear(data: Buffer, isBinary: boolean): void {
    if (this.#isClosed) return
    const { pace, holder } = this.#owner
    const mustWait = this.#isHeld || this.#rest !== undefined
    const restMs = mustWait ? 0 : pace.admit(holder)
    if (!mustWait && restMs === 0) return this.#owner.serve(data, isBinary)
    if (!pace.waiting.take(holder)) return this.#owner.flooded()
    this.#waiting ??= []
    this.#waiting.push({ data, isBinary, holder })
    this.#pause(restMs)
  }

  /** Serves nothing until some work is over. */
  async hold(work: Promise<void>): Promise<void> {
    this.#isHeld = true
    this.#owner.ws.pause()
    await work
    this.#isHeld = false
    if (!this.#rest) this.#goOn()
  }

  /** A ping or a pong. The WebSocket answers it before anybody is asked, but reads the next ones later. */
  frame(): void {
    const { pace, holder } = this.#owner
    pace.frame(holder)
    if (!this.#rest && !this.#isClosed) this.#pause(pace.untilMs(holder))
  }

  /** Nothing more is served. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#rest)
    for (const { holder } of this.#waiting ?? []) this.#owner.pace.waiting.giveBack(holder)
    this.#waiting = undefined
    // Otherwise the answer to a close would not be read either.
    this.#owner.ws.resume()
  }

  #pause(restMs: number): void {
    if (this.#rest || restMs === 0) return
    this.#owner.ws.pause()
    this.#owner.slowed()
    this.#rest = setTimeout(() => this.#goOn(), restMs)
  }

  #goOn(): void {
    const { pace, ws } = this.#owner
    this.#rest = undefined
    while (!this.#isHeld) {
      const next = this.#waiting?.[0]
      if (!next) {
        this.#waiting = undefined
        return ws.resume()
      }
      const restMs = pace.admit(next.holder)
      if (restMs > 0) {
        this.#rest = setTimeout(() => this.#goOn(), restMs)
        return
      }
      this.#waiting?.shift()
      pace.waiting.giveBack(next.holder)
      this.#owner.serve(next.data, next.isBinary)
    }
  }
}
