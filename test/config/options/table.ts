// Every option that a gateway's configuration has, those of the strategies that come with it included, each with a test that runs
// twice: with the default, and changed. A new option is a row in the file of its kind; table.test.ts tells of one that has none.

import { accessRows } from './rows/access.ts'
import { hostRows } from './rows/host.ts'
import { limitRows } from './rows/limits.ts'
import { listenRows } from './rows/listen.ts'
import { sessionRows } from './rows/sessions.ts'
import { strategyRows } from './rows/strategies.ts'
import { traceRows } from './rows/traces.ts'

/** By the name of the file of their rows, and of that of their tests. */
export const table = {
  access: accessRows,
  host: hostRows,
  limits: limitRows,
  listen: listenRows,
  sessions: sessionRows,
  strategies: strategyRows,
  traces: traceRows
} as const
