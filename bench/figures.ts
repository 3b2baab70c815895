// What the benchmarks share: medians, percentiles, and how a figure is judged and printed.

/** The p-th percentile (0 to 100) of some figures, by the nearest rank. NaN of none. */
export function percentile(figures: readonly number[], p: number): number {
  const sorted = [...figures].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((p / 100) * sorted.length) - 1))] ?? Number.NaN
}

export const median = (figures: readonly number[]): number => percentile(figures, 50)

export const summary = (figures: readonly number[], unit = 'ms'): string =>
  `median ${median(figures).toFixed(1)}, p95 ${percentile(figures, 95).toFixed(1)}, max ${Math.max(...figures).toFixed(1)} ${unit} (n ${figures.length})`

/** Prints a goal with its figure, and makes the process fail when it is missed. */
export function goal(what: string, figure: number, bound: { atMost: number } | { atLeast: number }): void {
  const met = 'atMost' in bound ? figure <= bound.atMost : figure >= bound.atLeast
  const words = 'atMost' in bound ? `at most ${bound.atMost}` : `at least ${bound.atLeast}`
  console.log(`${met ? 'met   ' : 'MISSED'} ${what}: ${round(figure)} (goal: ${words})`)
  if (!met) process.exitCode = 1
}

const round = (figure: number) => (Number.isInteger(figure) ? String(figure) : figure.toFixed(3))
