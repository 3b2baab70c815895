// One side holds many random mappings open, and the other tries many ports. This says which ports to try, in which order,
// and what n of them are worth. For one mapping, the densest ports come first. For many, a dense range is soon worn out, so
// the next probe goes where it is worth most after those before it.

import { type Range, strideOf } from './ranges.ts'

/** A range from which ports are drawn at random, with the probability that it is the right one. */
export interface Drawn extends Range {
  readonly weight: number
}

export interface Sweep {
  /** Every port at most once. */
  readonly ports: readonly number[]
  /** At n, the probability that one of the first n ports meets one of the open mappings; 0 at 0. */
  readonly rates: readonly number[]
}

// A range is chosen for this many probes in a row. The order hardly differs from choosing for each, and takes a quarter of
// the time.
const STRIDE = 4

/**
 * The order is greedy, which is the best: the worth of a probe falls with every probe before it (submodular). If the
 * mappings lie in a range of N ports, n probes there meet at least one with 1 − C(N−k, n) / C(N, n).
 * @param open k, mappings held open on the hard side
 * @param most n, probes at most
 */
export function sweep(drawn: readonly Drawn[], { open, most }: { open: number; most: number }): Sweep {
  const ranges = drawn.map(({ low, high, weight }) => ({
    low,
    high,
    weight,
    size: high - low + 1,
    tried: 0,
    missed: 1
  }))
  const segments = segmentsOf(ranges)
  const ports: number[] = []
  const rates = [0]
  let met = 0
  while (ports.length < most) {
    const segment = worthiest(segments, open)
    if (!segment) break
    for (let i = 0; i < STRIDE && ports.length < most && segment.given < segment.size; i++) {
      ports.push(nextOf(segment))
      for (const range of segment.ranges) met += miss(range, open)
      rates.push(met)
    }
  }
  return { ports, rates }
}

interface Tried extends Drawn {
  readonly size: number
  tried: number
  /** Probability that no probe met a mapping, if the range is the right one. */
  missed: number
}

/** Ports that lie in the same ranges. */
interface Segment extends Range {
  readonly ranges: readonly Tried[]
  /** The ranges that begin with this segment, and those that end with it. */
  readonly begin: readonly Tried[]
  readonly end: readonly Tried[]
  readonly size: number
  /** Coprime to the size, so that every port has its turn. */
  readonly stride: number
  given: number
  at: number
}

/** What another probe in the range is worth. */
const worth = ({ size, tried, missed, weight }: Tried, open: number) =>
  tried < size ? weight * missed * Math.min(1, open / (size - tried)) : 0

/** Counts another probe in the range. Returns what it was worth. */
function miss(range: Tried, open: number): number {
  const gained = worth(range, open)
  range.missed *= 1 - Math.min(1, open / Math.max(1, range.size - range.tried))
  range.tried++
  return gained
}

/**
 * The segment where a probe is worth most. It is worth what all ranges around it are worth: a running sum over the
 * segments, ascending.
 */
function worthiest(segments: readonly Segment[], open: number): Segment | undefined {
  let best: Segment | undefined
  let most = 0
  let value = 0
  for (const segment of segments) {
    for (const range of segment.begin) value += worth(range, open)
    if (value > most + TINY && segment.given < segment.size) {
      best = segment
      most = value
    }
    for (const range of segment.end) value -= worth(range, open)
  }
  return best
}

// Sums of doubles that differ by less than this count as equal.
const TINY = 1e-15

function segmentsOf(ranges: readonly Tried[]): Segment[] {
  const bounds = [...new Set(ranges.flatMap(({ low, high }) => [low, high + 1]))].sort((a, b) => a - b)
  return bounds.slice(0, -1).map((low, i) => {
    const high = (bounds[i + 1] ?? low) - 1
    const size = high - low + 1
    const around = ranges.filter(range => range.low <= low && range.high >= high)
    const begin = around.filter(range => range.low === low)
    const end = around.filter(range => range.high === high)
    return { low, high, ranges: around, begin, end, size, stride: strideOf(size), given: 0, at: 0 }
  })
}

function nextOf(segment: Segment): number {
  const port = segment.low + segment.at
  segment.at = (segment.at + segment.stride) % segment.size
  segment.given++
  return port
}
