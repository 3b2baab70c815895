// What becomes of a relayed path after the connect: a side latches from another source, or the path ends. These spans begin
// after the root has ended.

import { nowMs } from '../../clock.ts'
import type { SpanAttributes } from '../../trace/record/conventions.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import type { SpliceCounters } from '../relay/counters.ts'
import type { LatchedAt } from '../relay/splice.ts'
import type { Beside } from './step.ts'

/** `ended`: a side left or was lost. `idle`: nothing has come through for long. */
export type Change =
  | { readonly kind: 'relatched'; readonly side: SideName; readonly source: LatchedAt }
  | { readonly kind: 'ended'; readonly side: SideName | undefined; readonly counters: SpliceCounters }
  | { readonly kind: 'idle'; readonly counters: SpliceCounters }

export function recordChange(root: Beside, change: Change): void {
  const attributes = { 'postern.change': change.kind, ...attributesOf(change) }
  const startTime = nowMs()
  root.beginBeside('postern.change', attributes, startTime).end(startTime)
}

function attributesOf(change: Change): SpanAttributes {
  switch (change.kind) {
    case 'relatched':
      return {
        'postern.side': change.side,
        'postern.door': change.source.door,
        'network.peer.address': change.source.address,
        'network.peer.port': change.source.port
      }
    case 'ended':
      return { ...(change.side ? { 'postern.side': change.side } : {}), ...counterAttributes(change.counters) }
    case 'idle':
      return counterAttributes(change.counters)
  }
}

/** What was forwarded from each side, and what was not. */
export const counterAttributes = (counters: SpliceCounters): SpanAttributes =>
  Object.fromEntries(
    sideNames.flatMap(side => {
      const { sentBytes, dropped, delayed, delayedMs } = counters[side]
      const drops = Object.entries(dropped).filter(([, count]) => count > 0)
      return [
        [`postern.${side}.bytes`, sentBytes],
        [`postern.${side}.dropped`, drops.reduce((sum, [, count]) => sum + count, 0)],
        ...(drops.length > 0
          ? [[`postern.${side}.dropped_by`, drops.map(([limit, count]) => `${limit} ${count}`)] as const]
          : []),
        ...(delayed > 0 ? [[`postern.${side}.delay`, Math.round((10 * delayedMs) / delayed) / 10] as const] : [])
      ]
    })
  )
