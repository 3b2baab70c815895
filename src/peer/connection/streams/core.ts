// A stream outlives the paths below it. On each path it has a channel; what is said there is in stream-message.ts. What a program
// has in its hands lies above: a Duplex in Node (stream.ts), web streams in a browser (src/browser/stream.ts). Sending waits for the far side, whose reader may be slow, and for its turn on the path (turns.ts).
//
//   offered or opened ─► at ─► at: accepted ─► bytes both ways ─► end, ended: settled
//                         └─ the path is lost, or there is a better one: another channel, at ─► at, bytes from there
//
// Nobody closes a channel before the far side has said that it heard the end. Otherwise the library would drop messages
// that are still on their way into JavaScript.

import { idly, type Timer } from '../../../clock.ts'
import { asPosternError, PosternError } from '../../../errors.ts'
import { type Channel, safely } from '../../transport/transport.ts'
import type { Budget } from './budget.ts'
import { Incoming } from './incoming.ts'
import { MESSAGE_BYTES } from './kept.ts'
import { Outgoing } from './outgoing.ts'
import { parseStreamMessage, type Standing, type StreamMessage, streamText } from './stream-message.ts'
import type { Sender, Turns } from './turns.ts'

/** How long the far side has to hear an abort. After that the channel is closed anyway. */
const ABORT_HEARD_MS = 5_000
/** The same for an end, which nobody may cut short: 2 MiB that are buffered before it take as long at 300 kbit/s. */
const END_HEARD_MS = 60_000

/** A path that is gone says so in this time after its channels were closed. */
const PATH_TELLS_MS = 500
/** Who has opened a channel closes it within this time after all is said. */
const OPENER_CLOSES_MS = 2_000

/** What a stream of 16 pieces has taken from whoever writes, and read for whoever reads, in bytes. */
export const HIGH_WATER_BYTES = 16 * MESSAGE_BYTES

export interface StreamParts {
  readonly id: number
  readonly label: string
  /** Name of the peer at the far end. */
  readonly peer: string
  readonly resumeMs: number
  readonly budgets: { readonly sending: Budget; readonly receiving: Budget }
  /**
   * Called when its last channel was closed a while ago, and it has not been told what for; `newest` is the newest path on which it
   * had one.
   */
  readonly onAdrift: (newest: Turns) => void
  /** Called when the far side says what cannot be, which cuts the stream off. */
  readonly onLie: () => void
}

/** What a program reads from and writes to. */
export interface Facade {
  /** Takes bytes that have arrived, in their order, or null at their end. Returns whether it wants more. */
  push(bytes: Uint8Array | null): boolean
  /** Ends both halves; says `destroyed` to the core in the same turn, once. */
  destroy(error: Error): unknown
}

export class StreamCore {
  readonly id: number
  readonly label: string
  /** How long it waits for another path when its own is lost, in milliseconds. */
  readonly resumeMs: number
  /** Resolves once the far side serves the stream; rejects with its reason when it refuses. */
  readonly accepted: Promise<void>
  /** Resolves once nothing of this stream is left to do. */
  readonly settled: Promise<void>
  /** Resolves once the far side has heard the end of what was written here, or nothing is left to do. */
  readonly flushed: Promise<void>

  readonly #facade: Facade
  readonly #peer: string
  readonly #onAdrift: (newest: Turns) => void
  readonly #onLie: () => void
  readonly #acceptance = Promise.withResolvers<void>()
  readonly #settlement = Promise.withResolvers<void>()
  readonly #flush = Promise.withResolvers<void>()
  readonly #outgoing: Outgoing
  readonly #incoming: Incoming
  /** Its channels, the newest last. */
  #ends: End[] = []
  #newest: Turns | undefined
  /** The end on which this side sends. */
  #sending: End | undefined
  #isAccepted = false
  #isReading = false
  #isSettled = false
  #isDestroyed = false
  #abortReason: string | undefined
  #marking: Timer | undefined
  #markDueMs = 0
  #lingering: Timer | undefined
  #lingersMs = 0

