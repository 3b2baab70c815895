// How fast relayed paths are as of late: from what was counted between two looks at them. Nothing is counted for it, and nobody looks
// unless somebody asks.

import { nowMs } from '../../../clock.ts'
import { type SideName, sideNames } from '../../../wire/side.ts'
import type { SpliceCounters } from '../../relay/counters.ts'

/** One direction, between two looks. */
export interface Lately {
  readonly bitsPerSecond: number
  /** How long a datagram waited that had to, in milliseconds; 0 where none had. */
  readonly delayMs: number
}

/** Looks that are nearer to each other are too few for a rate, in milliseconds. */
const LEAST_MS = 1000

interface Look {
  readonly atMs: number
  readonly counters: SpliceCounters
}

export class Rates {
  /** The last looks at each path, the older one first. */
  readonly #looks = new WeakMap<object, readonly [Look, Look]>()
  readonly #now: () => number

  /** @param now milliseconds since the epoch; the clock if left out */
  constructor(now: () => number = nowMs) {
    this.#now = now
  }

  /** @param path whose counters these are, and since when it is there, in milliseconds since the epoch */
  of(path: { readonly sinceMs: number }, counters: SpliceCounters): Record<SideName, Lately> {
    const look = { atMs: this.#now(), counters }
    const [older, newer] = this.#looks.get(path) ?? []
    const before = [newer, older].find(past => past && look.atMs - past.atMs >= LEAST_MS)
    if (!newer || before === newer) this.#looks.set(path, [newer ?? look, look])
    const ms = look.atMs - (before?.atMs ?? path.sinceMs)
    const sides = sideNames.map(side => [side, between(before?.counters[side], counters[side], ms)])
    return Object.fromEntries(sides) as Record<SideName, Lately>
  }
}

type Counted = Pick<SpliceCounters[SideName], 'sentBytes' | 'delayed' | 'delayedMs'>

const none: Counted = { sentBytes: 0, delayed: 0, delayedMs: 0 }

function between(before: Counted = none, now: Counted, ms: number): Lately {
  const delayed = now.delayed - before.delayed
  return {
    bitsPerSecond: ms > 0 ? Math.round((8000 * (now.sentBytes - before.sentBytes)) / ms) : 0,
    delayMs: delayed > 0 ? (now.delayedMs - before.delayedMs) / delayed : 0
  }
}
