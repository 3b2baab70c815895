// The line that the log has of each connect request that is over: who asked for whom, how it ended, and why not better.

import type { Logger } from 'pino'
import { fateOf } from '../../trace/record/fate.ts'
import type { TraceRecord } from '../../trace/record/record.ts'

/** A join that was refused has no session: the log tells it where it is refused. A search has another line (search-line.ts). */
export function logSession(log: Pick<Logger, 'info'>, record: TraceRecord): void {
  const { id, caller, callee, by, verdict, spans } = record
  if (spans[0]?.name !== 'postern.connect') return
  const outcome = fateOf(record)
  const fields = {
    trace: id,
    ...{ caller, callee, outcome },
    ...(outcome === 'failed' ? { error: by } : { by }),
    ms: Math.round(record.ms * 10) / 10,
    verdict: verdict.code,
    ...(outcome === 'direct' ? {} : { because: verdict.sentence })
  }
  log.info(fields, 'session ended')
}
