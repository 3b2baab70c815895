// Causes of failed and relayed connections, each really produced in the laboratory from outside the processes, and what the
// gateway's trace makes of it. table.ts has the causes; here they are run: a lane is a world and the causes that happen in it,
// one after the other, each with a gateway and peers that have just joined.

import type { TraceRecord } from '../../src/trace/record/record.ts'
import type { Blamed, Verdict, VerdictCode } from '../../src/verdict.ts'
import type { Tried } from '../lab/driver.ts'
import { type GatewaySpec, openRig, type Rig } from '../lab/rig.ts'
import type { SiteSpec } from '../lab/world.ts'
import { until } from '../until.ts'

export interface Cause {
  /** Unique, and a sentence for the table. */
  readonly what: string
  /** What is done to produce it. */
  readonly done: string
  readonly code: VerdictCode
  readonly side: Blamed
  /** What the verdict names beside. */
  readonly also?: readonly VerdictCode[]
  readonly gateway: GatewaySpec
  /** The caller has ended it by itself, or has its connection already: there is nothing to tell it. */
  readonly isUntold?: boolean
  /** Resolves with what the caller was told; undefined where nobody is left to be told. */
  readonly inject: (rig: Rig, gateway: GatewaySpec) => Promise<Tried | undefined>
}

export interface Lane {
  readonly sites: readonly SiteSpec[]
  readonly causes: readonly Cause[]
}

export interface Result {
  readonly cause: Cause
  readonly trace: TraceRecord
  /** The verdict as the caller was told it, if it was to be told. */
  readonly told: Verdict | 'nobody' | undefined
  readonly ms: number
}

/**
 * Runs lanes beside each other, once all their worlds are there: opening one takes all the processor there is. A cause that
 * could not be produced rejects, and the others go on.
 */
export async function runLanes(
  lanes: readonly Lane[],
  done: (cause: Cause, result: Promise<Result>) => void
): Promise<void> {
  const wanted = lanes.filter(({ causes }) => causes.length > 0)
  // That each NAT is what it is called is proved by the laboratory's own tests.
  const opening = wanted.map(({ sites }) => openRig({ sites: [...sites], strategies: '[relay]', verify: false }))
  const opened = Promise.all(opening)
  opened.catch(() => {})
  const running = wanted.map(async ({ causes }, index) => {
    await using rig = (await opening[index]) as Rig
    // Where another world does not open, this one is closed.
    await opened
    await runAll(rig, causes, done)
  })
  for (const { status, reason } of (await Promise.allSettled(running)) as PromiseRejectedResult[])
    if (status === 'rejected') throw reason
}

async function runAll(
  rig: Rig,
  causes: readonly Cause[],
  done: (cause: Cause, result: Promise<Result>) => void
): Promise<void> {
  for (const cause of causes) {
    const result = produce(rig, cause)
    done(cause, result)
    await result.catch(() => {})
  }
}

async function produce(rig: Rig, cause: Cause): Promise<Result> {
  await rig.reopen(cause.gateway)
  const startMs = performance.now()
  const tried = await cause.inject(rig, cause.gateway)
  const trace = await recorded(rig, tried?.trace)
  const told = tried && !cause.isUntold ? tried.verdict : 'nobody'
  return { cause, trace, told, ms: performance.now() - startMs }
}

/** A record is complete when its root span ends, which nobody waits for. */
async function recorded(rig: Rig, id: string | undefined): Promise<TraceRecord> {
  return await until(() => (id ? rig.trace(id) : rig.newest()))
}

/** What is wrong with a verdict, in a few words; undefined where nothing is. */
export function wrong({ cause, trace, told }: Result): string | undefined {
  const { code, side, sentence, evidence, also } = trace.verdict
  if (code !== cause.code) return `it says ${code}`
  if (side !== cause.side) return `it blames ${side}`
  const missing = cause.also?.find(other => !also.includes(other))
  if (missing) return `it does not name ${missing} beside`
  if (code !== 'direct' && evidence.length === 0) return 'it has no evidence'
  const unnamed = namesOf(trace, side).find(name => !sentence.includes(name))
  if (unnamed) return `its sentence does not name ${unnamed}`
  const isTold = told === 'nobody' || JSON.stringify(told) === JSON.stringify(trace.verdict)
  return isTold ? undefined : `the caller was told ${told?.code ?? 'nothing'}`
}

/** The peers that are at fault. */
function namesOf({ spans }: TraceRecord, side: Blamed): string[] {
  const { attributes = {} } = spans[0] ?? {}
  const named = ['caller', 'callee'].filter(role => side === role || side === 'both')
  return named.map(role => String(attributes[`postern.${role}`] ?? attributes['postern.peer']))
}
