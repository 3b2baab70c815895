// Whose turn it is to send on a path. Each stream that has something sends one message, and then it is the next one's turn, so
// that a small stream waits for one message of each other stream, and not for all that they have. Little is on its way below
// (in-flight.ts): what is there cannot be overtaken.

import type { Channel } from '../../transport/transport.ts'
import { InFlight } from './in-flight.ts'

/** What may take turns: a stream on one path. */
export interface Sender {
  readonly channel: Channel
  /** Bytes that were sent here and are not known to have arrived. */
  readonly flyingBytes: number
  /**
   * Sends one message of at most so many bytes; returns its bytes, or 0 where there is nothing to send or it may not. Throws when
   * the channel is closed.
   */
  sendOne(mostBytes: number): number
}

/**
 * So much may wait in the library beside its own buffer (of 1 MiB) on a path that holds more than that, in bytes. The library
 * calls when all of a channel's is gone; until then its own buffer keeps the path busy.
 */
const WAITING_BYTES = 262_144

export class Turns {
  /** All that have sent here; what waits of theirs counts. */
  readonly #senders = new Set<Sender>()
  readonly #wanting = new Set<Sender>()
  readonly #inFlight = new InFlight()
  #isPumping = false

  /** Something can be sent. */
  wants(sender: Sender): void {
    this.#senders.add(sender)
    this.#wanting.add(sender)
    this.pump()
  }

  leaves(sender: Sender): void {
    this.#senders.delete(sender)
    this.#wanting.delete(sender)
    this.pump()
  }

  /** Sends until enough is on its way. Call it when something has arrived, or the library has sent what it had of a channel. */
  pump(): void {
    if (this.#isPumping || this.#wanting.size === 0) return
    this.#isPumping = true
    const nowMs = performance.now()
    let flyingBytes = this.#sum(({ flyingBytes }) => flyingBytes)
    this.#inFlight.flies(flyingBytes, nowMs)
    let waitingBytes = this.#waitingBytes()
    try {
      for (const sender of this.#wanting) {
        // A stream of which nothing is on its way does not wait for those that have filled the path.
        if (flyingBytes >= this.#inFlight.limitBytes && sender.flyingBytes > 0) {
          this.#inFlight.fills()
          continue
        }
        if (waitingBytes >= WAITING_BYTES) waitingBytes = this.#waitingBytes()
        if (waitingBytes >= WAITING_BYTES) return
        this.#wanting.delete(sender)
        this.#inFlight.shares(flyingBytes > sender.flyingBytes, nowMs)
        const sentBytes = sender.sendOne(this.#inFlight.messageBytes)
        if (sentBytes === 0) continue
        this.#inFlight.sent(sentBytes, nowMs)
        flyingBytes += sentBytes
        waitingBytes += sentBytes
        // Again, behind the others.
        this.#wanting.add(sender)
      }
    } finally {
      this.#isPumping = false
    }
  }

  #waitingBytes(): number {
    return this.#sum(({ channel }) => channel.bufferedAmount())
  }

  #sum(bytesOf: (sender: Sender) => number): number {
    let bytes = 0
    for (const sender of this.#senders) bytes += bytesOf(sender)
    return bytes
  }
}
