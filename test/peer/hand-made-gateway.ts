// A gateway made by hand: it welcomes everybody, answers Binding requests and remembers them, and says exactly what a test
// tells it to say. For orders that no strategy gives yet, or never would.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Identity, loadIdentity } from '../../src/peer/identity/identity.ts'
import { KnownPeers } from '../../src/peer/identity/known-peers.ts'
import { Peer, type PeerOptions } from '../../src/peer/peer.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import { PROTOCOL } from '../../src/wire/identity/proof.ts'
import type { Order } from '../../src/wire/order.ts'
import { JOIN_PATH } from '../../src/wire/place.ts'
import type { FromGateway, FromPeer, Message } from '../../src/wire/signal.ts'
import { BINDING, decode, encode } from '../../src/wire/stun.ts'
import { until } from '../until.ts'
import { handovers, probeKey } from './far.ts'

export const session = '0123456789abcdef'

const sessionKey = 'AAAA'

/** A request that came over UDP: to which endpoint, from which port, in whose name. */
export interface Shown {
  readonly at: number
  readonly port: number
  readonly username: string
  readonly proves: boolean
}

export class HandMadeGateway implements AsyncDisposable {
  readonly shown: Shown[] = []
  /** The ports that latched, in the order they did; the last one counts. */
  readonly latches: number[] = []
  /** Whether requests over UDP are answered. */
  answers = true
  /** Whether requests from this port of a peer's come through, and their answers. */
  passes: (port: number) => boolean = () => true
  refreshMs = 60_000
  /** What it says to everybody in the place of a welcome. */
  refuses: Message<FromGateway, 'refused'> | undefined
  readonly #key = Buffer.from('the key of a peer')
  readonly #folder: string
  readonly #http: WebSocketServer
  readonly #udp: Socket[]
  readonly #guests: Guest[] = []

