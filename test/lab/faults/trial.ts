// One trial of a row: a ground of its own, a transfer of numbered bytes that goes on for as long as it is looked at, the fault,
// and what the receiver had of it. Nothing here takes longer than PATIENCE_MS beside what the row itself waits for.

import { setTimeout as sleep } from 'node:timers/promises'
import { flowsAgainAt, longestPause, monotonicMs } from './arrivals.ts'
import { type Began, type Commands, type Ground, openGround } from './ground.ts'
import type { Row } from './row.ts'

export interface Outcome {
  /** What the row measures, in milliseconds; undefined where it did not heal. */
  readonly ms?: number
  /** The longest time without a byte from the fault on, where the stream went on. */
  readonly pauseMs?: number
  /** Why the path was lost, each time, as the gateway judges. */
  readonly verdicts?: readonly string[]
  /** What went wrong, in a few words. */
  readonly failed?: string
}

export interface Trying {
  readonly bytesPerSecond: number
  readonly seed?: number
  readonly commands?: Commands
}

/** What has not healed by then never does. */
export const PATIENCE_MS = 75_000
/** So long a transfer goes well before the fault. */
const WELL_MS = 1000
/** How often it is looked whether it flows again. */
const LOOK_MS = 100
/** How often the kernel is asked which way the bulk goes. */
const COUNT_MS = 250
/** Of what the receiver has handed on, so much went directly: the rest is in buffers. */
const DIRECT_SHARE = 0.7
/** For the end of the input to come out of the far end, with all before it. */
const DRAIN_MS = 20_000

export async function tryRow(row: Row, nth: number, { bytesPerSecond, ...how }: Trying): Promise<Outcome> {
  const { nats, options = [] } = row
  try {
    await using ground = await openGround({ nats, options, ...how })
    return await tryOn(ground, row, nth, bytesPerSecond).catch(async thrown => ({
      ...failure(thrown),
      verdicts: await ground.verdicts()
    }))
  } catch (thrown) {
    return failure(thrown)
  }
}

async function tryOn(ground: Ground, row: Row, nth: number, bytesPerSecond: number): Promise<Outcome> {
  const { begins, first = false } = row
  if (first) await row.fault(ground, nth)
  const began = await ground.connect()
  await ground.caller.end.do('feed', { bytesPerSecond })
  if (begins && began.kind !== begins) throw new Error(`it began ${began.kind}, not ${begins}`)
  const measured = first ? await fromTheStart(row, ground, began) : await underWay(row, ground, nth)
  const verdicts = await ground.verdicts()
  await checkWhole(ground)
  return { ...measured, verdicts }
}

const failure = (thrown: unknown): Outcome => ({ failed: inShort(thrown as Error) })

async function fromTheStart(row: Row, ground: Ground, { ms, askedAtMs }: Began): Promise<Outcome> {
  await flowing(ground, monotonicMs())
  await sleep(row.watchMs ?? 0)
  const pauseMs = await pauseSince(ground, askedAtMs)
  return { ms: row.measure === 'connected' ? ms : pauseMs, pauseMs }
}

async function underWay(row: Row, ground: Ground, nth: number): Promise<Outcome> {
  await flowing(ground, monotonicMs())
  await sleep(WELL_MS)
  const faultMs = monotonicMs()
  await row.fault(ground, nth)
  const fromMs = row.end ? await ended(row, ground, nth, faultMs) : faultMs
  const ms = await measured(row, ground, fromMs)
  await sleep(row.watchMs ?? 0)
  const pauseMs = await pauseSince(ground, faultMs)
  return { ms: row.measure === 'pause' ? pauseMs : ms, pauseMs }
}

/** When the fault was over. */
async function ended({ lastsMs, end }: Row, ground: Ground, nth: number, faultMs: number): Promise<number> {
  if (lastsMs === undefined) await flowing(ground, faultMs)
  else await sleep(lastsMs)
  await end?.(ground, nth)
  return monotonicMs()
}

async function measured(row: Row, ground: Ground, fromMs: number): Promise<number> {
  const atMs = row.measure === 'direct' ? await direct(ground, fromMs) : await flowing(ground, fromMs)
  return atMs - fromMs
}

/** When the stream flowed again. Throws why the sender or the receiver gave up, or that it never flowed. */
async function flowing({ caller, callee }: Ground, sinceMs: number): Promise<number> {
  const endMs = monotonicMs() + PATIENCE_MS
  while (monotonicMs() < endMs) {
    const arrivals = await callee.end.do('arrivals', { sinceMs })
    const atMs = flowsAgainAt(arrivals, sinceMs, monotonicMs())
    if (atMs !== undefined) return atMs
    for (const { end } of [caller, callee]) {
      const words = await end.do('over', {})
      if (words) throw new Error(`${words} (after ${Math.round((monotonicMs() - sinceMs) / 1000)} s)`)
    }
    await sleep(LOOK_MS)
  }
  throw new Error(`nothing came for ${PATIENCE_MS / 1000} s`)
}

/** When the bulk went from NAT to NAT, in two counts one after the other. */
async function direct(ground: Ground, sinceMs: number): Promise<number> {
  const endMs = monotonicMs() + PATIENCE_MS
  let before = await counted(ground)
  let since: number | undefined
  while (monotonicMs() < endMs) {
    await sleep(COUNT_MS)
    const now = await counted(ground)
    const came = now.came - before.came
    const isDirect = came > 0 && now.went - before.went >= came * DIRECT_SHARE
    if (isDirect && since !== undefined) return since
    since = isDirect ? before.atMs : undefined
    before = now
    const words = await ground.caller.end.do('over', {})
    if (words) throw new Error(`${words} (after ${Math.round((now.atMs - sinceMs) / 1000)} s)`)
  }
  throw new Error(`not direct within ${PATIENCE_MS / 1000} s`)
}

async function counted({ caller, callee }: Ground) {
  const { bytes: went } = await caller.site.sentTo(callee.site)
  const { bytes: came } = await callee.end.do('received', {})
  return { atMs: monotonicMs(), went, came }
}

async function pauseSince({ callee }: Ground, sinceMs: number): Promise<number> {
  const arrivals = await callee.end.do('arrivals', { sinceMs })
  return longestPause(arrivals, sinceMs, monotonicMs())
}

/** Throws where what came out is not what went in, byte by byte. */
async function checkWhole({ caller, callee }: Ground): Promise<void> {
  const sent = await within(caller.end.do('finish', {}), 'the sender takes nothing more')
  const endMs = monotonicMs() + DRAIN_MS
  for (;;) {
    const got = await callee.end.do('received', {})
    if (got.wrongAt !== undefined) throw new Error(`DAMAGED: the byte ${got.wrongAt} is lost, repeated or another`)
    if (got.ended && got.sha256 === sent.sha256) return
    if (got.ended || monotonicMs() > endMs) throw new Error(`CUT: ${got.bytes} bytes of ${sent.bytes} came`)
    await sleep(LOOK_MS)
  }
}

async function within<T>(work: Promise<T>, reason: string): Promise<T> {
  const late = sleep(DRAIN_MS, undefined, { ref: false }).then(() => {
    throw new Error(`CUT: ${reason}`)
  })
  return await Promise.race([work, late])
}

/** The same failure has the same words: a process of the laboratory throws with its stack, and guests have names of their own. */
const inShort = ({ message }: Error): string =>
  (message.split('\n')[0] ?? '').replace(/^Error: /, '').replaceAll(/guest-[0-9a-f]+/g, 'a guest')
