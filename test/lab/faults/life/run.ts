// Runs a row of the table of pages.

import { setTimeout as sleep } from 'node:timers/promises'
import type { End } from './ends.ts'
import { type LifeGround, openLifeGround } from './ground.ts'
import type { Table } from './print.ts'
import { type LifeRow, lifeRows } from './table.ts'
import { failureOf, type Outcome, runTrials, type Trials } from './trials.ts'
import { courseSince, flowing, nowMs, pausesSince } from './watch.ts'

export interface LifeRunning extends Trials {
  /** Each way. */
  readonly bytesPerSecond: number
}

/** What may pause. */
const WHATS = ['bytes', 'frames'] as const

export type LifeOutcome = Outcome<(typeof WHATS)[number]>

/** So long it goes well before the fault. */
const WELL_MS = 1000
/** For all that was sent to arrive, in milliseconds. */
const DRAIN_MS = 20_000

export const runLife = (row: LifeRow, { trials, seed, bytesPerSecond }: LifeRunning): Promise<LifeOutcome[]> =>
  runTrials(
    trials,
    () => openLifeGround(row.ends, seed),
    (ground, nth) => tryLife(ground, row, nth, bytesPerSecond)
  )

export const lifeTable: Table<LifeRow, LifeRunning> = {
  ...{ asked: '--faults --browsers', rows: lifeRows, whats: WHATS, run: runLife }
}

async function tryLife(ground: LifeGround, row: LifeRow, nth: number, bytesPerSecond: number): Promise<LifeOutcome> {
  const { ends } = ground
  let faultMs = nowMs()
  const around = async () => ({
    verdicts: await ground.verdicts(faultMs),
    course: await courseSince(ends, faultMs)
  })
  try {
    const [caller, callee] = (nth >> 1) % 2 === 0 ? ends : ([...ends].reverse() as [End, End])
    await Promise.all(ends.map(end => end.join()))
    const kind = await caller.connect(callee)
    if (kind !== 'direct') throw new Error(`it began ${kind}`)
    await Promise.all(ends.map(end => end.begin(bytesPerSecond)))
    await flowing(ends, WHATS, nowMs())
    await sleep(WELL_MS)
    faultMs = nowMs()
    const undo = await row.fault({ ...ground, caller, callee }, nth)
    if (row.lastsMs !== undefined) await sleep(row.lastsMs)
    await undo?.()
    const endMs = nowMs()
    await sleep(row.watchMs)
    await flowing(ends, WHATS, endMs)
    const pauses = await pausesSince(ends, WHATS, faultMs)
    await checkWhole(ends)
    return { pauses, ...(await around()) }
  } catch (thrown) {
    return { failed: failureOf(thrown), ...(await around().catch(() => ({ verdicts: [], course: [] }))) }
  }
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
