// The line that the log has of each search for another path of a connection that stands.

import type { Logger } from 'pino'
import type { Searched } from './again.ts'

export function logSearch(log: Pick<Logger, 'info'>, { session, continues, trace, ended, ms }: Searched): void {
  const how =
    ended.kind === 'failed'
      ? { outcome: 'failed', error: ended.code, because: ended.reason }
      : { outcome: ended.kind === 'relay' ? 'relayed' : 'direct', by: ended.by }
  const fields = {
    trace,
    ...{ continues: continues.session, only: continues.only },
    ...{ caller: session.caller.name, callee: session.callee.name },
    ...how,
    ms: Math.round(ms * 10) / 10
  }
  log.info(fields, 'search for another path ended')
}
