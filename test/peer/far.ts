// The far side of a punch, made by hand on loopback: it remembers what came, and sends what a test tells it to. And both
// halves of a handover.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { answer, probe } from '../../src/peer/punch/packets.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import type { Handover } from '../../src/wire/order.ts'
import { type DecodedStun, decode, encode, transactionId } from '../../src/wire/stun.ts'
import { until } from '../until.ts'

export const probeKey = Buffer.from('the key of probes')

const ann = { ufrag: 'annn', pwd: 'a'.repeat(22) }
const bob = { ufrag: 'bobb', pwd: 'b'.repeat(22) }
export const handovers = {
  active: { role: 'active', local: ann, remote: bob, fingerprint: '' },
  passive: { role: 'passive', local: bob, remote: ann, fingerprint: '' }
} as const satisfies Record<string, Handover>

export interface Arrived {
  readonly message: DecodedStun
  readonly from: Endpoint
  readonly atMs: number
}

export class Far implements AsyncDisposable {
  readonly arrived: Arrived[] = []
  onArrival: (arrived: Arrived) => void = () => {}
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('message', (datagram, { address, port }) => {
      const message = decode(datagram)
      if (!message) throw new Error('what came is no STUN')
      const arrived = { message, from: { address, port }, atMs: performance.now() }
      this.arrived.push(arrived)
      this.onArrival(arrived)
    })
  }

  static async open(): Promise<Far> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 8_000_000 })
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    return new Far(socket)
  }

  get endpoint(): Endpoint {
    return { address: '127.0.0.1', port: this.#socket.address().port }
  }

  /** The arrivals, once there are so many. */
  async has(count: number): Promise<readonly Arrived[]> {
    return await until(() => this.arrived.length >= count && this.arrived)
  }

  /** Sends a probe under the far side's role. */
  probe(role: Handover['role'], to: Endpoint): void {
    this.send(probe(role, transactionId(), probeKey), to)
  }

  /** Answers a probe that came. */
  answer({ message, from }: Arrived): void {
    this.send(answer(message.transaction, from, probeKey), from)
  }

  /** Sends what the agent of the side opposite this one would: a check of ICE. */
  check(to: Endpoint, opposite: Handover['role'] = 'active'): void {
    const { local, remote } = handovers[opposite]
    const username = `${local.ufrag}:${remote.ufrag}`
    const check = { class: 'request', method: 1, transaction: transactionId(), username } as const
    this.send(encode(check, { key: local.pwd, fingerprint: true }), to)
  }

  send(datagram: Buffer, { address, port }: Endpoint): void {
    this.#socket.send(datagram, port, address)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>(resolve => this.#socket.close(resolve))
  }
}

/** Sockets of this process that are open, of every kind. One that was closed is not among them any more. */
export const openSockets = (): number =>
  readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
