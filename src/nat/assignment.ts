// Which port will a NAT give next? From the mappings seen so far a posterior over the ways NATs allocate ports is
// fitted: kept, stepping, in a block, at random (assignment/). A model is that mixture; it gives ports in order of
// probability and says what trying the first n of them is worth. Pure: observations in, probabilities out.
//
//   observations → evidence → hypotheses, each prior × likelihood → weights → peaks and uniform parts → ranked ports

import { type Assignment, describe } from './assignment/description.ts'
import { sum } from './assignment/drift.ts'
import { type Mixture, mixtureOf, type Weighed } from './assignment/mixture.ts'
import { type Evidence, evidence, type Observation } from './assignment/observation.ts'
import type { Share } from './assignment/pool.ts'
import { KNOWN } from './assignment/ranges.ts'
import { type Candidate, type Peaks, ports, ranked, type Uniform } from './assignment/ranked.ts'
import { birthdayRate } from './assignment/rates.ts'
import { advance, type Counter, type Stepping } from './assignment/stepping.ts'
import type { Drawn } from './assignment/sweep.ts'
import { ahead, type Track, tracksOf, type When } from './assignment/tracks.ts'

export { type Assignment, type Kind, kinds } from './assignment/description.ts'
export { meetingRate, type World } from './assignment/meeting.ts'
export type { Observation } from './assignment/observation.ts'
export type { Share } from './assignment/pool.ts'
export type { Candidate } from './assignment/ranked.ts'
export { birthdayRate, sprayRate, windowRate } from './assignment/rates.ts'
export { type Drawn, sweep } from './assignment/sweep.ts'
export { type Meeting, meet, type Track, type When } from './assignment/tracks.ts'

export interface PortModel {
  /** Ports in order of probability, every port of each address seen once, for the next mapping. */
  candidates(when: When): Iterable<Candidate>
  /**
   * Probability that one of the first `n` candidates is right. With `open` mappings on the hard side instead of one,
   * those that are drawn at random are met by 1 − C(N−k, n) / C(N, n); those of a counter count as one, which is the
   * least. Where both sides step, multiply the two sides' rates; where both are random, see sprayRate.
   */
  hitRate(n: number, when: When & { readonly open?: number | undefined }): number
  /** The ways on of the counters that may give the next ports, likeliest first, for a plan that makes some mappings. */
  tracks(when: When & { readonly mappings: number }): Track[]
  /** The ranges that ports are drawn from at random, and all that no hypothesis places. */
  ranges(): Drawn[]
  /** The public addresses the next mapping may get, likeliest first; none where nothing was seen. */
  addresses(): readonly Share[]
  describe(): Assignment
}

/**
 * Fits the models to what was seen of one peer. Observations may be few, late, doubled, out of order or nonsense: the
 * posterior is then wide; it never throws. `socket` names the socket that will be mapped next when it is not the one of
 * the latest observation.
 */
export function fit(observations: readonly Observation[], socket: { readonly localPort?: number } = {}): PortModel {
  const seen = evidence(observations, socket.localPort)
  const mixture = mixtureOf(seen)
  return {
    candidates: when => ranked(...distribution(mixture, seen, when)),
    hitRate: (n, { open = 1, ...when }) => hitRate(distribution(mixture, seen, when), n, open),
    tracks: when => tracksOf(mixture, seen, when),
    ranges: () => rangesOf(mixture),
    addresses: () => mixture.shares,
    describe: () => describe(mixture, seen)
  }
}

type Distribution = readonly [readonly Peaks[], readonly Uniform[]]

