// Predicts where the next mappings of a NAT that counts will be: how each counter goes on from its latest port, and how far
// others will have moved it by then. This is for plans that make several mappings at once, one of which should have a port
// told in advance.

import { foreignWithin, sum } from './drift.ts'
import type { Mixture, Weighed } from './mixture.ts'
import type { Evidence } from './observation.ts'
import type { Share } from './pool.ts'
import { advance, type Counter, type Stepping, type Wrap } from './stepping.ts'

/** The moment a port is predicted for. */
export interface When {
  /**
   * Milliseconds from the arrival of the latest observation to the arrival of the probe, as the gateway's clock would see
   * it. A probe ordered now passes the NAT as if it arrived one round trip from now.
   */
  readonly elapsedMs: number
  /** Mappings that the peer makes itself in between, and that are not observed. */
  readonly after?: number | undefined
}

/** One way a counter may go on. */
export interface Track {
  /** The counter's public address; undefined if all addresses share it. */
  readonly address: string | undefined
  /** Probability of the hypothesis, 0 to 1. */
  readonly weight: number
  /**
   * Share of the next mappings that this counter gives. It is less than 1 if a pool, or the parity of ports, has several
   * counters.
   */
  readonly part: number
  /** Probability that others make 0, 1, 2 … mappings before ours. */
  readonly drift: Float64Array
  /** The ports of its mappings from now on, whoever makes them; the first is at index 0. */
  readonly ports: readonly number[]
  /** Place of a port among them. */
  readonly placeOf: ReadonlyMap<number, number>
}

// Beyond this no count of foreign mappings is any good. The bound also keeps nonsense finite.
const LONG_MS = 3_600_000
// A track with less weight than this changes no plan.
const NEGLIGIBLE = 1e-3

/** How many foreign mappings a counter will have made, and how many of the peer's own come first. */
export function ahead(
  { drift, counters }: Pick<Stepping, 'drift' | 'counters'>,
  { atMs }: Counter,
  { seen, when }: { seen: Evidence; when: When }
): { foreign: Float64Array; own: number } {
  const own = Math.min(65535, Math.max(0, Math.floor(when.after || 0)))
  const elapsedMs = Math.max(0, when.elapsedMs || 0) + seen.lastMs - atMs
  return { foreign: foreignWithin(drift, Math.min(elapsedMs, LONG_MS)), own: Math.round(own / counters.length) }
}

/** The likeliest first. `mappings` is how many the plan may make. */
export function tracksOf(mixture: Mixture, seen: Evidence, when: When & { readonly mappings: number }): Track[] {
  const tracks = mixture.steppings
    .filter(({ weight }) => weight > NEGLIGIBLE)
    .flatMap(stepping => stepping.counters.flatMap(counter => waysOn(stepping, counter, { mixture, seen, when })))
  return tracks.filter(({ weight }) => weight > NEGLIGIBLE).sort((a, b) => b.weight - a.weight)
}

function waysOn(
  stepping: Weighed<Stepping>,
  counter: Counter,
  { mixture, seen, when }: { mixture: Mixture; seen: Evidence; when: When & { readonly mappings: number } }
): Track[] {
  const { foreign, own } = ahead(stepping, counter, { seen, when })
  const length = foreign.length + when.mappings
  const way = (wrap: Wrap) => Array.from({ length }, (_, i) => advance(counter.port, stepping.step, 1 + own + i, wrap))
  const part = partOf(stepping, counter, mixture.shares)
  const total = sum(stepping.wraps.map(({ share }) => share))
  const { straight, bent } = byEnd(stepping, counter.port, 1 + own + length)
  return [straight, ...bent.map(wrap => [wrap])].flatMap(([wrap, ...alike]) => {
    if (!wrap) return []
    const weight = (stepping.weight * sum([wrap, ...alike].map(({ share }) => share))) / total
    const ports = way(wrap)
    const placeOf = new Map(ports.map((port, i) => [port, i] as const).toReversed())
    return [{ address: counter.address, weight, part, drift: foreign, ports, placeOf }]
  })
}

