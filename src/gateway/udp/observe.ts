// The observer role: it knows the keys of the peers that joined, and keeps the mappings their sockets showed at the
// gateway's endpoints. Bounded per peer, and gone with the peer.

import { nowMs } from '../../clock.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import { REFRESH_MS } from '../../wire/signal.ts'
import type { Sample } from '../profile.ts'
import type { Observer } from '../roles.ts'
import type { Claim } from './binding.ts'
import type { Port } from './listen.ts'

/** Sockets of one peer whose samples are kept: an idle one, and those of sessions that are being opened. */
const SOCKETS = 64

/** Samples of one socket: four endpoints, a few times over. */
const SAMPLES = 16

/** How old a sample may be, in milliseconds: two refreshes were lost then, and the NAT may have forgotten the mapping. */
const FRESH_MS = 2.5 * REFRESH_MS

interface Watched {
  readonly key: Buffer
  readonly sockets: Map<number, Sample[]>
}

export class UdpObserver implements Observer {
  readonly #peers = new Map<string, Watched>()
  readonly #ports: () => readonly Port[]
  readonly #public: readonly string[]
  readonly #now: () => number

  constructor(options: { ports: () => readonly Port[]; public: readonly string[]; now?: () => number }) {
    this.#ports = options.ports
    this.#public = options.public
    this.#now = options.now ?? nowMs
  }

  endpoints(reachedAt: string): Endpoint[] {
    const plain = reachedAt.replace(/^::ffff:/, '')
    return this.#ports().map(({ local, row }) => ({
      address: this.#public[row] ?? (isUnspecified(local.address) ? plain : local.address),
      port: local.port
    }))
  }

  admit(peer: string, key: Buffer): void {
    this.#peers.set(peer, { key, sockets: new Map() })
  }

  dismiss(peer: string): void {
    this.#peers.delete(peer)
  }

  /** Those that are fresh, oldest first. */
  samples(peer: string, socket: number): readonly Sample[] {
    const sinceMs = this.#now() - FRESH_MS
    return (this.#peers.get(peer)?.sockets.get(socket) ?? []).filter(({ atMs }) => atMs >= sinceMs)
  }

  /** Who `p:PEER:SOCKET` and `f:PEER:…` are. */
  claim(kind: string, peer: string, socket: string): Claim | undefined {
    const key = this.#peers.get(peer)?.key
    if (!key || !/^\d{1,9}$/.test(socket)) return undefined
    return kind === 'f' ? { kind: 'filter', key } : { kind: 'sample', key, peer, socket: Number(socket) }
  }

  record({ peer, socket }: Extract<Claim, { kind: 'sample' }>, port: Port, mapped: Endpoint): void {
    const sockets = this.#peers.get(peer)?.sockets
    if (!sockets) return
    const samples = sockets.get(socket) ?? []
    samples.push({ via: this.#publicOf(port), primary: port === this.#ports()[0], mapped, atMs: this.#now() })
    if (samples.length > SAMPLES) samples.shift()
    sockets.delete(socket)
    sockets.set(socket, samples)
    const oldest = sockets.keys().next()
    if (sockets.size > SOCKETS && !oldest.done) sockets.delete(oldest.value)
  }

  #publicOf({ local, row }: Port): Endpoint {
    return { address: this.#public[row] ?? local.address, port: local.port }
  }
}

const isUnspecified = (address: string) => address === '0.0.0.0' || address === '::'
