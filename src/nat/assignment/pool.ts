// Which public address the next mapping gets, if a NAT has several (RFC 4787 section 4.1, "IP address pooling").

import type { Observation } from './observation.ts'

export interface Share {
  readonly address: string
  /** Probability that the next mapping gets this address. */
  readonly share: number
}

// Pools with "arbitrary" behaviour take turns or choose at random; neither is known to be the commoner.
const TURNS = 0.4
// Pools that choose at random use their addresses evenly. That belief is worth this many samples of each address.
const EVEN = 4
// Only this many addresses are kept. In a larger pool no port is worth a try, and candidates are kept for each address.
const MOST = 8
// Packets sent one right after another swap places on their way now and then.
const SWAPPED = 0.05

/**
 * If one address was seen, it is that one. If several were seen, the NAT takes turns in a fixed order or chooses at random;
 * both are weighed by how well they explain the order seen.
 */
export function nextAddress(mappings: readonly Observation[]): Share[] {
  const order = mappings.map(({ address }) => address)
  const addresses = [...new Set(order)]
  const many = addresses.length
  const turns = addresses.map((_, start) => (TURNS / many) * SWAPPED ** swaps(order, addresses, start))
  const random = (1 - TURNS) * many ** -order.length
  const total = random + turns.reduce((sum, turn) => sum + turn, 0)
  const shares = addresses.map((address, index) => {
    const seen = order.filter(other => other === address).length
    const atRandom = (random * (seen + EVEN)) / (order.length + EVEN * many)
    const inTurn = turns[(((index - order.length) % many) + many) % many] ?? 0
    return { address, share: (atRandom + inTurn) / total }
  })
  return shares.sort((a, b) => b.share - a.share).slice(0, MOST)
}

/**
 * How many neighbours must have swapped places if turns were taken from address number `start` on; infinite if they cannot
 * have been.
 */
function swaps(order: readonly string[], addresses: readonly string[], start: number): number {
  const many = addresses.length
  const seen = new Map<string, number>()
  let moved = 0
  for (const [place, address] of order.entries()) {
    const round = seen.get(address) ?? 0
    seen.set(address, round + 1)
    const due = round * many + ((addresses.indexOf(address) - start + many) % many)
    if (due >= order.length) return Number.POSITIVE_INFINITY
    moved += Math.abs(due - place)
  }
  return moved / 2
}
