// Estimates how many mappings others behind the same NAT make. A posterior over their rate is learned from the surplus
// steps between our own mappings. From it follows the number to expect before the next one. (Klinec and Matyáš, "Traversing
// symmetric NAT with predictable port allocation function", 2014, take the rate as known; here it is uncertain, and
// mappings may come in bursts.)
//
// The rate λ has a Gamma prior. Given λ, counts over a time t are Poisson (mean λt). If mappings come in bursts, they are
// negative binomial with the same mean, and a variance D times as large. The posterior is held as weighted cells of (λ, D).

/** Foreign mappings counted over a time; undefined if no believable number of steps leads from one port to the other. */
export interface Gap {
  readonly foreign: number | undefined
  /** The counter went against its direction. */
  readonly back: boolean
  readonly exposureMs: number
}

export interface Drift {
  /** ln of the probability of the gaps, averaged over the prior. */
  readonly logEvidence: number
  readonly cells: readonly Cell[]
}

interface Cell {
  /** Foreign mappings per millisecond. */
  readonly rate: number
  /** Variance of a count over its mean. */
  readonly dispersion: number
  readonly weight: number
}

// Gamma prior with a mean of 50 mappings per second. Its shape is small, so that a quiet home (one in some seconds), a
// median of about ten, and a busy carrier's address (hundreds) are all expected.
const SHAPE = 0.3
const PER_MS = SHAPE / 0.05
const NORMALISER = SHAPE * Math.log(PER_MS) - logGamma(SHAPE)
/** Variance over mean: single flows, pages that open several, clients that open dozens at once. */
const DISPERSIONS = [
  { dispersion: 1, share: 0.6 },
  { dispersion: 4, share: 0.2 },
  { dispersion: 12, share: 0.2 }
] as const
// A counter may jump to any port: back at the end of a range nobody knows, or anywhere after a restart, or for a socket
// that another counter serves.
const BACK = Math.log(0.005 / 65536)
const AWAY = Math.log(0.0005 / 65536)
// Cells that hold less than this share change no candidate's place.
const NEGLIGIBLE = 1e-4
// Farther ahead a port is no likelier than anywhere else.
const HORIZON = 4096

/** The posterior of the rate after some gaps; without gaps it is the prior. */
export function driftOf(gaps: readonly Gap[]): Drift {
  const tallied = tally(gaps)
  const cells = DISPERSIONS.flatMap(({ dispersion, share }) => {
    const rates = ratesFor(gaps, dispersion)
    return rates.map((rate, i) => ({
      rate,
      dispersion,
      log: Math.log(share) + logPrior(rates, i) + fit(tallied, rate, dispersion)
    }))
  })
  const logEvidence = logSum(cells.map(({ log }) => log))
  const weighed = cells.map(({ rate, dispersion, log }) => ({ rate, dispersion, weight: Math.exp(log - logEvidence) }))
  return { logEvidence, cells: weighed.filter(({ weight }) => weight > NEGLIGIBLE) }
}

/**
 * Upper bound of `logEvidence`, found without weighing any rate: a count is likeliest where it is the mean of a Poisson, and
 * less likely for any other rate and in bursts.
 */
export function mostEvidence(gaps: readonly Gap[]): number {
  return sum(
    gaps.map(({ foreign, back }) => {
      const jump = back ? BACK : AWAY
      return foreign === undefined ? jump : logAdd(logCount(foreign, foreign, 1), jump)
    })
  )
}

/** Foreign mappings per second: the posterior's mean, and the bounds that hold the rate with 80 %. */
export function perSecond(drifts: readonly { readonly drift: Drift; readonly weight: number }[]) {
  const cells = drifts
    .flatMap(({ drift, weight }) => drift.cells.map(cell => ({ rate: 1000 * cell.rate, weight: cell.weight * weight })))
    .sort((a, b) => a.rate - b.rate)
  const total = sum(cells.map(({ weight }) => weight))
  const mean = sum(cells.map(({ rate, weight }) => rate * weight)) / total
  return { mean, low: quantile(cells, 0.1 * total), high: quantile(cells, 0.9 * total) }
}

function quantile(ascending: readonly { readonly rate: number; readonly weight: number }[], upTo: number): number {
  let held = 0
  for (const { rate, weight } of ascending) {
    held += weight
    if (held >= upTo) return rate
  }
  return 0
}

