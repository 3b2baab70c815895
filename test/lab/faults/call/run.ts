// Runs a row of the table of calls: two open the link of a room, one lets the other in, and the fault hits the side of the one and the
// other in turn.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Table } from '../life/print.ts'
import { failureOf, type Outcome, runTrials, type Trials } from '../life/trials.ts'
import { courseSince, flowing, nowMs, pausesSince } from '../life/watch.ts'
import { type CallGround, openCallGround } from './ground.ts'
import { Guest, WHATS } from './guest.ts'
import { type CallRow, callRows } from './table.ts'

export type CallOutcome = Outcome<(typeof WHATS)[number]>

/** So long it goes well before the fault. */
const WELL_MS = 1000

export const runCall = (row: CallRow, { trials, seed }: Trials): Promise<CallOutcome[]> =>
  runTrials(
    trials,
    () => openCallGround(seed),
    (ground, nth) => tryCall(ground, row, nth)
  )

export const callTable: Table<CallRow, Trials> = {
  ...{ asked: '--faults --call', rows: callRows, whats: WHATS, run: runCall }
}

async function tryCall(ground: CallGround, row: CallRow, nth: number): Promise<CallOutcome> {
  try {
    const link = await ground.link()
    await using first = await Guest.open(ground.world, 0, row.ends[0], link)
    await using second = await Guest.open(ground.world, 1, row.ends[1], link)
    return await call(ground, row, nth, [first, second])
  } catch (thrown) {
    return { failed: failureOf(thrown), verdicts: [], course: [] }
  }
}

async function call(
  { world, gateway, verdicts }: CallGround,
  row: CallRow,
  nth: number,
  guests: readonly [Guest, Guest]
): Promise<CallOutcome> {
  const [first, second] = guests
  const pairs = [guests, [second, first]] as const
  let faultMs = nowMs()
  const around = async () => ({ verdicts: await verdicts(faultMs), course: await courseSince(guests, faultMs) })
  try {
    await first.page.enters()
    await second.page.isLetIn(first.page)
    await Promise.all(pairs.map(([one, other]) => one.begin(other)))
    await flowing(guests, WHATS, nowMs())
    await sleep(WELL_MS)
    faultMs = nowMs()
    const undo = await row.fault({ world, gateway, caller: first, callee: second }, nth)
    if (row.lastsMs !== undefined) await sleep(row.lastsMs)
    await undo?.()
    const endMs = nowMs()
    await sleep(row.watchMs)
    await flowing(guests, WHATS, endMs)
    const pauses = await pausesSince(guests, WHATS, faultMs)
    for (const [one, other] of pairs) {
      await one.checkBadge(other, world.gateway.addresses)
      await one.checkChat(other)
      await one.checkCalm()
    }
    return { pauses, ...(await around()) }
  } catch (thrown) {
    return { failed: failureOf(thrown), ...(await around().catch(() => ({ verdicts: [], course: [] }))) }
  }
}
