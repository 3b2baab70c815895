// What the tests of browsers share: a test that is skipped where there is no such browser, and the worlds that most of them have.

import type { ExecutionContext } from 'ava'
import { labTest } from '../lab/lab-test.ts'
import { missing } from './browsers.ts'
import { RELAY } from './page.ts'

export * from './page.ts'

/** Strategies, and the kind of path that they lead to. */
export const bothPaths = [
  ['[direct, stun]', 'direct'],
  [`[${RELAY}]`, 'relay']
] as const
export const BYTES = 3_000_000

type Needed = Parameters<typeof missing>[0]

export function browserTest(
  title: string,
  needs: readonly Needed[],
  run: (t: ExecutionContext) => Promise<void>
): void {
  const problem = needs.map(missing).find(why => why !== undefined)
  if (problem === undefined || process.env.POSTERN_LAB === 'required') labTest(title, run)
  else console.log(`${title}: skipped, ${problem}`)
}