/** Probabilities of 0, 1, 2, … foreign mappings within a time. They end where nothing is left, so their sum may be below 1. */
export function foreignWithin({ cells }: Drift, elapsedMs: number): Float64Array {
  const probabilities = new Float64Array(HORIZON)
  let used = 1
  for (const { rate, dispersion, weight } of cells) {
    const mean = rate * elapsedMs
    const spread = 8 * Math.sqrt(mean * dispersion) + 10 * dispersion
    const start = Math.max(0, Math.floor(mean - spread))
    const end = Math.min(HORIZON, Math.ceil(mean + spread) + 4)
    let p = start < HORIZON ? weight * Math.exp(logCount(start, mean, dispersion)) : 0
    for (let k = start; k < end && p > 0; k++) {
      probabilities[k] = (probabilities[k] ?? 0) + p
      // The recurrence is the same for both laws: a negative binomial of dispersion 1 is a Poisson.
      p *= (k * (1 - 1 / dispersion) + mean / dispersion) / (k + 1)
    }
    used = Math.max(used, end)
  }
  return probabilities.subarray(0, used)
}

/**
 * Rates to weigh, ascending: a coarse grid over all rates that occur (one mapping in a quarter of an hour to a thousand a
 * second), and a fine one around the rate that the gaps suggest.
 */
function ratesFor(gaps: readonly Gap[], dispersion: number): number[] {
  const counted = gaps.filter(({ foreign }) => foreign !== undefined)
  const shape = (SHAPE + sum(counted.map(({ foreign }) => foreign ?? 0))) / dispersion
  const centre = (shape * dispersion) / (PER_MS + sum(counted.map(({ exposureMs }) => exposureMs)))
  const width = 1 / Math.sqrt(shape)
  const fine = shape > 1 ? FINE.map(z => centre * Math.exp(z * width)) : []
  return [...COARSE, ...fine].sort((a, b) => a - b)
}

const COARSE = Array.from({ length: 13 }, (_, i) => 1e-6 * 10 ** (i / 2))
const FINE = Array.from({ length: 13 }, (_, i) => (i - 6) / 2)

// The Gamma density at a rate times the width of its cell (trapezoids in ln λ); the first cell reaches down to 0.
function logPrior(rates: readonly number[], i: number): number {
  const rate = rates[i] ?? 0
  const width = (Math.log(rates[i + 1] ?? rate) - Math.log(rates[i - 1] ?? rate)) / 2
  return NORMALISER + SHAPE * Math.log(rate) - PER_MS * rate + Math.log(width + (i === 0 ? 1 / SHAPE : 0))
}

type Tally = readonly { readonly gap: Gap; readonly times: number }[]

/** Counts equal gaps together. Most are alike, because most bursts are undisturbed. */
function tally(gaps: readonly Gap[]): Tally {
  const groups = Map.groupBy(gaps, ({ foreign, back, exposureMs }) => `${foreign} ${back} ${exposureMs}`)
  return [...groups.values()].flatMap(group => (group[0] ? [{ gap: group[0], times: group.length }] : []))
}

function fit(gaps: Tally, rate: number, dispersion: number): number {
  let log = 0
  for (const { gap, times } of gaps) {
    const { foreign, back, exposureMs } = gap
    const jump = back ? BACK : AWAY
    log += times * (foreign === undefined ? jump : logAdd(logCount(foreign, rate * exposureMs, dispersion), jump))
  }
  return log
}

/** ln of the probability of `count`: Poisson, or negative binomial if the variance exceeds the mean. */
function logCount(count: number, mean: number, dispersion: number): number {
  if (mean <= 0) return count === 0 ? 0 : Number.NEGATIVE_INFINITY
  if (dispersion === 1) return (count && count * Math.log(mean)) - mean - logGamma(count + 1)
  const successes = mean / (dispersion - 1)
  const none = -successes * Math.log(dispersion)
  if (count === 0) return none
  return none + logWays(count, successes) + count * Math.log(1 - 1 / dispersion)
}

/** ln of Γ(count + successes) / (Γ(successes) count!). */
function logWays(count: number, successes: number): number {
  if (count > 40) return logGamma(count + successes) - logGamma(successes) - logGamma(count + 1)
  let ways = 1
  for (let i = 0; i < count; i++) ways *= (successes + i) / (i + 1)
  return Math.log(ways)
}

// Stirling's series. The argument is raised to where three terms of the series are exact to 1e-9.
function logGamma(x: number): number {
  let shift = 1
  let y = x
  for (; y < 7; y++) shift *= y
  const series = 1 / (12 * y) - 1 / (360 * y ** 3) + 1 / (1260 * y ** 5)
  return (y - 0.5) * Math.log(y) - y + 0.9189385332046727 + series - Math.log(shift)
}

export const sum = (figures: readonly number[]): number => figures.reduce((total, figure) => total + figure, 0)

/** ln of a sum of exponentials; −∞ if there are none. */
export function logSum(logs: readonly number[]): number {
  const most = logs.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  return most === Number.NEGATIVE_INFINITY ? most : most + Math.log(sum(logs.map(log => Math.exp(log - most))))
}

function logAdd(a: number, b: number): number {
  const [more, less] = a > b ? [a, b] : [b, a]
  return more - less > 40 ? more : more + Math.log1p(Math.exp(less - more))
}
