// One direction of a stream, at its sender: what was written stays here until the far side has said that it arrived, so that it
// can be sent again on another path.
//
//   start (arrived there) ─── kept ─── sentTo ─── kept, not sent ─── end │ unsent: a write that has no room yet

import { PosternError } from '../../../errors.ts'
import { type Budget, STREAM_BYTES } from './budget.ts'
import { Kept } from './kept.ts'
import type { Standing } from './stream-message.ts'

/**
 * So much is taken from whoever writes before it is sent, in bytes: enough to fill what the path takes at once, little enough
 * that what was taken is about what was sent.
 */
const AHEAD_BYTES = 262_144

type Done = (error?: Error | null) => void

export class Outgoing {
  readonly #budget: Budget
  readonly #kept = new Kept()
  #sentTo = 0
  /** The largest offset that was ever sent. */
  #sentMost = 0
  #limit = 0
  #unsent: { rest: Uint8Array; done: Done } | undefined
  #isEnding = false
  #isEndConfirmed = false

  constructor(budget: Budget) {
    this.#budget = budget
  }

  /** Takes bytes; `done` is called when all of them are kept. */
  write(chunk: Uint8Array, done: Done): void {
    this.#unsent = { rest: chunk, done }
    this.fill()
  }

  /** No more will be written. */
  end(): void {
    this.#isEnding = true
  }

  get isEnding(): boolean {
    return this.#isEnding
  }

  /** The far side has heard the end, and everything before it. */
  get isEndConfirmed(): boolean {
    return this.#isEndConfirmed
  }

  /** All has been sent that was written, and no more will be. */
  get isAllSent(): boolean {
    return this.#isEnding && !this.#unsent && this.#sentTo === this.#kept.end
  }

  /** The number of bytes that were written. */
  get total(): number {
    return this.#kept.end
  }

  /** Bytes that were sent and are not known to have arrived. */
  get flyingBytes(): number {
    return this.#sentMost - this.#kept.start
  }

  /** Those of them that were sent on the path it is sent on now. */
  get aloftBytes(): number {
    return Math.max(0, this.#sentTo - this.#kept.start)
  }

  /** Bytes that are known to have arrived. */
  get arrivedBytes(): number {
    return this.#kept.start
  }

  /** The next message; empty where there is nothing to send, or the far side allows no more. Its bytes are there until the next call. */
  next(mostBytes: number): Uint8Array {
    return this.#kept.from(this.#sentTo, Math.min(mostBytes, Math.max(0, this.#limit - this.#sentTo)))
  }

  sent(bytes: number): void {
    this.#sentTo += bytes
    this.#sentMost = Math.max(this.#sentMost, this.#sentTo)
    this.fill()
  }

  /** The offset of what is sent next. */
  get sentTo(): number {
    return this.#sentTo
  }

  /**
   * What the far side says of where it stands. Returns whether sending goes on from another offset than it stood at: where the
   * far side begins a path, or where more has come over the path before than was sent again. Call `fill` then. Throws
   * `bad-message` for a claim that cannot be true.
   * @param isFirst it begins a path there, so that sending goes on from where it stands
   */
  stands({ received, limit, ended }: Standing, isFirst: boolean): boolean {
    if (received > this.#sentMost) throw lie('bytes that were never sent')
    if (ended && !(this.#isEnding && !this.#unsent && received === this.total)) throw lie('an end that was never said')
    if (isFirst && received < this.#kept.start) throw lie('to lack what it had')
    this.#limit = Math.max(this.#limit, limit)
    this.#isEndConfirmed ||= ended
    this.#kept.drop(received)
    if (this.#kept.bytes === 0) this.#budget.release(this)
    const least = this.#kept.start
    if (!isFirst && this.#sentTo >= least) return false
    this.#sentTo = least
    return true
  }

  /** Takes from the write that waits as much as there is room for. */
  fill(): void {
    const unsent = this.#unsent
    if (!unsent) return
    const window = this.#budget.window(this, this.#kept.bytes, STREAM_BYTES)
    const room = Math.min(window - this.#kept.bytes, AHEAD_BYTES - (this.#kept.end - this.#sentTo))
    if (room <= 0) return
    this.#kept.append(unsent.rest.subarray(0, room))
    unsent.rest = unsent.rest.subarray(room)
    if (unsent.rest.length > 0) return
    this.#unsent = undefined
    unsent.done()
  }

  /** Nothing of it is sent any more. */
  drop(error: Error): void {
    this.#kept.clear()
    this.#budget.release(this)
    const unsent = this.#unsent
    this.#unsent = undefined
    unsent?.done(error)
  }
}

const lie = (what: string) => new PosternError('bad-message', `it claims ${what}`)
