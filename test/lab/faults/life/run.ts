// Runs a row of the table of pages: so many trials, one after the other, in a ground that they share.

import { setTimeout as sleep } from 'node:timers/promises'
import { flowsAgainAt, longestPause } from '../arrivals.ts'
import type { End, Seen } from './ends.ts'
import { type LifeGround, openLifeGround } from './ground.ts'
import type { LifeRow } from './table.ts'

export interface LifeOutcome {
  /** The longest pause without a byte, and without a frame, at either end, from the fault on, in milliseconds. */
  readonly pauses?: { readonly bytesMs: number; readonly framesMs: number }
  readonly verdicts: readonly string[]
  /** What the ends have noticed, in milliseconds from the fault on. */
  readonly course: readonly string[]
  /** What went wrong. */
  readonly failed?: string
}

export interface LifeRunning {
  readonly trials: number
  /** Each way. */
  readonly bytesPerSecond: number
  readonly seed?: number
}

/** A connection that does not flow again by then never does, in milliseconds. */
const PATIENCE_MS = 60_000
/** So long it goes well before the fault. */
const WELL_MS = 1000
const LOOK_MS = 250
/** For all that was sent to arrive, in milliseconds. */
const DRAIN_MS = 20_000
/** A row that failed so often is not tried further. */
const LOST_AFTER = 3

export async function runLife(row: LifeRow, { trials, seed, bytesPerSecond }: LifeRunning): Promise<LifeOutcome[]> {
  const outcomes: LifeOutcome[] = []
  const hasFailed = () => outcomes.filter(({ failed }) => failed !== undefined).length
  while (outcomes.length < trials && hasFailed() < LOST_AFTER) {
    await using ground = await openLifeGround(row.ends, seed)
    const before = hasFailed()
    // After a failure nobody knows what the ground is like.
    while (outcomes.length < trials && hasFailed() === before) {
      outcomes.push(await tryLife(ground, row, outcomes.length, bytesPerSecond))
    }
  }
  return outcomes
}

async function tryLife(ground: LifeGround, row: LifeRow, nth: number, bytesPerSecond: number): Promise<LifeOutcome> {
  const { ends } = ground
  let faultMs = nowMs()
  const around = async () => ({
    verdicts: await ground.verdicts(faultMs),
    course: (await Promise.all(ends.map(end => end.seen(faultMs)))).flatMap((seen, at) => courseOf(seen, at, faultMs))
  })
  try {
    const [caller, callee] = (nth >> 1) % 2 === 0 ? ends : ([...ends].reverse() as [End, End])
    await Promise.all(ends.map(end => end.join()))
    const kind = await caller.connect(callee)
    if (kind !== 'direct') throw new Error(`it began ${kind}`)
    await Promise.all(ends.map(end => end.begin(bytesPerSecond)))
    await flowing(ends, nowMs())
    await sleep(WELL_MS)
    faultMs = nowMs()
    const undo = await row.fault({ ...ground, caller, callee }, nth)
    if (row.lastsMs !== undefined) await sleep(row.lastsMs)
    await undo?.()
    const endMs = nowMs()
    await sleep(row.watchMs)
    await flowing(ends, endMs)
    const pauses = await pausesSince(ends, faultMs)
    await checkWhole(ends)
    return { pauses, ...(await around()) }
  } catch (thrown) {
    const failed = ((thrown as Error).message.split('\n')[0] ?? '').replace(/^Error: /, '')
    return { failed, ...(await around().catch(() => ({ verdicts: [], course: [] }))) }
  }
}

/** Resolves once bytes and frames flow at both ends. Throws why a connection is over, or what does not flow. */
async function flowing(ends: readonly End[], sinceMs: number): Promise<void> {
  const endMs = nowMs() + PATIENCE_MS
  for (;;) {
    const all = await Promise.all(ends.map(end => end.seen(sinceMs)))
    const over = all.find(({ reason }) => reason !== undefined)
    if (over) throw new Error(over.reason)
    const still = all.flatMap(({ bytes, frames }, at) =>
      Object.entries({ bytes, frames })
        .filter(([, times]) => flowsAgainAt(arrivalsOf(times), sinceMs, nowMs()) === undefined)
        .map(([what]) => `${what} at ${ends[at]?.name}`)
    )
    if (still.length === 0) return
    if (nowMs() > endMs) throw new Error(`no ${still.join(', no ')} for ${PATIENCE_MS / 1000} s`)
    await sleep(LOOK_MS)
  }
}

async function pausesSince(ends: readonly End[], sinceMs: number): Promise<{ bytesMs: number; framesMs: number }> {
  const all = await Promise.all(
    ends.map(async end => {
      const untilMs = nowMs()
      const seen = await end.seen(sinceMs)
      return [seen.bytes, seen.frames].map(times => longestPause(arrivalsOf(times), sinceMs, untilMs))
    })
  )
  const worst = (at: number) => Math.max(...all.map(pauses => pauses[at] ?? 0))
  return { bytesMs: worst(0), framesMs: worst(1) }
}

/** Throws where what came is not what was sent, in each direction. */
async function checkWhole(ends: readonly [End, End]): Promise<void> {
  const late = sleep(DRAIN_MS, undefined, { ref: false }).then(() => {
    throw new Error(`CUT: the end is not heard within ${DRAIN_MS / 1000} s`)
  })
  await Promise.race([Promise.all(ends.map(end => end.finish())), late])
  const [one, other] = await Promise.all(ends.map(end => end.seen(nowMs())))
  for (const [from, to] of [
    [one, other],
    [other, one]
  ]) {
    if (to?.wrongAt !== undefined) throw new Error(`DAMAGED: the byte ${to.wrongAt} is lost, repeated or another`)
    if (!to?.hasEnded || to.gotBytes !== from?.sentBytes)
      throw new Error(`CUT: ${to?.gotBytes} bytes of ${from?.sentBytes} came`)
  }
}

const arrivalsOf = (times: readonly number[]) => times.map(atMs => ({ atMs, bytes: 0 }))

const courseOf = ({ news }: Seen, at: number, sinceMs: number): string[] =>
  news.map(line => {
    const [atMs = '', ...what] = line.split(' ')
    return `${'ab'[at]} ${what.join(' ')} ${Math.round(Number(atMs) - sinceMs)}`
  })

const nowMs = () => performance.timeOrigin + performance.now()
