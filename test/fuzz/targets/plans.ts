// What a plugin of somebody's own proposes: whatever it is, the strategy's turn ends with an outcome and a printable reason, and
// nothing is ordered that a peer could not obey.

import { ok } from 'node:assert/strict'
import fc from 'fast-check'
import { PosternError } from '../../../src/errors.ts'
import { dryRun } from '../../../src/strategy/dry-run.ts'
import { causes, type Plan, type Proposal } from '../../../src/strategy/plan.ts'
import { takeTurn } from '../../../src/strategy/turn.ts'
import { checkOrder, natureOf } from '../../../src/wire/order.ts'
import { sceneOf } from '../../scenes.ts'
import { mutatedJson } from '../mutate.ts'
import type { Odd } from '../odd.ts'
import type { Random } from '../random.ts'
import { isPrintable, type Subject, type Target } from '../target.ts'
import { orders } from './messages.ts'

const [ice, punch, splice] = orders
const limits = { perSession: 1e6, perPeer: 1e6, total: 1e6 }

const proposals: readonly unknown[] = [
  { kind: 'plan', caller: ice, callee: ice, waitMs: 100, why: 'because', passive: 'caller', afterMs: { callee: 5 } },
  { kind: 'plan', caller: punch, callee: punch, waitMs: 100, why: 'because', expected: 0.5, label: 'together' },
  { kind: 'plan', caller: splice, callee: splice, waitMs: 100, why: 'because', limits },
  { kind: 'sample', sides: ['caller', 'callee'] },
  { kind: 'pass', reason: 'nothing to do', cause: 'unlikely', expected: 0.1 }
]

interface Made {
  readonly proposals: readonly unknown[]
  /** Thrown after them, if there is anything. */
  readonly thrown: readonly unknown[]
}

/** Objects of any kind, which no JSON has: without a prototype, symbols, functions that throw. */
const wild = (seed: number): readonly unknown[] => {
  const anything = fc.anything({
    withNullPrototype: true,
    withBigInt: true,
    withMap: true,
    withDate: true,
    maxDepth: 2
  })
  return [...fc.sample(anything, { seed, numRuns: 200 }), Symbol('s'), () => {}]
}

function* proposed({ proposals, thrown }: Made): Generator<Proposal> {
  yield* proposals as readonly Proposal[]
  for (const one of thrown) throw one
}

async function turnOf(made: Made): Promise<void> {
  const attempted: Plan[] = []
  const strategy = { name: 'mine', lastResort: false, planner: { plan: () => proposed(made) } }
  const turn = await takeTurn(strategy, sceneOf(), {
    over: new AbortController().signal,
    scene: async () => sceneOf(),
    sample: async () => true,
    attempt: async plan => {
      attempted.push(plan)
      return { reason: 'unheard', cause: 'unheard' }
    }
  })
  for (const { caller, callee, waitMs } of attempted) {
    ok(waitMs > 0 && waitMs <= 600_000, 'it waits for ever')
    for (const order of [caller, callee].map(checkOrder)) {
      const { guesses = [], probes } = natureOf(order).effort ?? {}
      ok(guesses.length === 0 || probes !== undefined, 'it guesses without a budget')
    }
  }
  ok(turn.outcome === 'path' || Object.hasOwn(causes, turn.cause), 'its cause is none')
  ok(typeof turn.reason === 'string', 'its reason is none')
  await dryRun(strategy, sceneOf())
}

function orderOf(order: unknown): void {
  try {
    checkOrder(order)
  } catch (error) {
    ok(error instanceof PosternError && error.code === 'bad-message', error as Error)
    ok(isPrintable(error.message), 'the reason is not printable')
  }
}

export const plans: Target = {
  name: 'plans',
  about: 'proposals of a plugin: a turn always ends, and no peer is ordered what it cannot obey',
  open(odd: Odd): Subject<Made> {
    const wilds = wild(odd.seed)
    return {
      input: (random: Random) => ({
        proposals: Array.from({ length: random.below(4) }, () =>
          random.chance(0.1) ? random.pick(wilds) : mutatedJson(random, random.pick(proposals), odd)
        ),
        thrown: random.chance(0.1) ? [random.pick(wilds)] : []
      }),
      async check(made) {
        for (const one of made.proposals) if (typeof one === 'object' && one && 'caller' in one) orderOf(one.caller)
        await turnOf(made)
      }
    }
  }
}
