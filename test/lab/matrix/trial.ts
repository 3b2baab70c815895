// One pair: it connects, bytes come back, both send sound and pictures for a while. And the same by plain ICE, without those.

import { until } from '../../until.ts'
import type { IceActor } from '../plain-ice/ground.ts'
import type { Rig } from '../rig.ts'
import { within } from '../within.ts'
import type { Actor, Called } from './actors.ts'
import type { Pair } from './pairs.ts'
import { expectedOf, type Gain, type IceRow, type Outcome, type Row } from './row.ts'

const BYTES = 100_000

/** A pair that takes longer hangs: 30 s for the request, 15 until there are pictures, and up to 10 to look at them. */
const PATIENCE_MS = 90_000

/** Bytes are back, or a camera films, long before that. */
const STEP_MS = 30_000

/** The gateway's record of a request comes when both sides have told what became of it. */
const RECORD_MS = 5_000

/** ICE is connected by the relay first where that is quicker, and goes over to a direct path when it has found one. */
const SETTLE_MS = 3_000

type Actors = readonly [Actor, Actor]
type Found = Omit<Row, 'what' | 'pair' | 'tookMs'>

export async function tryPair(rig: Rig, pair: Pair, actors: Actors): Promise<Row> {
  const startMs = performance.now()
  const found = await within(PATIENCE_MS, 'the pair', look(rig, pair, actors)).catch(thrownBy)
  return { what: 'postern', pair: pair.id, ...found, tookMs: Math.round(performance.now() - startMs) }
}

export async function tryIce(pair: Pair, actors: Actors): Promise<IceRow> {
  const [caller, callee] = inTurn(pair, [actors[0].ice, actors[1].ice])
  const found = await within(PATIENCE_MS, 'plain ICE', lookByIce(caller, callee)).catch(thrownBy)
  return { what: 'plain-ice', pair: pair.id, ...found }
}

/** Who calls comes first. */
function inTurn<T>({ caller }: Pair, [one, other]: readonly [T, T]): readonly [T, T] {
  return caller === 0 ? [one, other] : [other, one]
}

const GONE = /process on \S+ ended with|Firefox has ended|browser has been closed/

/** A process that is gone says nothing of the pair; all else that is thrown once both are there does. */
function thrownBy(thrown: unknown): { outcome: Outcome; why: string } {
  const found = untested(thrown)
  return GONE.test(found.why) ? found : { ...found, outcome: 'failed' }
}

/** Why the pair failed. Throws it on where a process is gone. */
function failing(thrown: unknown): { why: string } {
  const { outcome, why } = thrownBy(thrown)
  if (outcome === 'untested') throw thrown
  return { why }
}

/** What goes wrong in the laboratory is no finding. */
export function untested(thrown: unknown): { outcome: Outcome; why: string } {
  return { outcome: 'untested', why: String((thrown as Error)?.message ?? thrown).split('\n')[0] ?? '' }
}

async function look(rig: Rig, pair: Pair, actors: Actors): Promise<Found> {
  const [caller, callee] = inTurn(pair, actors)
  await callee.awaits()
  const called = await caller.call(callee.name)
  const traced = await tracesOf(rig, called)
  const { path, failed } = called
  if (!path) return { outcome: 'failed', why: `${failed?.code}: ${failed?.reason}`, ...traced }
  const opened = { by: path.by, ms: Math.round(path.ms * 10) / 10, ...traced }
  const carried = (await callee.called())
    ? await carry(pair, actors).catch(failing)
    : { why: 'the side that was called has no connection' }
  if (carried.why !== undefined) return { outcome: 'failed', ...opened, ...carried }
  await Promise.all(actors.map(actor => actor.hangUp()))
  return { outcome: path.kind, ...opened, ...carried }
}

async function tracesOf(rig: Rig, { path, trace }: Called): Promise<Pick<Row, 'expected' | 'verdict' | 'record'>> {
  const record = trace ? await until(() => rig.trace(trace), RECORD_MS).catch(() => undefined) : undefined
  if (!record) return {}
  const expected = Math.round(expectedOf(record) * 1e4) / 1e4
  return path?.kind === 'direct' ? { expected } : { expected, verdict: record.verdict.code, record }
}

/** Bytes come back, and both see and hear the other all the time. */
async function carry({ mediaS, caller }: Pair, actors: Actors): Promise<Pick<Row, 'why' | 'media'>> {
  const [first, second] = actors
  const asks = actors[caller].isPage ? actors[caller] : first
  if (!(await within(STEP_MS, 'the echo', asks.echo(BYTES))))
    return { why: 'the bytes that came back are not those that were sent' }
  for (const actor of actors) await within(STEP_MS, `the filming of ${actor.name}`, actor.film())
  const media = await Promise.all([first.watch(mediaS), second.watch(mediaS)] as const)
  const still = media.findIndex(gains => gains.some(({ frames, samples }) => frames <= 0 || samples <= 0))
  const gains = (media[still] ?? []).map(({ frames, samples }: Gain) => `${frames} and ${samples}`).join(', ')
  const seen = `of the ${still === 0 ? 'first' : 'second'}, in each second: ${gains}`
  return still < 0 ? { media } : { media, why: `frames and samples did not rise all the time ${seen}` }
}

async function lookByIce(caller: IceActor, callee: IceActor): Promise<Omit<IceRow, 'what' | 'pair'>> {
  await Promise.all([caller.join(), callee.join()])
  try {
    const { ms } = await caller.call(callee.name)
    if (ms === undefined) return { outcome: 'failed', why: 'not open in time' }
    const opened = { ms: Math.round(ms * 10) / 10 }
    const candidates = async () => (await Promise.all([caller, callee].map(one => one.candidate()))) as string[]
    const isDirect = (kinds: readonly unknown[]) => kinds.every(kind => kind !== undefined && kind !== 'relay')
    const settled = await until(async () => isDirect(await candidates()), SETTLE_MS).catch(() => false)
    return { outcome: settled ? 'direct' : 'relay', ...opened, candidates: await candidates() }
  } finally {
    await Promise.all([caller.release(), callee.release()])
  }
}
