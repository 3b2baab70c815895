// The observer role: it knows the keys of the peers that joined, and keeps the mappings their sockets showed at the
// gateway's endpoints. What it keeps is bounded per peer, and is forgotten when the peer leaves.

import { setMaxListeners } from 'node:events'
import { LRUCache } from 'lru-cache'
import { changed } from '../../changed.ts'
import { nowMs } from '../../clock.ts'
import type { Sample } from '../../nat/profile.ts'
import { type Endpoint, formatEndpoint, sameEndpoint } from '../../wire/endpoint.ts'
import { REFRESH_MS } from '../../wire/signal.ts'
import { remember } from '../memory/remember.ts'
import type { IceEndpoints, Observer, Remapped } from '../peers/observer.ts'
import { latest } from '../shares/latest.ts'
import type { Credential, Echo } from './desk.ts'
import { isForRelay, type Port } from './listen.ts'
import { type Told, toldOf } from './public.ts'
import { standIn, standInForIce } from './stand-in.ts'

/**
 * Sockets of one peer whose samples are kept: an idle one, and those of sessions that are being opened. The socket that was
 * not asked for the longest goes first, so that the idle one outlives the fresh ones that sessions have shown meanwhile.
 */
const SOCKETS = 64

/** Addresses of one peer that are remembered as proved: a NAT's pool, and a change of networks. */
const PROVED = 16

/** How old a sample may be, in milliseconds. After that two refreshes were lost, and the NAT may have forgotten the mapping. */
const FRESH_MS = 2.5 * REFRESH_MS

/** How many of the peers heard last are remembered: among three, at least one is neither of the two that are asked about. */
const HEARD_LAST = 3

/** Sockets of which it is remembered that they were shown by an Allocate request, the latest: so many, and two of each peer. */
const ALLOCATING = { least: 4096, ofOne: 2 } as const

/**
 * How long such a sample may be kept fresh without another proof, in milliseconds. It is how long a nonce is good, so this is no more
 * than whoever has one can do anyway.
 */
const REPEATED_MS = 240_000

/** Peers of which it is remembered that a mapping changed. */
const REMAPPED = 4096

interface Watched {
  /** Its bytes as a text in Latin-1: a Buffer of its own takes six times the memory. */
  readonly key: string
  /** By socket, then by the endpoint that saw it. */
  readonly sockets: Map<number, Map<Port, Seen>>
  /** Addresses that echoed a nonce, and when they did so last. */
  readonly proved: Map<string, number>
  rttMs: number
}

interface Seen {
  readonly sample: Sample
  /** A nonce has come back from this very mapping. Before, each request was answered with one. */
  readonly hasEchoed: boolean
}

export class UdpObserver implements Observer {
  readonly #peers = new Map<string, Watched>()
  readonly #ports: () => readonly Port[]
  readonly #public: () => readonly Told[]
  readonly #now: () => number
  readonly #changed = new EventTarget()
  /** By peer: it keeps its id when it joins again, which a NAT that began anew makes it do. */
  readonly #remapped = new LRUCache<string, Remapped>(latest(REMAPPED))
  /** By the mapping: a browser shows no socket again, but Chromium keeps its mapping alive by Binding requests without a word. */
  readonly #allocating: LRUCache<string, { peer: string; socket: number; provedMs: number }>
  /** When each of these peers was heard last; some of them may have left. */
  readonly #heard = new LRUCache<string, number>({ max: HEARD_LAST })
  /** Where each port is reached: one object for all that was seen there. */
  readonly #reached = new WeakMap<Port, Endpoint>()
  /** When each endpoint heard a peer last. */
  readonly #heardAt = new Map<Port, number>()

  /** @param options `peers` may be joined at once; left out: some thousands */
  constructor(options: {
    ports: () => readonly Port[]
    public: () => readonly Told[]
    peers?: number
    now?: () => number
  }) {
    const { peers = 0 } = options
    this.#allocating = new LRUCache(latest(Math.max(ALLOCATING.least, ALLOCATING.ofOne * peers)))
    this.#ports = options.ports
    this.#public = options.public
    this.#now = options.now ?? nowMs
    // Each session that asks for fresh samples has one waiter, and the number of sessions has a limit of its own.
    setMaxListeners(0, this.#changed)
  }

  endpoints(reachedAt: string): Endpoint[] {
    return this.#told(
      () => standIn(reachedAt),
      port => !isForRelay(port)
    )
  }

  iceEndpoints(reachedAt: string): IceEndpoints {
    const last = Math.max(...this.#ports().map(({ column }) => column))
    const beside = () => standInForIce(reachedAt)
    const [relay] = last > 0 ? this.#told(beside, ({ column }) => column === last) : []
    return { endpoints: this.#told(beside, ({ column }) => column < Math.max(1, last)), ...(relay ? { relay } : {}) }
  }

  /**
   * The ports of a kind as a peer is told them, in their order.
   * @param beside the address that it is told where the gateway listens on all
   */
  #told(beside: () => string | undefined, isMeant: (port: Port) => boolean): Endpoint[] {
    const ports = this.#ports().filter(isMeant)
    return ports.flatMap(port => {
      const { address, port: number } = port.local
      const told = toldOf(this.#public(), port)
      if (told) return [told]
      const own = isUnspecified(address) ? beside() : address
      return own === undefined ? [] : [{ address: own, port: number }]
    })
  }

  admit(peer: string, key: Buffer): void {
    this.#peers.set(peer, {
      key: key.toString('latin1'),
      sockets: new Map(),
      proved: new Map(),
      rttMs: Number.POSITIVE_INFINITY
    })
  }

