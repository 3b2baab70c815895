// Both sides hard: each makes mappings in batches, a batch for every port it aims at, and a path opens where a batch of the
// one holds a port the other aims at, and the other way round for the same two batches. What that is worth is summed over
// the ways in which each side's NAT may allocate: worlds.

/** One way a side's NAT may allocate, and what the plan means in it. */
export type World =
  /** A counter: the side makes a single batch, and `met` of the ports that the other side aims at are in it. */
  | { readonly kind: 'counter'; readonly weight: number; readonly met: number }
  /** Random: a batch holds any port of the range with probability `held`, and `aimed` of the other's targets lie there. */
  | { readonly kind: 'range'; readonly weight: number; readonly held: number; readonly aimed: number }

/**
 * Probability that at least one pair of batches meets. Two ranges: 1 − (1 − φψ)^(ab) with a and b targets inside and φ and
 * ψ the shares of the ranges that a batch holds, which is 1 − e^(−mappings × mappings / N²) for small shares. It takes
 * batches as independent, as they are where a NAT may give a port again for another destination (Linux); where it must
 * not, ports are worn out and the chance is a little better.
 */
export function meetingRate(a: readonly World[], b: readonly World[]): number {
  let rate = 0
  for (const one of a) for (const two of b) rate += one.weight * two.weight * rateOf(one, two)
  return Math.min(1, rate)
}

function rateOf(a: World, b: World): number {
  if (a.kind === 'counter' && b.kind === 'counter') return a.met > 0 && b.met > 0 ? 1 : 0
  if (a.kind === 'range' && b.kind === 'range') return atLeastOnce(a.held * b.held, a.aimed * b.aimed)
  const [counter, range] = a.kind === 'counter' ? [a, b] : [b, a]
  return range.kind === 'range' && counter.kind === 'counter' && range.aimed > 0
    ? atLeastOnce(range.held, counter.met)
    : 0
}

function atLeastOnce(rate: number, tries: number): number {
  if (tries === 0) return 0
  return rate >= 1 ? 1 : -Math.expm1(tries * Math.log1p(-rate))
}
