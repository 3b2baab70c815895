// What a gateway counts, as one object: /api/status shows it, and Prometheus reads it (metrics.ts). No names of peers.

import type { Exporting } from '../../trace/export/export.ts'
import type { TraceStore } from '../../trace/store/store.ts'
import type { Budget } from '../memory/budget.ts'
import type { Directory } from '../peers/directory.ts'
import type { SpliceTable } from '../relay/splice.ts'
import type { Sessions } from '../session/sessions.ts'
import type { SignallingCounters } from '../signalling/reception.ts'
import type { Binding } from '../udp/binding.ts'
import type { Access } from './access.ts'

export type GatewayStatus = ReturnType<typeof statusOf>

export function statusOf(parts: {
  directory: Directory
  sessions: Sessions
  splices: SpliceTable
  binding: Binding
  signalling: SignallingCounters
  budget: Budget
  traces: TraceStore
  exports: Exporting
  access: Access
}) {
  return {
    peers: parts.directory.size,
    sessions: { ...parts.sessions.counters, now: parts.sessions.size, relayed: parts.splices.size },
    udp: { ...parts.binding.counters },
    signalling: { ...parts.signalling },
    probes: { refused: parts.budget.refused },
    relay: parts.splices.totals(),
    traces: parts.traces.counters,
    spans: { ...parts.exports.counters },
    access: { ...parts.access.counters }
  }
}
