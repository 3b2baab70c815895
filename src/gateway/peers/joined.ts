// A peer that has joined: who it is, the sockets it keeps warm, and what its NAT does to them. It lives as long as
// its WebSocket; `gone` aborts with the reason when that closes.

import { setMaxListeners } from 'node:events'
import { LRUCache } from 'lru-cache'
import { changed } from '../../changed.ts'
import { nowMs } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import type { FilteringTest } from '../../nat/profile.ts'
import type { Open } from '../../strategy/scene.ts'
import type { AgentPace } from '../../wire/agent.ts'
import { type Endpoint, isDoubtful } from '../../wire/endpoint.ts'
import type { Vouch } from '../../wire/identity/vouch.ts'
import type { IceCredentials } from '../../wire/order.ts'
import type { FromGateway, FromPeer, Message } from '../../wire/signal.ts'
import type { Asker } from '../shares/shares.ts'
import type { Arrival, Cold, Forward, GuestRoom, Member, RouterFacts, WarmSocket } from './member.ts'
import type { Clock } from './peer-clock.ts'

export interface Identified {
  readonly id: string
  readonly name: string
  /** False for a caller that gave no name: its name is made up and forgotten with it. */
  readonly named: boolean
  readonly fingerprint: string
  /** The fingerprint of the certificate that its DTLS connections have; left out: the same. */
  readonly dtls?: string
  readonly vouch?: Vouch
  /** It speaks ICE alone; left out: it does not. */
  readonly iceOnly?: AgentPace
  /** Who has what it uses; left out: itself, of no network that is known. */
  readonly account?: Asker
  readonly room?: GuestRoom
  /** Whether others may connect to it. */
  readonly accepts: boolean
  /** It can send and hear beacons; left out: it cannot. */
  readonly beacons?: boolean
  readonly mtu?: number
  /** It shows its address to no other peer; left out: it does. */
  readonly relayOnly?: boolean
  /** The gateway's endpoints as this peer was told them, the primary first. */
  readonly endpoints: readonly [Endpoint, ...Endpoint[]]
  /** Where it is relayed; left out: at the primary endpoint. */
  readonly relay?: Endpoint
  /** The gateway's address as it knows it: IPv6 only if it came by IPv6, and knows no IPv4 address. */
  readonly reachedAt?: string
  /** When its WebSocket was opened, in milliseconds since the epoch; left out: now. */
  readonly cameMs?: number
}

/** The way to a peer over signalling. */
export interface Link {
  /** Aborted with the reason when it is closed. */
  readonly gone: AbortSignal
  /** When something was heard over it last, in milliseconds since the epoch. */
  readonly heardMs: number
  send(message: FromGateway): void
  /** Asks for a sign of life, which any peer gives at once; it shows in `heardMs`. */
  hail(): void
  /** Whether it was asked and has not answered in time, though it is open; left out: nobody asks. */
  readonly isSilent?: boolean
  /** Whether the peer closed it, as it does when it leaves; left out: it did not. */
  readonly isLeft?: boolean
  /** Closes it at once, because the same peer has come by another; left out: it closes by itself. */
  replace?(): void
  /** Tells the peer why, and closes it; left out: nobody does. */
  refuse?(error: PosternError): void
}

/** Forwards of one peer that are remembered, one for each local port; the oldest go first. */
const FORWARDS = 16

/** How long a proof is believed, in milliseconds. The peer claims again after ten minutes. */
const PROOF_TTL_MS = 900_000

/** A peer has one idle socket, and one more for each session that began in the meantime. More are ignored. */
const WARM_SOCKETS = 8

/** Agents of one peer that are prepared for a door; the oldest are forgotten. */
const PREPARED = 8

/** How many sockets that were taken are remembered: a second word on one of them may be on its way. */
const TAKEN = 32

/** How many of a peer's dead ports are remembered, the latest. */
const DEAD_PORTS = 8

/** The longest round trip over a door that is believed, in milliseconds: nothing here has measured it. */
const DOOR_RTT_MS = 1000

/** What a peer says of a socket that is not answered. */
type Cooling = Partial<Omit<Message<FromPeer, 'cold'>, 'type' | 'socket' | 'reason'>>

