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
import { Inbox, type Owner } from './inbox.ts'
import { join } from './join.ts'
import type { Pace } from './pace.ts'
import { PeerSocket } from './peer-socket.ts'
import type { Newcomer, Reception } from './reception.ts'

/** A stranger that opens a WebSocket and sends no hello for this long is turned away. */
const HELLO_MS = 10_000

/** Serves one WebSocket until it closes. Never throws. */
export function receive(ws: WebSocket, newcomer: Newcomer, reception: Reception): void {
  new Visitor(ws, newcomer, reception).challenge()
}

/** Somebody who has not joined yet: none of it is kept afterwards. */
interface Stranger {
  readonly nonce: string
  readonly cameMs: number
  readonly newcomer: Newcomer
  readonly network: string
  /** Until a hello comes. */
  silent?: NodeJS.Timeout
  /** The name that it has asked for. */
  name?: string | undefined
}

/** Somebody who has opened a WebSocket: a stranger at first, then a peer. */
class Visitor implements Owner {
  readonly ws: WebSocket
  readonly #reception: Reception
  readonly #link: PeerSocket
  readonly #inbox: Inbox
  /** Undefined once it has joined, as `#peer` is until then. */
  #stranger: Stranger | undefined
  #peer: Joined | undefined
  readonly #from: string

  constructor(ws: WebSocket, newcomer: Newcomer, reception: Reception) {
    this.ws = ws
    this.#reception = reception
    this.#link = new PeerSocket(ws)
    this.#from = newcomer.from
    const network = networkOf(newcomer.from)
    this.#stranger = { nonce: randomBytes(32).toString('base64'), cameMs: nowMs(), newcomer, network }
    this.#inbox = new Inbox(this)
    this.#listen()
  }

  /** One listener for each event, since thousands of peers have them all the time. */
  #listen(): void {
    const { ws } = this
    ws.on('message', (data, isBinary) => this.#hear(data as Buffer, isBinary))
    const frame = () => this.#frame()
    ws.on('ping', frame)
    ws.on('pong', frame)
    ws.on('close', code => this.#closed(code))
    // A frame was too large or malformed. A close follows, and is dealt with where it is heard.
    ws.on('error', () => this.#reception.counters.malformed++)
  }

  challenge(): void {
    const { seats, helloMs = HELLO_MS } = this.#reception.door
    const stranger = this.#stranger as Stranger
    stranger.newcomer.whenShed(() => {
      if (!this.#peer)
        this.#turnAway(
          new Full('strangers', 'too many others are just joining', {
            retryMs: seats.retryMs()
          })
        )
    })
    stranger.silent = setTimeout(() => this.#turnAway(new PosternError('timeout', 'no hello came')), helloMs)
    this.#link.send({ type: 'challenge', v: PROTOCOL, nonce: stranger.nonce })
  }

  get holder(): Holder {
    return this.#peer?.account ?? { network: this.#stranger?.network ?? '' }
  }

  get pace(): Pace {
    return this.#reception.pace
  }

  slowed(): void {
    this.#reception.counters.slowed++
  }

  /** So much waits of its network or certificate already that nothing is left to keep more in. */
  flooded(): void {
    this.#reception.counters.flooded++
    this.#turnAway(new PosternError('bad-message', 'more was said at once than the gateway keeps; say it more slowly'))
  }

  #hear(data: Buffer, isBinary: boolean): void {
    this.#link.heard()
    clearTimeout(this.#stranger?.silent)
    this.#inbox.hear(data, isBinary)
  }

  #frame(): void {
    this.#link.heard()
    this.#inbox.frame()
  }

  #closed(code: number): void {
    this.#link.closed(code)
    this.#over()
  }

  serve(data: Buffer, isBinary: boolean): void {
    // Messages that arrive after a refusal are ignored: nobody gets a second try on the same WebSocket.
    if (this.ws.readyState !== this.ws.OPEN) return
    try {
      if (isBinary) throw new PosternError('bad-message', 'a message is binary; expected JSON text')
      const message = parseFromPeer(String(data))
      this.pace.charge(this.holder, message.type)
      if (this.#peer) return serve(this.#peer, message, this.#reception)
      if (message.type !== 'hello') throw new PosternError('bad-message', 'the first message must be a hello')
      void this.#inbox.hold(this.#join(message, this.#stranger as Stranger))
    } catch (thrown) {
      this.#refuse(asPosternError(thrown))
    }
  }

  async #join(message: Message<FromPeer, 'hello'>, stranger: Stranger): Promise<void> {
    stranger.name = message.name || undefined
    try {
      this.#peer = await join({ message, ...stranger }, this.#link, this.#reception)
      this.#stranger = undefined
    } catch (thrown) {
      // Who has left meanwhile is told nothing.
      if (this.ws.readyState === this.ws.OPEN) this.#refuse(asPosternError(thrown))
    }
  }

  #over(): void {
    clearTimeout(this.#stranger?.silent)
    this.#inbox.close()
  }

  #refuse(error: PosternError): void {
    const { counters, refusalLog, refusals } = this.#reception
    this.#over()
    if (error.code === 'bad-message') counters.malformed++
    if (error instanceof Full && error.bound in counters.full) counters.full[error.bound as JoinBound]++
    counters.refused++
    refusalLog.tell(error, this.#from, this.#peer?.name)
    this.#link.refuse(error, this.#stranger && refusals.join({ from: this.#from, ...this.#stranger }, error))
  }

  /** A visitor that may have come only to hold a place gets no time to answer the close. */
  #turnAway(error: PosternError): void {
    this.#refuse(error)
    this.ws.terminate()
  }
}
