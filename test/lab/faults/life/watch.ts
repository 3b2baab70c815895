// What flows at both ends of a connection, and what paused there. Times are milliseconds since the epoch, which all processes of one
// computer share.

import { setTimeout as sleep } from 'node:timers/promises'
import { flowsAgainAt, longestPause } from '../arrivals.ts'

/** What an end has seen since a time: of each of these, when something came. */
export type Times<What extends string> = Readonly<Record<What, readonly number[]>> & {
  /** Why the connection is over; undefined while it is not. */
  readonly reason?: string
  /** What it has noticed, and when. */
  readonly news: readonly string[]
}

export interface Watched<What extends string> {
  readonly name: string
  seen(sinceMs: number): Promise<Times<What>>
}

/** A connection that does not flow again by then never does, in milliseconds. */
const PATIENCE_MS = 60_000
const LOOK_MS = 250

/** Resolves once all of these flow at both ends. Throws why a connection is over, or what does not flow. */
export async function flowing<What extends string>(
  ends: readonly Watched<What>[],
  whats: readonly What[],
  sinceMs: number
): Promise<void> {
  const endMs = nowMs() + PATIENCE_MS
  for (;;) {
    const all = await Promise.all(ends.map(end => end.seen(sinceMs)))
    const over = all.find(({ reason }) => reason !== undefined)
    if (over) throw new Error(over.reason)
    const still = all.flatMap((seen, at) =>
      whats
        .filter(what => flowsAgainAt(arrivalsOf(seen[what]), sinceMs, nowMs()) === undefined)
        .map(what => `${what} at ${ends[at]?.name}`)
    )
    if (still.length === 0) return
    if (nowMs() > endMs) throw new Error(`no ${still.join(', no ')} for ${PATIENCE_MS / 1000} s`)
    await sleep(LOOK_MS)
  }
}

/** The longest pause of each of these at either end, in milliseconds. */
export async function pausesSince<What extends string>(
  ends: readonly Watched<What>[],
  whats: readonly What[],
  sinceMs: number
): Promise<Record<What, number>> {
  const all = await Promise.all(
    ends.map(async end => {
      const untilMs = nowMs()
      const seen = await end.seen(sinceMs)
      return (what: What) => longestPause(arrivalsOf(seen[what]), sinceMs, untilMs)
    })
  )
  const worst = whats.map(what => [what, Math.max(...all.map(pauseOf => pauseOf(what)))])
  return Object.fromEntries(worst) as Record<What, number>
}

/** What the ends have noticed, `a` and `b`, in milliseconds from then on. */
export async function courseSince(ends: readonly Watched<never>[], sinceMs: number): Promise<string[]> {
  const all = await Promise.all(ends.map(end => end.seen(sinceMs)))
  return all.flatMap(({ news }, at) =>
    news.map(line => {
      const [atMs = '', ...what] = line.split(' ')
      return `${'ab'[at]} ${what.join(' ')} ${Math.round(Number(atMs) - sinceMs)}`
    })
  )
}

export const nowMs = () => performance.timeOrigin + performance.now()

const arrivalsOf = (times: readonly number[]) => times.map(atMs => ({ atMs, bytes: 0 }))
