// A stream is a Node Duplex over one reliable, ordered data channel. Binary messages are its bytes; text messages speak
// about the stream itself, as versioned JSON:
//
//   credit { bytes }    the far side may send that many more; the first one also says "accepted"
//   end                 no more bytes will follow (data channels cannot be half-closed)
//   ended               the end was heard, and everything before it
//   abort { reason }    the stream is over, and why
//
// Sending waits for two things. One is credit, because nothing in libdatachannel makes the far side stop when our reader is
// slow. The other is the library's own buffer. Nobody closes the channel before the far side has said that it heard the end.
// Otherwise the library would drop messages that are still on their way into JavaScript.
//
// A stream knows its channel and the name of its peer, but nothing of the path below.

import { Duplex } from 'node:stream'
import { PosternError } from '../../errors.ts'
import { printable } from '../../wire/text.ts'
import { type Channel, safely, TRANSPORT_BYTES } from '../transport/transport.ts'

/** Enough to keep SCTP busy (its own send buffer is 1 MiB), little enough not to delay what comes next. */
const BUFFERED_HIGH_BYTES = 1_048_576
const BUFFERED_LOW_BYTES = BUFFERED_HIGH_BYTES / 2
/** The far side may have this much on its way to a reader that does not read: 40 MB/s at a round trip of 100 ms. */
const WINDOW_BYTES = 4_194_304
/** Credit is returned in sixteenths of the window, which is the size of a message. */
const GRANT_BYTES = WINDOW_BYTES / 16
/** A message costs this much credit beside its bytes, on both sides of the account, so that tiny messages are bounded too. */
const MESSAGE_COST_BYTES = 256
/** A text message that is longer than this is not one of ours. */
const MAX_TEXT_BYTES = 2_048
/** How long the far side has to hear an abort. After that the channel is closed anyway. */
const ABORT_HEARD_MS = 5_000
/** The same for an end, which nobody may cut short: 2 MiB that are buffered before it take as long at 300 kbit/s. */
const END_HEARD_MS = 60_000

type StreamMessage =
  | { type: 'credit'; bytes: number }
  | { type: 'end' }
  | { type: 'ended' }
  | { type: 'abort'; reason: string }

export class Stream extends Duplex {
  readonly label: string
  /** Resolves once the far side serves the stream; rejects with its reason when it refuses. */
  readonly accepted: Promise<void>
  /** Resolves once the channel below is closed and nothing of this stream is left to do. */
  readonly settled: Promise<void>

  readonly #channel: Channel
  readonly #peer: string
  readonly #acceptance = Promise.withResolvers<void>()
  readonly #settlement = Promise.withResolvers<void>()
  readonly #arrived: Buffer[] = []
  #reading = false
  #granted = false
  #allowedBytes = 0
  #owedBytes = 0
  #creditBytes = 0
  #unsent: { rest: Buffer; done: (error?: Error) => void } | undefined
  #endSaid = false
  #endHeard = false
  #endConfirmed = false

