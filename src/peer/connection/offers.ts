// What the far side offers: which of its streams have been offered, and how a channel is turned away.

import { type Channel, safely } from '../transport/transport.ts'
import { streamText } from './streams/stream-message.ts'

/** So many numbers that were jumped over may still come. */
const MOST_LATE = 256

/** The other side has closed a channel that was refused within this time, in milliseconds. */
const REFUSED_MS = 2_000

/**
 * The numbers of the far side's streams. They are given in order, each two more than the one before, but where packets are lost a
 * channel may overtake another one.
 */
export class Offers {
  /** The smallest that is larger than all that have come. */
  #next: number
  /** Jumped over, in order. */
  readonly #late = new Set<number>()

  /** @param first the number of the far side's first stream */
  constructor(first: number) {
    this.#next = first
  }

  /** All below have been offered. */
  get below(): number {
    const [first = this.#next] = this.#late
    return first
  }

  /** Whether this number comes for the first time. */
  isNew(id: number): boolean {
    return id >= this.#next || this.#late.has(id)
  }

  take(id: number): void {
    if (this.#late.delete(id) || id < this.#next) return
    for (let late = Math.max(this.#next, id - 2 * MOST_LATE); late < id; late += 2) this.#late.add(late)
    this.#next = id + 2
    for (const late of this.#late) if (this.#late.size > MOST_LATE) this.#late.delete(late)
  }
}

/** Says why, and closes the channel when the far side has closed it, or after a while. */
export function refuse(channel: Channel, reason: string): void {
  const timer = setTimeout(() => channel.close(), REFUSED_MS)
  channel.onMessage(() => {})
  channel.onClosed(safely(() => clearTimeout(timer)))
  try {
    channel.sendMessage(streamText({ type: 'abort', reason }))
  } catch {
    // Closed already: nobody is there to be told.
  }
}
