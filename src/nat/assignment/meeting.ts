// If both sides are hard, each makes its mappings in batches, one batch for every port that it aims at. A path opens if a
// batch of one side holds a port that the other aims at, and the other way round for the same two batches. The probability
// of that is summed over worlds: the ways in which each side's NAT may assign ports.

/** One way in which a side's NAT may assign ports, and what the plan amounts to in it. */
export type World =
  /** A counter: the side makes a single batch, and `met` of the ports that the other side aims at are in it. */
  | { readonly kind: 'counter'; readonly weight: number; readonly met: number }
  /** Random: a batch holds any port of the range with probability `held`, and `aimed` of the other's targets lie there. */
  | { readonly kind: 'range'; readonly weight: number; readonly held: number; readonly aimed: number }

/**
 * Probability that at least one pair of batches meets. For two ranges it is 1 − (1 − φψ)^(ab), where a and b are the
 * targets inside, and φ and ψ the shares of the ranges that a batch holds. For small shares that is
 * 1 − e^(−mappings × mappings / N²). Batches are taken as independent. They are if a NAT may give a port again for another
 * destination (Linux). If it may not, ports are worn out, and the chance is a little better.
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
