// One WebSocket of one peer: challenge, hello, welcome, then messages until it closes. Messages of a peer are rate limited,
// parsed and handed on, in their order: what comes while a name is being written waits for that. A wrong message is answered
// with one sentence and a code.
//
//   stranger ─► challenge ─► hello ─► joined (join.ts) ─► messages (desk.ts) ─► closed
//        └───────────┴─────────┴──────────────┴─► refused, closed

import { randomBytes } from 'node:crypto'
import type { WebSocket } from 'ws'
import { nowMs } from '../../clock.ts'
import { asPosternError, PosternError } from '../../errors.ts'
import { TokenBucket } from '../../token-bucket.ts'
import { type FromPeer, type Message, PROTOCOL, parseFromPeer } from '../../wire/signal.ts'
import { Full } from '../peers/full.ts'
import type { Joined } from '../peers/joined.ts'
import type { JoinBound } from './counters.ts'
import { serve } from './desk.ts'
import { join } from './join.ts'
import { PeerSocket } from './peer-socket.ts'
import type { Newcomer, Reception } from './reception.ts'

/** A stranger that opens a WebSocket and sends no hello for this long is turned away. */
const HELLO_MS = 10_000

/** Serves one WebSocket until it closes. Never throws. */
export function receive(ws: WebSocket, newcomer: Newcomer, reception: Reception): void {
  new Visitor(ws, newcomer, reception).challenge()
}

/** Somebody who has opened a WebSocket: a stranger at first, then a peer. */
class Visitor {
  readonly #ws: WebSocket
  readonly #reception: Reception
  readonly #link: PeerSocket
  readonly #nonce = randomBytes(32).toString('base64')
  readonly #cameMs = nowMs()
  readonly #newcomer: Newcomer
  readonly #pace: TokenBucket
  #silent: NodeJS.Timeout | undefined
  #name: string | undefined
  #peer: Joined | undefined
  /** What it said while it is joining; undefined at any other time. */
  #early: Said[] | undefined

  constructor(ws: WebSocket, newcomer: Newcomer, reception: Reception) {
    this.#ws = ws
    this.#reception = reception
    this.#link = new PeerSocket(ws)
    this.#newcomer = newcomer
    const { messagesPerSecond: perSecond } = reception
    // At most one second's worth of messages is saved up.
    this.#pace = new TokenBucket({ perSecond, capacity: perSecond })
    ws.on('close', () => clearTimeout(this.#silent))
    ws.on('message', (data, isBinary) => this.#heard(String(data), isBinary))
    // A frame was too large or malformed. A close follows, and is dealt with where it is heard.
    ws.on('error', () => reception.counters.malformed++)
  }

  challenge(): void {
    const { seats, helloMs = HELLO_MS } = this.#reception.door
    this.#newcomer.whenShed(() => {
      if (!this.#peer)
        this.#turnAway(
          new Full('strangers', 'too many others are just joining', {
            retryMs: seats.retryMs()
          })
        )
    })
    this.#silent = setTimeout(() => this.#turnAway(new PosternError('timeout', 'no hello came')), helloMs)
    this.#link.send({ type: 'challenge', v: PROTOCOL, nonce: this.#nonce })
  }

  #heard(text: string, isBinary: boolean): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    this.#pace.charge(1)
    this.#slowDown(this.#pace.untilMs(0))
    if (this.#early) this.#early.push({ text, isBinary })
    else this.#hear(text, isBinary)
  }

  #hear(text: string, isBinary: boolean): void {
    // Messages that arrive after a refusal are ignored: nobody gets a second try on the same WebSocket.
    if (this.#ws.readyState !== this.#ws.OPEN) return
    try {
      if (isBinary) throw new PosternError('bad-message', 'a message is binary; expected JSON text')
      const message = parseFromPeer(text)
      if (this.#peer) return serve(this.#peer, message, this.#reception)
      if (message.type !== 'hello') throw new PosternError('bad-message', 'the first message must be a hello')
      void this.#join(message)
    } catch (thrown) {
      this.#refuse(asPosternError(thrown))
    }
  }

  /** Nothing is read meanwhile, but one segment may have brought more than the hello. */
  async #join(message: Message<FromPeer, 'hello'>): Promise<void> {
    const early: Said[] = []
    this.#early = early
    this.#name = message.name
    clearTimeout(this.#silent)
    this.#ws.pause()
    try {
      const hello = { message, nonce: this.#nonce, cameMs: this.#cameMs, newcomer: this.#newcomer }
      this.#peer = await join(hello, this.#link, this.#reception)
    } catch (thrown) {
      // Who has left meanwhile is told nothing.
      if (this.#ws.readyState === this.#ws.OPEN) this.#refuse(asPosternError(thrown))
    }
    this.#early = undefined
    this.#ws.resume()
    for (const { text, isBinary } of early) this.#hear(text, isBinary)
  }

  #refuse(error: PosternError): void {
    const { counters, log, refusals } = this.#reception
    clearTimeout(this.#silent)
    if (error.code === 'bad-message') counters.malformed++
    if (error instanceof Full && error.bound in counters.full) counters.full[error.bound as JoinBound]++
    counters.refused++
    log.info({ code: error.code, from: this.#newcomer.from, peer: this.#peer?.name }, `refused: ${error.message}`)
    const stranger = { from: this.#newcomer.from, cameMs: this.#cameMs, ...(this.#name ? { name: this.#name } : {}) }
    this.#link.refuse(error, this.#peer ? undefined : refusals.join(stranger, error))
  }

  /** A visitor that may have come only to hold a place gets no time to answer the close. */
  #turnAway(error: PosternError): void {
    this.#refuse(error)
    this.#ws.terminate()
  }

  /** Stops reading for a while from a peer that sends too much. TCP holds the peer back, and nothing it sent is lost. */
  #slowDown(restMs: number): void {
    if (restMs === 0 || this.#ws.isPaused) return
    this.#reception.counters.slowed++
    this.#ws.pause()
    setTimeout(() => this.#ws.resume(), restMs)
  }
}

interface Said {
  readonly text: string
  readonly isBinary: boolean
}
