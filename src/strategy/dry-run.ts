// Finds out what a strategy would do. Its planner is asked for its plans of a scene as if each of them came to nothing, and
// nothing is ordered.

import { messageOf } from '../errors.ts'
import type { SideName } from '../wire/side.ts'
import type { Plan } from './plan.ts'
import type { Scene } from './scene.ts'
import type { Strategy } from './turn.ts'

/** A plan that would be tried. */
export interface Try {
  /** Probability that it meets, 0 to 1. A plan without a figure counts as 1: it works wherever it is made at all. */
  readonly probability: number
  /** The plan came with a figure. */
  readonly judged: boolean
  readonly why: string
}

export interface DryRun {
  readonly tries: readonly Try[]
  /** Why there is nothing to try, if the planner says so. */
  readonly passes?: string
}

/** Plans asked of one planner. Later ones are the same again with what is left of a budget. */
const PLANS = 4

/** Proposals asked of one planner, wishes for samples among them: each wish could be followed by another. */
const PROPOSALS = 16

/** Characters of a reason that a report has room for. */
const WORDS = 500

/** @param sampled the scene once fresh sockets of these sides have been shown; without it the scene stays as it is */
export async function dryRun(
  { planner }: Strategy,
  scene: Scene,
  sampled: (sides: readonly SideName[]) => Partial<Scene> = () => ({})
): Promise<DryRun> {
  // A planner keeps the scene that it was given, so this object is renewed in place.
  const now = { ...scene }
  const tries: Try[] = []
  let proposals = 0
  try {
    for await (const step of planner.plan(now)) {
      if (step.kind === 'pass') return ended(tries, step.reason)
      if (step.kind === 'sample') Object.assign(now, sampled(step.sides))
      if (step.kind === 'plan') tries.push(tryOf(step))
      if (tries.length === PLANS || tries.at(-1)?.probability === 1 || ++proposals === PROPOSALS) break
    }
    return { tries }
  } catch (error) {
    return ended(tries, `the plugin threw: ${messageOf(error)}`)
  }
}

/** Probability that one of these meets, if each is another draw. */
export const together = (probabilities: readonly number[]): number =>
  1 - probabilities.reduce((missed, probability) => missed * (1 - probability), 1)

const tryOf = ({ expected, why }: Plan): Try => ({
  probability: Math.min(1, Math.max(0, expected ?? 1)),
  judged: expected !== undefined,
  why: why.slice(0, WORDS)
})

const ended = (tries: readonly Try[], reason: string): DryRun =>
  tries.length > 0 ? { tries } : { tries, passes: reason.slice(0, WORDS) }
