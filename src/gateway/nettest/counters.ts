// What is counted of tests of networks. This file stands alone because programs see these counters (`Gateway.status`), and need no
// WebSocket for them.

import { type Verdict, verdicts } from './result.ts'

export interface VisitsCounters {
  /** Runs that ended with a result. */
  readonly done: Record<Verdict, number>
  /** Ended: their time was over. */
  late: number
  /** Ended: the visitor said something else. */
  malformed: number
  /** Refused: the network had had its runs of this minute; too many were under way; there was no time for judging. */
  limited: number
  full: number
  busy: number
}

export const noVisits = (): VisitsCounters => ({
  done: Object.fromEntries(verdicts.map(verdict => [verdict, 0])) as Record<Verdict, number>,
  ...{ limited: 0, full: 0, busy: 0, late: 0, malformed: 0 }
})
