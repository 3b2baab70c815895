// Runs rows: so many trials of each, two at a time, and what they come to beside the goal.

import type { Row } from './row.ts'
import { rows } from './table.ts'
import { type Outcome, type Trying, tryRow } from './trial.ts'

export interface Running extends Trying {
  /** Of each row, unless it wants fewer. */
  readonly trials: number
  /** How many at the same time. */
  readonly atOnce: number
}

export interface Result {
  readonly row: Row
  readonly outcomes: readonly Outcome[]
  /** Trials that were to be made; a row ends early where it is lost. */
  readonly wanted: number
}

export interface Summary {
  readonly healed: number
  /** In milliseconds; undefined where less than half healed. */
  readonly medianMs: number | undefined
  /** Undefined where one did not heal. */
  readonly worstMs: number | undefined
  /** The longest time without a byte of those that went on. */
  readonly pauseMs: number | undefined
  readonly isMet: boolean
  /** What went wrong, each once, with how often. */
  readonly failures: ReadonlyMap<string, number>
  /** The gateway's verdicts on paths that were lost, each once, with how often. */
  readonly verdicts: ReadonlyMap<string, number>
}

/** A row that did not heal so often is not tried further, since that may take more than a minute each time: some, and none at all. */
const LOST_AFTER = { someHealed: 3, noneHealed: 2 }

/** Rows whose word is one of these, else those with one of these in what they say; all where there are none. */
export function chosen(words: readonly string[]): readonly Row[] {
  if (words.length === 0) return rows
  const found = words.map(word => {
    const named = rows.filter(row => row.word === word)
    return named.length > 0 ? named : rows.filter(row => `${row.word} ${row.what}`.includes(word))
  })
  const unknown = words.find((_, at) => found[at]?.length === 0)
  if (unknown) throw new Error(`no fault is called "${unknown}": --faults --list shows them`)
  return rows.filter(row => found.some(named => named.includes(row)))
}

export async function runRow(row: Row, { trials, atOnce, ...how }: Running): Promise<Result> {
  const wanted = Math.min(trials, row.trials ?? trials)
  const outcomes: Outcome[] = []
  let next = 0
  const lane = async () => {
    while (next < wanted && !isLost(outcomes)) outcomes.push(await tryRow(row, next++, how))
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, wanted) }, lane))
  return { row, outcomes, wanted }
}

function isLost(outcomes: readonly Outcome[]): boolean {
  const failed = outcomes.filter(({ ms }) => ms === undefined).length
  return failed >= (failed < outcomes.length ? LOST_AFTER.someHealed : LOST_AFTER.noneHealed)
}

export function summaryOf({ row, outcomes, wanted }: Result): Summary {
  const times = outcomes.map(({ ms = Number.POSITIVE_INFINITY }) => ms).sort((a, b) => a - b)
  const medianMs = finite((nth(times, (times.length - 1) >> 1) + nth(times, times.length >> 1)) / 2)
  const worstMs = finite(times.at(-1))
  const pauses = outcomes.flatMap(({ pauseMs }) => pauseMs ?? [])
  const { goal } = row
  const isMet =
    outcomes.length === wanted && within(worstMs, goal.worstMs) && within(medianMs, goal.medianMs ?? goal.worstMs)
  const failures = tally(outcomes.flatMap(({ failed }) => failed ?? []))
  const healed = outcomes.filter(({ ms }) => ms !== undefined).length
  const verdicts = tally(outcomes.flatMap(({ verdicts = [] }) => verdicts.map(alike)))
  return {
    healed,
    medianMs,
    worstMs,
    pauseMs: pauses.length > 0 ? Math.max(...pauses) : undefined,
    isMet,
    failures,
    verdicts
  }
}

/** A verdict without what differs from trial to trial: names of guests, and times. */
const alike = (verdict: string): string =>
  verdict.replace(/\b\d[\d.]* (ms|s)\b/g, 'a while').replace(/\bguest-[0-9a-f]+/g, 'the guest')

const tally = (words: readonly string[]): Map<string, number> =>
  new Map([...Map.groupBy(words, word => word)].map(([word, { length }]) => [word, length]))

const nth = (times: readonly number[], at: number): number => times[at] ?? Number.POSITIVE_INFINITY
const finite = (ms: number | undefined): number | undefined => (Number.isFinite(ms) ? ms : undefined)
const within = (ms: number | undefined, mostMs: number): boolean => ms !== undefined && ms <= mostMs