export class Joined implements Member {
  readonly id: string
  readonly name: string
  readonly named: boolean
  readonly fingerprint: string
  readonly dtls: string
  readonly vouch: Vouch | undefined
  readonly iceOnly: AgentPace | undefined
  readonly account: Asker
  readonly room: GuestRoom | undefined
  readonly accepts: boolean
  readonly beacons: boolean
  readonly mtu: number | undefined
  readonly relayOnly: boolean
  readonly gateway: Endpoint
  readonly endpoints: readonly Endpoint[]
  readonly gone: AbortSignal
  readonly #link: Link
  readonly #isDoubtful: boolean
  #warm: WarmSocket[] = []
  #prepared: readonly WarmSocket[] = []
  /** Made by the first who waits, since nobody waits for most peers. */
  #changed: EventTarget | undefined
  #arrival: Arrival
  #clock: Clock | undefined
  #cold: Cold | undefined
  #deadPorts: readonly number[] = []
  #warmMs = 0
  /** The numbers of sockets that were taken, the latest. */
  #taken: readonly number[] = []
  /** Of these, the ones that the peer has closed since. */
  #gone: readonly number[] = []
  #filtering: FilteringTest | undefined
  #router: RouterFacts | undefined
  /** By local port; made at the first claim, since most peers claim nothing. */
  #forwards: LRUCache<number, Forward> | undefined

  constructor(who: Identified, link: Link) {
    this.id = who.id
    this.name = who.name
    this.named = who.named
    this.fingerprint = who.fingerprint
    this.dtls = who.dtls ?? who.fingerprint
    this.vouch = who.vouch
    this.iceOnly = who.iceOnly
    this.account = who.account ?? { network: '', certificate: who.fingerprint }
    this.room = who.room
    this.accepts = who.accepts
    this.beacons = who.beacons ?? false
    this.mtu = who.mtu
    this.relayOnly = who.relayOnly ?? false
    this.gateway = who.relay ?? who.endpoints[0]
    this.endpoints = who.endpoints
    this.#isDoubtful = isDoubtful(this.gateway.address, who.reachedAt)
    this.#link = link
    this.gone = link.gone
    const helloMs = nowMs()
    this.#arrival = { cameMs: who.cameMs ?? helloMs, helloMs }
  }

  send(message: FromGateway): void {
    this.#link.send(message)
  }

  get heardMs(): number {
    return this.#link.heardMs
  }

  hail(): void {
    this.#link.hail()
  }

  get isSilent(): boolean {
    return this.#link.isSilent ?? false
  }

  /** It said goodbye. */
  get isLeft(): boolean {
    return this.#link.isLeft ?? false
  }

  /** Another link of the same peer takes its place. `gone` is aborted when this returns. */
  replace(): void {
    this.#link.replace?.()
  }

  /** Nothing more is heard of it. It is told why. */
  end(error: PosternError): void {
    this.#link.refuse?.(error)
  }

  get deadPorts(): readonly number[] {
    return this.#deadPorts
  }

  get arrival(): Arrival {
    return this.#arrival
  }

  get clock(): Clock | undefined {
    return this.#clock
  }

  keepsTime({ offsetMs, uncertaintyMs }: Clock): void {
    this.#clock = { offsetMs, uncertaintyMs }
  }

  get filtering(): FilteringTest | undefined {
    return this.#filtering
  }

  warmed(socket: WarmSocket): void {
    this.#cold = undefined
    this.#forget(socket.number)
    if (!this.isWarm) this.#warmMs = nowMs()
    this.#arrival = { warmMs: this.#warmMs, ...this.#arrival }
    this.#keep(socket)
    this.#tell()
  }

  /** A second word on a socket is about a host that has other addresses now. Whoever took the socket meanwhile has it. */
  #keep(socket: WarmSocket): void {
    const index = this.#warm.findIndex(({ number }) => number === socket.number)
    if (index >= 0) this.#warm[index] = socket
    else if (this.#warm.length < WARM_SOCKETS && !this.#taken.includes(socket.number)) this.#warm.push(socket)
  }

