// What the relay counts of a session, and over all of them.

import type { SideName } from '../../wire/side.ts'
import type { LimitName, ShaperCounters } from './limit.ts'

export interface DirectionCounters extends ShaperCounters {
  /** By the limit that was short; `unlatched` because the other side had not latched. */
  dropped: Record<LimitName | 'unlatched', number>
}

/** Counters by the side the datagrams came from. */
export type SpliceCounters = Record<SideName, DirectionCounters>

export const nothing = (): DirectionCounters => ({
  sentBytes: 0,
  sentDatagrams: 0,
  queued: 0,
  droppedBytes: 0,
  dropped: { session: 0, peer: 0, total: 0, unlatched: 0 }
})

export function sum(a: SpliceCounters, b: SpliceCounters): SpliceCounters {
  return { caller: sumOf(a.caller, b.caller), callee: sumOf(a.callee, b.callee) }
}

const sumOf = (a: DirectionCounters, b: DirectionCounters): DirectionCounters => ({
  sentBytes: a.sentBytes + b.sentBytes,
  sentDatagrams: a.sentDatagrams + b.sentDatagrams,
  queued: a.queued + b.queued,
  droppedBytes: a.droppedBytes + b.droppedBytes,
  dropped: {
    session: a.dropped.session + b.dropped.session,
    peer: a.dropped.peer + b.dropped.peer,
    total: a.dropped.total + b.dropped.total,
    unlatched: a.dropped.unlatched + b.dropped.unlatched
  }
})
