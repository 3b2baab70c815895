// Stands between node-datachannel, which speaks UDP alone, and a door of the relay: an endpoint on this host that the agent takes for
// the far side. Each datagram that it sends there goes through the door, and what comes through the door leaves from there.
//
//   agent's port ◄── UDP, within this host ──► shim ◄── TCP or WebSocket ──► the relay
//
// It is on an address of the host's own, because browsers throw away an answer that names a loopback address, and the far side's
// agent is told where the answer came from. When the connection is cut it is made again, and the agent notices nothing: the last
// Binding request that it sent goes first, so that its answer is not missed.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Endpoint } from '../../wire/endpoint.ts'
import { looksLikeStun } from '../../wire/stun.ts'
import type { Door } from './door.ts'
import { type Entered, enter } from './enter.ts'
import type { DoorLine, Proof } from './line.ts'

/** Waits before the doors are tried again after a cut, in milliseconds; the last one is repeated. */
const AGAIN_MS = [50, 200, 500, 1000, 2000] as const

/** How long the last words of an agent that is closed may take, in milliseconds. */
const LAST_WORDS_MS = 1000

export interface ShimOptions {
  /** An address of this host. */
  readonly address: string
  /** The port of the agent, on any address of this host. */
  readonly agentPort: number
  /** All doors that may be tried after a cut. */
  readonly doors: readonly Door[]
  readonly proof: Proof
}

export class Shim {
  readonly endpoint: Endpoint
  readonly rttMs: number
  readonly #socket: Socket
  readonly #options: ShimOptions
  readonly #over = new AbortController()
  /** Aborted before that, where the agent's last words are still to pass: no door is tried any more. */
  readonly #ending = new AbortController()
  #line: DoorLine
  #lastCheck: Buffer | undefined

  private constructor(socket: Socket, { line, rttMs }: Entered, options: ShimOptions) {
    const { address, port } = socket.address()
    this.endpoint = { address, port }
    this.rttMs = rttMs
    this.#socket = socket
    this.#options = options
    this.#line = line
    socket.on('message', (datagram, source) => this.#fromAgent(datagram, source))
    // An agent that has let its port go is no error of ours.
    socket.on('error', () => {})
    this.#serve(line)
  }

  /** Takes over a connection that is proved. Throws what binding a socket throws; the connection is closed then. */
  static async open(entered: Entered, options: ShimOptions): Promise<Shim> {
    const socket = createSocket('udp4')
    try {
      socket.bind(0, options.address)
      await once(socket, 'listening')
      return new Shim(socket, entered, options)
    } catch (error) {
      socket.close()
      entered.line.close()
      throw error
    }
  }

  /** The door that it goes through now. */
  get door(): Door {
    return this.#line.door
  }

  /** It is over, and the last words of the agent are on their way: a connection that is cut from now on is not made again. */
  closeSoon(): void {
    this.#ending.abort()
    setTimeout(() => this.close(), LAST_WORDS_MS)
  }

  close(): void {
    if (this.#over.signal.aborted) return
    this.#over.abort()
    this.#ending.abort()
    this.#line.close()
    this.#socket.close()
  }

  #serve(line: DoorLine): void {
    this.#line = line
    line.onDatagram = datagram => this.#toAgent(datagram)
    line.onClosed = () => void this.#again()
    if (line.isClosed) void this.#again()
  }

  #fromAgent(datagram: Buffer, { address, port }: RemoteInfo): void {
    if (port !== this.#options.agentPort || address !== this.#options.address) return
    if (isRequest(datagram)) this.#lastCheck = datagram
    this.#line.send(datagram)
  }

  #toAgent(datagram: Buffer): void {
    const { address, agentPort } = this.#options
    if (!this.#over.signal.aborted) this.#socket.send(datagram, agentPort, address, () => {})
  }

  /** The connection was cut. */
  async #again(): Promise<void> {
    const { signal } = this.#ending
    const { doors, proof } = this.#options
    const first = this.door
    const inOrder = [first, ...doors.filter(door => door !== first)]
    for (let tries = 0; !signal.aborted; tries++) {
      try {
        await sleep(AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)], undefined, { signal })
        const { line } = await enter(inOrder, proof, signal)
        if (signal.aborted) return line.close()
        this.#serve(line)
        if (this.#lastCheck) line.send(this.#lastCheck)
        return
      } catch {
        // It goes on until the agent gives up.
      }
    }
  }
}

/** A STUN Binding request (RFC 8489 section 5): an ICE check, where an agent sends it. */
const isRequest = (datagram: Buffer): boolean => looksLikeStun(datagram) && datagram.readUInt16BE(0) === 0x0001
