// Counters: each new mapping gets the next port, a fixed step up or down, whoever asked for it. A hypothesis is a step,
// what the counter is kept for (the whole NAT, each public address, each parity), and a range at whose end it starts
// anew. Between two of our mappings others may have taken steps: those surplus steps are the evidence for the drift.

import { type Drift, driftOf, type Gap, logSum, mostEvidence, sum } from './drift.ts'
import type { Evidence, Observation } from './observation.ts'
import { alignedBlock, BLOCK_SIZES, holds, KNOWN, type Range, WHOLE } from './ranges.ts'
import { keptParity } from './scatter.ts'

export interface Counter {
  /** The latest port it gave, and when. */
  readonly port: number
  readonly atMs: number
  /** The public address it belongs to; undefined when all addresses share it. */
  readonly address: string | undefined
}

export interface Stepping {
  /** Ports from one mapping to the next; negative downwards. */
  readonly step: number
  readonly per: 'nat' | 'address' | 'parity'
  /** Counters that may give the next port. */
  readonly counters: readonly Counter[]
  readonly drift: Drift
  readonly wraps: readonly Wrap[]
  /** ln of prior × likelihood. */
  readonly log: number
}

/** What happens at the end of a range: on from the other end, or counted round (modulo the size of the range). */
export interface Wrap extends Range {
  readonly round: boolean
  readonly share: number
}

// Packets sent one right after another swap places on their way this often, the less the farther apart they arrive.
const SWAPPED = 0.05
const SWAP_MS = 20
// Beyond this a socket's samples were not sent one right after another, and their order is that of arrival. Those of
// another socket are another burst in any case.
const BURST_MS = 100
// Arrival times are whole milliseconds, so a difference of 0 may be nearly 1.
const CLOCK_MS = 1
// Steps larger than this have not been heard of; they are still tried where the differences are equal.
const FAR = 64
const DESCENDING = 0.2
// Of many common divisors the largest explain the differences best.
const STEPS = 12
// What a counter is kept for.
const SHARED = 0.6
const BY_ADDRESS = 0.3
const BY_PARITY = 0.1

/** All steppings worth a thought, those that can explain what was seen best first. */
export function steppings(evidence: Evidence): Stepping[] {
  const drafts = draftsOf(evidence).sort((a, b) => b.most - a.most)
  const weighed: Stepping[] = []
  let best = Number.NEGATIVE_INFINITY
  for (const { gaps, most, log, ...draft } of drafts) {
    if (most < best - HOPELESS) break
    const drift = driftOf(gaps)
    weighed.push({ ...draft, drift, log: log + drift.logEvidence })
    best = Math.max(best, log + drift.logEvidence)
  }
  return weighed
}

// ln of a ratio that no other part of the mixture makes up for.
const HOPELESS = 30

/** A stepping before its drift is weighed, which is most of the work. */
interface Draft extends Omit<Stepping, 'drift'> {
  readonly gaps: readonly Gap[]
  /** What `log` can be at most once the drift is weighed. */
  readonly most: number
}

function draftsOf(evidence: Evidence): Draft[] {
  if (evidence.mappings.length === 0) return []
  return partitions(evidence).flatMap(({ per, parts, next, log }) => {
    const bursts = parts.map(part => burstsOf(part))
    return candidateSteps(parts, per).flatMap(step => {
      const orders = ordersOf(bursts, Math.sign(step))
      return orders.flatMap(order => draft(order, { step, per, next, log: log + Math.log(stepPrior(step, per)) }))
    })
  })
}

/** The port `ahead` steps on from `port` (0 is `port` itself). */
export function advance(port: number, step: number, ahead: number, wrap: Wrap): number {
  const { low, high, round } = wrap
  const on = port + step * ahead
  if (on >= low && on <= high) return on
  const length = high - low + 1
  if (round) return low + ((((on - low) % length) + length) % length)
  const pace = Math.abs(step)
  const before = Math.floor((step > 0 ? high - port : port - low) / pace)
  const lap = Math.floor((length - 1) / pace) + 1
  const beyond = (ahead - before - 1) % lap
  return step > 0 ? low + beyond * pace : high - beyond * pace
}

interface Partition {
  readonly per: Stepping['per']
  readonly parts: readonly (readonly Observation[])[]
  /** Which of the parts may give the next port. */
  readonly next: readonly number[]
  readonly log: number
}

