// A connection to a door of the relay. Whoever dials proves itself over it as over UDP: a signed Binding request, the gateway's nonce,
// and the request again with it. TCP repeats what is lost, so nothing is sent twice.

import { once } from 'node:events'
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { PosternError } from '../../errors.ts'
import { FRAME_BYTES } from '../../wire/doors/framing.ts'
import { type Line, type LineEvents, tcpLine, webSocketLine } from '../../wire/doors/line.ts'
import { BINDING, type DecodedStun, decode, encode, transactionId } from '../../wire/stun.ts'
import { type Door, nameOf } from './door.ts'
import { diallingOf } from './proxy.ts'

/** By what a side is known, and signs. */
export interface Proof {
  readonly username: string
  readonly key: Buffer
}

/** A nonce comes once, and once more where it has just expired. */
const ROUNDS = 3

export class DoorLine {
  readonly door: Door
  onDatagram: (datagram: Buffer) => void = () => {}
  /** Called once, whoever has closed it. */
  onClosed: () => void = () => {}
  readonly #line: Line
  #isClosed = false
  #waiting: { transaction: Buffer; done: (answer: DecodedStun) => void; fail: (error: Error) => void } | undefined

  private constructor(door: Door, open: (events: LineEvents) => Line) {
    this.door = door
    this.#line = open({
      datagram: datagram => this.#receive(datagram),
      broken: () => this.close(),
      dropped: () => {},
      closed: () => this.#closed()
    })
  }

  /** Throws `io`, or what `signal` aborts with. */
  static async dial(door: Door, signal: AbortSignal): Promise<DoorLine> {
    try {
      return await (door.kind === 'tcp' ? overTcp(door, signal) : overWebSocket(door, signal))
    } catch (cause) {
      signal.throwIfAborted()
      const { message, code = message } = cause as NodeJS.ErrnoException
      throw new PosternError('io', `${nameOf(door)} (${code})`, { cause })
    }
  }

  static over(door: Door, open: (events: LineEvents) => Line): DoorLine {
    return new DoorLine(door, open)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  send(datagram: Uint8Array): void {
    this.#line.send(datagram)
  }

  close(): void {
    this.#line.close()
  }

  /** Resolves with the shortest of the round trips, in milliseconds. Throws `io`, or what `signal` aborts with. */
  async prove({ username, key }: Proof, signal: AbortSignal): Promise<number> {
    let nonce: Buffer | undefined
    let leastMs = Number.POSITIVE_INFINITY
    for (let round = 0; round < ROUNDS; round++) {
      const sentMs = performance.now()
      const answer = await this.#ask({ username, ...(nonce ? { nonce } : {}) }, key, signal)
      leastMs = Math.min(leastMs, performance.now() - sentMs)
      if (!answer.nonce) return leastMs
      nonce = answer.nonce
    }
    throw new PosternError('io', `${nameOf(this.door)} did not accept its own nonce`)
  }

  async #ask(said: { username: string; nonce?: Buffer }, key: Buffer, signal: AbortSignal): Promise<DecodedStun> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<DecodedStun>()
    const transaction = transactionId()
    const done = (answer: DecodedStun) => answer.verify(key) && resolve(answer)
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#waiting = { transaction, done, fail: reject }
    try {
      if (this.#isClosed) this.#closed()
      this.send(encode({ class: 'request', method: BINDING, transaction, ...said }, { key }))
      return await promise
    } finally {
      signal.removeEventListener('abort', abort)
      this.#waiting = undefined
    }
  }

  #receive(datagram: Buffer): void {
    const waiting = this.#waiting
    if (!waiting?.transaction.equals(datagram.subarray(8, 20))) return this.onDatagram(datagram)
    const answer = decode(datagram)
    if (answer?.class === 'success') waiting.done(answer)
  }

  #closed(): void {
    const isFirst = !this.#isClosed
    this.#isClosed = true
    this.#waiting?.fail(new PosternError('io', `${nameOf(this.door)} (closed by the gateway, or on the way)`))
    if (isFirst) this.onClosed()
  }
}

async function overTcp(door: Extract<Door, { kind: 'tcp' }>, signal: AbortSignal): Promise<DoorLine> {
  const socket = connect({ host: door.host, port: door.port, noDelay: true })
  try {
    await once(socket, 'connect', { signal })
    return DoorLine.over(door, events => tcpLine(socket, events))
  } catch (error) {
    socket.on('error', () => {})
    socket.destroy()
    throw error
  }
}

async function overWebSocket(door: Extract<Door, { kind: 'websocket' }>, signal: AbortSignal): Promise<DoorLine> {
  const { url, ca } = door
  const ws = new WebSocket(url, {
    maxPayload: FRAME_BYTES,
    perMessageDeflate: false,
    ...diallingOf(url),
    ...(ca ? { ca: [...ca] } : {})
  })
  try {
    await once(ws, 'open', { signal })
    return DoorLine.over(door, events => webSocketLine(ws, events))
  } catch (error) {
    ws.on('error', () => {})
    ws.terminate()
    throw error
  }
}
