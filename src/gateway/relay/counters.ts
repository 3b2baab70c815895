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
  delayed: 0,
  delayedMs: 0,
  droppedBytes: 0,
  dropped: { session: 0, peer: 0, network: 0, total: 0, unlatched: 0 }
})

export function sum(a: SpliceCounters, b: SpliceCounters): SpliceCounters {
  return { caller: addUp(a.caller, b.caller), callee: addUp(a.callee, b.callee) }
}

type Numbers = { [name: string]: number | Record<string, number> }

/** Of counters of one kind: `sign` of the second to the first, number by number. */
function combined<Counters>(a: Counters, b: Counters, sign: 1 | -1): Counters {
  const [ones, others] = [a, b] as unknown as [Numbers, Numbers]
  const result: Numbers = {}
  for (const [name, one] of Object.entries(ones)) {
    const other = others[name]
    result[name] =
      typeof one === 'number'
        ? one + sign * Number(other)
        : (combined(one, other as Record<string, number>, sign) as Record<string, number>)
  }
  return result as Counters
}

export const addUp = <Counters extends ShaperCounters>(a: Counters, b: Counters): Counters => combined(a, b, 1)

/** What was counted since. */
export const less = <Counters extends ShaperCounters>(a: Counters, b: Counters): Counters => combined(a, b, -1)
