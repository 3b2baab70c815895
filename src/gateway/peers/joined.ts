// A peer that has joined: who it is, the sockets it keeps warm, and what its NAT does to them. It lives as long as
// its WebSocket; `gone` aborts with the reason when that closes.

import { setMaxListeners } from 'node:events'
import { LRUCache } from 'lru-cache'
import { changed } from '../../changed.ts'
import { nowMs } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import type { FilteringTest } from '../../nat/profile.ts'
import type { Open } from '../../strategy/scene.ts'
import { type Endpoint, isDoubtful } from '../../wire/endpoint.ts'
import type { FromGateway } from '../../wire/signal.ts'
import type { Arrival, Cold, Forward, Member, RouterFacts, WarmSocket } from './member.ts'
import type { Clock } from './peer-clock.ts'

export interface Identified {
  readonly id: string
  readonly name: string
  /** False for a caller that gave no name: its name is made up and forgotten with it. */
  readonly named: boolean
  readonly fingerprint: string
  /** The network that it joined from (shares/network.ts); left out: none that is known. */
  readonly network?: string
  /** Whether others may connect to it. */
  readonly accepts: boolean
  /** It can send and hear beacons; left out: it cannot. */
  readonly beacons?: boolean
  readonly key: Buffer
  /** The gateway's endpoints as this peer was told them, the primary first. */
  readonly endpoints: readonly [Endpoint, ...Endpoint[]]
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
}

/** Forwards of one peer that are remembered, one for each local port; the oldest go first. */
const FORWARDS = 16

/** How long a proof is believed, in milliseconds. The peer claims again after ten minutes. */
const PROOF_TTL_MS = 900_000

/** A peer has one idle socket, and one more for each session that began in the meantime. More are ignored. */
const WARM_SOCKETS = 8

/** How many of a peer's dead ports are remembered, the latest. */
const DEAD_PORTS = 8

export class Joined implements Member {
  readonly id: string
  readonly name: string
  readonly named: boolean
  readonly fingerprint: string
  readonly network: string
  readonly accepts: boolean
  readonly beacons: boolean
  readonly key: Buffer
  readonly gateway: Endpoint
  readonly endpoints: readonly Endpoint[]
  readonly gone: AbortSignal
  readonly #link: Link
  readonly #isDoubtful: boolean
  readonly #warm: WarmSocket[] = []
  readonly #changed = new EventTarget()
  #arrival: Arrival
  #clock: Clock | undefined
  #cold: Cold | undefined
  #deadPorts: readonly number[] = []
  #warmMs = 0
  #filtering: FilteringTest | undefined
  #router: RouterFacts | undefined
  /** By local port. */
  readonly #forwards = new LRUCache<number, Forward>({ max: FORWARDS, ttl: PROOF_TTL_MS })

  constructor(who: Identified, link: Link) {
    // Each session that begins has one waiter, and the number of sessions has a limit of its own.
    setMaxListeners(0, this.#changed)
    this.id = who.id
    this.name = who.name
    this.named = who.named
    this.fingerprint = who.fingerprint
    this.network = who.network ?? ''
    this.accepts = who.accepts
    this.beacons = who.beacons ?? false
    this.key = who.key
    this.gateway = who.endpoints[0]
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
    if (!this.isWarm) this.#warmMs = nowMs()
    this.#arrival = { warmMs: this.#warmMs, ...this.#arrival }
    if (this.#warm.length < WARM_SOCKETS) this.#warm.push(socket)
    this.#changed.dispatchEvent(new Event('change'))
  }

  /**
   * The peer heard nothing back from the gateway over UDP, and has closed that socket. `code` is its word for it; a port that is
   * dead while others are not does not make it cold.
   */
  cooled(
    number: number,
    reason: string,
    { code, port }: { code?: string | undefined; port?: number | undefined } = {}
  ): void {
    if (code !== 'dead-port') this.#cold = { reason, atMs: nowMs(), ...this.#family(code) }
    else if (port !== undefined) this.#deadPorts = [...this.#deadPorts, port].slice(-DEAD_PORTS)
    const index = this.#warm.findIndex(socket => socket.number === number)
    if (index >= 0) this.#warm.splice(index, 1)
    this.#changed.dispatchEvent(new Event('change'))
  }

  #family(code: string | undefined): Pick<Cold, 'code' | 'told'> {
    if (this.#isDoubtful) return { code: 'wrong-family', told: this.gateway.address }
    return { code: code === 'wrong-family' ? code : 'udp-blocked' }
  }

  filters(test: FilteringTest): void {
    this.#filtering = test
    this.#changed.dispatchEvent(new Event('change'))
  }

  get router(): RouterFacts | undefined {
    return this.#router
  }

  asksRouter({ answer, outside }: RouterFacts): void {
    this.#router = { answer, ...(outside === undefined ? {} : { outside }) }
  }

  get open(): Open | undefined {
    const proved = [...this.#forwards.values()].find(({ state }) => state === 'proved')
    return proved && { endpoint: proved.endpoint, by: proved.by }
  }

  forwardOf(port: number): Forward | undefined {
    return this.#forwards.get(port)
  }

  claims(port: number, forward: Forward): void {
    this.#forwards.set(port, forward)
    this.#changed.dispatchEvent(new Event('change'))
  }

  unclaims(port: number): void {
    this.#forwards.delete(port)
    this.#changed.dispatchEvent(new Event('change'))
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
    await this.#until(() => this.isWarm || this.#cold !== undefined, signal)
    const cold = this.#cold
    // If there is no reason, there was a socket, and another session has taken it since: the session looks again.
    if (this.isWarm || !cold) return
    throw new PosternError(cold.code, `no UDP datagram from ${this.name} reaches the gateway: ${cold.reason}`)
  }

  async takeSocket(): Promise<WarmSocket | undefined> {
    const open = this.#warm.findIndex(({ port }) => this.forwardOf(port)?.state === 'proved')
    const [socket] = this.#warm.splice(Math.max(0, open), 1)
    return socket
  }

  giveBack(socket: WarmSocket): void {
    this.#warm.unshift(socket)
    this.#changed.dispatchEvent(new Event('change'))
  }

  get isTesting(): boolean {
    return this.endpoints.length > 1 && this.#filtering === undefined
  }

  async filteringKnown(signal: AbortSignal): Promise<void> {
    await this.#until(() => !this.isTesting, signal).catch(() => {})
  }

  async #until(reached: () => boolean, signal: AbortSignal): Promise<void> {
    const over = AbortSignal.any([signal, this.gone])
    while (!reached()) {
      over.throwIfAborted()
      await changed(this.#changed, 'change', over)
    }
  }
}