  /**
   * The peer heard nothing back from the gateway over UDP, and has closed that socket, unless its ICE agent is prepared for a door
   * then. `code` is its word for it; a port that is dead while others are not does not make it cold, nor does the end of an agent
   * while another one is prepared.
   */
  cooled(number: number, reason: string, { code, port, doors, rttMs = 0, ice }: Cooling = {}): void {
    const around = doors ? { doors, rttMs: Math.min(rttMs, DOOR_RTT_MS) } : {}
    this.#forget(number)
    if (this.iceOnly && doors && ice && !this.#taken.includes(number))
      this.#prepared = [...this.#prepared, preparedOf(number, ice)].slice(-PREPARED)
    if (!ice && this.#taken.includes(number)) this.#gone = [...this.#gone, number].slice(-TAKEN)
    this.#warm = this.#warm.filter(socket => socket.number !== number)
    const hasOther = this.isPrepared || this.#warm.length > 0
    if (code !== 'dead-port') {
      if (doors || !hasOther) this.#cold = { reason, atMs: nowMs(), ...this.#family(code), ...around }
    } else if (port !== undefined) this.#deadPorts = [...this.#deadPorts, port].slice(-DEAD_PORTS)
    this.#tell()
  }

  #forget(number: number): void {
    this.#prepared = this.#prepared.filter(one => one.number !== number)
  }

  #family(code: string | undefined): Pick<Cold, 'code' | 'told'> {
    if (this.#isDoubtful) return { code: 'wrong-family', told: this.gateway.address }
    return { code: code === 'wrong-family' ? code : 'udp-blocked' }
  }

  filters(test: FilteringTest): void {
    this.#filtering = test
    this.#tell()
  }

  get router(): RouterFacts | undefined {
    return this.#router
  }

  asksRouter({ answer, outside }: RouterFacts): void {
    this.#router = { answer, ...(outside === undefined ? {} : { outside }) }
  }

  get open(): Open | undefined {
    const proved = [...(this.#forwards?.values() ?? [])].find(({ state }) => state === 'proved')
    return proved && { endpoint: proved.endpoint, by: proved.by }
  }

  forwardOf(port: number): Forward | undefined {
    return this.#forwards?.get(port)
  }

  claims(port: number, forward: Forward): void {
    this.#forwards ??= new LRUCache({ max: FORWARDS, ttl: PROOF_TTL_MS })
    this.#forwards.set(port, forward)
    this.#tell()
  }

  unclaims(port: number): void {
    this.#forwards?.delete(port)
    this.#tell()
  }

  async forwardKnown(port: number, signal: AbortSignal): Promise<void> {
    await this.#until(() => this.forwardOf(port)?.state !== 'proving', signal).catch(() => {})
  }

  get isWarm(): boolean {
    return this.#warm.length > 0
  }

  get warmMs(): number {
    return this.#warmMs
  }

  get cold(): Cold | undefined {
    return this.#cold
  }

  async warm(signal: AbortSignal): Promise<void> {
    await this.#until(() => this.isWarm || this.isPrepared || this.#isCold, signal)
    const cold = this.#cold
    // If there is no reason, there was a socket, and another session has taken it since: the session looks again.
    if (this.isWarm || !cold || cold.doors) return
    throw new PosternError(cold.code, `no UDP datagram from ${this.name} reaches the gateway: ${cold.reason}`)
  }

  get isPrepared(): boolean {
    return this.#cold?.doors !== undefined && this.#prepared.length > 0
  }

  /** It has no warm socket, and none is to be expected: a door may lead to it, but an agent is prepared in a moment. */
  get #isCold(): boolean {
    return this.#cold !== undefined && !(this.iceOnly && this.#cold.doors)
  }

  async takeSocket(): Promise<WarmSocket | undefined> {
    const open = this.#warm.findIndex(({ port }) => this.forwardOf(port)?.state === 'proved')
    const [socket] = this.#warm.splice(Math.max(0, open), 1)
    return this.#taking(socket)
  }

  async takePrepared(): Promise<WarmSocket | undefined> {
    const [oldest, ...others] = this.#prepared
    this.#prepared = others
    return this.#taking(oldest)
  }

  #taking(socket: WarmSocket | undefined): WarmSocket | undefined {
    if (socket) this.#taken = [...this.#taken, socket.number].slice(-TAKEN)
    return socket
  }

  giveBack(socket: WarmSocket): void {
    if (this.#gone.includes(socket.number)) return
    this.#taken = this.#taken.filter(number => number !== socket.number)
    if (socket.isBlocked) this.#prepared = [socket, ...this.#prepared]
    else this.#warm.unshift(socket)
    this.#tell()
  }

  get isTesting(): boolean {
    return !this.iceOnly && this.endpoints.length > 1 && this.#filtering === undefined
  }

  async filteringKnown(signal: AbortSignal): Promise<void> {
    await this.#until(() => !this.isTesting, signal).catch(() => {})
  }

  async #until(reached: () => boolean, signal: AbortSignal): Promise<void> {
    const over = AbortSignal.any([signal, this.gone])
    while (!reached()) {
      over.throwIfAborted()
      await changed(this.#changes(), 'change', over)
    }
  }

  #changes(): EventTarget {
    this.#changed ??= new EventTarget()
    // Each session that begins has one waiter, and the number of sessions has a limit of its own.
    setMaxListeners(0, this.#changed)
    return this.#changed
  }

  #tell(): void {
    this.#changed?.dispatchEvent(new Event('change'))
  }
}

/** Nothing is seen of its socket. */
const preparedOf = (number: number, ice: IceCredentials): WarmSocket => ({
  ...{ number, ice, isBlocked: true },
  port: 0,
  addresses: [],
  rttMs: 0
})
