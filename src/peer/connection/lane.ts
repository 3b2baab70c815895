// One path under a connection: a transport, its control channel, whose turn it is on it, and whether anything is heard. What
// is said on the control channel is in control-message.ts. Libdatachannel needs 30 s or more to notice that the far side
// is gone; silence.ts notices sooner. Each side speaks of its own accord, so a queue that delays one direction never hides
// that the other one is alive.

import type { Timer } from '../../clock.ts'
import type { Media } from '../transport/media.ts'
import { type Channel, safely, type Transport } from '../transport/transport.ts'
import { type ControlMessage, controlText, parseControl } from './control-message.ts'
import type { OpenPath, Passes, PathReport, Quiet } from './path.ts'
import { Silence, TICK_MS } from './silence.ts'
import { SizeProof } from './size-proof.ts'
import { type Flight, Stall } from './stall.ts'
import { Turns } from './streams/turns.ts'

/** A far side that sends pings and does not take the answers gets no more answers. */
const MAX_CONTROL_BUFFERED_BYTES = 65_536

/** What is not about the path itself. */
export type Told = Exclude<ControlMessage, { type: 'ping' | 'pong' | 'alive' | 'sized' }>

export interface LaneHooks {
  readonly hears: (message: Told) => void
  /** A channel that the far side opened. */
  readonly offered: (channel: Channel) => void
  /** Nothing has been heard for a while (`silence`), though it should have been. */
  readonly silent: () => void
  /** An answer is due, and is asked for. */
  readonly quiet: () => void
  /** Something is heard again. */
  readonly heard: () => void
  /** The path is gone for good; called once. */
  readonly gone: () => void
  /** Whether full packets pass where small ones do: both ways at first, and later those that this side sends. */
  readonly sized: (fits: boolean, isFirst: boolean) => void
  /** What the streams have on their way. */
  readonly flight: () => Flight
  /** A message was broken or oversized. */
  readonly dropped: () => void
}

export class Lane {
  readonly path: PathReport
  /** The gateway's id of the session that found it. */
  readonly session: string
  readonly turns = new Turns()
  readonly media: Media | undefined
  /** As the gateway has told it last. */
  passes: Passes | undefined
  /** Resolves when the transport is closed. */
  readonly shut: Promise<void>
  readonly #transport: Transport
  readonly #control: Channel
  readonly #hooks: LaneHooks
  readonly #silence = new Silence()
  readonly #stall = new Stall()
  readonly #proof: SizeProof
  readonly #shutting = Promise.withResolvers<void>()
  readonly #pings = new Map<string, () => void>()
  /** The round trip as it was measured last, in milliseconds; 0 before. */
  #rttMs = 0
  readonly #timer: Timer
  #asking: { forget: () => void } | undefined
  /** A channel was closed before the lane began, so that nothing more is said of it. */
  readonly #wasClosed: boolean = false
  #isGone = false
  #isSilent = false

  /**
   * Takes over the events of the path. Streams may be waiting already, so what the hooks need has to be there in the same
   * turn.
   */
  constructor({ transport, control, sizing, media, path, session }: OpenPath, hooks: LaneHooks) {
    this.path = path
    this.session = session
    this.media = media
    this.shut = this.#shutting.promise
    this.#transport = transport
    this.#control = control
    this.#hooks = hooks
    // The library never lets go of a listener that is set after the last event, and that keeps the process alive.
    if (transport.state() !== 'closed') transport.onStateChange(safely(state => this.#stateChanged(state)))
    this.#proof = new SizeProof(sizing, path.mtu, {
      ping: answered => this.ping(answered),
      answer: () => this.say({ type: 'sized' }),
      decided: hooks.sized
    })
    try {
      control.onMessage(safely(message => this.#receive(message)))
      control.onError(safely(() => this.#lose()))
      control.onClosed(safely(() => this.#lose()))
      this.#proof.listen()
      transport.onDataChannel(safely(channel => hooks.offered(channel)))
    } catch {
      this.#wasClosed = true
    }
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  /** Call this once the hooks may be called: the path may be gone already. */
  begin(): void {
    if (this.#wasClosed) this.#lose()
    this.#stateChanged(this.#transport.state())
    if (!this.#isGone) this.#proof.begin()
  }

  /** Whether something is heard on it, as far as is known. */
  get isAlive(): boolean {
    return !this.#isGone && !this.#isSilent
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** For how long nothing has been heard, and how long ago an answer was asked for that has not come, in milliseconds. */
  get silence(): Quiet {
    const { quietMs, askedMs } = this.#silence
    return { quietMs, askedMs }
  }

  /** Opens a channel for a stream. Throws when the path is gone. */
  open(label: string, protocol: string): Channel {
    return this.#transport.createDataChannel(label, { protocol })
  }

  say(message: ControlMessage): void {
    try {
      this.#control.sendMessage(controlText(message))
    } catch {
      this.#lose()
    }
  }

  /** Calls `answered` with the round trip in milliseconds, unless it is forgotten before, or the path is gone. */
  ping(answered: (ms: number) => void): { forget: () => void } {
    const id = crypto.randomUUID()
    const startMs = performance.now()
    this.#pings.set(id, () => answered(performance.now() - startMs))
    this.say({ type: 'ping', id })
    return { forget: () => void this.#pings.delete(id) }
  }

  /** Closes the transport after a while, in which the last words pass. */
  close(afterMs = 0): void {
    this.#stop()
    const timer = setTimeout(() => this.#transport.close(), afterMs)
    this.shut.then(() => clearTimeout(timer))
  }

  #receive(text: string | Uint8Array | ArrayBuffer): void {
    const message = typeof text === 'string' ? parseControl(text) : undefined
    if (!message) return this.#hooks.dropped()
    switch (message.type) {
      case 'ping':
        if (this.#control.bufferedAmount() < MAX_CONTROL_BUFFERED_BYTES) this.say({ type: 'pong', id: message.id })
        return this.#proof.answeredPing()
      case 'pong':
        this.#pings.get(message.id)?.()
        return void this.#pings.delete(message.id)
      case 'sized':
        return this.#proof.answered()
      case 'alive':
      case 'unknown':
        return
      default:
        this.#hooks.hears(message)
    }
  }

  /** A path that is gone is not heard again. */
  #lose(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#stop()
    this.#hooks.gone()
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#proof.stop()
  }

  #stateChanged(state: string): void {
    if (state === 'failed' || state === 'disconnected' || state === 'closed') this.#lose()
    if (state === 'closed') setTimeout(() => this.#release())
  }

  /** A transport that the far side closed still holds its native half, for which the library's cleanup waits. */
  #release(): void {
    this.#transport.close()
    this.#shutting.resolve()
  }

  #tick(): void {
    if (this.#stall.tick(this.#hooks.flight(), this.#rttMs)) this.#proof.again()
    else if (this.#stall.hasMoved) this.#proof.arrives()
    const act = this.#silence.tick(this.#transport.bytesSent(), this.#transport.bytesReceived(), this.#rttMs)
    if (this.#silence.isMute()) this.say({ type: 'alive' })
    if (act === 'heard') this.#hears()
    else if (act === 'ask') this.#ask()
    else if (act === 'silent' && !this.#isSilent) {
      this.#isSilent = true
      this.#hooks.silent()
    }
  }

  #hears(): void {
    if (!this.#isSilent) return
    this.#isSilent = false
    this.#hooks.heard()
  }

  #ask(): void {
    if (this.#silence.isExpecting) this.#hooks.quiet()
    this.#asking?.forget()
    this.#asking = this.ping(ms => {
      this.#rttMs = ms
    })
  }
}
