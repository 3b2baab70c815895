// The strategies in the order of the YAML file: the first path that opens wins. A plugin that throws passes its turn.

import type { Planner } from '../plugins/plugin.ts'
import type { Attempt, Pass, Plan, Scene } from './scene.ts'

/** A strategy as configured: its planner, and whether it still gets its turn when the deadline has passed. */
export interface Link {
  readonly name: string
  readonly planner: Planner
  readonly lastResort: boolean
}

export interface Turn {
  readonly outcome: Attempt['outcome']
  readonly reason: string
}

/** The session's part: it tries a plan, and brackets each strategy's turn with a span and a message. */
export interface Steps {
  /** The scene as it is now: it is asked for again before each plan. */
  scene(attempts: readonly Attempt[]): Promise<Scene>
  /** True when the channel is open on both sides; otherwise why not. */
  attempt(plan: Plan, link: Link): Promise<true | string>
  turn(link: Link, run: () => Promise<Turn>): Promise<Turn>
  /** True when the strategies' time is over: only the last resort still gets its turn. */
  late(): boolean
}

/** Walks the chain. The last attempt is the path, or every one has passed or failed. */
export async function walk(links: readonly Link[], steps: Steps): Promise<Attempt[]> {
  const attempts: Attempt[] = []
  for (const link of links) {
    const turn = await steps.turn(link, () => takeTurn(link, steps, attempts))
    attempts.push({ by: link.name, ...turn })
    if (turn.outcome === 'path') break
  }
  return attempts
}

async function takeTurn(link: Link, steps: Steps, attempts: readonly Attempt[]): Promise<Turn> {
  let last: Turn = { outcome: 'passed', reason: 'had no plan' }
  const scene = new Refreshed(await steps.scene(attempts))
  for await (const step of plansOf(link, scene)) {
    if (step.kind === 'pass') return last.outcome === 'failed' ? last : { outcome: 'passed', reason: step.reason }
    if (!link.lastResort && steps.late())
      return { outcome: 'failed', reason: 'the deadline passed before it had its turn' }
    const result = await steps.attempt(step, link)
    if (result === true) return { outcome: 'path', reason: step.why }
    last = { outcome: 'failed', reason: result }
    scene.now = await steps.scene(attempts)
  }
  return last
}

async function* plansOf(link: Link, scene: Refreshed): AsyncIterable<Plan | Pass> {
  try {
    yield* link.planner.plan(scene)
  } catch (error) {
    yield { kind: 'pass', reason: `the plugin threw: ${error instanceof Error ? error.message : error}` }
  }
}

/** A scene that a planner holds on to while the evidence behind it is renewed. */
class Refreshed implements Scene {
  now: Scene
  constructor(scene: Scene) {
    this.now = scene
  }
  get caller() {
    return this.now.caller
  }
  get callee() {
    return this.now.callee
  }
  get attempts() {
    return this.now.attempts
  }
}
