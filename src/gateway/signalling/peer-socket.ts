// The WebSocket of one peer, on which messages go out. It is terminated when the peer answers no ping or reads too slowly.
//
//   heard ─► nothing for 11 s ─► ping ─► nothing for 3 s ─► silent ─► nothing for 7 s more ─► terminated
//     └───────── heard ◄───────────┴──────── heard ◄───────────┘
//
// A peer of this release pings every 10 s itself, so it is hardly ever asked.

import type { WebSocket } from 'ws'
import { nowMs } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import type { FromGateway } from '../../wire/signal.ts'
import type { Link } from '../peers/joined.ts'
import type { Refusal } from '../recording/refusals.ts'

/** A link on which nothing was heard for so long is pinged: a NAT may have forgotten the TCP connection without a word. */
export const PING_MS = 11_000

/** After so long without an answer the peer is silent, and after this much more the link is dead, in milliseconds. */
const ANSWER_MS = 3000
const DEAD_MS = 7000

/** A peer with a larger backlog of unsent bytes reads too slowly. */
const BACKLOG_BYTES = 256 * 1024

/** How long a peer that came by another link has to close this one, in milliseconds: if it is there at all. */
const REPLACED_MS = 1000

/** Closed by a WebSocket that was lost without a close frame (RFC 6455 section 7.4.1). */
const ABNORMAL = 1006

/** Sends messages on a WebSocket; `gone` aborts when it closes. */
export class PeerSocket implements Link {
  readonly gone: AbortSignal
  readonly #ws: WebSocket
  readonly #gone = new AbortController()
  #heardMs = nowMs()
  #timer: NodeJS.Timeout
  #isSilent = false
  #isLeft = false

  constructor(ws: WebSocket) {
    this.gone = this.#gone.signal
    this.#ws = ws
    this.#timer = setTimeout(() => this.#look(), PING_MS)
    for (const event of ['ping', 'pong', 'message']) ws.on(event, () => this.#heard())
    ws.on('close', code => {
      clearTimeout(this.#timer)
      this.#isLeft = code !== ABNORMAL
      this.#gone.abort(lost)
    })
  }

  get heardMs(): number {
    return this.#heardMs
  }

  get isSilent(): boolean {
    return this.#isSilent
  }

  get isLeft(): boolean {
    return this.#isLeft
  }

  hail(): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#ws.ping()
  }

  send(message: FromGateway): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    if (this.#ws.bufferedAmount > BACKLOG_BYTES) return this.#ws.terminate()
    this.#ws.send(JSON.stringify(message))
  }

  /** Tells the peer why, and closes with 1008 for a policy violation (RFC 6455 section 7.4.1). */
  refuse({ code, message, retryMs }: PosternError, refusal?: Refusal): void {
    const again = retryMs === undefined ? {} : { retryMs }
    this.send({ type: 'refused', code, reason: message.slice(0, 1000), ...again, ...refusal })
    this.#ws.close(1008)
  }

  /** The same peer has come by another link. This one is most likely dead, so nobody waits until it is closed. */
  replace(): void {
    this.#gone.abort(lost)
    this.refuse(new PosternError('gateway-unreachable', 'this peer has joined again by another connection'))
    setTimeout(() => this.#ws.terminate(), REPLACED_MS).unref()
  }

  #heard(): void {
    this.#heardMs = nowMs()
    this.#isSilent = false
  }

  /** What was heard while nobody looked puts the next look off: so a link has one timer, which is rarely set. */
  #look(): void {
    const restMs = Math.ceil(this.#heardMs + PING_MS - nowMs())
    if (restMs > 0) return this.#after(Math.min(restMs, PING_MS), () => this.#look())
    const askedMs = nowMs()
    this.hail()
    this.#ifUnheard(askedMs, ANSWER_MS, () => {
      this.#isSilent = true
      this.#ifUnheard(askedMs, DEAD_MS, () => this.#ws.terminate())
    })
  }

  /** An answer that came while this process was busy is read first. */
  #ifUnheard(sinceMs: number, waitMs: number, run: () => void): void {
    const judge = () => (this.#heardMs >= sinceMs ? this.#look() : run())
    this.#after(waitMs, () => setImmediate(judge))
  }

  #after(waitMs: number, run: () => void): void {
    if (!this.gone.aborted) this.#timer = setTimeout(run, waitMs)
  }
}

const lost = new PosternError('peer-offline', 'a peer lost its connection to the gateway')
