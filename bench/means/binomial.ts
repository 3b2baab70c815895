// Is a probability that was claimed borne out by what happened? The interval of Clopper and Pearson (1934), exact.

/** The probabilities that are not ruled out, at this confidence, by `hits` of `trials`. */
export function binomialInterval(hits: number, trials: number, confidence = 0.99): { low: number; high: number } {
  const tail = (1 - confidence) / 2
  const low = hits === 0 ? 0 : root(p => 1 - cumulative(hits - 1, trials, p) - tail)
  const high = hits === trials ? 1 : root(p => tail - cumulative(hits, trials, p))
  return { low, high }
}

/** Pr[X ≤ k] of n trials at probability p. */
function cumulative(k: number, n: number, p: number): number {
  let term = n * Math.log1p(-p)
  let sum = Math.exp(term)
  for (let i = 1; i <= k; i++) {
    term += Math.log((n - i + 1) / i) + Math.log(p) - Math.log1p(-p)
    sum += Math.exp(term)
  }
  return Math.min(1, sum)
}

/** Where a function that grows over (0, 1) crosses zero. */
function root(f: (p: number) => number): number {
  let [low, high] = [1e-12, 1 - 1e-12]
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (f(middle) < 0) low = middle
    else high = middle
  }
  return (low + high) / 2
}
