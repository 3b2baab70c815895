// A connection is one open path to one peer: a transport, its control channel, and the streams that share it. The
// control channel carries versioned JSON, each message in one text:
//
//   ping { id } · pong { id }   a round trip, measured on request
//   alive                       said after 5 s of having said nothing, on any channel
//   bye                         this side leaves; answered with bye
//
// Unknown types are ignored; broken and oversized messages are counted and dropped. Libdatachannel needs 30 s or more to
// notice that the far side died. Here the connection is lost after 15 s without hearing anything. Each side speaks of its own
// accord, so a queue that delays one direction never hides that the other one is alive.
//
// `closed` tells everything that is built on the connection that it is over, with the reason. The streams end with it.

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { asPosternError, PosternError } from '../../errors.ts'
import { type Channel, safely, type Transport } from '../transport/transport.ts'
import { parseVersioned, Stream } from './stream.ts'

export interface PathReport {
  /** The plugin that found it. */
  by: string
  kind: 'direct' | 'relay'
  local: string
  remote: string
  /** Milliseconds from the connect request to the open channel. */
  ms: number
  trace: string
}

export interface FarPeer {
  readonly name: string
  readonly fingerprint: string
  /** Whether it has joined under that name. If not, the gateway has made the name up. */
  readonly named?: boolean
}

export interface ConnectionParts {
  transport: Transport
  /** Negotiated, id 0, open on both sides. */
  control: Channel
  peer: FarPeer
  path: PathReport
}

/**
 * Serves a stream that the far side opened. If it returns a promise, that is awaited; any other value is ignored. If it
 * throws, the stream ends and the far side is told the error's message.
 */
export type Serve = (stream: Stream) => unknown

/** Silence is counted in ticks of a timer, not by the clock: the time in which a computer slept is no silence. */
const TICK_MS = 1_000
const SPEAK_AFTER_TICKS = 5
const LOST_AFTER_TICKS = 15
/** How long the answer to bye is waited for. */
const BYE_MS = 2_000
/**
 * How long `close` waits until the far side has heard the end of streams that are done here. The streams give up before that.
 */
const SETTLE_MS = 65_000
/** Bounds the memory that a peer can fill: each stream has a window of 4 MiB. */
const MAX_STREAMS = 128
/**
 * As many streams again are refused with the reason, which takes a while each. Channels beyond these are closed without a
 * word.
 */
const MAX_STREAMS_AND_REFUSALS = 2 * MAX_STREAMS
/** A far side that sends pings and does not take the answers gets no more answers. */
const MAX_CONTROL_BUFFERED_BYTES = 65_536

type ControlMessage = { type: 'ping' | 'pong'; id: string } | { type: 'alive' } | { type: 'bye' }

export class Connection {
  readonly peer: FarPeer
  readonly path: PathReport
  /** Aborted with a PosternError (`io`) when the connection is over, whoever ended it. */
  readonly closed: AbortSignal
  /** Number of control messages that were broken or oversized. */
  droppedMessages = 0

  readonly #transport: Transport
  readonly #control: Channel
  readonly #over = new AbortController()
  readonly #streams = new Set<Stream>()
  readonly #services = new Map<string, Serve>()
  readonly #pings = new Map<string, () => void>()
  readonly #shut = Promise.withResolvers<void>()
  readonly #byeHeard = Promise.withResolvers<void>()
  readonly #timer: NodeJS.Timeout
  #leaving: Promise<void> | undefined

