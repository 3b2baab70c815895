// The closed formulas of port prediction: what a number of tries is worth. Pure; probabilities between 0 and 1.

/**
 * For one hard side: `open` mappings lie at random among `ports` ports, and the other side tries `probes` different ones.
 * Hypergeometric, 1 − C(N−k, n) / C(N, n), about 1 − e^(−kn/N): the birthday paradox (N = 64,511 and k = 256: n = 1024
 * succeeds 98.35 % of the time).
 */
export function birthdayRate(open: number, probes: number, ports: number): number {
  const few = Math.min(open, probes)
  const many = Math.max(open, probes)
  if (few <= 0 || ports <= 0) return 0
  if (few + many > ports) return 1
  let missed = 0
  for (let i = 0; i < few; i++) missed += Math.log1p(-many / (ports - i))
  return -Math.expm1(missed)
}

/**
 * For two hard sides, each random over `ports` ports: one makes `a` mappings and the other `b`, and a path needs a probe of
 * each side to hit the other's port. 1 − e^(−ab/N²): 0.1 % for 2048 each over the whole range, 63 % for 512 in blocks of
 * 512.
 */
export function sprayRate(a: number, b: number, ports: number): number {
  return ports > 0 ? -Math.expm1((-a * b) / ports ** 2) : 0
}

/**
 * For a side that steps: `mean` foreign mappings (rate × elapsed) are expected before the probe arrives. The first `width`
 * ports of the sequence then hold the right one with Pr[Poisson(mean) < width]. If both sides step, take the product.
 */
export function windowRate(width: number, mean: number): number {
  let term = Math.exp(-mean)
  let sum = 0
  for (let k = 0; k < width; k++) {
    sum += term
    term *= mean / (k + 1)
  }
  return Math.min(1, sum)
}
