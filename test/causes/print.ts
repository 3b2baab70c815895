// The table of causes for a terminal: what was done, what the trace says, and how many are right.

import { wrap } from '../../src/cli/text/output.ts'
import { type Cause, type Result, runLanes, wrong } from './cause.ts'
import { lanes } from './table.ts'

const WIDTH = 100
const INDENT = 4

/** Produces every cause whose words have one of these in them, or all, and prints each as it ends. */
export async function printCauses(words: readonly string[]): Promise<void> {
  const chosen = Object.entries(lanes).map(([name, lane]) => ({
    sites: lane.sites,
    causes: lane.causes.filter(cause => words.length === 0 || words.some(word => textOf(cause, name).includes(word)))
  }))
  const counts = { all: 0, right: 0 }
  await runLanes(chosen, async (cause, result) => {
    counts.all++
    if (await print(cause, result)) counts.right++
  })
  console.log(`${counts.right} of ${counts.all} right`)
  if (counts.right < counts.all) process.exitCode = 1
}

async function print(cause: Cause, running: Promise<Result>): Promise<boolean> {
  const line = (text: string) => console.log(wrap(`${' '.repeat(INDENT)}${text}`, WIDTH, INDENT + 2))
  try {
    const result = await running
    const { verdict } = result.trace
    const fault = wrong(result)
    console.log(`${fault ? 'WRONG' : 'right'}  ${verdict.code}, ${verdict.side}  (${Math.round(result.ms)} ms)`)
    line(`${cause.what}: ${cause.done}`)
    line(verdict.sentence)
    for (const fact of verdict.evidence) line(`- ${fact}`)
    if (fault) line(`expected ${cause.code}, ${cause.side}: ${fault}`)
    return fault === undefined
  } catch (error) {
    console.log(`WRONG  not produced`)
    line(`${cause.what}: ${cause.done}`)
    line(String(error))
    return false
  }
}

const textOf = ({ what, done, code, side }: Cause, lane: string) => [lane, what, done, code, side].join(' ')
