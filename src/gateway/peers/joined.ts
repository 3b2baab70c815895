// A peer that has joined: who it is, the sockets it keeps warm, and what its NAT does to them. It lives as long as
// its WebSocket; `gone` aborts with the reason when that closes.

import { setMaxListeners } from 'node:events'
import { changed } from '../../changed.ts'
import { nowMs } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import type { FilteringTest } from '../../nat/profile.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { FromGateway } from '../../wire/signal.ts'
import type { Arrival, Member, WarmSocket } from './member.ts'
import type { Clock } from './peer-clock.ts'

export interface Identified {
  readonly id: string
  readonly name: string
  /** False for a caller that gave no name: its name is made up and forgotten with it. */
  readonly named: boolean
  readonly fingerprint: string
  /** Whether others may connect to it. */
  readonly accepts: boolean
  /** It can send and hear beacons; left out: it cannot. */
  readonly beacons?: boolean
  readonly key: Buffer
  /** The gateway's endpoints as this peer was told them, the primary first. */
  readonly endpoints: readonly [Endpoint, ...Endpoint[]]
  /** When its WebSocket was opened, in milliseconds since the epoch; left out: now. */
  readonly cameMs?: number
}

/** A peer has one idle socket, and one more for each session that began in the meantime. More are ignored. */
const WARM_SOCKETS = 8

export class Joined implements Member {
  readonly id: string
  readonly name: string
  readonly named: boolean
  readonly fingerprint: string
  readonly accepts: boolean
  readonly beacons: boolean
  readonly key: Buffer
  readonly gateway: Endpoint
  readonly endpoints: readonly Endpoint[]
  readonly gone: AbortSignal
  readonly send: (message: FromGateway) => void
  readonly #warm: WarmSocket[] = []
  readonly #changed = new EventTarget()
  #arrival: Arrival
  #clock: Clock | undefined
  #cold: { readonly reason: string; readonly atMs: number } | undefined
  #warmMs = 0
  #filtering: FilteringTest | undefined

  constructor(who: Identified, link: { send: (message: FromGateway) => void; gone: AbortSignal }) {
    // Each session that begins has one waiter, and the number of sessions has a limit of its own.
    setMaxListeners(0, this.#changed)
    this.id = who.id
    this.name = who.name
    this.named = who.named
    this.fingerprint = who.fingerprint
    this.accepts = who.accepts
    this.beacons = who.beacons ?? false
    this.key = who.key
    this.gateway = who.endpoints[0]
    this.endpoints = who.endpoints
    this.send = link.send
    this.gone = link.gone
    const helloMs = nowMs()
    this.#arrival = { cameMs: who.cameMs ?? helloMs, helloMs }
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

  /** The peer heard nothing back from the gateway over UDP, and has closed that socket. */
  cooled(number: number, reason: string): void {
    this.#cold = { reason, atMs: nowMs() }
    const index = this.#warm.findIndex(socket => socket.number === number)
    if (index >= 0) this.#warm.splice(index, 1)
    this.#changed.dispatchEvent(new Event('change'))
  }

  filters(test: FilteringTest): void {
    this.#filtering = test
    this.#changed.dispatchEvent(new Event('change'))
  }

  get isWarm(): boolean {
    return this.#warm.length > 0
  }

  get warmMs(): number {
    return this.#warmMs
  }

  get cold(): { readonly reason: string; readonly atMs: number } | undefined {
    return this.#cold
  }

  async warm(signal: AbortSignal): Promise<void> {
    await this.#until(() => this.isWarm || this.#cold !== undefined, signal)
    const cold = this.#cold
    // If there is no reason, there was a socket, and another session has taken it since: the session looks again.
    if (this.isWarm || !cold) return
    throw new PosternError('udp-blocked', `no UDP datagram from ${this.name} reaches the gateway: ${cold.reason}`)
  }

  async takeSocket(): Promise<WarmSocket | undefined> {
    return this.#warm.shift()
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