  /** Takes over the channel's events. Give it a channel on which no event has been handled yet. */
  constructor(channel: Channel, label: string, peer: string) {
    super({ readableHighWaterMark: TRANSPORT_BYTES, writableHighWaterMark: TRANSPORT_BYTES })
    this.label = label
    this.accepted = this.#acceptance.promise
    this.settled = this.#settlement.promise
    this.accepted.catch(() => {})
    this.#channel = channel
    this.#peer = peer
    channel.onError(safely(reason => this.destroy(this.#cutOff(reason))))
    channel.onClosed(safely(() => this.#channelClosed()))
    channel.setBufferedAmountLowThreshold(BUFFERED_LOW_BYTES)
    channel.onBufferedAmountLow(safely(() => this.#pump()))
    channel.onMessage(safely(message => this.#receive(message)))
  }

  /** Accepts the stream and lets the far side send. */
  grant(): void {
    this.#granted = true
    this.#returnCredit(WINDOW_BYTES)
  }

  /**
   * Call this when the path is gone. A stream that has said and heard the end does not need the path any more, and its reader
   * still gets everything.
   */
  lose(reason: PosternError): void {
    if (!this.#ended()) this.destroy(reason)
  }

  override _read(): void {
    this.#reading = true
    this.#deliver()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#unsent = { rest: chunk, done }
    this.#pump()
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#say({ type: 'end' })) this.#endSaid = true
    done()
    this.#closeWhenHeard()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#acceptance.reject(error ?? this.#cutOff('it was closed here'))
    this.#arrived.length = 0
    const unsent = this.#unsent
    this.#unsent = undefined
    unsent?.done(error ?? this.#cutOff('it was closed here'))
    if (!this.#ended()) this.#say({ type: 'abort', reason: reasonOf(error) })
    this.#linger(this.#ended() ? END_HEARD_MS : ABORT_HEARD_MS)
    done(error)
  }

  #pump(): void {
    const unsent = this.#unsent
    if (!unsent) return
    while (unsent.rest.length > 0) {
      if (this.#creditBytes <= MESSAGE_COST_BYTES || this.#channel.bufferedAmount() >= BUFFERED_HIGH_BYTES) return
      const message = unsent.rest.subarray(0, Math.min(TRANSPORT_BYTES, this.#creditBytes - MESSAGE_COST_BYTES))
      if (!this.#tell(() => this.#channel.sendMessageBinary(message))) return
      this.#creditBytes -= message.length + MESSAGE_COST_BYTES
      unsent.rest = unsent.rest.subarray(message.length)
    }
    this.#unsent = undefined
    unsent.done()
  }

  #receive(message: string | Buffer | ArrayBuffer): void {
    if (typeof message === 'string') this.#obey(parseText(message))
    else if (!this.destroyed) this.#take(Buffer.isBuffer(message) ? message : Buffer.from(message))
  }

  #take(bytes: Buffer): void {
    this.#allowedBytes -= bytes.length + MESSAGE_COST_BYTES
    if (this.#allowedBytes < 0 || this.#endHeard) {
      this.destroy(new PosternError('bad-message', `peer ${this.#peer} sent more than it was allowed to`))
      return
    }
    this.#arrived.push(bytes)
    this.#deliver()
  }

  #obey(message: StreamMessage | undefined): void {
    switch (message?.type) {
      case 'credit':
        this.#creditBytes += message.bytes
        // The opener's own grant must not wait behind megabytes that it sends as soon as it is accepted.
        if (!this.#granted) this.grant()
        this.#acceptance.resolve()
        this.#pump()
        break
      case 'end':
        this.#endHeard = true
        this.#say({ type: 'ended' })
        this.#deliver()
        this.#closeWhenHeard()
        break
      case 'ended':
        this.#endConfirmed = true
        this.#closeWhenHeard()
        break
      case 'abort':
        this.destroy(new PosternError('io', `peer ${this.#peer}: ${message.reason}`))
        this.#close()
    }
  }

  #deliver(): void {
    while (this.#reading) {
      const bytes = this.#arrived.shift()
      if (!bytes) break
      this.#reading = this.push(bytes)
      this.#owe(bytes.length + MESSAGE_COST_BYTES)
    }
    if (this.#endHeard && this.#arrived.length === 0 && !this.destroyed) this.push(null)
  }

  #owe(bytes: number): void {
    this.#owedBytes += bytes
    if (this.#owedBytes < GRANT_BYTES || this.#endHeard) return
    this.#returnCredit(this.#owedBytes)
    this.#owedBytes = 0
  }

  #returnCredit(bytes: number): void {
    this.#allowedBytes += bytes
    this.#say({ type: 'credit', bytes })
  }

  #say(message: StreamMessage): boolean {
    return this.#tell(() => this.#channel.sendMessage(JSON.stringify({ v: 1, ...message })))
  }

  /** False when the channel is gone; the stream is then over as well. */
  #tell(send: () => void): boolean {
    try {
      send()
      return true
    } catch (cause) {
      this.destroy(this.#cutOff('the channel is closed', cause))
      return false
    }
  }

  #ended(): boolean {
    return this.#endSaid && this.#endHeard
  }

  #closeWhenHeard(): void {
    if (this.#ended() && this.#endConfirmed) this.#close()
  }

  #linger(waitMs: number): void {
    const timer = setTimeout(() => this.#close(), waitMs)
    this.settled.then(() => clearTimeout(timer))
    this.#closeWhenHeard()
  }

  /**
   * If the far side has just closed the channel, its event may still be on its way here. Closing the channel here drops that
   * event.
   */
  #close(): void {
    this.#channel.close()
    this.#channelClosed()
  }

  #channelClosed(): void {
    this.lose(this.#cutOff('the channel was closed'))
    this.#settlement.resolve()
  }

  #cutOff(why: string, cause?: unknown): PosternError {
    return new PosternError('io', `the stream "${this.label}" with peer ${this.#peer} was cut off: ${why}`, { cause })
  }
}

/** A versioned JSON message of at most `maxBytes`; undefined for anything else. */
export function parseVersioned(text: string, maxBytes = MAX_TEXT_BYTES): Record<string, unknown> | undefined {
  if (Buffer.byteLength(text) > maxBytes) return undefined
  try {
    const value: unknown = JSON.parse(text)
    const versioned = typeof value === 'object' && value !== null && 'v' in value && value.v === 1
    return versioned ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function parseText(text: string): StreamMessage | undefined {
  const message = parseVersioned(text)
  switch (message?.type) {
    case 'credit':
      return isCredit(message.bytes) ? { type: 'credit', bytes: message.bytes } : undefined
    case 'end':
    case 'ended':
      return { type: message.type }
    case 'abort':
      return { type: 'abort', reason: typeof message.reason === 'string' ? printable(message.reason) : 'it gave up' }
    default:
      return undefined
  }
}

function isCredit(bytes: unknown): bytes is number {
  return typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes > 0 && bytes <= 2 ** 31
}

function reasonOf(error: Error | null): string {
  if (error instanceof PosternError) return error.message.slice(0, 300)
  return error ? 'it failed' : 'it stopped'
}
