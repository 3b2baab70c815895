// The endpoints from where a router leads to this peer's idle sockets. Each is claimed, and the gateway proves it before it tells
// anybody: it sends a nonce there, and what comes in at the socket is returned. The user is told once what came of it, and
// again when that changes.

import type { Endpoint } from '../wire/endpoint.ts'
import type { ForwardOrigin } from '../wire/forward.ts'
import type { FromGateway, FromPeer, Message } from '../wire/signal.ts'
import type { WarmSocket } from './punch/warm.ts'

/** What the user is told of a forward. */
export interface ForwardNews {
  readonly endpoint: Endpoint
  /** The peer's own UDP port. */
  readonly port: number
  readonly by: ForwardOrigin
  /** A datagram of the gateway came in through it, so that others can reach this peer there. */
  readonly proved: boolean
  /** One sentence. */
  readonly reason: string
}

/** A proof is asked for again after this time, in milliseconds: the router may have been set up anew. */
const AGAIN_MS = 600_000

/** A gateway tells what it can do right behind its welcome; one of the first release never does. In milliseconds. */
const FEATURES_MS = 2_000

/** The longest pause between two tries of a forward that leads nowhere, in milliseconds. */
const LONGEST_MS = 480_000

/** Nonces that are returned for one claim: anybody may send some to the socket. */
const PROOFS = 4

interface Claim {
  readonly endpoint: Endpoint
  readonly by: ForwardOrigin
  /** Called when nothing came in. */
  readonly unheard?: () => void
}

interface Claimed {
  readonly warm: WarmSocket
  readonly endpoint: Endpoint
  readonly by: ForwardOrigin
  readonly unheard: (() => void) | undefined
  /** Aborted when the socket is taken, or the endpoint is another one. */
  readonly over: AbortController
  /** The gateway has not told yet what came of it. */
  isAsked: boolean
  proofs: number
  /** How often nothing came in. */
  failures: number
}

export class Forwards {
  readonly #send: (message: FromPeer) => void
  readonly #tell: (news: ForwardNews) => void
  /** By local port. */
  readonly #claims = new Map<number, Claimed>()
  /** What the user was told last, by endpoint. */
  readonly #told = new Map<string, boolean>()
  /** Undefined as long as the gateway has not told. */
  #isServed: boolean | undefined

  constructor(send: (message: FromPeer) => void, tell: (news: ForwardNews) => void) {
    this.#send = send
    this.#tell = tell
  }

  get isServed(): boolean {
    return this.#isServed === true
  }

  /** This peer has joined, and what the gateway can do is still to be told: a socket may be warm sooner. */
  joined(): void {
    this.#isServed = undefined
    for (const port of [...this.#claims.keys()]) this.#forget(port)
  }

  /** The gateway can prove claims, or cannot because it is of the first release. */
  serves(isServed: boolean): void {
    this.#isServed = isServed
    for (const claimed of [...this.#claims.values()]) isServed ? this.#ask(claimed) : this.#refuse(claimed)
  }

  /** Claims an endpoint for a socket that is idle until `signal` aborts. A socket has one; a newer one takes its place. */
  claim(warm: WarmSocket, { endpoint, by, unheard }: Claim, signal: AbortSignal): void {
    this.#forget(warm.port)
    if (signal.aborted) return
    const claimed: Claimed = {
      warm,
      endpoint,
      by,
      unheard,
      over: new AbortController(),
      isAsked: false,
      proofs: 0,
      failures: 0
    }
    this.#claims.set(warm.port, claimed)
    const end = () => this.#end(claimed)
    signal.addEventListener('abort', end, { once: true, signal: claimed.over.signal })
    warm.raw.onKnock = nonce => this.#prove(claimed, nonce)
    if (this.#isServed) return this.#ask(claimed)
    if (this.#isServed === false) return this.#refuse(claimed)
    const late = setTimeout(() => this.#isServed === undefined && this.#refuse(claimed), FEATURES_MS).unref()
    claimed.over.signal.addEventListener('abort', () => clearTimeout(late), { once: true })
  }

  #refuse(claimed: Claimed): void {
    this.#forget(claimed.warm.port)
    this.#news({ ...claimed, port: claimed.warm.port }, false, UNSERVED)
  }

  /** The endpoint leads to the socket no more. */
  unclaim(port: number): void {
    if (this.#claims.has(port)) this.#send({ type: 'unclaim', port })
    this.#forget(port)
  }

  /** The gateway tells what came of a claim. It is made again later, whatever that was. */
  answered({ port, endpoint, outcome, reason, retryMs }: Message<FromGateway, 'claimed'>): void {
    const claimed = this.#claims.get(port)
    if (!claimed || claimed.endpoint.port !== endpoint.port || claimed.endpoint.address !== endpoint.address) return
    const proved = outcome === 'proved'
    claimed.isAsked = false
    claimed.failures = proved || outcome === 'later' ? 0 : claimed.failures + 1
    if (outcome === 'unheard') claimed.unheard?.()
    if (outcome !== 'later') this.#news({ ...claimed, port }, proved, reason)
    if (claimed.over.signal.aborted) return this.#forget(port)
    const waitMs = proved ? AGAIN_MS : Math.min(LONGEST_MS, retryMs * 2 ** Math.max(0, claimed.failures - 1))
    const timer = setTimeout(() => this.#ask(claimed), waitMs).unref()
    claimed.over.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  }

  #ask(claimed: Claimed): void {
    const { warm, endpoint, by } = claimed
    claimed.proofs = 0
    claimed.isAsked = true
    this.#send({ type: 'claim', socket: warm.number, port: warm.port, endpoint, by })
  }

  #prove(claimed: Claimed, nonce: Buffer): void {
    if (claimed.proofs++ >= PROOFS) return
    this.#send({ type: 'proof', port: claimed.warm.port, nonce: nonce.toString('base64') })
  }

  /** The socket is taken: it is claimed no more. What came of the last claim is still told. */
  #end(claimed: Claimed): void {
    claimed.over.abort()
    if (!claimed.isAsked && this.#claims.get(claimed.warm.port) === claimed) this.#forget(claimed.warm.port)
  }

  #forget(port: number): void {
    this.#claims.get(port)?.over.abort()
    this.#claims.delete(port)
  }

  #news({ endpoint, by, port }: Omit<ForwardNews, 'proved' | 'reason'>, proved: boolean, reason: string): void {
    const name = `${by} ${endpoint.address} ${endpoint.port}`
    if (this.#told.get(name) === proved) return
    if (this.#told.size >= TOLD) this.#told.clear()
    this.#told.set(name, proved)
    this.#tell({ endpoint, port, by, proved, reason })
  }
}

/** Endpoints that are remembered as told: a router may give others again and again. */
const TOLD = 64

const UNSERVED = 'this gateway is of a release that proves no forwards, so it tells nobody of this one'
