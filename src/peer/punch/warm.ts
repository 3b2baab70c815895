// The socket that a peer keeps warm while idle: its NAT has mapped it, the mapping is proved to the gateway, and it is
// refreshed before the NAT forgets. So a connect request goes straight to plans. A fresh socket is bound and shown when a
// session asks for it.

import { setTimeout as sleep } from 'node:timers/promises'
import { PosternError } from '../../errors.ts'
import { type Endpoint, formatEndpoint, isDoubtful, parseEndpoint } from '../../wire/endpoint.ts'
import { ALONE_MS, type Answered, firstAnswered } from './beside.ts'
import { isOwnAddress } from './interfaces.ts'
import { RawSocket } from './raw.ts'

/** What `welcome` told: which endpoints to ask, and how to sign. */
export interface Membership {
  readonly peer: string
  readonly key: Buffer
  /** The gateway's endpoints, the primary first. */
  readonly endpoints: readonly Endpoint[]
  readonly refreshMs: number
  /** Is told when a socket is not answered soon, and when it is. */
  readonly silence?: Silence | undefined
  /** The gateway's address as this peer knows it: IPv6 only if it came by IPv6, and knows no IPv4 address. */
  readonly reachedAt?: string | undefined
}

/** Who finds out whether UDP is blocked (doors/watch.ts). */
export interface Silence {
  silent(): void
  heard(): void
  /** The gateway takes UDP for blocked, and has to be told of an answer. */
  readonly isTold: boolean
}

/** Whether another datagram may leave now; always if it is left out. */
export type May = (() => boolean) | undefined

/**
 * How long the other endpoints are waited for after the primary one has answered, in milliseconds. One of them may be
 * unreachable.
 */
const OTHERS_MS = 500

/** How long a socket is alone if its port was chosen, in milliseconds: a forward leads there, and not to any other. */
const CHOSEN_ALONE_MS = 1200

export class WarmSocket {
  readonly number: number
  readonly raw: RawSocket
  readonly #membership: Membership
  readonly #may: May
  readonly #nonces = new Map<Endpoint, Buffer>()
  /** The mapping that each endpoint saw last. */
  readonly #mapped = new Map<Endpoint, string>()
  readonly #taken = new AbortController()
  #rest = new AbortController()
  #isHurried = false
  #aloneMs = ALONE_MS
  #rttMs = 0

  private constructor(number: number, raw: RawSocket, membership: Membership, may?: May) {
    this.#may = may
    this.number = number
    this.raw = raw
    this.#membership = membership
  }

  /**
   * Binds a socket, unless one is given, and shows its mappings to the gateway; others as well, if it is not answered (beside.ts). Throws
   * `udp-blocked`, `wrong-family`, or what `signal` aborts with.
   */
  static async open(
    nextNumber: () => number,
    membership: Membership,
    signal: AbortSignal,
    bound?: RawSocket | undefined
  ): Promise<Answered<WarmSocket>> {
    const warm = new WarmSocket(nextNumber(), bound ?? (await RawSocket.bind()), membership)
    if (bound) warm.#aloneMs = CHOSEN_ALONE_MS
    try {
      return await warm.showOrReplace(nextNumber, signal)
    } catch (error) {
      await warm.raw.close()
      throw error
    }
  }

  /**
   * Binds a socket that has sent nothing yet: its mappings will be the next that the NAT makes. Throws `io`.
   * @param farFrom ports of which its own is far, at most two
   */
  static async bind(
    number: number,
    membership: Membership,
    farFrom: readonly number[] = [],
    may?: May
  ): Promise<WarmSocket> {
    return new WarmSocket(number, await RawSocket.bind(farFrom), membership, may)
  }