function distribution(mixture: Mixture, seen: Evidence, when: When): Distribution {
  const shares = mixture.shares.length > 0 ? mixture.shares : [undefined]
  const peaks = shares.map(share => ({
    share,
    ports: new Map<number, number>(),
    taken: new Set(seen.mappings.filter(({ address }) => address === share?.address).map(({ port }) => port))
  }))
  const atPort = (address: string | undefined, port: number, probability: number) => {
    for (const { share, ports } of peaks) {
      if (address !== undefined && share?.address !== address) continue
      ports.set(port, (ports.get(port) ?? 0) + probability * (share?.share ?? 1))
    }
  }
  for (const { port, weight } of mixture.kept) atPort(undefined, port, weight)
  for (const stepping of mixture.steppings) addSteps(stepping, seen, when, atPort)
  return [peaks, [...mixture.intervals, ...remainder(peaks, mixture)]]
}

// Less than this no port is told from another by.
const NEGLIGIBLE = 1e-9

type AtPort = (address: string | undefined, port: number, probability: number) => void

function addSteps(stepping: Weighed<Stepping>, seen: Evidence, when: When, atPort: AtPort): void {
  for (const counter of stepping.counters) {
    const { foreign, own } = ahead(stepping, counter, { seen, when })
    for (const [k, probability] of foreign.entries()) addStep(stepping, counter, 1 + own + k, probability, atPort)
  }
}

function addStep(
  stepping: Weighed<Stepping>,
  counter: Counter,
  ahead: number,
  probability: number,
  atPort: AtPort
): void {
  const weight = probability * stepping.weight
  if (weight < NEGLIGIBLE) return
  const onward = counter.port + stepping.step * ahead
  const total = sum(stepping.wraps.map(({ share }) => share))
  let inside = 0
  for (const wrap of stepping.wraps) {
    if (onward >= wrap.low && onward <= wrap.high) inside += wrap.share
    else atPort(counter.address, advance(counter.port, stepping.step, ahead, wrap), (weight * wrap.share) / total)
  }
  if (inside > 0) atPort(counter.address, onward, (weight * inside) / total)
}

const TRACE = 1e-6
// Of hundreds of ranges that may be, those with less than this move no probe; their weight goes to the named ones.
const RARE = 1e-4

/** Hypotheses of the same bounds are one; the parity of other sockets' ports is not that of the next. */
function rangesOf({ kept, steppings, intervals }: Mixture): Drawn[] {
  const drawn = new Map<string, Drawn>()
  const add = ({ low, high, weight }: Drawn) => {
    const name = `${low} ${high}`
    drawn.set(name, { low, high, weight: weight + (drawn.get(name)?.weight ?? 0) })
  }
  for (const interval of intervals) if (interval.weight > RARE) add(interval)
  const placed = sum([...kept, ...steppings, ...drawn.values()].map(({ weight }) => weight))
  for (const { low, high, share } of KNOWN) add({ low, high, weight: share * Math.max(TRACE, 1 - placed) })
  return [...drawn.values()]
}

/** What no hypothesis places, over the named ranges; a trace of it everywhere, so that a sweep never ends early. */
function remainder(peaks: readonly Peaks[], { intervals }: Mixture): Uniform[] {
  const placed = sum(peaks.flatMap(peak => [...peak.ports.values()])) + sum(intervals.map(({ weight }) => weight))
  const rest = Math.max(TRACE, 1 - placed)
  return KNOWN.map(({ low, high, share }) => ({ low, high, weight: rest * share }))
}

function hitRate([peaks, uniforms]: Distribution, n: number, open: number): number {
  const tried: Candidate[] = []
  for (const candidate of ranked(peaks, uniforms)) {
    if (tried.length >= n) break
    tried.push(candidate)
  }
  const once = Math.min(1, sum(tried.map(({ probability }) => probability)))
  if (!(open > 1)) return once
  const peaked = new Map(peaks.map(({ share, ports }) => [share?.address, ports]))
  const single = sum(tried.map(({ address, port }) => peaked.get(address)?.get(port) ?? 0))
  return Math.min(
    1,
    single + sum(uniforms.map(one => one.weight * birthdayRate(open, inside(tried, one), ports(one) * peaks.length)))
  )
}

const inside = (tried: readonly Candidate[], { low, high, parity }: Uniform) =>
  tried.filter(({ port }) => port >= low && port <= high && (parity === undefined || port % 2 === parity)).length
