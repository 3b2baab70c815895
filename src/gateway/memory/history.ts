// The mappings seen of a peer's sockets, kept beyond the connection they were seen for. What a NAT did a minute ago is the
// prior for what it does next, never the truth. Only those remembered sockets count that shared a public address with the one
// in use, because a peer may have changed networks. Two peers behind one address are kept apart, because a carrier gives each
// of its subscribers a block of its own.

import { LRUCache } from 'lru-cache'
import type { Observation } from '../../nat/assignment.ts'
import { latest } from '../shares/latest.ts'

/** Certificates remembered; the ones longest unused go first. */
const PEERS = 10_000

/** A NAT's counters and blocks outlive its mappings, but not by much. */
const TTL_MS = 600_000

/** A router is replaced or set up anew seldom. */
const PROVED_MS = 86_400_000

/** Mappings kept of one peer: as many as the models look at. */
const MOST = 32

interface Remembered {
  readonly observations: Observation[]
  /** Mappings made since the last of them that no endpoint of the gateway saw. */
  unseen: number
}

export class History {
  readonly #peers = new LRUCache<string, Remembered>({ ...latest(PEERS), ttl: TTL_MS })
  /** Certificates and public addresses whose mapping was found to be endpoint-independent. */
  readonly #proved = new LRUCache<string, true>({ ...latest(PEERS), ttl: PROVED_MS })

  /** Adds the mappings of the socket in use, and returns all that belong to its public addresses, oldest first. */
  learn(fingerprint: string, current: readonly Observation[]): Observation[] {
    const { observations, unseen } = this.#peers.get(fingerprint) ?? { observations: [], unseen: 0 }
    const known = new Set(observations.map(nameOf))
    const lastMs = observations.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY
    const others = current.filter(observation => !known.has(nameOf(observation)))
    const [first, ...rest] = others.filter(({ atMs }) => atMs > lastMs)
    const added = first ? [{ ...first, ...(unseen > 0 ? { unseen } : {}) }, ...rest] : []
    const kept = [...observations, ...added].slice(-MOST)
    this.#peers.set(fingerprint, { observations: kept, unseen: first ? 0 : unseen })
    const forgotten = others.filter(({ atMs }) => atMs <= lastMs)
    return atAddressesOf(forgotten.length > 0 ? [...forgotten, ...afterGap(kept)] : kept, current)
  }

  /**
   * Another peer was reached from the very mapping that the gateway had seen: so the mapping does not depend on the address
   * (RFC 4787 section 4.1), which a gateway with one address cannot see by itself. It is that other peer's word.
   */
  proved(fingerprint: string, address: string): void {
    this.#proved.set(`${fingerprint} ${address}`, true)
  }

  isProved(fingerprint: string, address: string): boolean {
    return this.#proved.has(`${fingerprint} ${address}`)
  }

  /** Notes mappings that were made but not seen: the next one observed comes that much later in the NAT's order. */
  unseen(fingerprint: string, mappings: number): void {
    const remembered = this.#peers.get(fingerprint)
    if (remembered) remembered.unseen += mappings
  }
}

/**
 * The mappings of all remembered sockets that had a public address in common with the current one, or with another socket
 * found in this way.
 */
function atAddressesOf(all: readonly Observation[], current: readonly Observation[]): Observation[] {
  const addresses = new Set(current.map(({ address }) => address))
  const sockets = [...Map.groupBy(all, ({ localPort }) => localPort).values()]
  for (let grown = true; grown; ) {
    const before = addresses.size
    for (const socket of sockets)
      if (socket.some(({ address }) => addresses.has(address))) for (const { address } of socket) addresses.add(address)
    grown = addresses.size > before
  }
  return all.filter(({ address }) => addresses.has(address))
}

/** The socket in use was idle, and its mappings are put before all that are remembered: nobody knows what came in between. */
const afterGap = ([first, ...rest]: readonly Observation[]): Observation[] =>
  first ? [{ ...first, unseen: Number.POSITIVE_INFINITY }, ...rest] : []

const nameOf = ({ localPort, address, port }: Observation) => `${localPort} ${address} ${port}`
