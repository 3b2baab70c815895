// Ports that the router is asked for, where the NAT uses other ports towards other peers. It is asked when a socket has become
// idle and nothing is being connected, so that no connection waits for it. What it gives belongs to the local port: the sockets
// that follow each other on that port are all reached there. It is claimed as a forward made by hand is (forwards.ts), renewed,
// and given back when the peer leaves its gateway.

import { timeoutSignal } from '../clock.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import type { FromPeer, Message } from '../wire/signal.ts'
import type { Forwards } from './forwards.ts'
import type { WarmSocket } from './punch/warm.ts'
import { findRouter, isRefusal, mapPort, type PortMapping } from './router/router.ts'

/** Mappings at once: one for a connection that is open, and one for the idle socket beside it. */
const MOST = 2

/** A router that has refused is asked again after this time, in milliseconds. */
const REFUSED_MS = 600_000

/** What the router said, for the gateway. */
export type RouterNews = Omit<Message<FromPeer, 'router'>, 'type'>

export class Mappings {
  readonly #forwards: Forwards
  readonly #tell: (news: RouterNews) => void
  /** By local port; undefined while it is being asked for. */
  readonly #held = new Map<number, PortMapping | undefined>()
  readonly #closing = new Set<Promise<void>>()
  readonly #over = new AbortController()
  #refused: AbortSignal | undefined

  constructor(forwards: Forwards, tell: (news: RouterNews) => void) {
    this.#forwards = forwards
    this.#tell = tell
  }

  /** The local ports that the router forwards to, the first one first. A socket is best bound to one of them. */
  get ports(): number[] {
    return [...this.#held].flatMap(([port, mapping]) => (mapping ? [port] : []))
  }

  /** Claims what leads to the port of an idle socket already. */
  claim(warm: WarmSocket, idle: AbortSignal): void {
    const mapping = this.#held.get(warm.port)
    if (!mapping) return
    const { protocol: by } = mapping
    const claim = (endpoint: Endpoint | undefined) =>
      endpoint
        ? this.#forwards.claim(warm, { endpoint, by, unheard: () => mapping.renew() }, idle)
        : this.#forwards.unclaim(warm.port)
    mapping.onChange = claim
    if (mapping.external) claim(mapping.external)
  }

  /** Asks the router for a port that leads to an idle socket, and claims what it gives. Never throws. */
  async map(warm: WarmSocket, idle: AbortSignal): Promise<void> {
    const { port } = warm
    const isRefused = this.#refused !== undefined && !this.#refused.aborted
    if (isRefused || this.#held.has(port) || this.#held.size >= MOST || idle.aborted) return
    this.#held.set(port, undefined)
    const signal = AbortSignal.any([idle, this.#over.signal])
    const outcome = await this.#ask(port, signal)
    if (!outcome || isRefusal(outcome)) {
      this.#held.delete(port)
      if (outcome) this.#refuse({ answer: outcome.reason, ...addressOf(outcome.outsideAddress) })
      return
    }
    // The socket was taken or closed meanwhile, and nobody has been told of the port.
    if (signal.aborted || !this.#held.has(port)) return this.#giveBack(port, outcome)
    this.#held.set(port, outcome)
    this.#tell({ answer: 'granted', ...addressOf(outcome.external?.address) })
    this.claim(warm, signal)
  }

  /** The port is of no use any more. */
  release(port: number): void {
    const mapping = this.#held.get(port)
    if (mapping) this.#giveBack(port, mapping)
    else this.#held.delete(port)
  }

  /** Asks the router for the same ports again: it may have started anew, or be another one. */
  renew(): void {
    this.#refused = undefined
    for (const mapping of this.#held.values()) mapping?.renew()
  }

  /** Gives all ports back, and asks anew for the next sockets: they may be in another network. */
  reset(): void {
    for (const port of [...this.#held.keys()]) this.release(port)
    this.#refused = undefined
  }

  /** Gives all ports back. Resolves after a second or so at the most. */
  async close(): Promise<void> {
    this.#over.abort()
    this.reset()
    await Promise.all(this.#closing)
  }

  async #ask(localPort: number, signal: AbortSignal) {
    try {
      return await mapPort({ localPort, router: await findRouter(), signal })
    } catch {
      return undefined
    }
  }

  #giveBack(port: number, mapping: PortMapping): void {
    this.#held.delete(port)
    mapping.onChange = () => {}
    const closing = mapping.close().finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }

  #refuse(news: RouterNews): void {
    this.#refused = timeoutSignal(REFUSED_MS)
    this.#tell(news)
  }
}

const addressOf = (address: string | undefined): { outside?: string } =>
  address === undefined ? {} : { outside: address }