  constructor({ id, label, peer, resumeMs, budgets, onAdrift, onLie }: StreamParts, facade: Facade) {
    this.#facade = facade
    this.id = id
    this.label = label
    this.resumeMs = resumeMs
    this.#peer = peer
    this.#onAdrift = onAdrift
    this.#onLie = onLie
    this.accepted = this.#acceptance.promise
    this.settled = this.#settlement.promise
    this.flushed = this.#flush.promise
    this.accepted.catch(() => {})
    this.#outgoing = new Outgoing(budgets.sending)
    this.#incoming = new Incoming(budgets.receiving)
  }

  /** The far side serves the stream, or has served it. */
  get isAccepted(): boolean {
    return this.#isAccepted
  }

  /** All has been written that will be, and the last of it is kept. */
  get isEnding(): boolean {
    return this.#outgoing.isEnding
  }

  /** Both halves are over. */
  get isDestroyed(): boolean {
    return this.#isDestroyed
  }

  /** Ends both halves. The far side is told why. */
  destroy(error: Error): void {
    this.#facade.destroy(error)
  }

  /** It was cut off on this side. */
  get isAborted(): boolean {
    return this.#abortReason !== undefined
  }

  /** Nothing of it is left to do. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  /** Bytes that were sent and are not known to have arrived. */
  get flyingBytes(): number {
    return this.#outgoing.flyingBytes
  }

  /** Bytes that are known to have arrived. */
  get arrivedBytes(): number {
    return this.#outgoing.arrivedBytes
  }

  /** It waits for a path. */
  get isAdrift(): boolean {
    return this.#ends.length === 0 && !this.#isSettled
  }

  /** Both sides have ended it: nothing but a confirmation is missing. */
  get isDone(): boolean {
    return this.#outgoing.isEnding && this.#incoming.isEnded
  }