  /**
   * Takes over the events of `transport` and `control`. Call `serve` in the same turn, because streams may be waiting
   * already.
   */
  constructor({ transport, control, peer, path }: ConnectionParts) {
    this.peer = peer
    this.path = path
    this.closed = this.#over.signal
    this.#transport = transport
    this.#control = control
    // The library never lets go of a listener that is set after the last event, and that keeps the process alive.
    if (transport.state() !== 'closed') transport.onStateChange(safely(state => this.#stateChanged(state)))
    transport.onDataChannel(safely(channel => this.#offered(channel)))
    control.onClosed(safely(() => this.#lost()))
    control.onError(safely(() => this.#lost()))
    control.onMessage(safely(message => this.#receive(message)))
    this.#timer = setInterval(this.#listen(), TICK_MS)
    this.#stateChanged(transport.state())
  }

  /** Serves streams with this label. A stream whose label nobody serves is refused, and the far side is told so. */
  serve(label: string, serve: Serve): void {
    this.#services.set(label, serve)
  }

  /** Opens a stream to the service `label` of the peer; throws `io` when it is refused or the connection is over. */
  async open(label: string): Promise<Stream> {
    this.closed.throwIfAborted()
    const channel = this.#transport.createDataChannel(label)
    const stream = this.#keep(channel, label)
    stream.on('error', () => {})
    await stream.accepted
    return stream
  }

  /** The round trip over the control channel, in ms; throws `io` when the connection is over before the answer. */
  async ping(): Promise<number> {
    this.closed.throwIfAborted()
    const id = randomUUID()
    const answered = Promise.withResolvers<number>()
    const startMs = performance.now()
    const fail = () => answered.reject(this.closed.reason)
    this.closed.addEventListener('abort', fail, { once: true })
    this.#pings.set(id, () => answered.resolve(performance.now() - startMs))
    this.#say({ type: 'ping', id })
    return answered.promise.finally(() => {
      this.#pings.delete(id)
      this.closed.removeEventListener('abort', fail)
    })
  }

  /**
   * Ends the connection in order and resolves when the transport is closed. It may be called at any time, and more than once.
   */
  close(): Promise<void> {
    this.#leaving ??= this.#leave()
    return this.#leaving
  }

  async #leave(): Promise<void> {
    if (!this.closed.aborted) {
      await this.#within(SETTLE_MS, this.#finishing())
      this.#say({ type: 'bye' })
      await this.#within(BYE_MS, this.#byeHeard.promise)
      this.#end(`the connection to peer ${this.peer.name} was closed`)
    }
    await this.#shut.promise
  }

  async #finishing(): Promise<void> {
    const finishing = [...this.#streams].filter(stream => stream.writableFinished || stream.destroyed)
    await Promise.all(finishing.map(stream => stream.settled))
  }

  /** Waits for `work`, for `waitMs`, or for the end of the connection, whichever comes first. */
  async #within(waitMs: number, work: Promise<void>): Promise<void> {
    const over = AbortSignal.any([this.closed])
    const timer = new AbortController()
    const late = sleep(waitMs, undefined, { signal: AbortSignal.any([over, timer.signal]) }).catch(() => {})
    await Promise.race([work, late])
    timer.abort()
  }

  #end(message: string, shutAfterMs = 0): void {
    if (this.closed.aborted) return
    const reason = new PosternError('io', message)
    clearInterval(this.#timer)
    this.#over.abort(reason)
    for (const stream of this.#streams) stream.lose(reason)
    const timer = setTimeout(() => this.#transport.close(), shutAfterMs)
    this.#shut.promise.then(() => clearTimeout(timer))
  }

  #lost(): void {
    this.#end(`the connection to peer ${this.peer.name} was lost`)
  }

  #stateChanged(state: string): void {
    if (state === 'failed' || state === 'disconnected' || state === 'closed') this.#lost()
    if (state === 'closed') setImmediate(() => this.#release())
  }

  /** A transport that the far side closed still holds its native half, for which the library's cleanup waits. */
  #release(): void {
    this.#transport.close()
    this.#shut.resolve()
  }

  #offered(channel: Channel): void {
    if (this.#streams.size >= MAX_STREAMS_AND_REFUSALS) return closeAtOnce(channel)
    const stream = this.#keep(channel, channel.getLabel())
    stream.on('error', () => {})
    const serve = this.#services.get(stream.label)
    if (!serve) stream.destroy(new PosternError('io', `it does not serve "${stream.label.slice(0, 60)}"`))
    else if (this.#streams.size > MAX_STREAMS) stream.destroy(new PosternError('io', 'it has too many streams open'))
    else this.#begin(serve, stream)
  }

  async #begin(serve: Serve, stream: Stream): Promise<void> {
    try {
      stream.grant()
      await serve(stream)
    } catch (error) {
      stream.destroy(asPosternError(error))
    }
  }

  #keep(channel: Channel, label: string): Stream {
    const stream = new Stream(channel, label, this.peer.name)
    this.#streams.add(stream)
    stream.settled.then(() => this.#streams.delete(stream))
    return stream
  }

  #receive(text: string | Buffer | ArrayBuffer): void {
    const message = typeof text === 'string' ? parseControl(text) : undefined
    switch (message?.type) {
      case 'ping':
        if (this.#control.bufferedAmount() < MAX_CONTROL_BUFFERED_BYTES) this.#say({ type: 'pong', id: message.id })
        break
      case 'pong':
        this.#pings.get(message.id)?.()
        break
      case 'bye':
        this.#farewell()
        break
      case 'alive':
      case 'unknown':
        break
      case undefined:
        this.droppedMessages += 1
    }
  }

  #farewell(): void {
    this.#byeHeard.resolve()
    if (this.#leaving) return
    this.#say({ type: 'bye' })
    this.#end(`peer ${this.peer.name} closed the connection`, BYE_MS)
  }

  #say(message: ControlMessage): void {
    try {
      this.#control.sendMessage(JSON.stringify({ v: 1, ...message }))
    } catch {
      this.#lost()
    }
  }

  /** Counts ticks in which not a byte was sent or received on any channel. */
  #listen(): () => void {
    const said = { bytes: 0, quietTicks: 0 }
    const heard = { bytes: 0, quietTicks: 0 }
    return () => {
      count(said, this.#transport.bytesSent())
      count(heard, this.#transport.bytesReceived())
      if (heard.quietTicks >= LOST_AFTER_TICKS) this.#lost()
      else if (said.quietTicks >= SPEAK_AFTER_TICKS) this.#say({ type: 'alive' })
    }
  }
}

/** Closes a channel with a listener on it. Without one, node-datachannel 0.33.4 crashes at the end of the process. */
function closeAtOnce(channel: Channel): void {
  channel.onClosed(() => {})
  channel.close()
}

function count(silence: { bytes: number; quietTicks: number }, bytes: number): void {
  silence.quietTicks = bytes === silence.bytes ? silence.quietTicks + 1 : 0
  silence.bytes = bytes
}

function parseControl(text: string): ControlMessage | { type: 'unknown' } | undefined {
  const message = parseVersioned(text)
  switch (message?.type) {
    case 'ping':
    case 'pong':
      return typeof message.id === 'string' && message.id.length <= 64
        ? { type: message.type, id: message.id }
        : undefined
    case 'alive':
    case 'bye':
      return { type: message.type }
    default:
      return typeof message?.type === 'string' ? { type: 'unknown' } : undefined
  }
}