  /** Binds a socket that talks to this host alone, and of which the gateway knows nothing. Throws `io`. */
  static async unshown(number: number): Promise<WarmSocket> {
    const nobody = { peer: '', key: Buffer.alloc(0), endpoints: [], refreshMs: 0 }
    return new WarmSocket(number, await RawSocket.bind(), nobody)
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

  /** Whether the NAT uses another port towards a peer than any that the gateway saw, as far as this socket shows it. */
  get isHard(): boolean {
    const isTranslated = [...this.#mapped.values()].some(mapped => !isOwnAddress(parseEndpoint(mapped)?.address ?? ''))
    return isTranslated && new Set(this.#mapped.values()).size > 1
  }

  /** The last nonce the primary endpoint sent to this socket. */
  get nonce(): Buffer | undefined {
    const primary = this.#membership.endpoints[0]
    return primary && this.#nonces.get(primary)
  }

  /**
   * Refreshes the mappings as long as the socket is answered. Resolves with the one that took its place when it was not any
   * more, or with the same one after `refresh`, or where the gateway has to be told that it is answered again. Throws
   * `udp-blocked` or `wrong-family` when no other is answered either, or what `signal` aborts with.
   */
  async keep(nextNumber: () => number, signal: AbortSignal): Promise<Answered<WarmSocket>> {
    for (;;) {
      const isHurried = await this.#untilDue(signal)
      const kept = await this.showOrReplace(nextNumber, signal)
      if (isHurried || kept.candidate !== this || this.#membership.silence?.isTold) return kept
    }
  }

  /** Shows the mappings to the gateway at once: they may be others now. */
  refresh(): void {
    this.#isHurried = true
    this.#rest.abort()
  }

  /** Resolves when it is time for the next refresh, with true where that was asked for. */
  async #untilDue(signal: AbortSignal): Promise<boolean> {
    this.#rest = new AbortController()
    if (this.#isHurried) this.#rest.abort()
    const either = AbortSignal.any([signal, this.#rest.signal])
    await sleep(this.#membership.refreshMs, undefined, { signal: either }).catch(() => signal.throwIfAborted())
    const isHurried = this.#isHurried
    this.#isHurried = false
    return isHurried
  }

  /** Shows this socket, and others beside it if it is not answered. Throws as `open` does. */
  async showOrReplace(nextNumber: () => number, signal: AbortSignal): Promise<Answered<WarmSocket>> {
    const another = (farFrom: readonly number[]) => {
      this.#membership.silence?.silent()
      return WarmSocket.bind(nextNumber(), this.#membership, farFrom)
    }
    return await firstAnswered<WarmSocket>(this, another, signal, { aloneMs: this.#aloneMs + this.#rttMs })
  }

  /**
   * Shows the mappings to the gateway, and proves them. The first requests leave in one turn, in the order of the endpoints,
   * so that a NAT that steps makes its mappings in that order. Throws `udp-blocked`, `wrong-family`, or what `signal` aborts
   * with.
   * @param answered called when the primary endpoint has answered
   */
  async show(signal: AbortSignal, answered = () => {}): Promise<void> {
    const [primary, ...others] = this.#membership.endpoints
    if (!primary) throw new PosternError('wrong-family', 'the gateway named no IPv4 endpoint, and UDP is IPv4 alone')
    const patience = new AbortController()
    const first = this.#showAt(primary, signal)
    const rest = Promise.allSettled(
      others.map(endpoint => this.#showAt(endpoint, AbortSignal.any([signal, patience.signal])))
    )
    try {
      this.#rttMs = await first
      this.#membership.silence?.heard()
      answered()
    } catch (cause) {
      patience.abort(cause)
      if (signal.aborted) throw cause
      throw this.#unanswered(primary, cause)
    }
    const timer = setTimeout(
      () => patience.abort(new PosternError('timeout', 'an endpoint does not answer')),
      OTHERS_MS
    )
    await rest
    clearTimeout(timer)
  }

  #unanswered(primary: Endpoint, cause: unknown): PosternError {
    const { reachedAt } = this.#membership
    const at = formatEndpoint(primary)
    if (!this.raw.hasRoute)
      return new PosternError('wrong-family', `this host has no IPv4 route to ${at}, and UDP is IPv4 alone`, { cause })
    if (isDoubtful(primary.address, reachedAt))
      return new PosternError(
        'wrong-family',
        `the gateway was reached at ${reachedAt}, UDP is IPv4 alone, and nothing answers at ${at}, the IPv4 address that it told`,
        { cause }
      )
    return new PosternError('udp-blocked', `the gateway does not answer at ${at} over UDP`, { cause })
  }

  /** Shows the mapping at one endpoint, and proves it by echoing the nonce that came to it. */
  async #showAt(endpoint: Endpoint, signal: AbortSignal): Promise<number> {
    const { rttMs, nonce, mapped } = await prove(this.raw, endpoint, `p:${this.#membership.peer}:${this.number}`, {
      key: this.#membership.key,
      nonce: this.#nonces.get(endpoint),
      may: this.#may,
      signal
    })
    this.#nonces.set(endpoint, nonce)
    if (mapped) this.#mapped.set(endpoint, formatEndpoint(mapped))
    return rttMs
  }
}

/**
 * Sends an authenticated request, and proves its source. An answer that carries a nonce says "echo this first", so the
 * request is sent at most three times. Resolves with the nonce that was accepted, the shortest of the round trips, where the last
 * answer came from, and the mapping if the gateway names it.
 */
export async function prove(
  raw: RawSocket,
  endpoint: Endpoint,
  username: string,
  { key, nonce, signal, may }: { key: Buffer; nonce?: Buffer | undefined; signal: AbortSignal; may?: May }
): Promise<{ rttMs: number; nonce: Buffer; source: Endpoint; mapped: Endpoint | undefined }> {
  let echo = nonce
  let leastMs = Number.POSITIVE_INFINITY
  for (let round = 0; round < 3; round++) {
    const { message, source, rttMs } = await raw.request(
      endpoint,
      { username, ...(echo ? { nonce: echo } : {}) },
      key,
      signal,
      may
    )
    leastMs = Math.min(leastMs, rttMs)
    if (echo && !message.nonce) return { rttMs: leastMs, nonce: echo, source, mapped: message.mapped }
    echo = message.nonce
  }
  throw new PosternError('timeout', `${formatEndpoint(endpoint)} did not accept its own nonce`)
}
