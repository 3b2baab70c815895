// The socket that a peer keeps warm while idle: its NAT has mapped it, the mapping is proved to the gateway, and it is
// refreshed before the NAT forgets. So a connect request goes straight to plans. A fresh socket is bound and shown when a
// session asks for it.

import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { PosternError } from '../../errors.ts'
import { type Endpoint, formatEndpoint, isLoopback } from '../../wire/endpoint.ts'
import type { Address } from '../../wire/shapes.ts'
import { RawSocket } from './raw.ts'

/** What `welcome` told: which endpoints to ask, and how to sign. */
export interface Membership {
  readonly peer: string
  readonly key: Buffer
  /** The gateway's endpoints, the primary first. */
  readonly endpoints: readonly Endpoint[]
  readonly refreshMs: number
}

/**
 * How long the other endpoints are waited for after the primary one has answered, in milliseconds. One of them may be
 * unreachable.
 */
const OTHERS_MS = 500

export class WarmSocket {
  readonly number: number
  readonly raw: RawSocket
  readonly #membership: Membership
  readonly #nonces = new Map<Endpoint, Buffer>()
  /** The mapping that each endpoint saw last. */
  readonly #mapped = new Map<Endpoint, string>()
  readonly #taken = new AbortController()
  #rttMs = 0

  private constructor(number: number, raw: RawSocket, membership: Membership) {
    this.number = number
    this.raw = raw
    this.#membership = membership
  }

  /** Binds a socket and shows its mappings to the gateway. Throws `udp-blocked`, or what `signal` aborts with. */
  static async open(number: number, membership: Membership, signal: AbortSignal): Promise<WarmSocket> {
    const warm = await WarmSocket.bind(number, membership)
    try {
      await warm.show(signal)
      return warm
    } catch (error) {
      await warm.raw.close()
      throw error
    }
  }

  /** Binds a socket that has sent nothing yet: its mappings will be the next that the NAT makes. Throws `io`. */
  static async bind(number: number, membership: Membership): Promise<WarmSocket> {
    return new WarmSocket(number, await RawSocket.bind(), membership)
  }

  /** Aborted when a session has taken the socket. From then on only that session's order sends from it. */
  get taken(): AbortSignal {
    return this.#taken.signal
  }

  take(): void {
    this.#taken.abort()
  }

  get port(): number {
    return this.raw.port
  }

  /** Round trip to the primary endpoint, in milliseconds. */
  get rttMs(): number {
    return this.#rttMs
  }

  /** Whether all of the gateway's endpoints saw one mapping; false until it was shown to all of them. */
  get isMappedOnce(): boolean {
    return this.#mapped.size === this.#membership.endpoints.length && new Set(this.#mapped.values()).size === 1
  }

  /** The last nonce the primary endpoint sent to this socket. */
  get nonce(): Buffer | undefined {
    const primary = this.#membership.endpoints[0]
    return primary && this.#nonces.get(primary)
  }

  /** Refreshes the mappings until `signal` aborts. Throws `udp-blocked` when the gateway is not heard any more. */
  async keep(signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(this.#membership.refreshMs, undefined, { signal })
      await this.show(signal)
    }
  }

  /**
   * Shows the mappings to the gateway, and proves them. The first requests leave in one turn, in the order of the endpoints,
   * so that a NAT that steps makes its mappings in that order. Throws `udp-blocked`, or what `signal` aborts with.
   */
  async show(signal: AbortSignal): Promise<void> {
    const [primary, ...others] = this.#membership.endpoints
    if (!primary) throw new PosternError('internal', 'the gateway named no endpoint')
    const patience = new AbortController()
    const first = this.#showAt(primary, signal)
    const rest = Promise.allSettled(
      others.map(endpoint => this.#showAt(endpoint, AbortSignal.any([signal, patience.signal])))
    )
    try {
      this.#rttMs = await first
    } catch (cause) {
      patience.abort(cause)
      if (signal.aborted) throw cause
      throw new PosternError(
        'udp-blocked',
        `the gateway does not answer at ${primary.address}:${primary.port} over UDP`,
        { cause }
      )
    }
    const timer = setTimeout(
      () => patience.abort(new PosternError('timeout', 'an endpoint does not answer')),
      OTHERS_MS
    )
    await rest
    clearTimeout(timer)
  }

  /** Shows the mapping at one endpoint, and proves it by echoing the nonce that came to it. */
  async #showAt(endpoint: Endpoint, signal: AbortSignal): Promise<number> {
    const { rttMs, nonce, mapped } = await prove(this.raw, endpoint, `p:${this.#membership.peer}:${this.number}`, {
      key: this.#membership.key,
      nonce: this.#nonces.get(endpoint),
      signal
    })
    this.#nonces.set(endpoint, nonce)
    if (mapped) this.#mapped.set(endpoint, formatEndpoint(mapped))
    return rttMs
  }
}

/**
 * Sends an authenticated request, and proves its source. An answer that carries a nonce says "echo this first", so the
 * request is sent at most three times. Resolves with the nonce that was accepted, and with the mapping if the gateway names
 * it.
 */
export async function prove(
  raw: RawSocket,
  endpoint: Endpoint,
  username: string,
  { key, nonce, signal }: { key: Buffer; nonce?: Buffer | undefined; signal: AbortSignal }
): Promise<{ rttMs: number; nonce: Buffer; mapped: Endpoint | undefined }> {
  let echo = nonce
  for (let round = 0; round < 3; round++) {
    const { message, rttMs } = await raw.request(endpoint, { username, ...(echo ? { nonce: echo } : {}) }, key, signal)
    if (echo && !message.nonce) return { rttMs, nonce: echo, mapped: message.mapped }
    echo = message.nonce
  }
  throw new PosternError('timeout', `${endpoint.address}:${endpoint.port} did not accept its own nonce`)
}

/** The addresses of this host's interfaces. Loopback counts if the gateway itself is on loopback. */
export function ownAddresses(primary: Endpoint | undefined): Address[] {
  const withLoopback = primary !== undefined && isLoopback(primary.address)
  return Object.values(networkInterfaces())
    .flat()
    .filter(one => one !== undefined)
    .filter(({ internal, family }) => family === 'IPv4' && internal === withLoopback)
    .map(({ address, cidr }) => ({ address, prefix: Number(cidr?.split('/')[1] ?? 32) }))
    .slice(0, 16)
}
