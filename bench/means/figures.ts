// What the benchmarks share: medians, percentiles, and how a figure is judged and printed.

/** The p-th percentile (0 to 100) of some figures, by the nearest rank. NaN of none. */
export function percentile(figures: readonly number[], p: number): number {
  const sorted = [...figures].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((p / 100) * sorted.length) - 1))] ?? Number.NaN
}

export const median = (figures: readonly number[]): number => percentile(figures, 50)

export const summary = (figures: readonly number[], unit = 'ms'): string =>
  `median ${median(figures).toFixed(1)}, p95 ${percentile(figures, 95).toFixed(1)}, max ${percentile(figures, 100).toFixed(1)} ${unit} (n ${figures.length})`

/** What one attempt to connect came to; `ms` from the call to the open channel. */
export type Outcome = { kind: 'direct' | 'relay'; ms: number } | { kind: 'failed'; why: string }

/** The times of all that opened, by whatever path. */
export const opened = (outcomes: readonly Outcome[]): number[] =>
  outcomes.flatMap(outcome => (outcome.kind === 'failed' ? [] : [outcome.ms]))

/** The times to a direct path; an attempt that was relayed or came to nothing counts as one that takes forever. */
export const direct = (outcomes: readonly Outcome[]): number[] =>
  outcomes.map(outcome => (outcome.kind === 'direct' ? outcome.ms : Number.POSITIVE_INFINITY))

export const failed = (outcomes: readonly Outcome[]): number => outcomes.length - opened(outcomes).length

/** One line of at most 80 columns about many attempts, and one for each reason that some of them failed for. */
export function printOutcomes(who: string, outcomes: readonly Outcome[]): void {
  const times = opened(outcomes)
  const [middle, late, last] = [50, 95, 100].map(p => milliseconds(percentile(times, p)))
  const paths = outcomes.filter(({ kind }) => kind === 'direct').length
  const counts = `direct ${paths}/${outcomes.length}, aborted ${failed(outcomes)}`
  console.log(`${who.padEnd(9)} median ${middle} p95 ${late} max ${last} ms, ${counts}`)
  const reasons = Map.groupBy(
    outcomes.filter(({ kind }) => kind === 'failed'),
    outcome => (outcome.kind === 'failed' ? outcome.why : '')
  )
  for (const [why, { length }] of reasons) console.log(`          aborted ${length}: ${why}`)
}

const milliseconds = (ms: number) => (Number.isNaN(ms) ? '–' : ms.toFixed(1)).padStart(7)

/** Prints a goal with its figure, and makes the process fail when it is missed. */
export function goal(what: string, figure: number, bound: { atMost: number } | { atLeast: number }): void {
  const met = 'atMost' in bound ? figure <= bound.atMost : figure >= bound.atLeast
  const words = 'atMost' in bound ? `at most ${round(bound.atMost)}` : `at least ${round(bound.atLeast)}`
  console.log(`${met ? 'met   ' : 'MISSED'} ${what}: ${round(figure)} (goal: ${words})`)
  if (!met) process.exitCode = 1
}

const round = (figure: number) => (Number.isInteger(figure) ? String(figure) : figure.toFixed(3))
