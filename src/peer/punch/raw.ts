// A UDP socket of the peer's own, before node-datachannel takes over its port. It sends requests to the gateway's STUN ports,
// and later it sends and hears probes.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { PosternError } from '../../errors.ts'
import { type Endpoint, formatEndpoint } from '../../wire/endpoint.ts'
import { knockIn } from '../../wire/forward.ts'
import { BINDING, type DecodedStun, decode, encode, type StunMessage, transactionId } from '../../wire/stun.ts'
import { candidatePort, isHeld, restPort } from './candidate-ports.ts'

/**
 * How many ports are tried before giving up. There are thousands to choose from, so a few are enough unless nearly all are
 * taken.
 */
const BINDS = 50

/** Files that sockets leave free at the limit: a handover, a resolver, a record on the disk and the like need some. */
const SPARE_FILES = 16

/**
 * Milliseconds after which a request is sent again, and at last given up. RFC 8489 section 6.2.1 starts with 500 ms and waits
 * 39.5 s in all. Here a person waits for the first answer, and a lost datagram should not cost half a second.
 */
const RETRANSMIT_MS = [100, 200, 400, 800, 1000] as const

/** How long an answer may be on its way that a socket waits for before it is let go, in milliseconds since it was asked for. */
const QUIET_MS = 20

/** The most requests of which is remembered that they were not answered. */
const MOST_ASKED = 64

export interface Answer {
  readonly message: DecodedStun
  readonly source: Endpoint
  readonly rttMs: number
}

export class RawSocket {
  readonly port: number
  /** Gets every datagram that no request was waiting for. */
  onDatagram: (datagram: Buffer, source: RemoteInfo) => void = () => {}
  /** Gets the nonce of each knock, by which the gateway proves that a forward leads here, whatever else goes on. */
  onKnock: (nonce: Buffer) => void = () => {}
  readonly #socket: Socket
  readonly #waiting = new Map<string, { key: Buffer; done: (message: DecodedStun, source: Endpoint) => void }>()
  /** Requests that were not answered yet, also given up ones, and when they left. */
  readonly #asked = new Map<string, number>()
  #leastRttMs = Number.POSITIVE_INFINITY
  #onQuiet: () => void = () => {}
  readonly #closed: Promise<void>
  #hasRoute = true