function partitions(evidence: Evidence): Partition[] {
  const { mappings } = evidence
  const start = -Math.log(WHOLE)
  const whole: Partition = { per: 'nat', parts: [mappings], next: [0], log: Math.log(SHARED) + start }
  const byAddress = [...Map.groupBy(mappings, ({ address }) => address).values()]
  const parity = keptParity(evidence)
  const byParity = parity ? [...Map.groupBy(mappings, ({ port }) => port % 2).values()] : []
  const due = byParity.findIndex(([first]) => (first?.port ?? 0) % 2 === parity?.next)
  return [
    whole,
    ...(byAddress.length > 1
      ? [
          {
            per: 'address' as const,
            parts: byAddress,
            next: [...byAddress.keys()],
            log: Math.log(BY_ADDRESS) + byAddress.length * start
          }
        ]
      : []),
    // Each half of the ports has a counter of its own, so its first port is one of half as many.
    ...(byParity.length > 1 && due >= 0
      ? [
          {
            per: 'parity' as const,
            parts: byParity,
            next: [due],
            log: Math.log(BY_PARITY) + byParity.length * (start + Math.LN2)
          }
        ]
      : [])
  ]
}

type Bursts = readonly (readonly Observation[])[]

function burstsOf(part: readonly Observation[]): Bursts {
  const bursts: Observation[][] = []
  for (const seen of part) {
    const current = bursts.at(-1)
    const before = current?.at(-1)
    if (current && before?.localPort === seen.localPort && seen.atMs - (before?.atMs ?? 0) <= BURST_MS)
      current.push(seen)
    else bursts.push([seen])
  }
  return bursts
}

/** Divisors of the differences that most differences share, and the two commonest steps both ways. */
function candidateSteps(parts: Partition['parts'], per: Stepping['per']): number[] {
  const differences = parts.flatMap(part => gapsBetween([...part].sort((a, b) => a.port - b.port)))
  const sizes = new Set(per === 'parity' ? [2] : [1, 2])
  for (const difference of new Set(differences)) for (const divisor of divisors(difference)) sizes.add(divisor)
  const shared = [...sizes].filter(
    pace =>
      (per !== 'parity' || pace % 2 === 0) && 2 * differences.filter(d => d % pace === 0).length >= differences.length
  )
  const largest = shared.sort((a, b) => b - a).slice(0, STEPS)
  return largest.flatMap(pace => [pace, -pace])
}

function gapsBetween(sorted: readonly Observation[]): number[] {
  return sorted
    .slice(1)
    .map((seen, i) => seen.port - (sorted[i]?.port ?? 0))
    .filter(difference => difference > 0)
}

function divisors(difference: number): number[] {
  const small = Array.from({ length: Math.min(FAR, difference) }, (_, i) => i + 1).filter(
    pace => difference % pace === 0
  )
  return difference <= 4096 ? [...small, difference] : small
}

/** 1 is the commonest, then 2; beyond that ever rarer. */
function stepPrior(step: number, per: Stepping['per']): number {
  const pace = per === 'parity' ? Math.abs(step) / 2 : Math.abs(step)
  const share = pace === 1 ? 0.5 : pace === 2 ? 0.25 : 0.6 / pace ** 2
  return share * (step > 0 ? 1 - DESCENDING : DESCENDING)
}

interface Order {
  /** One counter's ports each, in the order it gave them. */
  readonly parts: readonly (readonly Observation[])[]
  /** ln of the probability of their having arrived as they did. */
  readonly log: number
}

/**
 * The order in which a burst was sent is that of the counter, whatever the order of arrival. Where a burst makes more
 * sense as one that went over the end of its range, that order is weighed as well.
 */
function ordersOf(parts: readonly Bursts[], sign: number): Order[] {
  const straight = orderWith(parts, burst => inOrder(burst, sign))
  const over = orderWith(parts, burst => {
    const [plain, turned] = [inOrder(burst, sign), turn(inOrder(burst, sign))]
    return logSwaps(burst, turned) > logSwaps(burst, plain) ? turned : plain
  })
  return over.log > straight.log ? [straight, over] : [straight]
}

function orderWith(parts: readonly Bursts[], sort: (burst: readonly Observation[]) => readonly Observation[]): Order {
  let log = 0
  const sorted = parts.map(bursts =>
    bursts.flatMap(burst => {
      const order = sort(burst)
      log += logSwaps(burst, order)
      return unseenFirst(order)
    })
  )
  return { parts: sorted, log }
}

/** What was made unseen was made before the whole burst. */
function unseenFirst(burst: readonly Observation[]): readonly Observation[] {
  const [first, ...rest] = burst
  const unseen = sum(burst.map(seen => seen.unseen ?? 0))
  if (!first || unseen === 0) return burst
  return [{ ...first, unseen }, ...rest.map(seen => ({ ...seen, unseen: 0 }))]
}

const inOrder = (burst: readonly Observation[], sign: number) => [...burst].sort((a, b) => sign * (a.port - b.port))

