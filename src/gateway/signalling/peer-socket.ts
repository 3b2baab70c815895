// The WebSocket of one peer, on which messages go out. It is terminated when the peer answers no ping or reads too slowly.

import type { WebSocket } from 'ws'
import { nowMs } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import type { FromGateway } from '../../wire/signal.ts'
import type { Link } from '../peers/joined.ts'
import type { Refusal } from '../recording/refusals.ts'

/** A link that did not answer a ping by the next one is dead: a NAT may have forgotten the TCP connection without a word. */
const PING_MS = 20_000

/** A peer with a larger backlog of unsent bytes reads too slowly. */
const BACKLOG_BYTES = 256 * 1024

/** Sends messages on a WebSocket; `gone` aborts when it closes. */
export class PeerSocket implements Link {
  readonly gone: AbortSignal
  readonly #ws: WebSocket
  #heardMs = nowMs()

  constructor(ws: WebSocket) {
    const gone = new AbortController()
    this.gone = gone.signal
    this.#ws = ws
    let alive = true
    const ping = setInterval(() => {
      if (!alive) return ws.terminate()
      alive = false
      ws.ping()
    }, PING_MS)
    ws.on('pong', () => {
      alive = true
      this.#heardMs = nowMs()
    })
    ws.on('message', () => {
      this.#heardMs = nowMs()
    })
    ws.on('close', () => {
      clearInterval(ping)
      gone.abort(new PosternError('peer-offline', 'a peer lost its connection to the gateway'))
    })
  }

  get heardMs(): number {
    return this.#heardMs
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
  refuse({ code, message, retryMs }: PosternError, refusal: Refusal | undefined): void {
    const again = retryMs === undefined ? {} : { retryMs }
    this.send({ type: 'refused', code, reason: message.slice(0, 1000), ...again, ...refusal })
    this.#ws.close(1008)
  }
}
