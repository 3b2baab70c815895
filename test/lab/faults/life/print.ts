// A table of browsers for a terminal of 80 columns: a line for each row as it ends, `!` before it where its goal is missed.

import { wrap } from '../../../../src/cli/text/output.ts'
import type { Outcome, TrialRow } from './trials.ts'

export interface Table<Row extends TrialRow, Running> {
  /** How the laboratory is asked for it. */
  readonly asked: string
  readonly rows: readonly Row[]
  /** What may pause, as the columns are called. */
  readonly whats: readonly string[]
  run(row: Row, running: Running): Promise<readonly Outcome[]>
}

const WIDTH = 80

/** Produces the faults of these words, or all, and prints each row as it ends. Throws where a word is none. */
export async function printTable<Row extends TrialRow, Running>(
  table: Table<Row, Running>,
  words: readonly string[],
  running: Running
): Promise<void> {
  const { whats } = table
  console.log(headLine(whats))
  let missed = 0
  for (const row of chosenRows(table, words)) {
    const outcomes = await table.run(row, running)
    for (const line of linesOf(row, whats, outcomes)) console.log(line)
    if (!isMet(row, outcomes)) missed++
  }
  console.log(missed === 0 ? '\nall goals met' : `\n${missed} goals missed`)
  if (missed > 0) process.exitCode = 1
}

/** Prints what there is. Throws where a word is none. */
export function listTable(table: Shown<TrialRow>, words: readonly string[]): void {
  for (const { word, what } of chosenRows(table, words)) console.log(wrap(`${word}: ${what}`, WIDTH, 4))
}

type Shown<Row extends TrialRow> = Pick<Table<Row, never>, 'asked' | 'rows'>

/** Rows whose word is one of these, or has one in it; all where there are none. */
function chosenRows<Row extends TrialRow>({ asked, rows }: Shown<Row>, words: readonly string[]): readonly Row[] {
  if (words.length === 0) return rows
  const found = words.map(word => {
    const named = rows.filter(row => row.word === word)
    return named.length > 0 ? named : rows.filter(row => row.word.includes(word))
  })
  const unknown = words.find((_, at) => found[at]?.length === 0)
  if (unknown) throw new Error(`no fault is called "${unknown}": ${asked} --list shows them`)
  return rows.filter(row => found.some(named => named.includes(row)))
}

const columns = (mark: string, word: string, healed: string, cells: readonly string[], goal: string): string =>
  `${mark} ${word.padEnd(34)} ${healed.padStart(8)}${cells.map(cell => cell.padStart(7)).join('')}  ${goal}`.trimEnd()

/** Median and worst of the longest pause of each. */
const headLine = (whats: readonly string[]): string =>
  columns(
    ' ',
    'fault',
    'healed',
    whats.flatMap(what => [what, 'worst']),
    'goal'
  )

const isMet = ({ goalMs }: TrialRow, outcomes: readonly Outcome[]): boolean =>
  outcomes.every(({ pauses }) => pauses && Math.max(...Object.values(pauses)) <= goalMs)

function linesOf(row: TrialRow, whats: readonly string[], outcomes: readonly Outcome[]): string[] {
  const pauses = outcomes.flatMap(one => (one.pauses ? [one.pauses] : []))
  const cells = whats.flatMap(what => spread(pauses.map(each => each[what] ?? Number.NaN)))
  const mark = isMet(row, outcomes) ? ' ' : '!'
  const line = columns(mark, row.word, `${pauses.length} of ${outcomes.length}`, cells, `${row.goalMs / 1000} s`)
  const late = outcomes.filter(one => !isMet(row, [one]))
  const courses = late.map(({ failed = 'late', course }) => `${failed}: ${course.join(', ')}`)
  const judged = [...tally(outcomes.flatMap(({ verdicts }) => verdicts))].map(
    ([verdict, n]) => `${n} x judged ${verdict}`
  )
  return [line, ...[...courses, ...judged].map(note => wrap(`    ${note}`, WIDTH, 6))]
}

/** Median and worst in seconds. */
function spread(times: readonly number[]): string[] {
  const sorted = times.toSorted((a, b) => a - b)
  const [low = Number.NaN, high = Number.NaN] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  return [(low + high) / 2, sorted.at(-1) ?? Number.NaN].map(ms => (ms / 1000).toFixed(2))
}

const tally = (words: readonly string[]): Map<string, number> =>
  new Map([...Map.groupBy(words, word => word)].map(([word, { length }]) => [word, length]))
