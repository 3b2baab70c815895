// What happens to calls of two in browsers, and how soon they have to go on: the faults of pages.

import type { Kind } from '../../../browser/browsers.ts'
import { type Fault, faults, GOAL_MS } from '../life/table.ts'
import type { TrialRow } from '../life/trials.ts'

export interface CallRow extends Fault, TrialRow {
  readonly ends: readonly [Kind, Kind]
}

const pairs = [
  { name: 'chromium', ends: ['chromium', 'chromium'], goalMs: GOAL_MS.chromium },
  { name: 'firefox', ends: ['firefox', 'firefox'], goalMs: GOAL_MS.firefox },
  { name: 'chromium-firefox', ends: ['chromium', 'firefox'], goalMs: GOAL_MS.firefox }
] as const

export const callRows: readonly CallRow[] = pairs.flatMap(({ name, ends, goalMs }) =>
  faults.map(fault => ({ ...fault, word: `${name}-${fault.word}`, ends, goalMs }))
)