/** Sets apart the ranges whose end is too far away to matter: all of these lead the same way. */
function byEnd({ step, wraps }: Stepping, port: number, steps: number): { straight: Wrap[]; bent: Wrap[] } {
  const end = port + step * steps
  const far = ({ low, high }: Wrap) => end >= low && end <= high
  return { straight: wraps.filter(far), bent: wraps.filter(wrap => !far(wrap)) }
}

function partOf({ per }: Stepping, { address }: Counter, shares: readonly Share[]): number {
  if (per === 'parity') return 0.5
  return per === 'address' ? (shares.find(share => share.address === address)?.share ?? 1) : 1
}

/** A port, or several in a row, that a burst of mappings should meet. */
export interface Meeting {
  readonly address: string | undefined
  readonly ports: readonly number[]
  /** Probability that 0, 1, 2 … of the ports are among the next mappings. */
  readonly met: readonly number[]
}

/**
 * Finds the `count` ports in a row that the next `mappings` mappings cover most probably. They lie between the fewest
 * foreign mappings to expect and the most.
 */
export function meet(
  tracks: readonly Track[],
  shares: readonly Share[],
  { mappings, count }: { mappings: number; count: number }
): Meeting | undefined {
  const [best] = tracks
  if (!best) return undefined
  const reach = reachOf(best, mappings)
  const sums = summed(best.drift)
  let from = 0
  let most = -1
  for (let place = 0; place + count <= best.ports.length; place++) {
    const covered = within(sums, place + count - reach, place)
    // Of ports that are nearly alike, the nearest is best: farther ones are lost if the counter's range ends before them.
    if (covered <= most + ALIKE) continue
    most = covered
    from = place
  }
  const ports = best.ports.slice(from, from + count)
  const address = best.address ?? shares[0]?.address
  return { address, ports, met: metBy(tracks, shares, { address, ports, mappings }) }
}

const ALIKE = 1e-4

/** How many of the ports will be met: the weighted sum over all tracks. What no track explains counts as none met. */
function metBy(
  tracks: readonly Track[],
  shares: readonly Share[],
  { address, ports, mappings }: { address: string | undefined; ports: readonly number[]; mappings: number }
): number[] {
  const met = new Array<number>(ports.length + 1).fill(0)
  for (const track of tracks) {
    if (track.address !== undefined && track.address !== address) continue
    const given = track.address === undefined ? (shares.find(share => share.address === address)?.share ?? 1) : 1
    const counts = countsOf(track, ports, reachOf(track, mappings))
    for (let drift = 0; drift < track.drift.length; drift++) {
      const count = counts[drift] ?? 0
      met[count] = (met[count] ?? 0) + track.weight * given * (track.drift[drift] ?? 0)
    }
  }
  met[0] = Math.max(0, 1 - sum(met.slice(1)))
  return met
}

/**
 * How many of the ports the burst covers after 0, 1, 2 … foreign mappings. Each port is covered after `reach` of these
 * numbers.
 */
function countsOf({ drift, placeOf }: Track, ports: readonly number[], reach: number): Int32Array {
  const counts = new Int32Array(drift.length + 1)
  for (const port of ports) {
    const place = placeOf.get(port)
    if (place === undefined || place - reach + 1 >= drift.length) continue
    const [from, to] = [Math.max(0, place - reach + 1), Math.min(drift.length, place + 1)]
    counts[from] = (counts[from] ?? 0) + 1
    counts[to] = (counts[to] ?? 0) - 1
  }
  for (let i = 1; i < counts.length; i++) counts[i] = (counts[i] ?? 0) + (counts[i - 1] ?? 0)
  return counts
}

/** How many of the next mappings this counter gives. */
const reachOf = ({ part }: Track, mappings: number) => Math.max(1, Math.floor(mappings * part))

/** Running sums: place i holds the probability of fewer than i. */
function summed(probabilities: Float64Array): Float64Array {
  const sums = new Float64Array(probabilities.length + 1)
  for (const [i, probability] of probabilities.entries()) sums[i + 1] = (sums[i] ?? 0) + probability
  return sums
}

/** Probability of `low` to `high` foreign mappings. */
function within(sums: Float64Array, low: number, high: number): number {
  const last = sums.length - 1
  return (sums[Math.min(last, high + 1)] ?? 0) - (sums[Math.min(last, Math.max(0, low))] ?? 0)
}
