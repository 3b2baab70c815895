// What a gateway counts, as one object: /api/status shows it, and Prometheus reads it (metrics.ts). It names no peers.

import type { ExportCounters } from '../../trace/export/outbox.ts'
import type { TraceStore } from '../../trace/store/store.ts'
import type { Doors } from '../doors/doors.ts'
import type { Budget } from '../memory/budget.ts'
import { noVisits, type VisitsCounters } from '../nettest/counters.ts'
import type { Directory } from '../peers/directory.ts'
import type { Sources, Warning } from '../peers/sources.ts'
import type { Twins } from '../peers/twins.ts'
import type { Proxies } from '../proxy/proxies.ts'
import type { Relay } from '../relay/relay.ts'
import type { Rooms } from '../rooms/rooms.ts'
import type { Drain } from '../session/drain.ts'
import type { Sessions } from '../session/sessions.ts'
import type { SignallingCounters } from '../signalling/counters.ts'
import type { NatDesk } from '../survey/nat-desk.ts'
import type { Binding } from '../udp/binding.ts'
import type { Forwards } from '../udp/forwards.ts'
import type { Overload } from '../udp/overload.ts'
import type { Access } from './access.ts'
import type { AnswerCounters } from './answers.ts'
import type { ConnectionCounters } from './connections.ts'

export type GatewayStatus = Awaited<ReturnType<typeof statusOf>>

export async function statusOf(parts: {
  directory: Directory
  sources: Sources
  twins: Twins
  sessions: Sessions
  relay: Relay
  binding: Binding
  doors: Doors
  signalling: SignallingCounters
  budget: Budget
  traces: TraceStore
  /** Counters of the spans for the collector. */
  exported: ExportCounters
  access: Access
  forwards: Forwards
  overload: Overload
  proxies: Pick<Proxies, 'counters'>
  nat: NatDesk
  rooms: Rooms | undefined
  visits: VisitsSeen | undefined
  drain: Drain
  /** Configurations that were read again: gone by, and not. */
  reloads: { readonly applied: number; readonly refused: number }
  http: ConnectionCounters & AnswerCounters
  warnings: readonly Warning[]
}) {
  const relay = await parts.relay.totals()
  return {
    peers: parts.directory.size,
    /** Peers joined whose sources something in front of the gateway hides. */
    hidden: parts.sources.hidden,
    /** Certificates that are joined from two places now. */
    twins: parts.twins.count,
    sessions: { ...parts.sessions.counters, now: parts.sessions.size, relayed: relay.sessions },
    udp: { ...parts.binding.counters },
    /** Datagrams lost at the UDP ports because the gateway or its host was too slow. */
    overload: await parts.overload.read(),
    /** Connections that bring datagrams where UDP is blocked, and sides that are relayed now, by door. */
    doors: {
      tcp: { ...parts.doors.counters.tcp },
      websocket: { ...parts.doors.counters.websocket },
      latched: { ...relay.doors }
    },
    signalling: { ...parts.signalling },
    names: { known: parts.directory.names.size, ...parts.directory.names.counters },
    forwards: { ...parts.forwards.counters },
    /** Rooms that are open, and their guests; none where the gateway has no rooms. */
    rooms: roomsOf(parts.rooms),
    /** Tests of networks by visitors: under way, results kept, and what became of all. */
    tests: testsOf(parts.visits),
    judgements: { refused: parts.nat.refused },
    probes: { refused: parts.budget.refused, refusedInBackground: parts.budget.refusedInBackground },
    relay: relay.counters,
    /** By which sides latch that speak ICE alone. */
    checks: relay.checks,
    traces: parts.traces.counters,
    spans: { ...parts.exported.spans },
    collector: { ...parts.exported.collector },
    access: { ...parts.access.counters },
    reloads: { ...parts.reloads },
    drain: { begun: parts.drain.hasBegun ? 1 : 0, refused: parts.drain.refused },
    http: { ...parts.http },
    /** What came with headers by which proxies say who asks, and was not taken. */
    proxies: { ...parts.proxies.counters },
    /** What the operator should mend: a word for each. */
    warnings: parts.warnings.map(({ code }) => code)
  }
}

const roomsOf = (rooms: Rooms | undefined) => ({
  open: rooms?.size ?? 0,
  ...(rooms?.guests ?? { inside: 0, waiting: 0 }),
  ...(rooms?.counters ?? { made: 0, refused: 0, unkept: 0 })
})

/** Tests of networks, as the status has them. */
interface VisitsSeen {
  readonly size: number
  readonly results: { readonly size: number }
  readonly counters: VisitsCounters
}

const testsOf = (visits: VisitsSeen | undefined): { now: number; kept: number } & VisitsCounters => ({
  now: visits?.size ?? 0,
  kept: visits?.results.size ?? 0,
  ...(visits?.counters ?? noVisits())
})
