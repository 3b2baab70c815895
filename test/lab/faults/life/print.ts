// The table of pages for a terminal of 80 columns: a line for each row as it ends, `!` before it where its goal is missed.

import { wrap } from '../../../../src/cli/text/output.ts'
import { type LifeOutcome, type LifeRunning, runLife } from './run.ts'
import { type LifeRow, lifeRows } from './table.ts'

const WIDTH = 80

/** Produces the faults of these words, or all, and prints each row as it ends. Throws where a word is none. */
export async function printLife(words: readonly string[], running: LifeRunning): Promise<void> {
  console.log(headLine)
  let missed = 0
  for (const row of chosenLife(words)) {
    const outcomes = await runLife(row, running)
    for (const line of linesOf(row, outcomes)) console.log(line)
    if (!isMet(row, outcomes)) missed++
  }
  console.log(missed === 0 ? '\nall goals met' : `\n${missed} goals missed`)
  if (missed > 0) process.exitCode = 1
}

/** Prints what there is. Throws where a word is none. */
export function listLife(words: readonly string[]): void {
  for (const { word, what } of chosenLife(words)) console.log(wrap(`${word}: ${what}`, WIDTH, 4))
}

/** Rows whose word is one of these, or begins with one; all where there are none. */
export function chosenLife(words: readonly string[]): readonly LifeRow[] {
  if (words.length === 0) return lifeRows
  const found = words.map(word => {
    const named = lifeRows.filter(row => row.word === word)
    return named.length > 0 ? named : lifeRows.filter(row => row.word.includes(word))
  })
  const unknown = words.find((_, at) => found[at]?.length === 0)
  if (unknown) throw new Error(`no fault is called "${unknown}": --faults --browsers --list shows them`)
  return lifeRows.filter(row => found.some(named => named.includes(row)))
}

const columns = (mark: string, word: string, healed: string, cells: readonly string[], goal: string): string =>
  `${mark} ${word.padEnd(34)} ${healed.padStart(8)}${cells.map(cell => cell.padStart(7)).join('')}  ${goal}`.trimEnd()

/** Median and worst of the longest pause without bytes, then of that without frames. */
const headLine = columns(' ', 'fault', 'healed', ['bytes', 'worst', 'frames', 'worst'], 'goal')

const isMet = ({ goalMs }: LifeRow, outcomes: readonly LifeOutcome[]): boolean =>
  outcomes.every(({ pauses }) => pauses && Math.max(pauses.bytesMs, pauses.framesMs) <= goalMs)

function linesOf(row: LifeRow, outcomes: readonly LifeOutcome[]): string[] {
  const pauses = outcomes.flatMap(one => one.pauses ?? [])
  const cells = [pauses.map(({ bytesMs }) => bytesMs), pauses.map(({ framesMs }) => framesMs)].flatMap(spread)
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
