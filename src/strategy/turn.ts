// One strategy's turn: its planner is asked for one plan after the other, and each is tried, until one opens. A plugin that
// throws, or yields what no peer could obey, passes its turn; one that is still planning at the deadline loses it.

import { messageOf } from '../errors.ts'
import { checkOrder, natureOf, type Order } from '../wire/order.ts'
import { type SideName, sideNames } from '../wire/side.ts'
import { type Cause, type Failure, type Pass, type Plan, type Proposal, passCauses, type RelayLimits } from './plan.ts'
import type { Planner } from './plugin.ts'
import type { Known } from './remedy.ts'
import type { Scene } from './scene.ts'

/** A strategy as configured: its planner, and whether it still gets its turn when the deadline has passed. */
export interface Strategy extends Known {
  readonly planner: Planner
}

/** What became of a strategy's turn. */
export type Turn =
  | { readonly outcome: 'path'; readonly reason: string; readonly plan: Plan }
  | {
      readonly outcome: 'passed' | 'failed'
      readonly reason: string
      readonly cause: Cause
      /** What its last plan was worth, 0 to 1, if the plugin said so; of a pass, what its best plan would have been worth. */
      readonly expected?: number
    }

/** A turn that ended without a path. */
type Vain = Exclude<Turn, { readonly outcome: 'path' }>

/** A pass of the plugin's own, or one that is made of what it did. */
type Ending = Omit<Pass, 'cause'> & { readonly cause?: Cause }

/** What a turn asks of the session. */
export interface Desk {
  /** Aborted when this strategy's time is over: at the deadline, except for the last resort. */
  readonly over: AbortSignal
  /** The scene as it is now: it is asked for again before each plan. */
  scene(): Promise<Scene>
  /** Has fresh sockets of these sides observed. True if they were, and the scene is then theirs; otherwise why not. */
  sample(sides: readonly SideName[]): Promise<true | Failure>
  /** True when the channel is open on both sides; otherwise why not. */
  attempt(plan: Plan): Promise<true | Failure>
}

/** @param scene as it is when the turn begins */
export async function takeTurn(strategy: Strategy, scene: Scene, desk: Desk): Promise<Turn> {
  const seen = new Refreshed(scene)
  let last: Vain = { outcome: 'passed', reason: 'had no plan', cause: 'unsuited' }
  for await (const step of plansOf(strategy, seen, desk.over)) {
    if (step.kind === 'pass') return passed(step, last)
    if (step.kind === 'sample') {
      const shown = await desk.sample(step.sides)
      if (shown !== true) return { outcome: 'failed', ...shown }
      seen.now = await desk.scene()
      continue
    }
    const result = await desk.attempt(step)
    if (result === true) return { outcome: 'path', reason: step.why, plan: step }
    last = { outcome: 'failed', ...result, ...worth(step) }
    seen.last = result.cause
    if (!desk.over.aborted) seen.now = await desk.scene()
  }
  return last
}

/** If a plan has failed, the turn has failed. A pass that merely has nothing more to offer adds nothing to the cause. */
function passed({ reason, cause = 'unsuited', expected }: Ending, last: Vain): Vain {
  if (last.outcome !== 'failed') return { outcome: 'passed', reason, cause, ...worth({ expected }) }
  const told = cause === 'unsuited' ? last : { cause, ...worth({ expected: expected ?? last.expected }) }
  return { ...told, outcome: 'failed', reason: `${last.reason}; then ${reason}` }
}

const worth = ({ expected }: { readonly expected?: number | undefined }) => (expected === undefined ? {} : { expected })

async function* plansOf({ planner }: Strategy, scene: Refreshed, over: AbortSignal): AsyncIterable<Proposal | Ending> {
  try {
    using plans = new Plans(planner.plan(scene))
    for (;;) {
      const next = over.aborted ? 'late' : await plans.next(over)
      if (next === 'late') return yield ending('deadline', 'the deadline passed before it had a plan')
      if (next.done) return
      yield checked(next.value)
    }
  } catch (error) {
    yield ending('plugin-threw', `the plugin threw: ${messageOf(error)}`)
  }
}

