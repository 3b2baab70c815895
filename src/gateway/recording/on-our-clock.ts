// Puts times that a peer tells on the gateway's clock. A peer measures how far its clock is from ours, and may be wrong or
// lie. So a time that it tells is moved into the interval in which it must have been.

import type { SpanAttributes } from '../../trace/record/conventions.ts'
import type { SideName } from '../../wire/side.ts'
import type { Clock } from '../peers/peer-clock.ts'

/** @param range first and last possible time, in milliseconds since the epoch on the gateway's clock. */
export const clamped = (atMs: number, [firstMs, lastMs]: readonly [number, number]): number =>
  Math.max(firstMs, Math.min(lastMs, atMs))

/** A time of a peer on the gateway's clock; undefined where the peer told no time, or not how far its clock is from ours. */
export function onOurClock(
  theirsMs: number | undefined,
  clock: Clock | undefined,
  range: readonly [number, number]
): number | undefined {
  if (theirsMs === undefined || !clock) return undefined
  return clamped(theirsMs + clock.offsetMs, range)
}

export const clockAttributes = (side: SideName, clock: Clock | undefined): SpanAttributes =>
  clock
    ? {
        [`postern.${side}.clock.offset`]: clock.offsetMs,
        [`postern.${side}.clock.uncertainty`]: clock.uncertaintyMs
      }
    : {}

/** Longest time that a request is believed to have been on its way, in milliseconds: a caller that has lost its link joins anew. */
const ON_ITS_WAY_MS = 10_000

/** When a caller sent a request that has arrived now; the time of its arrival if the caller did not say. */
export const askedMs = (theirsMs: number | undefined, clock: Clock | undefined, arrivedMs: number): number =>
  onOurClock(theirsMs, clock, [arrivedMs - ON_ITS_WAY_MS, arrivedMs]) ?? arrivedMs
