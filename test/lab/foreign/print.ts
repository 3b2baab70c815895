// The table of foreign NATs for a terminal of 80 columns: what each is called, and what became of each call, beside what is
// right. A world that could not be looked at is told as that, and counts as wrong.

import { wrap } from '../../../src/cli/text/output.ts'
import { type Finding, findingsOf } from './run.ts'
import { foreignWorlds } from './worlds.ts'

/** Looks at the worlds of these names, or at all, and prints each finding as it comes. Throws where there is no such name. */
export async function printForeign(names: readonly string[]): Promise<void> {
  const known = foreignWorlds.map(({ name }) => name)
  const unknown = names.find(name => !known.includes(name))
  if (unknown) throw new Error(`there is no foreign NAT "${unknown}"; there are ${known.join(', ')}`)
  const chosen = foreignWorlds.filter(({ name }) => names.length === 0 || names.includes(name))
  console.log(line(' ', 'between', 'found', 'time', 'right'))
  const counts = { right: 0, wrong: 0, missing: 0 }
  for (const foreign of chosen) {
    console.log(`\n${foreign.name}: ${foreign.title}`)
    try {
      for await (const finding of findingsOf(foreign)) counts[print(finding)]++
    } catch (thrown) {
      counts.missing++
      console.log(wrap(`! not looked at: ${reason(thrown)}`, 80, 2))
    }
  }
  console.log('\nN of M: so many had their path within a second; the time is the median')
  console.log(`${counts.right} right, ${counts.wrong} wrong, ${counts.missing} worlds not looked at`)
  if (counts.wrong + counts.missing > 0) process.exitCode = 1
}

/** A process of the laboratory throws with its stack. */
const reason = (thrown: unknown): string => (thrown as Error).message.split('\n')[0] ?? ''

function print({ what, found, right, ms }: Finding): 'right' | 'wrong' {
  const isRight = found === right
  console.log(line(isRight ? ' ' : '!', what, found, ms === undefined ? '' : `${Math.round(ms)} ms`, right))
  return isRight ? 'right' : 'wrong'
}

const line = (mark: string, what: string, found: string, time: string, right: string): string =>
  `${mark} ${what.padEnd(16)} ${found.padEnd(24)} ${time.padStart(8)}  ${right}`