const ending = (cause: Cause, reason: string): Ending => ({ kind: 'pass', reason, cause })

/** A planner's proposals, sync or async, asked for one by one. */
class Plans implements Disposable {
  readonly #iterator: Iterator<Proposal> | AsyncIterator<Proposal>

  constructor(plans: Iterable<Proposal> | AsyncIterable<Proposal>) {
    this.#iterator = Symbol.asyncIterator in plans ? plans[Symbol.asyncIterator]() : plans[Symbol.iterator]()
  }

  async next(over: AbortSignal): Promise<IteratorResult<Proposal> | 'late'> {
    const { promise: late, resolve } = Promise.withResolvers<'late'>()
    const abort = () => resolve('late')
    over.addEventListener('abort', abort)
    try {
      return await Promise.race([this.#iterator.next(), late])
    } finally {
      over.removeEventListener('abort', abort)
    }
  }

  /** Lets a generator clean up. It is not waited for: one that hangs would hang here as well. */
  [Symbol.dispose](): void {
    void (async () => this.#iterator.return?.())().catch(() => {})
  }
}

/** Throws unless this is a proposal that peers can obey. They would not answer to any other until its time is over. */
function checked(step: Proposal): Proposal {
  if (step?.kind === 'pass' && typeof step.reason === 'string') return checkedPass(step)
  if (step?.kind === 'sample' && Array.isArray(step.sides) && step.sides.every(side => sideNames.includes(side)))
    return step
  if (step?.kind !== 'plan' || typeof step.why !== 'string')
    throw new Error('it yielded neither a plan, a pass nor a wish for samples')
  if (!(step.waitMs > 0 && step.waitMs <= 600_000))
    throw new Error(`its plan waits for ${step.waitMs}, which is not above 0 and at most 600,000 ms`)
  for (const order of [step.caller, step.callee]) checkBudget(checkOrder(order))
  checkRelay(step)
  return step
}

/** Any other cause would read as a finding of the gateway. */
function checkedPass(step: Pass): Pass {
  if (step.cause === undefined || passCauses.includes(step.cause)) return step
  throw new Error(`it passed because of ${step.cause}, which is none of ${passCauses.join(', ')}`)
}

/** The gateway arms its relay by the limits, and the peers latch by their orders: one without the other is no path. */
function checkRelay({ caller, callee, limits }: Plan): void {
  for (const order of [caller, callee])
    if (natureOf(order).isRelayed !== (limits !== undefined))
      throw new Error(
        limits ? `its plan has limits, and orders ${order.kind}` : `its plan orders ${order.kind}, and has no limits`
      )
  if (limits) checkLimits(limits)
}

/** Probes that a plan does not announce cannot be charged to the address that they are aimed at. */
function checkBudget(order: Order): void {
  const { guesses = [], probes } = natureOf(order).effort ?? {}
  if (guesses.length > 0 && probes === undefined)
    throw new Error('its plan guesses ports and does not say how many probes it takes')
}

/** A relay with any other rate would pass nothing, or count wrongly. */
function checkLimits({ perSession, perPeer, perNetwork, total }: RelayLimits): void {
  for (const [name, rate] of Object.entries({ perSession, perPeer, perNetwork: perNetwork ?? total, total }))
    if (!(Number.isFinite(rate) && rate > 0))
      throw new Error(`its plan limits ${name} to ${rate}, which is no rate above zero`)
}

/** A scene that a planner keeps while the evidence behind it is renewed. */
class Refreshed implements Scene {
  now: Scene
  last: Cause | undefined
  constructor(scene: Scene) {
    this.now = scene
  }
  get caller() {
    return this.now.caller
  }
  get callee() {
    return this.now.callee
  }
  get neighbours() {
    return this.now.neighbours ?? false
  }
  get attempts() {
    return this.now.attempts
  }
  get atMs() {
    return this.now.atMs
  }
  get memory() {
    return this.now.memory
  }
}
