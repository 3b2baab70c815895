// The TCP connections of the gateway. One that has shown nothing yet may be closed for others: when too many strangers are here, or
// when the file descriptors of the process run out. It is then the oldest of the network that has most of them. One that has
// shown a token is never closed for others; how many there may be is bounded where tokens are looked at.
//
//   accepted ─► stranger ─► joined, or showed the admin token ─► kept until it closes
//                   └─► closed for others

import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { plainAddress } from '../../wire/endpoint.ts'
import type { Introduced } from '../proxy/header.ts'
import type { Arrival, Proxies } from '../proxy/proxies.ts'
import { Crowd } from '../shares/crowd.ts'
import { networkOf } from '../shares/network.ts'
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
  arrival: Arrival
  network: string
  isProved: boolean
  /** Tells whoever is at the other end why the connection is about to be closed. */
  onShed: () => void
}

export class Connections {
  readonly #strangers: Crowd<Socket>
  readonly #descriptors: Descriptors
  readonly #proxies: Pick<Proxies, 'clientOf'>
  readonly #held = new Map<Socket, Held>()
  /** The TCP connection that a socket of TLS is over. */
  readonly #below = new WeakMap<Socket, Socket>()
  /** The addresses that requests came from. */
  readonly #clients = new WeakMap<IncomingMessage, string>()
  #starved = 0

  /** @param strangers the most connections that have shown nothing yet */
  constructor(strangers: Bound, descriptors: Descriptors, proxies: Pick<Proxies, 'clientOf'>) {
    this.#strangers = new Crowd(strangers)
    this.#descriptors = descriptors
    this.#proxies = proxies
  }

  get counters(): ConnectionCounters {
    return { open: this.#held.size, shed: this.#strangers.shed, starved: this.#starved }
  }

  accept(socket: Socket): void {
    const arrival = arrivalOf(socket)
    const held = { arrival, network: networkOf(arrival.source.address), isProved: false, onShed: () => {} }
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

  /** A proxy has said whose connection it is. */
  introduce(socket: Socket, introduced: Introduced): void {
    const held = this.#held.get(socket)
    if (!held || introduced === 'local') return
    held.arrival = { ...introduced, isIntroduced: true }
    this.#comesFrom(socket, held, networkOf(introduced.source.address))
  }

  /**
   * A request came. A connection of a proxy brings requests from everywhere. Returns the network that this one came from.
   * @throws PosternError `bad-message` where nobody can tell where it came from
   */
  asks(request: IncomingMessage): string {
    const { socket: served, headers } = request
    const client = this.#proxies.clientOf(this.arrivalOf(served), headers)
    this.#clients.set(request, client)
    const network = networkOf(client)
    const socket = this.#tcpOf(served)
    const held = this.#held.get(socket)
    if (held) this.#comesFrom(socket, held, network)
    return network
  }

  /** The address that a request came from, which has been asked before. */
  clientOf(request: IncomingMessage): string {
    return this.#clients.get(request) ?? this.arrivalOf(request.socket).source.address
  }

  /** Where a connection comes from, and what it reached. */
  arrivalOf(served: Socket): Arrival {
    const socket = this.#tcpOf(served)
    return this.#held.get(socket)?.arrival ?? arrivalOf(socket)
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
  newcomer(request: IncomingMessage): Newcomer {
    const { socket } = request
    const held = this.#held.get(this.#tcpOf(socket))
    return {
      from: this.clientOf(request),
      reached: this.arrivalOf(socket).reached,
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

  #comesFrom(socket: Socket, held: Held, network: string): void {
    if (held.network === network) return
    this.#strangers.leave(socket, held.network)
    this.#enter(socket, Object.assign(held, { network, isProved: false }))
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

const arrivalOf = ({ remoteAddress, remotePort = 0, localAddress = '', localPort = 0 }: Socket): Arrival => ({
  source: { address: plainAddress(remoteAddress ?? ''), port: remotePort },
  reached: { address: localAddress, port: localPort },
  isIntroduced: false
})
