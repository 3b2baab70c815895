// One direction of a stream, at its receiver: what has arrived waits here for its reader, within a window that the far side is
// told. What arrives a second time, on another path, is recognised by its offset.

import { PosternError } from '../../../errors.ts'
import { type Budget, STREAM_BYTES } from './budget.ts'
import { Kept, MESSAGE_BYTES } from './kept.ts'
import type { Standing } from './stream-message.ts'

/**
 * After so many bytes, or so many milliseconds, the far side is told that they have arrived: it keeps them until then, and may send no
 * more on the path. Telling takes a packet, and a turn of both programs, so a far side that is alone on its path, as its long messages
 * show, is told of two at once.
 */
const MARKS = { shared: { bytes: 65_536, ms: 2 }, alone: { bytes: 98_304, ms: 4 } } as const

/** The same for less than a message. Of whole ones more are likely to follow. */
const LITTLE_AFTER_MS = 20

/** A stream is allowed so much at first, in bytes, so that streams that say little leave the rest to others. */
const FIRST_BYTES = 262_144

/** It is allowed twice as much where all that it was allowed was read within this time, in milliseconds. */
const GROWS_WITHIN_MS = 1_000

export class Incoming {
  readonly #budget: Budget
  /** Of a reader that does not read; otherwise what arrives is handed on as it is. */
  readonly #kept = new Kept()
  #received = 0
  #delivered = 0
  #limit = 0
  #markedAt = 0
  #deliveredAt = 0
  /** So many bytes are allowed beyond what was read. It grows while the far side makes use of it. */
  #wantedBytes = FIRST_BYTES
  /** Since when, and from which offset on, it is watched whether that is made use of. */
  #watched = { ms: 0, offset: 0 }
  #stepBytes = Number.POSITIVE_INFINITY
  #marks: (typeof MARKS)[keyof typeof MARKS] = MARKS.shared
  #total: number | undefined

  constructor(budget: Budget) {
    this.#budget = budget
  }

  get received(): number {
    return this.#received
  }

  /** The far side has said its end, and everything before it is here. */
  get isEnded(): boolean {
    return this.#total !== undefined
  }

  /**
   * Takes bytes that begin at `offset`. Returns those that are new.
   * Throws `bad-message` for more than was allowed, and for bytes after the end.
   */
  take(offset: number, bytes: Uint8Array): Uint8Array {
    const fresh = bytes.subarray(Math.max(0, this.#received - offset))
    if (fresh.length === 0) return fresh
    if (this.isEnded || this.#received + fresh.length > this.#limit)
      throw new PosternError('bad-message', 'it sent more than it was allowed to')
    this.#received += fresh.length
    this.#marks = bytes.length > MESSAGE_BYTES ? MARKS.alone : MARKS.shared
    return fresh
  }

  /** Hands new bytes to a reader, or keeps them for it. */
  deliver(fresh: Uint8Array, isReading: boolean, push: (bytes: Uint8Array) => boolean): boolean {
    if (!isReading || this.#kept.bytes > 0) {
      this.#kept.append(fresh)
      return isReading && this.read(push)
    }
    this.#delivered += fresh.length
    return push(fresh)
  }

  /** Hands on what is kept while the reader wants more; returns whether it does. */
  read(push: (bytes: Uint8Array) => boolean): boolean {
    let wantsMore = true
    while (wantsMore && this.#kept.bytes > 0) {
      const bytes = this.#kept.at(this.#kept.start).slice()
      this.#kept.drop(this.#kept.start + bytes.length)
      this.#delivered += bytes.length
      wantsMore = push(bytes)
    }
    return wantsMore
  }

  get isEmpty(): boolean {
    return this.#kept.bytes === 0
  }

  /** Throws `bad-message` where not as much has arrived. */
  end(total: number): void {
    if (total !== this.#received) throw new PosternError('bad-message', 'it ended the stream somewhere else')
    this.#total = total
    this.#budget.release(this)
  }

  /** What the far side is told; it may rely on it from now on. */
  standing(): Standing {
    if (!this.isEnded) this.#allow()
    this.#markedAt = this.#received
    this.#deliveredAt = this.#delivered
    return { received: this.#received, limit: this.#limit, ended: this.isEnded }
  }

  #allow(): void {
    this.#grow(performance.now())
    const promised = this.#limit - this.#delivered
    const window = this.#budget.window(this, promised, this.#wantedBytes)
    this.#limit = Math.max(this.#limit, this.#delivered + window)
    this.#stepBytes = Math.min(this.#marks.bytes, window >> 2)
  }

  #grow(nowMs: number): void {
    const { ms, offset } = this.#watched
    const isInTime = nowMs - ms < GROWS_WITHIN_MS
    if (isInTime && this.#delivered - offset < this.#wantedBytes) return
    if (isInTime) this.#wantedBytes = Math.min(2 * this.#wantedBytes, STREAM_BYTES)
    this.#watched = { ms: nowMs, offset: this.#delivered }
  }

  /** In so many milliseconds the far side is to be told: 0 where enough has arrived, or was read; undefined where nothing has arrived. */
  get markWithinMs(): number | undefined {
    const unmarkedBytes = this.#received - this.#markedAt
    if (Math.max(unmarkedBytes, this.#delivered - this.#deliveredAt) >= this.#stepBytes) return 0
    if (unmarkedBytes >= MESSAGE_BYTES) return this.#marks.ms
    return unmarkedBytes > 0 ? LITTLE_AFTER_MS : undefined
  }

  /** Nobody reads any more. */
  drop(): void {
    this.#kept.clear()
    this.#budget.release(this)
  }
}