  private constructor(socket: Socket) {
    this.#socket = socket
    this.port = socket.address().port
    // With `once`, an error of the socket would make a rejection that nobody waits for.
    this.#closed = new Promise(resolve => socket.once('close', resolve))
    socket.on('message', (datagram, source) => this.#receive(datagram, source))
    socket.on('error', () => {})
  }

  /**
   * Binds a port that node-datachannel may take over. Throws `io` when none is free, or too many files are open.
   * @param farFrom ports of which the new one is far, at most two
   */
  static async bind(farFrom: readonly number[] = []): Promise<RawSocket> {
    for (let tries = 0; tries < BINDS; tries++) {
      const socket = createSocket('udp4')
      try {
        socket.bind(candidatePort(farFrom), '0.0.0.0')
        await once(socket, 'listening')
        return new RawSocket(socket)
      } catch (cause) {
        socket.close()
        if (isFileLimit(cause)) throw new PosternError('io', 'too many open files for another UDP socket', { cause })
      }
    }
    throw new PosternError('io', 'no free UDP port was found')
  }

  /** Binds this very port. Undefined if somebody has it, or it is just being handed over. Throws `io` if it may not be bound. */
  static async bindAt(port: number): Promise<RawSocket | undefined> {
    if (isHeld(port)) return undefined
    const socket = createSocket('udp4')
    try {
      socket.bind(port, '0.0.0.0')
      await once(socket, 'listening')
      return new RawSocket(socket)
    } catch (cause) {
      socket.close()
      if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined
      throw new PosternError('io', `UDP port ${port} cannot be bound: ${(cause as Error).message}`, { cause })
    }
  }

  /**
   * Binds `count` sockets, or as many as there are ports and open files for: some files stay free, for what comes after them.
   * Never throws. 256 sockets take 4 to 15 ms.
   */
  static async bindMany(count: number): Promise<RawSocket[]> {
    const tries = await Promise.allSettled(Array.from({ length: count }, () => RawSocket.bind()))
    const bound = tries.filter(tried => tried.status === 'fulfilled').map(({ value }) => value)
    const spare = bound.length < count ? bound.splice(0, SPARE_FILES) : []
    await Promise.all(spare.map(raw => raw.close()))
    return bound
  }

  /** False if the last datagram could not even leave: this host has no IPv4, or no way out for it. */
  get hasRoute(): boolean {
    return this.#hasRoute
  }

  /** An error in sending is treated as a loss, because a datagram may get lost anyway. */
  send(datagram: Uint8Array, to: Endpoint): void {
    try {
      this.#socket.send(datagram, to.port, to.address, error => {
        this.#hasRoute = (error as NodeJS.ErrnoException | null)?.code !== 'ENETUNREACH'
      })
    } catch {
      // This is thrown at once for port 0, which a far side may claim as its source, and after the socket was closed.
    }
  }

  /**
   * Sends a Binding request until its answer comes. Throws `timeout` if none does, or what `signal` aborts with.
   * @param key for the MESSAGE-INTEGRITY of both messages
   * @param may is asked before each transmission, whether it may leave
   */
  async request(
    to: Endpoint,
    message: Omit<StunMessage, 'class' | 'method' | 'transaction'>,
    key: Buffer,
    signal: AbortSignal,
    may: () => boolean = () => true
  ): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const sent: string[] = []
    const abort = () => reject(signal.reason)
    let timer: NodeJS.Timeout | undefined
    const transmit = (count: number) => {
      if (count === RETRANSMIT_MS.length)
        return reject(new PosternError('timeout', `${formatEndpoint(to)} does not answer`))
      // Each transmission has an id of its own. The answer then tells which transmission the round trip is measured from.
      const transaction = transactionId()
      const sentMs = performance.now()
      const done = (answer: DecodedStun, source: Endpoint) => {
        const rttMs = performance.now() - sentMs
        this.#leastRttMs = Math.min(this.#leastRttMs, rttMs)
        resolve({ message: answer, source, rttMs })
      }
      sent.push(idOf(transaction))
      this.#asks(idOf(transaction), sentMs)
      this.#waiting.set(idOf(transaction), { key, done })
      if (may()) this.send(encode({ class: 'request', method: BINDING, transaction, ...message }, { key }), to)
      timer = setTimeout(transmit, RETRANSMIT_MS[count], count + 1)
    }
    try {
      signal.throwIfAborted()
      signal.addEventListener('abort', abort)
      transmit(0)
      return await promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      for (const id of sent) this.#waiting.delete(id)
    }
  }

  /**
   * Resolves when everything that was asked of late has been answered, whether somebody waits for it or not: an answer that
   * is on its way would meet a closed port. That takes a round trip at most, and is not waited for where that is long.
   */
  async quiet(): Promise<void> {
    if (this.#leastRttMs > QUIET_MS) return
    const waiting = [...this.#asked.values()].map(sentMs => sentMs + QUIET_MS - performance.now())
    const leftMs = Math.max(0, ...waiting)
    if (this.#asked.size === 0 || leftMs === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onQuiet = resolve
    const timer = setTimeout(resolve, leftMs)
    await promise
    clearTimeout(timer)
  }

  /** Resolves when the port is free again. */
  async close(): Promise<void> {
    this.onDatagram = () => {}
    this.onKnock = () => {}
    restPort(this.port)
    try {
      this.#socket.close()
    } catch {
      // The socket was closed before, and only the event is waited for.
    }
    await this.#closed
  }

  #asks(id: string, sentMs: number): void {
    this.#asked.set(id, sentMs)
    const [oldest = id] = this.#asked.keys()
    if (this.#asked.size > MOST_ASKED) this.#asked.delete(oldest)
  }

  #receive(datagram: Buffer, source: RemoteInfo): void {
    const nonce = knockIn(datagram)
    if (nonce) return this.onKnock(nonce)
    if (this.#asked.size > 0 && this.#asked.delete(idOf(datagram.subarray(8, 20))) && this.#asked.size === 0)
      this.#onQuiet()
    const waiting = this.#waiting.size > 0 && this.#waiting.get(idOf(datagram.subarray(8, 20)))
    if (!waiting) return this.onDatagram(datagram, source)
    const message = decode(datagram)
    if (message?.class === 'success' && message.verify(waiting.key))
      waiting.done(message, { address: source.address, port: source.port })
  }
}

/** Whether the process, or the system, has reached its limit on descriptors. */
const isFileLimit = (thrown: unknown): boolean =>
  thrown instanceof Error && 'code' in thrown && (thrown.code === 'EMFILE' || thrown.code === 'ENFILE')

const idOf = (transaction: Buffer): string => transaction.toString('latin1')
