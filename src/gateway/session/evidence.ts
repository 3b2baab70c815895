// What a session learns of its two sides before it plans. It takes or renews sockets, waits for filtering tests, and judges
// the NATs. Each wait is a step of the trace, and so is what was found.

import { nowMs } from '../../clock.ts'
import { asPosternError, PosternError } from '../../errors.ts'
import type { Cause, Failure } from '../../strategy/plan.ts'
import { type Attempt, blockedSides, hiddenSources, type Scene } from '../../strategy/scene.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import type { Outcomes } from '../memory/outcomes.ts'
import type { Member } from '../peers/member.ts'
import { recordProfile } from '../recording/profile-span.ts'
import { causeOf, failureAttributes, recordShowing, type Step } from '../recording/step.ts'
import { type Asking, Neighbours } from './neighbours.ts'
import type { Watch } from './side-seen.ts'
import { Sides } from './sides.ts'

export interface Pair extends Readonly<Record<SideName, Member>> {
  /** Aborted when the session is over, or a side has gone; with a TimeoutError when the time of the request is over. */
  readonly gone: AbortSignal
  /** Tells a side to bind a socket and to show it. */
  readonly ask: (side: SideName, round: number) => void
  readonly tell: Asking['tell']
  /** The two are connected, and nobody waits for what is found. */
  readonly inBackground?: boolean
}

export class Evidence {
  readonly sides: Sides
  readonly neighbours: Neighbours
  readonly #outcomes: Outcomes
  readonly #gone: AbortSignal
  readonly #ask: Pair['ask']

  constructor(watch: Watch & { readonly outcomes: Outcomes }, { ask, tell, ...pair }: Pair) {
    this.sides = new Sides(watch, pair)
    this.neighbours = new Neighbours({ ...pair, tell })
    this.#outcomes = watch.outcomes
    this.#gone = pair.gone
    this.#ask = ask
  }

  /**
   * Observes and judges the sockets of both sides, and waits only for what is missing. Rejects with `udp-blocked`,
   * `wrong-family` or `silent-peer`, or with the reason why the session is over.
   */
  async scene(step: Step, attempts: readonly Attempt[]): Promise<Scene> {
    this.#gone.throwIfAborted()
    const { missing } = this.sides
    if (missing.length > 0) await this.#observe(step, missing)
    await this.#judgeFilters(step)
    await this.sides.forwardsKnown()
    const seen = await this.seen(attempts)
    const scene = this.neighbours.canAsk(seen) ? await this.#meet(step, seen) : seen
    if (missing.length > 0)
      for (const side of sideNames)
        if (!scene[side].doors) recordProfile(step, side, scene[side], this.sides.remapped(side))
    return scene
  }

  /** The scene as it is now; nothing is waited for. */
  async seen(attempts: readonly Attempt[] = []): Promise<Scene> {
    const [caller, callee] = await Promise.all([this.sides.side('caller'), this.sides.side('callee')])
    const isUnknown = hiddenSources({ caller, callee }) ?? blockedSides({ caller, callee })
    const memory = isUnknown ? {} : this.#outcomes.recall(caller, callee)
    return { caller, callee, neighbours: this.neighbours.areNear, attempts, atMs: nowMs(), memory }
  }

  /**
   * Replaces the sockets of these sides by fresh ones, whose mappings were seen a moment ago: the next mapping is predicted
   * from the last ones. Resolves with true if all were seen in time, otherwise with the reason why not.
   */
  async sample(step: Step, sides: readonly SideName[], over: AbortSignal): Promise<true | Failure> {
    const attributes = { 'postern.sides': sides.join(' '), 'postern.fresh': true }
    const sinceMs = nowMs()
    const shown = await step.within('postern.observe', attributes, async within => {
      const showings = await this.sides.renew(sides, this.#ask, AbortSignal.any([over, this.#gone]))
      for (const showing of showings) recordShowing(within.span, showing, sinceMs)
      const cold = showings.find(({ isWarm }) => !isWarm)
      if (!cold) return true
      const failure = { reason: cold.reason ?? '', cause: this.#causeOf(over) }
      within.set(failureAttributes(failure))
      return failure
    })
    if (this.#gone.reason instanceof PosternError) throw this.#gone.reason
    if (shown === true)
      for (const side of sides) recordProfile(step, side, await this.sides.side(side), this.sides.remapped(side))
    return shown
  }

  /** Why no sample came. */
  #causeOf(over: AbortSignal): Cause {
    const { aborted, reason } = this.#gone
    // The code does not tell: a side that has waited long enough leaves with a `timeout` of its own.
    if (aborted && reason instanceof PosternError) return causeOf(reason.code)
    return aborted || over.aborted ? 'deadline' : 'no-sample'
  }

  async #observe(step: Step, missing: readonly SideName[]): Promise<void> {
    const sinceMs = nowMs()
    try {
      await step.within('postern.observe', { 'postern.sides': missing.join(' ') }, ({ span }) =>
        this.sides.take(missing, showing => recordShowing(span, showing, sinceMs))
      )
    } catch (error) {
      if (asPosternError(error).code === 'udp-blocked') await this.#askOther(step)
      throw error
    }
  }

  /** One side is not heard. Whether the other side, which was heard before, is still heard now tells whose fault it is. */
  async #askOther(step: Step): Promise<void> {
    const heard = await this.sides.takeWarm()
    if (heard.length === 1 && !this.#gone.aborted) await this.sample(step, heard, this.#gone)
  }

  /** Finds out whether the two sides share a link, and resolves with the scene as it is then. */
  async #meet(step: Step, scene: Scene): Promise<Scene> {
    const attributes = { 'postern.sides': sideNames.join(' '), 'postern.test': 'link' }
    await step.within('postern.observe', attributes, async within =>
      within.set({ 'postern.near': await this.neighbours.ask(scene) })
    )
    this.#gone.throwIfAborted()
    return await this.seen(scene.attempts)
  }

  /** Waits for filtering tests if they could change a plan. */
  async #judgeFilters(step: Step): Promise<void> {
    const sides = await this.sides.untested()
    if (sides.length === 0) return
    const attributes = { 'postern.sides': sides.join(' '), 'postern.test': 'filtering' }
    await step.within('postern.observe', attributes, () => this.sides.filteringKnown(sides))
  }
}
