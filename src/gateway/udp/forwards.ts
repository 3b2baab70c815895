// Proves that an endpoint which a peer claims leads to its socket. One datagram with a nonce goes there, and the peer that
// hears it on that socket returns the nonce over its WebSocket. Until then nobody is told of the endpoint.
//
// The datagram leaves from a port that the peer has never sent to. So a mapping that the peer's NAT made for the gateway is
// not taken for a forward, unless its filter lets in any port of the gateway's address: then a claim of that very mapping is
// refused. A stranger's endpoint gets this one datagram of 32 bytes and no other, since each certificate, each network that
// claims come from and each network that they name has a share of its own.

import { randomBytes, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { timeoutSignal } from '../../clock.ts'
import { TokenBucket } from '../../token-bucket.ts'
import { type Endpoint, formatEndpoint, isPublic, sameEndpoint } from '../../wire/endpoint.ts'
import { KNOCK_NONCE_BYTES, knock } from '../../wire/forward.ts'
import type { FromGateway, FromPeer, Message } from '../../wire/signal.ts'
import type { Joined } from '../peers/joined.ts'
import type { Forward } from '../peers/member.ts'
import type { Observer } from '../peers/observer.ts'
import { latest } from '../shares/latest.ts'
import { networkOf } from '../shares/network.ts'

/** Claims of one certificate are tried once in this time, in milliseconds. */
const EVERY_MS = 30_000

/** How long the nonce is waited for, in milliseconds. A round trip takes a few hundred, and the user waits for the answer. */
const PROOF_MS = 2000

/** A proof that is younger is not asked for again, in milliseconds: the socket of that port has a successor. */
const RECENT_MS = 300_000

/** How long a claim may wait for the test of the peer's filter, in milliseconds. It takes about 500 ms after the join. */
const FILTERING_MS = 2000

/** Datagrams per `EVERY_MS` that claims of one network of 256 addresses may cause, and that one such network may get. */
const PER_NETWORK = 16

/** Datagrams per second in all. */
const PER_SECOND = 50

/** Certificates and networks that are remembered. If there are more of them at once, only the limit in all holds. */
const REMEMBERED = 10_000

export interface ForwardCounters {
  /** Datagrams that were sent to claimed endpoints. */
  tried: number
  proved: number
  unheard: number
  refused: number
  /** Claims that came too early, or were too many. */
  limited: number
}

type Claim = Message<FromPeer, 'claim'>
type Answer = Pick<Message<FromGateway, 'claimed'>, 'outcome' | 'reason'> & { readonly retryMs?: number }

interface Options {
  readonly observer: Observer
  /** The gateway's own addresses, besides those that peers are told. */
  readonly own: () => readonly string[]
  /** Sends one datagram from a port that is used for nothing else. */
  readonly send: (datagram: Buffer, to: Endpoint) => void
  /** Milliseconds on a clock that does not go back. */
  readonly now?: () => number
}

/** A nonce that is on its way. */
interface Knock {
  readonly port: number
  readonly nonce: Buffer
  readonly heard: () => void
}

export class Forwards {
  readonly counters: ForwardCounters = { tried: 0, proved: 0, unheard: 0, refused: 0, limited: 0 }
  readonly #options: Options
  readonly #now: () => number
  readonly #knocks = new WeakMap<Joined, Knock>()
  /** When a claim of a certificate was tried last. */
  readonly #tried = new LRUCache<string, number>(latest(REMEMBERED))
  readonly #networks = new LRUCache<string, TokenBucket>(latest(REMEMBERED))
  readonly #all: TokenBucket

  constructor(options: Options) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#all = this.#bucket(PER_SECOND, PER_SECOND)
  }

  /** Tries a claim, and tells the peer what came of it. */
  async claim(peer: Joined, claim: Claim): Promise<void> {
    const { port, endpoint, by } = claim
    const known = peer.forwardOf(port)
    const before = known && sameEndpoint(known.endpoint, endpoint) ? known : undefined
    const isKept = before?.state === 'proved'
    const forward: Forward = isKept ? before : { endpoint, by, state: 'proving', atMs: this.#now() }
    if (!isKept) peer.claims(port, forward)
    const isRecent = isKept && this.#now() - before.atMs < RECENT_MS
    const answer: Answer = isRecent ? PROVED : await this.#try(peer, claim)
    const { outcome, reason, retryMs = EVERY_MS } = answer
    // The peer has claimed something else for this port since, or has gone.
    if (peer.gone.aborted || peer.forwardOf(port) !== forward) return
    if (outcome === 'refused') this.counters.refused++
    if (outcome === 'later') this.counters.limited++
    if (outcome === 'later' && !isKept) restore(peer, port, before)
    else if (outcome !== 'later' && !isRecent) peer.claims(port, { endpoint, by, state: outcome, atMs: this.#now() })
    peer.send({ type: 'claimed', port, endpoint, outcome, reason, retryMs })
  }

  /** A peer returns what it heard. A wrong nonce changes nothing: anybody may send one to the socket. */
  proof(peer: Joined, { port, nonce }: Message<FromPeer, 'proof'>): void {
    const knocked = this.#knocks.get(peer)
    const given = Buffer.from(nonce, 'base64')
    if (knocked?.port !== port || given.length !== knocked.nonce.length) return
    if (timingSafeEqual(given, knocked.nonce)) knocked.heard()
  }

  async #try(peer: Joined, { socket, port, endpoint }: Claim): Promise<Answer> {
    const refused = this.#refusal(peer, endpoint)
    if (refused) return { outcome: 'refused', reason: refused }
    const samples = await this.#options.observer.samples(peer.id, socket)
    const [seen] = samples
    if (!seen) return { outcome: 'refused', reason: 'no mapping of that socket was seen' }
    if (samples.some(({ mapped }) => sameEndpoint(mapped, endpoint)) && (await admitsOtherPorts(peer)))
      return {
        outcome: 'refused',
        reason: `${formatEndpoint(endpoint)} is what the NAT gave the socket itself, and its filter lets the gateway in anyway`
      }
    const waitMs = this.#waitMs(peer, seen.mapped, endpoint)
    if (waitMs > 0) return { outcome: 'later', reason: 'too many claims were tried a moment ago', retryMs: waitMs }
    return (await this.#knock(peer, port, endpoint)) ? PROVED : unheard(port, endpoint)
  }

  #refusal({ endpoints }: Joined, { address }: Endpoint): string | undefined {
    if (!isPublic(address)) return `${address} is no public IPv4 address`
    const isOwn = [...this.#options.own(), ...endpoints.map(endpoint => endpoint.address)].includes(address)
    return isOwn ? `${address} is an address of the gateway` : undefined
  }

  /** Milliseconds until a claim may be tried; 0 takes its share of all limits. */
  #waitMs({ fingerprint }: Joined, from: Endpoint, to: Endpoint): number {
    const sinceMs = this.#now() - (this.#tried.get(fingerprint) ?? Number.NEGATIVE_INFINITY)
    if (sinceMs < EVERY_MS) return EVERY_MS - sinceMs
    const buckets = [
      this.#network(`from ${networkOf(from.address)}`),
      this.#network(`to ${networkOf(to.address)}`),
      this.#all
    ]
    const waitMs = Math.max(...buckets.map(bucket => bucket.untilMs()))
    if (waitMs > 0) return waitMs
    for (const bucket of buckets) bucket.charge(1)
    this.#tried.set(fingerprint, this.#now())
    return 0
  }

  #network(name: string): TokenBucket {
    const bucket = this.#networks.get(name) ?? this.#bucket(PER_NETWORK / (EVERY_MS / 1000), PER_NETWORK)
    this.#networks.set(name, bucket)
    return bucket
  }

  #bucket(perSecond: number, capacity: number): TokenBucket {
    return new TokenBucket({ perSecond, capacity, now: this.#now })
  }

  /** Sends the nonce, and resolves with whether it came back in time. */
  async #knock(peer: Joined, port: number, endpoint: Endpoint): Promise<boolean> {
    const nonce = randomBytes(KNOCK_NONCE_BYTES)
    const { promise, resolve } = Promise.withResolvers<boolean>()
    using late = timeoutSignal(PROOF_MS)
    const over = AbortSignal.any([late, peer.gone])
    over.addEventListener('abort', () => resolve(false), { once: true })
    const knocked = { port, nonce, heard: () => resolve(true) }
    this.#knocks.set(peer, knocked)
    this.counters.tried++
    this.#options.send(knock(nonce), endpoint)
    const isProved = await promise
    if (this.#knocks.get(peer) === knocked) this.#knocks.delete(peer)
    this.counters[isProved ? 'proved' : 'unheard']++
    return isProved
  }
}

const PROVED: Answer = { outcome: 'proved', reason: 'what was sent there came in at the socket' }

const unheard = (port: number, endpoint: Endpoint): Answer => ({
  outcome: 'unheard',
  reason: `what the gateway sent to ${formatEndpoint(endpoint)} did not come in at UDP port ${port}`
})

/** A claim that has to wait leaves what was known of that endpoint. */
function restore(peer: Joined, port: number, before: Forward | undefined): void {
  if (before) peer.claims(port, before)
  else peer.unclaims(port)
}

/** True if its NAT's filter lets in another port of an address that was sent to, but not just anybody. */
async function admitsOtherPorts(peer: Joined): Promise<boolean> {
  await peer.filteringKnown(timeoutSignal(FILTERING_MS))
  const { filtering } = peer
  return filtering?.port === true && filtering.address !== true
}