  /**
   * Takes over a channel on another path, or its first one, on which no event has been handled yet.
   * @param isOffered the far side has opened the channel, and hears first where this side stands
   */
  attach(channel: Channel, turns: Turns, isOffered: boolean): void {
    const end = new End(channel, turns, isOffered, {
      sendOne: mostBytes => this.#sendOne(end, mostBytes),
      flyingBytes: () => (end === this.#sending ? this.#outgoing.aloftBytes : 0)
    })
    this.#ends.push(end)
    this.#newest = turns
    channel.onMessage(safely(message => this.#receive(end, message)))
    channel.onError(safely(() => this.detach(channel)))
    channel.onClosed(safely(() => this.#closed(end)))
    channel.setBufferedAmountLowThreshold(0)
    channel.onBufferedAmountLow(safely(() => turns.pump()))
    if (isOffered) this.#greet(end)
  }

  /** The path of this channel is gone. */
  detach(channel: Channel): void {
    const end = this.#ends.find(one => one.channel === channel)
    if (!end) return
    end.turns.leaves(end)
    this.#ends = this.#ends.filter(one => one !== end)
    if (this.#sending === end) this.#sending = undefined
    if (this.#abortReason !== undefined && this.#ends.length === 0) this.#finish()
  }

  /**
   * Call this when there will be no path any more, or the far side has forgotten the stream. A stream that has said and heard the
   * end does not need a path, and its reader still gets everything.
   */
  lose(reason: PosternError): void {
    if (!this.isDone) this.#facade.destroy(reason)
    this.#finish()
  }

  /** The reader wants more. */
  read(): void {
    this.#isReading = this.#incoming.read(bytes => this.#facade.push(bytes))
    this.#delivered()
  }

  /** Takes bytes; `done` is called when all of them are kept, with an error where they never will be. One chunk at a time. */
  write(chunk: Uint8Array, done: (error?: Error | null) => void): void {
    this.#outgoing.write(chunk, done)
    this.#wantTurn()
  }

  /** No more will be written. */
  end(): void {
    this.#outgoing.end()
    this.#wantTurn()
  }

  /** Both halves are over: they have ended, or the program has cut them off. */
  destroyed(error: Error | null): void {
    this.#isDestroyed = true
    const reason = error ?? this.#cutOff('it was closed here')
    this.#acceptance.reject(reason)
    this.#incoming.drop()
    if (this.isDone) this.#linger(END_HEARD_MS)
    else this.#abort(reasonOf(error), reason)
  }

  /** Whoever offered the channel hears first where this side stands. What it is told is also that the stream is served. */
  #greet(end: End): void {
    if (end.hasGreeted) return
    end.hasGreeted = true
    if (this.#abortReason !== undefined) this.#say(end, { type: 'abort', reason: this.#abortReason })
    else this.#say(end, { type: 'at', ...this.#incoming.standing() })
  }

  #abort(said: string, reason: Error): void {
    this.#abortReason = said
    this.#outgoing.drop(reason)
    this.#sending?.turns.leaves(this.#sending)
    for (const end of this.#ends) this.#say(end, { type: 'abort', reason: said })
    this.#linger(ABORT_HEARD_MS)
  }

  #wantTurn(): void {
    this.#sending?.turns.wants(this.#sending)
  }

  #sendOne(end: End, mostBytes: number): number {
    if (end !== this.#sending || this.#abortReason !== undefined) return 0
    const message = this.#outgoing.next(mostBytes)
    if (message.length === 0) {
      this.#sayEnd(end)
      return 0
    }
    const { length } = message
    if (!tell(() => end.channel.sendMessageBinary(message))) return 0
    this.#outgoing.sent(length)
    return length
  }

  #sayEnd(end: End): void {
    if (!this.#outgoing.isAllSent || end.hasSaidEnd) return
    end.hasSaidEnd = true
    this.#say(end, { type: 'end', total: this.#outgoing.total })
  }

  #receive(end: End, message: string | Uint8Array | ArrayBuffer): void {
    if (!this.#ends.includes(end)) return
    try {
      if (typeof message === 'string') this.#obey(end, parseStreamMessage(message))
      else this.#take(end, message instanceof Uint8Array ? message : new Uint8Array(message))
    } catch (thrown) {
      const { code, message: what } = asPosternError(thrown)
      if (code === 'bad-message') this.#onLie()
      this.#facade.destroy(new PosternError(code, `peer ${this.#peer}: ${what}`))
    }
  }

  #take(end: End, bytes: Uint8Array): void {
    if (this.#abortReason !== undefined) return
    const offset = end.next
    end.next += bytes.length
    const fresh = this.#incoming.take(offset, bytes)
    if (fresh.length === 0) return
    this.#isReading = this.#incoming.deliver(fresh, this.#isReading, piece => this.#facade.push(piece))
    this.#delivered()
  }

  #obey(end: End, message: StreamMessage | undefined): void {
    switch (message?.type) {
      case 'at':
        return this.#begin(end, message)
      case 'mark':
        return this.#stands(message)
      case 'from':
        if (message.offset > this.#incoming.received) throw new PosternError('bad-message', 'it leaves bytes out')
        end.next = message.offset
        return
      case 'end':
        return this.#ended(message.total)
      case 'abort':
        this.#facade.destroy(new PosternError('io', `peer ${this.#peer}: ${message.reason}`))
        return this.#finish()
    }
  }

  /** From now on this side sends here. */
  #begin(end: End, standing: Standing): void {
    if (end.hasBegun || this.#ends.at(-1) !== end) return
    end.hasBegun = true
    this.#greet(end)
    if (this.#abortReason !== undefined) return
    this.#sending?.turns.leaves(this.#sending)
    this.#sending = undefined
    this.#outgoing.stands(standing, true)
    if (this.#outgoing.isEndConfirmed) this.#flush.resolve()
    this.#goOn(end)
    this.#isAccepted = true
    this.#acceptance.resolve()
    this.#stood()
  }

  #stands(standing: Standing): void {
    if (this.#abortReason !== undefined) return
    const isElsewhere = this.#outgoing.stands(standing, false)
    if (this.#outgoing.isEndConfirmed) this.#flush.resolve()
    if (isElsewhere && this.#sending) this.#goOn(this.#sending)
    this.#stood()
  }

  /** Sends here from where the far side stands; it counts the bytes from there. */
  #goOn(end: End): void {
    const offset = this.#outgoing.sentTo
    if (offset > 0) this.#say(end, { type: 'from', offset })
    this.#sending = end
  }

  #stood(): void {
    this.#outgoing.fill()
    if (this.#lingering) this.#linger(this.#lingersMs)
    this.#finishWhenConfirmed()
    this.#wantTurn()
  }

  #ended(total: number): void {
    if (this.#abortReason !== undefined) return
    if (!this.#incoming.isEnded) this.#incoming.end(total)
    this.#mark()
    this.#delivered()
    this.#finishWhenConfirmed()
  }

  /** Says what was read, and the end of the reading half behind the last byte. */
  #delivered(): void {
    if (this.#incoming.isEnded && this.#incoming.isEmpty && !this.#isDestroyed) this.#facade.push(null)
    const { markWithinMs } = this.#incoming
    if (markWithinMs === 0) this.#mark()
    else if (markWithinMs !== undefined) this.#markWithin(markWithinMs)
  }

  #markWithin(ms: number): void {
    const dueMs = performance.now() + ms
    if (this.#marking && this.#markDueMs <= dueMs) return
    clearTimeout(this.#marking)
    this.#markDueMs = dueMs
    this.#marking = setTimeout(() => this.#mark(), ms)
  }

  /** On the newest path, where the far side has heard nothing later. */
  #mark(): void {
    clearTimeout(this.#marking)
    this.#marking = undefined
    const end = this.#ends.findLast(({ hasGreeted }) => hasGreeted)
    if (end && this.#abortReason === undefined) this.#say(end, { type: 'mark', ...this.#incoming.standing() })
  }

  #say(end: End, message: StreamMessage): void {
    tell(() => end.channel.sendMessage(streamText(message)))
  }

  #linger(waitMs: number): void {
    if (this.#isSettled) return
    clearTimeout(this.#lingering)
    // Its connection keeps the process, as long as there is one.
    this.#lingersMs = waitMs
    this.#lingering = idly(setTimeout(() => this.#finish(), waitMs))
    this.#finishWhenConfirmed()
  }

  #finishWhenConfirmed(): void {
    if (this.isDone && this.#outgoing.isEndConfirmed) this.#finish()
  }

  /** The far side closes a channel when all is said, or when it is gone, which its path then tells. */
  #closed({ channel }: End): void {
    this.detach(channel)
    const tell = () => this.isAdrift && this.#newest && this.#onAdrift(this.#newest)
    if (this.isAdrift) idly(setTimeout(tell, PATH_TELLS_MS))
  }

  #finish(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    clearTimeout(this.#marking)
    clearTimeout(this.#lingering)
    const ends = this.#ends
    this.#ends = []
    this.#sending = undefined
    for (const end of ends) {
      end.turns.leaves(end)
      this.#close(end)
    }
    this.#outgoing.drop(this.#cutOff('it is over'))
    this.#settlement.resolve()
    this.#flush.resolve()
  }

  /** Who has opened a channel closes it, so that the other side's last word is not dropped on its way into JavaScript. */
  #close({ channel, isOffered }: End): void {
    if (isOffered && this.isDone) idly(setTimeout(() => channel.close(), OPENER_CLOSES_MS))
    else channel.close()
  }

  #cutOff(why: string, cause?: unknown): PosternError {
    return new PosternError('io', `the stream "${this.label}" with peer ${this.#peer} was cut off: ${why}`, { cause })
  }
}

/** A stream on one path. */
class End implements Sender {
  readonly channel: Channel
  readonly turns: Turns
  readonly isOffered: boolean
  readonly sendOne: (mostBytes: number) => number
  readonly #flyingBytes: () => number
  /** The offset of the next bytes that arrive here. */
  next = 0
  /** It was said where this side stands. */
  hasGreeted = false
  /** It was heard where the far side stands. */
  hasBegun = false
  hasSaidEnd = false

  constructor(
    channel: Channel,
    turns: Turns,
    isOffered: boolean,
    stream: { sendOne: (mostBytes: number) => number; flyingBytes: () => number }
  ) {
    this.channel = channel
    this.turns = turns
    this.isOffered = isOffered
    this.sendOne = stream.sendOne
    this.#flyingBytes = stream.flyingBytes
  }

  get flyingBytes(): number {
    return this.#flyingBytes()
  }
}

/** False when the channel is closed. Its path tells, or the far side has closed it. */
function tell(send: () => void): boolean {
  try {
    send()
    return true
  } catch {
    return false
  }
}

function reasonOf(error: Error | null): string {
  if (error instanceof PosternError) return error.message.slice(0, 300)
  return error ? 'it failed' : 'it stopped'
}
