// Ports that are drawn at random: from the whole range, from a band of it, or from the block that a carrier gave to one
// subscriber. Each hypothesis is an interval that holds all ports seen. A port drawn from S ports has probability 1/S, so
// after m samples an interval's weight is its prior times S^−m. After few samples many sizes and positions are still
// plausible. The density is then highest between the ports that were seen, and falls outwards.

import type { Evidence } from './observation.ts'
import { alignedBlock, BLOCK_SIZES, holds, KNOWN, type Range, size, WHOLE } from './ranges.ts'

/** A range from which ports are drawn, all of the same parity if `parity` is given. `log` is ln of prior × likelihood. */
export interface Interval extends Range {
  readonly kind: 'block' | 'random'
  readonly parity?: 0 | 1
  readonly log: number
}

// Prior shares among NATs that scatter: a third use blocks, half a named range, and the rest a range that an administrator
// chose.
const BLOCK = 1 / 3
const NAMED = 1 / 2
const BAND = 1 / 6
// Most carriers cut the range into equal blocks from 0 or 1024 on; some keep a header before the first.
const ALIGNED = 0.7
// A block that is not aligned has many positions. At most this many stand for all of them.
const POSITIONS = 16
// Share of NATs that keep the parity of the socket's port, as RFC 4787 section 4.2.2 asks for the sake of RTP and RTCP.
const PARITY = 0.1

export function intervals(evidence: Evidence): Interval[] {
  const ports = evidence.mappings.map(({ port }) => port)
  const placed = [...named(ports), ...(ports.length > 0 ? [...blocks(ports), ...bands(ports)] : [])]
  return placed.flatMap(interval => {
    const log = interval.log - ports.length * Math.log(size(interval))
    return withParity({ ...interval, log }, evidence)
  })
}

function named(ports: readonly number[]): Interval[] {
  return KNOWN.filter(range => holds(range, ports)).map(({ low, high, share }) => ({
    kind: 'random',
    low,
    high,
    log: Math.log(NAMED * share)
  }))
}

function blocks(ports: readonly number[]): Interval[] {
  const [first, last] = ends(ports)
  return BLOCK_SIZES.filter(blockSize => last - first < blockSize).flatMap(blockSize => {
    const prior = BLOCK / BLOCK_SIZES.length / WHOLE
    const block = alignedBlock(first, blockSize)
    const aligned = holds(block, ports)
      ? [{ kind: 'block' as const, ...block, log: Math.log(prior * ALIGNED * blockSize) }]
      : []
    return [...aligned, ...anywhere(first, last, blockSize, prior * (1 - ALIGNED))]
  })
}

/** Blocks of one size at all positions that hold first and last. A few stand for all. `prior` is the prior of one position. */
function anywhere(first: number, last: number, blockSize: number, prior: number): Interval[] {
  const lowest = Math.max(1, last - blockSize + 1)
  const positions = Math.min(first, 65536 - blockSize) - lowest + 1
  const steps = Math.max(0, Math.min(POSITIONS, positions))
  return Array.from({ length: steps }, (_, i) => {
    const low = lowest + Math.floor(((i + 0.5) * positions) / steps)
    return { kind: 'block', low, high: low + blockSize - 1, log: Math.log((prior * positions) / steps) }
  })
}

/**
 * Bands with any bounds. The prior is uniform over pairs of bounds. A bound's distance from the ports seen grows by
 * doubling.
 */
function bands(ports: readonly number[]): Interval[] {
  const [first, last] = ends(ports)
  return distances(first - 1).flatMap(below =>
    distances(65535 - last).map(above => {
      const [low, high] = [first - below.distance, last + above.distance]
      const prior = (BAND * 2 * below.ways * above.ways) / 65536 ** 2
      return { kind: high - low < 4096 ? ('block' as const) : ('random' as const), low, high, log: Math.log(prior) }
    })
  )
}

/** Cells of distances: 0, 1, 2 to 3, 4 to 7 … up to `most`. Each is told by its middle and the number of distances in it. */
function distances(most: number): { distance: number; ways: number }[] {
  const cells = [{ distance: 0, ways: 1 }]
  for (let from = 1; from <= most; from *= 2) {
    const to = Math.min(most, 2 * from - 1)
    cells.push({ distance: Math.floor((from + to) / 2), ways: to - from + 1 })
  }
  return cells
}

function withParity(interval: Interval, evidence: Evidence): Interval[] {
  const parity = keptParity(evidence)
  if (!parity) return [interval]
  return [
    { ...interval, log: interval.log + Math.log(1 - PARITY) },
    { ...interval, parity: parity.next, log: interval.log + Math.log(PARITY) + parity.seen * Math.LN2 }
  ]
}

/**
 * The parity of the next port if the NAT keeps it, and how many ports would have been odd or even by chance otherwise.
 * Undefined if the ports seen rule it out, or say nothing.
 */
export function keptParity({ mappings, own, localPort }: Evidence): { next: 0 | 1; seen: number } | undefined {
  const first = own[0]?.port
  const next = localPort ?? first
  if (next === undefined) return undefined
  const known = mappings.filter(mapping => mapping.localPort !== undefined)
  const kept =
    known.every(mapping => even(mapping.port) === even(mapping.localPort ?? 0)) &&
    own.every(({ port }) => even(port) === even(first ?? 0))
  if (!kept) return undefined
  return { next: even(next) ? 0 : 1, seen: localPort === undefined ? own.length - 1 : mappings.length }
}

const even = (port: number) => port % 2 === 0
const ends = (ports: readonly number[]): [number, number] => [Math.min(...ports), Math.max(...ports)]
