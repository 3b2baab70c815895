// The table of faults for a terminal of 80 columns: a line for each row as it ends, `!` before it where its goal is missed, and
// below that what the row is and what went wrong.

import { wrap } from '../../../src/cli/text/output.ts'
import type { Goal, Row } from './row.ts'
import { chosen, type Result, type Running, runRow, summaryOf } from './run.ts'

const WIDTH = 80

/** Produces the faults of these words, or all, and prints each row as it ends. Throws where a word is none. */
export async function printFaults(words: readonly string[], running: Running): Promise<void> {
  const wanted = chosen(words)
  const counts = { met: 0, missed: 0 }
  console.log(headLine)
  for (const row of wanted) {
    const result = await runRow(row, running)
    for (const line of linesOf(result)) console.log(line)
    counts[summaryOf(result).isMet ? 'met' : 'missed']++
  }
  console.log(`\n${counts.met} of ${counts.met + counts.missed} goals met`)
  if (counts.missed > 0) process.exitCode = 1
}

/** Prints what there is. Throws where a word is none. */
export function listFaults(words: readonly string[]): void {
  for (const row of chosen(words)) for (const line of listed(row)) console.log(line)
}

const columns = (mark: string, ...cells: readonly string[]): string => {
  const [word = '', healed = '', median = '', worst = '', pause = '', goal = ''] = cells
  const numbers = [healed.padStart(8), median.padStart(9), worst.padStart(9), pause.padStart(9)]
  return `${mark} ${word.padEnd(22)}${numbers.join(' ')}  ${goal}`.trimEnd()
}

export const headLine = columns(' ', 'fault', 'healed', 'median', 'worst', 'pause', 'goal')

export function linesOf(result: Result): string[] {
  const { row, outcomes } = result
  const { healed, medianMs, worstMs, pauseMs, isMet, failures, verdicts } = summaryOf(result)
  const [median = '', worst = '', pause = ''] = [medianMs, worstMs, pauseMs].map(inSeconds)
  const cells = [row.word, `${healed} of ${outcomes.length}`, median, worst, pause, goalText(row.goal)]
  const line = columns(isMet ? ' ' : '!', ...cells)
  const notes = isMet ? [] : [row.what, ...[...failures].map(([reason, times]) => `${times} x ${reason}`)]
  const judged = [...verdicts].map(([verdict, times]) => `${times} x judged ${verdict}`)
  return [line, ...[...notes, ...judged].map(note => wrap(`    ${note}`, WIDTH, 6))]
}

function listed({ word, what, goal }: Row): string[] {
  return [columns(' ', word, '', '', '', '', goalText(goal)), wrap(`    ${what}`, WIDTH, 6)]
}

/** Median and worst, or the worst alone. */
const goalText = ({ medianMs, worstMs }: Goal): string =>
  [...(medianMs === undefined ? [] : [medianMs]), worstMs].map(ms => `${ms / 1000} s`).join(', ')

const inSeconds = (ms: number | undefined): string => (ms === undefined ? 'never' : `${(ms / 1000).toFixed(2)} s`)