  dismiss(peer: string): void {
    this.#peers.delete(peer)
  }

  async samples(peer: string, socket: number): Promise<readonly Sample[]> {
    return this.#fresh(peer, socket)
  }

  /** The samples that are fresh, in the order their mappings were made. */
  #fresh(peer: string, socket: number): readonly Sample[] {
    const sinceMs = this.#now() - FRESH_MS
    const watched = this.#peers.get(peer)
    const isProved = ({ mapped }: Sample) => (watched?.proved.get(mapped.address) ?? -Infinity) >= sinceMs
    const seen = watched?.sockets.get(socket)
    if (watched && seen) remember(watched.sockets, socket, seen, SOCKETS)
    const samples = [...(seen?.values() ?? [])].map(({ sample }) => sample)
    return samples.filter(sample => sample.atMs >= sinceMs && isProved(sample)).sort((a, b) => a.sinceMs - b.sinceMs)
  }

  async seen(peer: string, socket: number, endpoints: number, signal: AbortSignal): Promise<void> {
    while (this.#fresh(peer, socket).length < endpoints && !signal.aborted) await changed(this.#changed, peer, signal)
  }

  rttMs(peer: string): number {
    const { rttMs = 0 } = this.#peers.get(peer) ?? {}
    return Number.isFinite(rttMs) ? rttMs : 0
  }

  remapped(peer: string): Remapped | undefined {
    return this.#remapped.get(peer)
  }

  heardOthers(peers: readonly string[], withinMs: number): boolean {
    const sinceMs = this.#now() - withinMs
    return [...this.#heard.entries()].some(([peer, atMs]) => atMs >= sinceMs && !peers.includes(peer))
  }

  deaf(withinMs: number): Endpoint[] {
    const sinceMs = this.#now() - withinMs
    return this.#ports()
      .filter(port => !isForRelay(port) && (this.#heardAt.get(port) ?? -Infinity) < sinceMs)
      .map(port => this.publicOf(port))
  }

  /** Whom `p:PEER:SOCKET` and `f:PEER:…` name. */
  credentialOf(kind: string, peer: string, socket: string): Credential | undefined {
    const watched = this.#peers.get(peer)
    if (!watched || !/^\d{1,9}$/.test(socket)) return undefined
    const key = Buffer.from(watched.key, 'latin1')
    return kind === 'f' ? { kind: 'filter', key } : { kind: 'sample', key, peer, socket: Number(socket) }
  }

  /**
   * A request with a valid MAC has come from `mapped`. If it lacks the nonce that would prove this, it counts as soon as any
   * request has proved its address. So the port of a fresh socket's mapping is known one round trip earlier, and is dated
   * from when the mapping was made.
   */
  sees(
    { peer, socket }: Extract<Credential, { kind: 'sample' }>,
    port: Port,
    mapped: Endpoint,
    { proved, rttMs = Number.POSITIVE_INFINITY }: Echo
  ): void {
    const watched = this.#peers.get(peer)
    if (!watched || isForRelay(port)) return
    const now = this.#now()
    this.#heard.set(peer, now)
    this.#heardAt.set(port, now)
    if (proved) remember(watched.proved, mapped.address, now, PROVED)
    watched.rttMs = Math.min(watched.rttMs, rttMs)
    if (Number.isFinite(rttMs)) this.#allocating.set(formatEndpoint(mapped), { peer, socket, provedMs: now })
    const samples = watched.sockets.get(socket) ?? new Map<Port, Seen>()
    const known = samples.get(port)
    const before = known && sameEndpoint(known.sample.mapped, mapped) ? known : undefined
    const sinceMs = before?.sample.sinceMs ?? now
    // The first nonce went there when the mapping was seen first. Later ones say nothing: it may be an older one that comes back.
    if (proved && before && !before.hasEchoed) watched.rttMs = Math.min(watched.rttMs, now - sinceMs)
    if (known && !before) this.#remapped.set(peer, { was: known.sample.mapped, mapped, atMs: now })
    const sample = { via: this.publicOf(port), primary: port === this.#ports()[0], mapped, atMs: now, sinceMs }
    samples.set(port, { sample, hasEchoed: proved || (before?.hasEchoed ?? false) })
    remember(watched.sockets, socket, samples, SOCKETS)
    this.#changed.dispatchEvent(new Event(peer))
  }

  /** What a browser sends to keep a mapping that it has shown: the sample is as fresh as that. */
  repeats(port: Port, mapped: Endpoint): void {
    const shown = this.#allocating.get(formatEndpoint(mapped))
    const [now, watched] = [this.#now(), shown && this.#peers.get(shown.peer)]
    const samples = watched?.sockets.get(shown?.socket ?? -1)
    const seen = samples?.get(port)
    if (!seen || !sameEndpoint(seen.sample.mapped, mapped) || now - (shown?.provedMs ?? 0) > REPEATED_MS) return
    samples?.set(port, { ...seen, sample: { ...seen.sample, atMs: now } })
    if (watched) remember(watched.proved, mapped.address, now, PROVED)
  }

  /** Where a port is reached: at its public address as configured, or else at the one it is bound to. */
  publicOf(port: Port): Endpoint {
    const reached = toldOf(this.#public(), port) ?? port.local
    const known = this.#reached.get(port)
    if (known && sameEndpoint(known, reached)) return known
    this.#reached.set(port, reached)
    return reached
  }
}

const isUnspecified = (address: string) => address === '0.0.0.0' || address === '::'