/** What lies beyond the widest gap comes first. */
function turn(sorted: readonly Observation[]): readonly Observation[] {
  const gaps = sorted.slice(1).map((seen, i) => Math.abs(seen.port - (sorted[i]?.port ?? 0)))
  const at = gaps.indexOf(Math.max(...gaps)) + 1
  return [...sorted.slice(at), ...sorted.slice(0, at)]
}

/** Every pair that arrived the other way round had to swap places on its way. */
function logSwaps(arrived: readonly Observation[], sent: readonly Observation[]): number {
  const place = new Map(sent.map((seen, i) => [seen, i]))
  let log = 0
  for (const [i, earlier] of arrived.entries()) {
    for (const later of arrived.slice(i + 1)) {
      if ((place.get(earlier) ?? 0) > (place.get(later) ?? 0)) {
        log += Math.log(SWAPPED) - (later.atMs - earlier.atMs) / SWAP_MS
      }
    }
  }
  return log
}

function draft(
  { parts, log: swaps }: Order,
  { step, per, next, log }: { step: number; per: Stepping['per']; next: readonly number[]; log: number }
): Draft[] {
  const counters = next.flatMap(index => counterOf(parts[index] ?? [], per))
  const explained = wrapsFor(parts.flat().map(({ port }) => port)).map(wrap => {
    const gaps = parts.flatMap(part => gapsOf(part, { step, wrap, counters: parts.length }))
    return { wrap, gaps, name: gaps.map(({ foreign }) => foreign).join() }
  })
  // Where too much time went by the counter is anywhere again.
  const afresh = -Math.log(WHOLE) * (sum(parts.map(part => part.length - 1)) - (explained[0]?.gaps.length ?? 0))
  // Most ranges tell the same story, for nothing went over their end.
  return [...Map.groupBy(explained, ({ name }) => name).values()].map(group => {
    const gaps = group[0]?.gaps ?? []
    const wraps = group.map(({ wrap }) => wrap)
    const share = logSum(wraps.map(wrap => Math.log(wrap.share)))
    const without = log + swaps + share + afresh
    return { step, per, counters, gaps, wraps, log: without, most: without + mostEvidence(gaps) }
  })
}

function counterOf(part: readonly Observation[], per: Stepping['per']): Counter[] {
  const last = part.at(-1)
  if (!last) return []
  const atMs = Math.max(...part.map(seen => seen.atMs))
  return [{ port: last.port, atMs, address: per === 'address' ? last.address : undefined }]
}

function gapsOf(
  part: readonly Observation[],
  { step, wrap, counters }: { step: number; wrap: Wrap; counters: number }
): Gap[] {
  const gaps = part.slice(1).flatMap((seen, i) => {
    const before = part[i] ?? seen
    const exposureMs = Math.max(0, seen.atMs - before.atMs) + CLOCK_MS
    const unseen = Math.round((seen.unseen ?? 0) / counters)
    if (exposureMs > ROUND_MS || !Number.isFinite(unseen)) return []
    const surplus = stepsBetween(before.port, seen.port, step, wrap)
    const others = surplus === undefined ? undefined : Math.max(0, surplus - unseen)
    const foreign = others !== undefined && others <= SUDDEN + FASTEST * exposureMs ? others : undefined
    return [{ foreign, back: (seen.port - before.port) * step < 0, exposureMs }]
  })
  return gaps
}

// After a longer time a busy counter (hundreds a second) has gone round, and a difference says nothing.
const ROUND_MS = 120_000
// More surplus steps than these, at once and per millisecond, are no mappings of others but a jump.
const SUDDEN = 500
const FASTEST = 10

/** Surplus steps from one port to another; undefined where no number of steps leads there. */
function stepsBetween(from: number, to: number, step: number, wrap: Wrap): number | undefined {
  const straight = (to - from) / step
  if (straight > 0) return Number.isInteger(straight) ? straight - 1 : undefined
  if (straight === 0) return undefined
  const pace = Math.abs(step)
  const [toEnd, fromStart] = step > 0 ? [wrap.high - from, to - wrap.low] : [from - wrap.low, wrap.high - to]
  const surplus = wrap.round ? (toEnd + fromStart + 1) / pace - 1 : Math.floor(toEnd / pace) + fromStart / pace
  return Number.isInteger(surplus) ? surplus : undefined
}

/** A counter runs over a range with a name, or over its subscriber's block. */
function wrapsFor(ports: readonly number[]): Wrap[] {
  const inBlocks = 0.2
  const ranges = [
    ...KNOWN.map(({ low, high, share }) => ({ low, high, share: share * (1 - inBlocks) })),
    ...BLOCK_SIZES.map(size => ({ ...alignedBlock(ports[0] ?? 0, size), share: inBlocks / BLOCK_SIZES.length }))
  ].filter(range => holds(range, ports))
  return ranges.flatMap(range => [true, false].map(round => ({ ...range, round, share: range.share / 2 })))
}
