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
import { PROTOCOL } from '../../wire/identity/proof.ts'
import { type FromPeer, type Message, parseFromPeer } from '../../wire/signal.ts'
import { Full } from '../peers/full.ts'
import type { Joined } from '../peers/joined.ts'
import { networkOf } from '../shares/network.ts'
import type { Holder } from '../shares/shares.ts'
import type { JoinBound } from './counters.ts'
import { serve } from './desk.ts'
import { Inbox } from './inbox.ts'
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
  readonly #inbox: Inbox
  readonly #network: string
  #silent: NodeJS.Timeout | undefined
  #name: string | undefined
  #peer: Joined | undefined

  constructor(ws: WebSocket, newcomer: Newcomer, reception: Reception) {
    this.#ws = ws
    this.#reception = reception
    this.#link = new PeerSocket(ws)
    this.#newcomer = newcomer
    this.#network = networkOf(newcomer.from)
    const { pace, counters } = reception
    this.#inbox = new Inbox({
      ...{ ws, pace },
      holder: () => this.#holder,
      serve: (data, isBinary) => this.#serve(String(data), isBinary),
      slowed: () => counters.slowed++,
      flooded: () => this.#flooded()
    })
    ws.on('close', () => this.#over())
    ws.on('message', (data, isBinary) => {
      clearTimeout(this.#silent)
      this.#inbox.hear(data as Buffer, isBinary)
    })
    for (const frame of ['ping', 'pong']) ws.on(frame, () => this.#inbox.frame())
    // A frame was too large or malformed. A close follows, and is dealt with where it is heard.
    ws.on('error', () => counters.malformed++)
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

  get #holder(): Holder {
    return this.#peer?.account ?? { network: this.#network }
  }

  #serve(text: string, isBinary: boolean): void {
    // Messages that arrive after a refusal are ignored: nobody gets a second try on the same WebSocket.
    if (this.#ws.readyState !== this.#ws.OPEN) return
    try {
      if (isBinary) throw new PosternError('bad-message', 'a message is binary; expected JSON text')
      const message = parseFromPeer(text)
      this.#reception.pace.charge(this.#holder, message.type)
      if (this.#peer) return serve(this.#peer, message, this.#reception)
      if (message.type !== 'hello') throw new PosternError('bad-message', 'the first message must be a hello')
      void this.#inbox.hold(this.#join(message))
    } catch (thrown) {
      this.#refuse(asPosternError(thrown))
    }
  }

  async #join(message: Message<FromPeer, 'hello'>): Promise<void> {
    this.#name = message.name
    try {
      const hello = { message, nonce: this.#nonce, cameMs: this.#cameMs, newcomer: this.#newcomer }
      this.#peer = await join(hello, this.#link, this.#reception)
    } catch (thrown) {
      // Who has left meanwhile is told nothing.
      if (this.#ws.readyState === this.#ws.OPEN) this.#refuse(asPosternError(thrown))
    }
  }

  #over(): void {
    clearTimeout(this.#silent)
    this.#inbox.close()
  }

  #refuse(error: PosternError): void {
    const { counters, refusalLog, refusals } = this.#reception
    this.#over()
    if (error.code === 'bad-message') counters.malformed++
    if (error instanceof Full && error.bound in counters.full) counters.full[error.bound as JoinBound]++
    counters.refused++
    refusalLog.tell(error, this.#newcomer.from, this.#peer?.name)
    const stranger = {
      from: this.#newcomer.from,
      cameMs: this.#cameMs,
      ...(this.#name ? { name: this.#name } : {})
    }
    this.#link.refuse(error, this.#peer ? undefined : refusals.join(stranger, error))
  }

  /** So much waits of its network or certificate already that nothing is left to keep more in. */
  #flooded(): void {
    this.#reception.counters.flooded++
    this.#turnAway(new PosternError('bad-message', 'more was said at once than the gateway keeps; say it more slowly'))
  }

  /** A visitor that may have come only to hold a place gets no time to answer the close. */
  #turnAway(error: PosternError): void {
    this.#refuse(error)
    this.#ws.terminate()
  }
}
