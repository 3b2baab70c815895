// Predicts which port a NAT will give next. A posterior over the ways of port assignment is fitted to the mappings seen so
// far: kept, stepping, in a block, at random (assignment/). A model is that mixture of hypotheses. It gives ports in order
// of probability, and says what trying the first n of them is worth. Pure: observations in, probabilities out.
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
  /** Ports for the next mapping in order of probability. Every port of each address seen comes once. */
  candidates(when: When): Iterable<Candidate>
  /**
   * Probability that one of the first `n` candidates is right. If the hard side holds `open` mappings instead of one, those
   * drawn at random are met with a probability of 1 − C(N−k, n) / C(N, n). Those of a counter count as one mapping, which
   * is a lower bound. If both sides step, multiply the rates of the two sides; if both are random, see sprayRate.
   */
  hitRate(n: number, when: When & { readonly open?: number | undefined }): number
  /** How the counters that may give the next ports go on, likeliest first, for a plan that makes `mappings` mappings. */
  tracks(when: When & { readonly mappings: number }): Track[]
  /** The ranges from which ports are drawn at random. What no hypothesis accounts for is spread over the named ranges. */
  ranges(): Drawn[]
  /** The public addresses that the next mapping may get, likeliest first; none if nothing was seen. */
  addresses(): readonly Share[]
  describe(): Assignment
}

/**
 * Fits the models to what was seen of one peer. Observations may be few, late, doubled, out of order or nonsense: the
 * posterior is then wide, and nothing is thrown. `socket` names the socket that will be mapped next, if it is not the one
 * of the latest observation.
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

// Probabilities below this do not tell one port from another.
const NEGLIGIBLE = 1e-9

type AtPort = (address: string | undefined, port: number, probability: number) => void

function addSteps(stepping: Weighed<Stepping>, seen: Evidence, when: When, atPort: AtPort): void {
  const weight = stepping.weight / sum(stepping.wraps.map(({ share }) => share))
  for (const counter of stepping.counters) {
    const { foreign, own } = ahead(stepping, counter, { seen, when })
    for (const [k, probability] of foreign.entries())
      if (probability * stepping.weight >= NEGLIGIBLE)
        addStep(stepping, counter, 1 + own + k, probability * weight, atPort)
  }
}

/** @param weight of this step, for each unit of the shares of its wraps */
function addStep({ step, wraps }: Stepping, counter: Counter, ahead: number, weight: number, atPort: AtPort): void {
  const onward = counter.port + step * ahead
  let inside = 0
  for (const wrap of wraps) {
    if (onward >= wrap.low && onward <= wrap.high) inside += wrap.share
    else atPort(counter.address, advance(counter.port, step, ahead, wrap), weight * wrap.share)
  }
  if (inside > 0) atPort(counter.address, onward, weight * inside)
}

const TRACE = 1e-6
// There may be hundreds of ranges. Those with less weight than this change no probe, and their weight goes to the named
// ones.
const RARE = 1e-4

/**
 * Hypotheses with the same bounds are merged. Their parity is left out: it holds for the next socket, and other sockets may
 * differ.
 */
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

/**
 * Spreads what no hypothesis accounts for over the named ranges. A trace is left everywhere, so that a sweep never ends
 * early.
 */
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
