// The TCP connections of the gateway. One that has shown nothing yet may be closed for others: when too many strangers are here, or
// when the file descriptors of the process run out. It is then the oldest of the network that has most of them. One that has
// shown a token is never closed for others; how many there may be is bounded where tokens are looked at.
//
//   accepted ─► stranger ─► joined, or showed the admin token ─► kept until it closes
//                   └─► closed for others

import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Crowd } from '../shares/crowd.ts'
import { networkOf, sourceOf } from '../shares/network.ts'
import type { Bound } from '../shares/shares.ts'
import type { Newcomer } from '../signalling/reception.ts'
import type { Descriptors } from './descriptors.ts'

export interface ConnectionCounters {
  /** Connections that are open now. */
  open: number
  /** Connections closed for others, since there were too many of strangers. */
  shed: number
  /** Connections closed for others, since file descriptors ran out. */
  starved: number
}

interface Held {
  network: string
  isProved: boolean
  /** Tells whoever is at the other end why the connection is about to be closed. */
  onShed: () => void
}

export class Connections {
  readonly #strangers: Crowd<Socket>
  readonly #descriptors: Descriptors
  readonly #held = new Map<Socket, Held>()
  /** The TCP connection that a socket of TLS is over. */
  readonly #below = new WeakMap<Socket, Socket>()
  #starved = 0

  /** @param strangers the most connections that have shown nothing yet */
  constructor(strangers: Bound, descriptors: Descriptors) {
    this.#strangers = new Crowd(strangers)
    this.#descriptors = descriptors
  }

  get counters(): ConnectionCounters {
    return { open: this.#held.size, shed: this.#strangers.shed, starved: this.#starved }
  }

  accept(socket: Socket): void {
    const held = { network: networkOf(socket.remoteAddress ?? ''), isProved: false, onShed: () => {} }
    this.#held.set(socket, held)
    socket.once('close', () => {
      this.#held.delete(socket)
      this.#strangers.leave(socket, held.network)
    })
    this.#enter(socket, held)
    if (this.#descriptors.areShort()) this.#makeRoom()
  }

  /** From now on what is served over this connection is the socket over it. */
  carries(socket: Socket, secure: Socket): void {
    this.#below.set(secure, socket)
  }

  /** A request came. A connection of a proxy brings requests from everywhere. Returns the network that this one came from. */
  asks({ socket: served, headers }: IncomingMessage): string {
    const network = networkOf(sourceOf(served.remoteAddress, headers))
    const socket = this.#tcpOf(served)
    const held = this.#held.get(socket)
    if (held && held.network !== network) {
      this.#strangers.leave(socket, held.network)
      this.#enter(socket, Object.assign(held, { network, isProved: false }))
    }
    return network
  }

  /** Whoever sends on it has shown a token. */
  prove(served: Socket): void {
    const socket = this.#tcpOf(served)
    const held = this.#held.get(socket)
    if (!held || held.isProved) return
    held.isProved = true
    this.#strangers.leave(socket, held.network)
  }

  /** The connection of a WebSocket, for whoever serves it. */
  newcomer({ socket, headers }: IncomingMessage): Newcomer {
    const held = this.#held.get(this.#tcpOf(socket))
    return {
      from: sourceOf(socket.remoteAddress, headers),
      reached: { address: socket.localAddress ?? '', port: socket.localPort ?? 0 },
      prove: () => this.prove(socket),
      whenShed: tell => {
        if (held) held.onShed = tell
      }
    }
  }

  closeAll(): void {
    for (const socket of this.#held.keys()) socket.destroy()
  }

  #tcpOf(served: Socket): Socket {
    return this.#below.get(served) ?? served
  }

  #enter(socket: Socket, { network }: Held): void {
    this.#close(this.#strangers.enter(socket, network))
  }

  #makeRoom(): void {
    const out = this.#strangers.putOut()
    if (out) this.#starved++
    this.#descriptors.tell(out !== undefined)
    this.#close(out)
  }

  #close(socket: Socket | undefined): void {
    if (!socket) return
    this.#held.get(socket)?.onShed()
    socket.destroy()
  }
}
