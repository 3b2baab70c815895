// Gives out a distribution over public endpoints in order of probability: single ports that stand out, and intervals of
// ports that are all alike. It is lazy: to ask for three ports costs three ports, and a sweep goes on over the whole range.

import type { Share } from './pool.ts'
import { type Range, strideOf } from './ranges.ts'

export interface Candidate {
  readonly address: string | undefined
  readonly port: number
  readonly probability: number
}

/** Ports drawn at random from a range. If a parity is given, only ports of that parity. */
export interface Uniform extends Range {
  readonly parity?: 0 | 1
  readonly weight: number
}

/** Probabilities of single ports of one public address, on top of what the uniform parts give them. */
export interface Peaks {
  readonly share: Share | undefined
  readonly ports: ReadonlyMap<number, number>
  /** Ports taken by other mappings of ours. */
  readonly taken: ReadonlySet<number>
}

// A NAT must not give two flows of a host one port (RFC 4787 section 4.2.1); some do all the same.
const OVERLOADED = 0.1

/** Every port of every address once, likeliest first. */
export function* ranked(addresses: readonly Peaks[], uniforms: readonly Uniform[]): Generator<Candidate> {
  const flat = flatten(uniforms)
  const peaks = addresses.flatMap(address => peaksOf(address, flat)).sort((a, b) => b.probability - a.probability)
  const plains = addresses
    .flatMap(address => flat.map(segment => ({ address, segment, probability: segment.density * shareOf(address) })))
    .sort((a, b) => b.probability - a.probability)
  let next = 0
  for (const { address, segment, probability } of plains) {
    for (let peak = peaks[next]; peak && peak.probability >= probability; peak = peaks[++next]) yield peak
    for (const port of scattered(segment)) {
      if (!address.ports.has(port) && !address.taken.has(port))
        yield { address: address.share?.address, port, probability }
    }
  }
  yield* peaks.slice(next)
}

/** Ports of one parity that are equally likely. */
interface Segment extends Range {
  readonly parity: number
  readonly density: number
}

const shareOf = ({ share }: Peaks) => share?.share ?? 1

function peaksOf(address: Peaks, flat: readonly Segment[]): Candidate[] {
  const ports = new Set([...address.ports.keys(), ...address.taken])
  const density = densities(flat)
  return [...ports].map(port => {
    const plain = density(port) * shareOf(address) * (address.taken.has(port) ? OVERLOADED : 1)
    return { address: address.share?.address, port, probability: (address.ports.get(port) ?? 0) + plain }
  })
}

/** Turns overlapping uniform parts into segments side by side, ascending, the even ports before the odd ones. */
function flatten(uniforms: readonly Uniform[]): Segment[] {
  return [0, 1].flatMap(parity => {
    const changes: { at: number; by: number }[] = []
    for (const uniform of uniforms) {
      if (uniform.parity !== undefined && uniform.parity !== parity) continue
      const by = uniform.weight / ports(uniform)
      changes.push({ at: uniform.low, by }, { at: uniform.high + 1, by: -by })
    }
    changes.sort((a, b) => a.at - b.at)
    return segmentsOf(changes, parity)
  })
}

function segmentsOf(changes: readonly { at: number; by: number }[], parity: number): Segment[] {
  const segments: Segment[] = []
  let density = 0
  for (const [i, { at, by }] of changes.entries()) {
    density += by
    const high = (changes[i + 1]?.at ?? at) - 1
    if (high >= at) segments.push({ low: at, high, parity, density: Math.max(0, density) })
  }
  return segments
}

function densities(flat: readonly Segment[]): (port: number) => number {
  const halves = [0, 1].map(parity => flat.filter(segment => segment.parity === parity))
  return port => {
    const half = halves[port % 2] ?? []
    let [low, high] = [0, half.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((half[middle]?.high ?? 0) < port) low = middle + 1
      else high = middle
    }
    const found = half[low]
    return found && found.low <= port ? found.density : 0
  }
}

/** How many ports a uniform part has. */
export function ports({ low, high, parity }: Uniform): number {
  return parity === undefined ? high - low + 1 : Math.max(1, countOf(low, high, parity))
}

const countOf = (low: number, high: number, parity: number) =>
  Math.floor((high - parity) / 2) - Math.floor((low - 1 - parity) / 2)

/** The ports of a segment in an order without a pattern: steps of about the golden section, coprime to their number. */
function* scattered({ low, high, parity }: Segment): Generator<number> {
  const count = countOf(low, high, parity)
  const first = low + (Math.abs(low - parity) % 2)
  const stride = strideOf(count)
  for (let i = 0, at = 0; i < count; i++, at = (at + stride) % count) yield first + 2 * at
}