  private constructor(folder: string, http: WebSocketServer, udp: Socket[]) {
    this.#folder = folder
    this.#http = http
    this.#udp = udp
    udp.forEach((socket, at) => {
      socket.on('message', (datagram, source) => this.#bind(datagram, source, at))
    })
    http.on('connection', ws => this.#guests.push(new Guest(ws, () => this.#welcome())))
  }

  static async open(): Promise<HandMadeGateway> {
    const http = new WebSocketServer({ host: '127.0.0.1', port: 0, path: JOIN_PATH })
    const udp = [0, 1, 2].map(() => createSocket('udp4').bind(0, '127.0.0.1'))
    await Promise.all([http, ...udp].map(server => once(server, 'listening')))
    return new HandMadeGateway(await mkdtemp(join(tmpdir(), 'postern-hand-made-')), http, udp)
  }

  identity(name: string): Promise<Identity> {
    return loadIdentity(join(this.#folder, name))
  }

  /** A peer that has joined and has its warm socket, and this side of the line to it. */
  async join(
    name: string,
    options: Partial<PeerOptions> = {}
  ): Promise<{ peer: Peer; guest: Guest; warm: Message<FromPeer, 'warm'> }> {
    const peer = await Peer.join({
      gateway: `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`,
      token: 'any',
      name,
      accepts: true,
      insecure: false,
      identity: await this.identity(name),
      known: new KnownPeers(join(this.#folder, name)),
      onConnection: () => {},
      ...options
    })
    const guest = this.#guests.at(-1) as Guest
    guest.peer = peer
    return { peer, guest, warm: await guest.heard('warm') }
  }

  /** Loses the line to a peer. Resolves with the line that the peer makes then. */
  async lose(guest: Guest): Promise<Guest> {
    const before = this.#guests.length
    guest.hangUp()
    const again = await until(() => this.#guests[before])
    again.peer = guest.peer
    return again
  }

  get primary(): Endpoint {
    return { address: '127.0.0.1', port: this.#udp[0]?.address().port ?? 0 }
  }

  /** The requests that showed a socket, in the order they came. */
  showing(socket: number): Shown[] {
    return this.shown.filter(({ username }) => username === `p:guest:${socket}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#guests.map(({ peer }) => peer?.close()))
    this.#http.close()
    for (const socket of this.#udp) socket.close()
    await rm(this.#folder, { recursive: true })
  }

  #welcome(): FromGateway {
    if (this.refuses) return this.refuses
    const endpoints = this.#udp.map(socket => ({ address: '127.0.0.1', port: socket.address().port }))
    const key = this.#key.toString('base64')
    return { type: 'welcome', peer: 'guest', name: 'guest', key, endpoints, refreshMs: this.refreshMs }
  }

  /** As the real one: who does not echo the nonce is given it. Filtering tests are not remembered. */
  #bind(datagram: Buffer, { address, port }: Endpoint, at: number): void {
    const { transaction, username = '', nonce, change } = decode(datagram) ?? {}
    if (!transaction || change || !this.passes(port)) return
    if (username.startsWith('s:') && nonce) this.latches.push(port)
    if (username.startsWith('p:')) this.shown.push({ at, port, username, proves: nonce !== undefined })
    if (!this.answers) return
    const echo = nonce ? {} : { nonce: Buffer.from('a nonce') }
    const answer = { class: 'success', method: BINDING, transaction, mapped: { address, port }, ...echo } as const
    const key = username.startsWith('s:') ? Buffer.from(sessionKey, 'base64') : this.#key
    this.#udp[at]?.send(encode(answer, { key }), port, address)
  }
}

/** A peer as its gateway sees it. */
export class Guest {
  readonly said: FromPeer[] = []
  /** Resolves when the line is closed: nothing more is said. */
  readonly closed: Promise<void>
  peer: Peer | undefined
  readonly #ws: WebSocket
  #plans = 0

  constructor(ws: WebSocket, welcome: () => FromGateway) {
    this.#ws = ws
    this.closed = new Promise(resolve => ws.on('close', () => resolve()))
    ws.on('message', data => {
      const message = JSON.parse(String(data)) as FromPeer
      if (message.type === 'hello') this.say(welcome())
      else this.said.push(message)
    })
    this.say({ type: 'challenge', v: PROTOCOL, nonce: 'AAAA' })
  }

  say(message: FromGateway): void {
    this.#ws.send(JSON.stringify(message))
  }

  hangUp(): void {
    this.#ws.terminate()
  }

  /** The first message of this type that was not taken yet, and takes it. */
  async heard<Type extends FromPeer['type']>(type: Type): Promise<Message<FromPeer, Type>> {
    const at = await until(() => {
      const index = this.said.findIndex(message => message.type === type)
      return index >= 0 && { index }
    })
    return this.said.splice(at.index, 1)[0] as Message<FromPeer, Type>
  }

  /** Introduces somebody who calls, or who was called with this request. */
  begin({ fingerprint }: { fingerprint: string }, { request, id = session }: { request?: number; id?: string } = {}) {
    this.say({
      type: 'session',
      session: id,
      ...(request === undefined ? { role: 'callee' } : { role: 'caller', request }),
      peer: { id: '0b', name: 'somebody', fingerprint, named: true },
      key: sessionKey,
      probeKey: probeKey.toString('base64'),
      trace: '0'.repeat(32)
    })
  }

  sample(round: number): void {
    this.say({ type: 'sample', session, round })
  }

  /** @returns the number of the plan */
  order(
    socket: number,
    order: Order,
    { role, fingerprint = '' }: { role: 'active' | 'passive'; fingerprint?: string }
  ) {
    const plan = this.#plans++
    const handover = { ...handovers[role], fingerprint }
    const times = { afterMs: 0, waitMs: 5000, handoverMs: 5000 }
    this.say({ type: 'order', session, plan, by: 'hand', socket, order, handover, ...times })
    return plan
  }
}
