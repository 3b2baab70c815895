// NATs that count: each new mapping gets the next port, a fixed step up or down, whoever asked for it. A hypothesis
// consists of a step, of what the counter is kept for (the whole NAT, each public address, each parity), and of a range at
// whose end it starts anew. Between two of our mappings others may have taken steps. These surplus steps are the evidence
// for the drift.

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

/** What a counter does at the end of a range: it starts from the other end, or counts round (modulo the size of the range). */
export interface Wrap extends Range {
  readonly round: boolean
  readonly share: number
}

// How often packets that were sent one right after another swap places on their way. The farther apart they arrive, the
// rarer it is.
const SWAPPED = 0.05
const SWAP_MS = 20
// Samples of a socket that arrive farther apart than this were not sent one right after another, and stay in order of
// arrival. Those of another socket are another burst in any case.
const BURST_MS = 100
// Arrival times are whole milliseconds, so a difference of 0 may be nearly 1.
const CLOCK_MS = 1
// Steps larger than this have not been heard of. One is tried only if it equals a difference between two ports.
const FAR = 64
const DESCENDING = 0.2
// At most this many common divisors are tried: the largest, which explain the differences best.
const STEPS = 12
// What a counter is kept for.
const SHARED = 0.6
const BY_ADDRESS = 0.3
const BY_PARITY = 0.1

/**
 * All steppings that are worth a thought. Those that can explain best what was seen are weighed first.
 * @param rival the `log` of a stepping that would be as plausible as the best hypothesis of another kind
 */
export function steppings(evidence: Evidence, rival: number): Stepping[] {
  const drafts = draftsOf(evidence).sort((a, b) => b.most - a.most)
  const weighed: Stepping[] = []
  let best = rival
  for (const { gaps, most, log, ...draft } of drafts) {
    if (most < best - HOPELESS) break
    const drift = driftOf(gaps)
    weighed.push({ ...draft, drift, log: log + drift.logEvidence })
    best = Math.max(best, log + drift.logEvidence)
  }
  return weighed
}

// ln of a ratio of probabilities. A hypothesis that is so far behind the best has no place in the mixture (NEGLIGIBLE there).
const HOPELESS = 15

/** A stepping whose drift is not weighed yet, which is most of the work. */
interface Draft extends Omit<Stepping, 'drift'> {
  readonly gaps: readonly Gap[]
  /** Upper bound of `log` once the drift is weighed. */
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

/** The port that is `ahead` steps after `port` (0 is `port` itself). */
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
    // Each half of the ports has a counter of its own, so the first port of a counter is one of half as many.
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

/**
 * Steps to try, both ways: of 1, 2 and the divisors of the differences, the largest that at least half of the differences
 * share.
 */
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

/** 1 is the commonest step, then 2. Larger ones are ever rarer. */
function stepPrior(step: number, per: Stepping['per']): number {
  const pace = per === 'parity' ? Math.abs(step) / 2 : Math.abs(step)
  const share = pace === 1 ? 0.5 : pace === 2 ? 0.25 : 0.6 / pace ** 2
  return share * (step > 0 ? 1 - DESCENDING : DESCENDING)
}

interface Order {
  /** The ports of each counter, in the order in which it gave them. */
  readonly parts: readonly (readonly Observation[])[]
  /** ln of the probability that they arrived as they did. */
  readonly log: number
}

/**
 * A burst was sent in the order of the counter, whatever the order of arrival. If it is more plausible that the burst went
 * over the end of its range, that order is weighed as well.
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

/** Mappings that nobody saw count as made before the whole burst. */
function unseenFirst(burst: readonly Observation[]): readonly Observation[] {
  const [first, ...rest] = burst
  const unseen = sum(burst.map(seen => seen.unseen ?? 0))
  if (!first || unseen === 0) return burst
  return [{ ...first, unseen }, ...rest.map(seen => ({ ...seen, unseen: 0 }))]
}

const inOrder = (burst: readonly Observation[], sign: number) => [...burst].sort((a, b) => sign * (a.port - b.port))

/** The ports beyond the widest gap come first. */
function turn(sorted: readonly Observation[]): readonly Observation[] {
  const gaps = sorted.slice(1).map((seen, i) => Math.abs(seen.port - (sorted[i]?.port ?? 0)))
  const at = gaps.indexOf(Math.max(...gaps)) + 1
  return [...sorted.slice(at), ...sorted.slice(0, at)]
}

/** ln of the probability of the swaps: every pair that arrived the other way round has swapped places on its way. */
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
  // After too much time the counter may be anywhere.
  const afresh = -Math.log(WHOLE) * (sum(parts.map(part => part.length - 1)) - (explained[0]?.gaps.length ?? 0))
  // Most ranges explain the gaps alike, since nothing went over their end.
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

// After a longer time a busy counter (hundreds a second) has gone round, and a difference of ports says nothing.
const ROUND_MS = 120_000
// If there are more surplus steps, at once and per millisecond, they are not mappings of others: the counter has jumped.
const SUDDEN = 500
const FASTEST = 10

/** Surplus steps from one port to another; undefined if no number of steps leads there. */
function stepsBetween(from: number, to: number, step: number, wrap: Wrap): number | undefined {
  const straight = (to - from) / step
  if (straight > 0) return Number.isInteger(straight) ? straight - 1 : undefined
  if (straight === 0) return undefined
  const pace = Math.abs(step)
  const [toEnd, fromStart] = step > 0 ? [wrap.high - from, to - wrap.low] : [from - wrap.low, wrap.high - to]
  const surplus = wrap.round ? (toEnd + fromStart + 1) / pace - 1 : Math.floor(toEnd / pace) + fromStart / pace
  return Number.isInteger(surplus) ? surplus : undefined
}

/** A counter runs over a named range, or over its subscriber's block. */
function wrapsFor(ports: readonly number[]): Wrap[] {
  const inBlocks = 0.2
  const ranges = [
    ...KNOWN.map(({ low, high, share }) => ({ low, high, share: share * (1 - inBlocks) })),
    ...BLOCK_SIZES.map(size => ({ ...alignedBlock(ports[0] ?? 0, size), share: inBlocks / BLOCK_SIZES.length }))
  ].filter(range => holds(range, ports))
  return ranges.flatMap(range => [true, false].map(round => ({ ...range, round, share: range.share / 2 })))
}
