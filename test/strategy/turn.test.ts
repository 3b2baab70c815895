import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import test from 'ava'
import { type Cause, type Plan, type Proposal, pass } from '../../src/strategy/plan.ts'
import type { Planner } from '../../src/strategy/plugin.ts'
import type { Attempt, Scene } from '../../src/strategy/scene.ts'
import { type Strategy, type Turn, takeTurn } from '../../src/strategy/turn.ts'
import { sceneOf } from '../scenes.ts'

const plan = (why: string): Plan => ({
  kind: 'plan',
  caller: { kind: 'punch', targets: [] },
  callee: { kind: 'punch', targets: [] },
  waitMs: 100,
  why
})

const link = (name: string, plans: Planner['plan'], lastResort = false): Strategy => ({
  name,
  planner: { plan: plans },
  lastResort
})

/**
 * Strategies one after the other, as a session has them, whose plans open only where their reason is `opens`. While one is
 * tried that is `slow`, the deadline passes.
 */
async function walked(strategies: readonly Strategy[], deadline = new AbortController()) {
  const tried: string[] = []
  const turns: [string, Turn][] = []
  const attempts: Attempt[] = []
  let scenes = 0
  const sceneNow = async () => ({ ...sceneOf({ rttMs: ++scenes }), attempts: [...attempts] })
  for (const strategy of strategies) {
    const { name, lastResort } = strategy
    const over = lastResort ? new AbortController().signal : deadline.signal
    const turn = await takeTurn(strategy, await sceneNow(), {
      over,
      scene: sceneNow,
      attempt: async ({ why }) => {
        if (why === 'slow') deadline.abort()
        tried.push(`${name}: ${why}`)
        return why === 'opens' ? true : { reason: `${why} did not open`, cause: over.aborted ? 'deadline' : 'unheard' }
      },
      sample: async sides => {
        tried.push(`samples of ${sides.join(' and ')}`)
        return sides.includes('caller') ? { reason: 'the caller showed no fresh socket', cause: 'no-sample' } : true
      }
    })
    turns.push([name, turn])
    attempts.push({ by: name, ...turn })
    if (turn.outcome === 'path') break
  }
  return { attempts, tried, turns }
}

/** What a turn says of why it came to nothing. */
const told = (turn: Turn): { cause?: Cause; expected?: number } => (turn.outcome === 'path' ? {} : turn)

const wordsOf = (attempts: readonly Attempt[]) =>
  attempts.map(({ by, outcome, reason }) => `${by} ${outcome}: ${reason}`)

test('the strategies are asked in the order of the list, and none after the one that opened', async t => {
  const { attempts, tried, turns } = await walked([
    link('a', () => [pass('not today')]),
    link('b', () => [plan('first'), plan('second')]),
    link('c', () => [plan('opens'), plan('never tried')]),
    link('d', () => t.fail('it was not to be asked') as never)
  ])
  t.deepEqual(wordsOf(attempts), ['a passed: not today', 'b failed: second did not open', 'c path: opens'])
  t.deepEqual(tried, ['b: first', 'b: second', 'c: opens'])
  t.deepEqual(
    turns.map(([name]) => name),
    ['a', 'b', 'c']
  )
})

test('a plugin that ends without a plan has passed', async t => {
  const { attempts } = await walked([link('a', () => [])])
  t.deepEqual(wordsOf(attempts), ['a passed: had no plan'])
})

test('a plugin that throws passes its turn, and its error is told', async t => {
  const { attempts } = await walked([
    link('at-once', () => {
      throw new Error('one')
    }),
    link('in-its-generator', function* () {
      yield* []
      throw new Error('two')
    }),
    link('async', async function* () {
      yield plan('x')
      throw new Error('three')
    }),
    link('oddly', () => {
      throw 'four'
    }),
    link('wildly', () => {
      throw Object.create(null)
    }),
    link('relay', () => [plan('opens')], true)
  ])
  t.deepEqual(wordsOf(attempts), [
    'at-once passed: the plugin threw: one',
    'in-its-generator passed: the plugin threw: two',
    'async failed: x did not open; then the plugin threw: three',
    'oddly passed: the plugin threw: four',
    'wildly passed: the plugin threw: something that is no text',
    'relay path: opens'
  ])
})

test('a plugin that yields what no peer could obey passes its turn, and nothing is ordered', async t => {
  const guess = { address: '192.0.2.1', ports: [4000] }
  const splice = { kind: 'splice', target: { address: '192.0.2.1', port: 1 } }
  const spliced = { caller: splice, callee: splice }
  const limits = { perSession: 1e6, perPeer: 1e6, total: 1e8 }
  const nowhere = { kind: 'punch', targets: [{ address: 'nowhere', port: 1 }] }
  const odd: [unknown, RegExp][] = [
    [undefined, /neither a plan, a pass nor a wish for samples/],
    [{ kind: 'pass' }, /neither a plan, a pass nor a wish for samples/],
    [{ kind: 'surprise' }, /neither a plan, a pass nor a wish for samples/],
    [{ ...plan('x'), waitMs: Number.NaN }, /waits for NaN/],
    [{ ...plan('x'), waitMs: 0 }, /waits for 0/],
    [{ ...plan('x'), callee: nowhere }, /targets\.0\.address/],
    [{ ...plan('x'), caller: { kind: 'dance' } }, /malformed at kind/],
    [{ ...plan('x'), caller: { kind: 'punch', targets: [], guesses: [guess] } }, /does not say how many probes/],
    [{ ...plan('x'), caller: { kind: 'ice', targets: Array(193).fill({ address: '192.0.2.1', port: 1 }) } }, /targets/],
    ...[Number.NaN, 0, -1, Number.POSITIVE_INFINITY, undefined].map((rate): [unknown, RegExp] => [
      { ...plan('x'), ...spliced, limits: { perSession: 1e6, perPeer: rate, total: 1e8 } },
      new RegExp(`limits perPeer to ${rate}, which is no rate`)
    ]),
    [{ ...plan('x'), limits }, /has limits, and orders punch/],
    [{ ...plan('x'), ...spliced }, /orders splice, and has no limits/],
    [{ ...plan('x'), limits, caller: spliced.caller }, /has limits, and orders punch/],
    [{ kind: 'pass', reason: 'so', cause: 'peer-left' }, /because of peer-left, which is none of unsuited, unlikely/]
  ]
  for (const [step, reason] of odd) {
    const { attempts, tried } = await walked([link('a', () => [step as Plan])])
    t.is(attempts[0]?.outcome, 'passed')
    t.regex(attempts[0]?.reason ?? '', reason)
    t.deepEqual(tried, [])
  }
  const { attempts } = await walked([link('a', () => 7 as never)])
  t.regex(attempts[0]?.reason ?? '', /the plugin threw/)
})

test('an async iterable is asked like any other, one plan at a time', async t => {
  const asked: string[] = []
  const { tried } = await walked([
    link('a', async function* () {
      for (const why of ['one', 'opens', 'three']) {
        await turnOfTheLoop()
        asked.push(why)
        yield plan(why)
      }
    })
  ])
  t.deepEqual(tried, ['a: one', 'a: opens'])
  t.deepEqual(asked, ['one', 'opens'])
})

test('a generator that is not asked to its end cleans up', async t => {
  const cleaned: string[] = []
  await walked([
    link('sync', function* () {
      try {
        yield pass('no')
      } finally {
        cleaned.push('sync')
      }
    }),
    link('async', async function* () {
      try {
        yield plan('opens')
      } finally {
        cleaned.push('async')
      }
    })
  ])
  t.deepEqual(cleaned, ['sync', 'async'])
})

test('the scene is renewed between the plans, for a planner that holds on to it', async t => {
  const seen: number[] = []
  const known: string[][] = []
  await walked([
    link('a', () => [plan('x')]),
    link('b', function* (scene: Scene): Iterable<Proposal> {
      for (let count = 0; count < 3; count++) {
        seen.push(scene.caller.rttMs)
        known.push(scene.attempts.map(({ by }) => by))
        yield plan('y')
      }
    })
  ])
  t.deepEqual(seen, [3, 4, 5])
  t.deepEqual(known, [['a'], ['a'], ['a']])
})

test('at the deadline a plan under way ends, no other strategy begins, and the last resort gets its turn', async t => {
  const { attempts, tried } = await walked([
    link('slow', () => [plan('slow'), plan('more')]),
    link('late', () => [plan('opens')]),
    link('relay', () => [plan('opens')], true)
  ])
  t.deepEqual(tried, ['slow: slow', 'relay: opens'])
  t.deepEqual(wordsOf(attempts), [
    'slow failed: slow did not open; then the deadline passed before it had a plan',
    'late passed: the deadline passed before it had a plan',
    'relay path: opens'
  ])
})

test('a plugin that never comes up with its plan loses its turn at the deadline', async t => {
  const never = new Promise<never>(() => {})
  const deadline = new AbortController()
  const { attempts } = await walked(
    [
      link('hangs', async function* () {
        void turnOfTheLoop().then(() => deadline.abort())
        yield await never
      }),
      link('relay', () => [plan('opens')], true)
    ],
    deadline
  )
  t.deepEqual(wordsOf(attempts), ['hangs passed: the deadline passed before it had a plan', 'relay path: opens'])
})

test('a planner that asks for samples sees the scene after them before it plans', async t => {
  const seen: number[] = []
  const { attempts, tried } = await walked([
    link('a', function* (scene: Scene): Iterable<Proposal> {
      seen.push(scene.caller.rttMs)
      yield { kind: 'sample', sides: ['callee'] }
      seen.push(scene.caller.rttMs)
      yield plan('opens')
    })
  ])
  t.deepEqual(wordsOf(attempts), ['a path: opens'])
  t.deepEqual(tried, ['samples of callee', 'a: opens'])
  t.deepEqual(seen, [1, 2])
})

test('a strategy that gets no samples has failed, with the reason', async t => {
  const { attempts } = await walked([
    link('a', () => [{ kind: 'sample', sides: ['caller'] }, plan('opens')]),
    link('b', () => [plan('opens')])
  ])
  t.deepEqual(wordsOf(attempts), ['a failed: the caller showed no fresh socket', 'b path: opens'])
})

test('each turn tells its cause: the last plan’s own, or that of the pass where it says more', async t => {
  const threw = () => {
    throw new Error('one')
  }
  const { turns } = await walked([
    link('passes', () => [pass('nothing')]),
    link('ends', () => []),
    link('doubts', () => [pass('too few', { cause: 'unlikely', expected: 0.04 })]),
    link('throws', threw),
    link('fails', () => [{ ...plan('x'), expected: 0.5 }]),
    link('fails and has no more', () => [{ ...plan('x'), expected: 0.5 }, pass('nothing')]),
    link('fails and runs short', () => [plan('x'), pass('few left', { cause: 'budget-shared-out', expected: 0.02 })]),
    link('fails and throws', function* () {
      yield { ...plan('x'), expected: 0.5 }
      threw()
    }),
    link('samples', () => [{ kind: 'sample', sides: ['caller'] }]),
    link('opens', () => [plan('opens')])
  ])
  t.deepEqual(
    turns.map(([name, turn]) => [name, turn.outcome, told(turn).cause, told(turn).expected]),
    [
      ['passes', 'passed', 'unsuited', undefined],
      ['ends', 'passed', 'unsuited', undefined],
      ['doubts', 'passed', 'unlikely', 0.04],
      ['throws', 'passed', 'plugin-threw', undefined],
      ['fails', 'failed', 'unheard', 0.5],
      ['fails and has no more', 'failed', 'unheard', 0.5],
      ['fails and runs short', 'failed', 'budget-shared-out', 0.02],
      ['fails and throws', 'failed', 'plugin-threw', 0.5],
      ['samples', 'failed', 'no-sample', undefined],
      ['opens', 'path', undefined, undefined]
    ]
  )
})

test('a turn that the deadline ended says so', async t => {
  const links = [link('slow', () => [plan('slow'), plan('more')]), link('late', () => [plan('opens')])]
  const { turns } = await walked(links)
  t.deepEqual(
    turns.map(([, turn]) => told(turn).cause),
    ['deadline', 'deadline']
  )
})

test('a planner is told why its last plan came to nothing, and nothing of the plans of others', async t => {
  const told: unknown[] = []
  const curious = function* (scene: Scene): Iterable<Proposal> {
    told.push(scene.last)
    yield plan('x')
    told.push(scene.last)
    yield { kind: 'sample', sides: ['callee'] }
    told.push(scene.last)
  }
  await walked([link('a', curious), link('b', curious)])
  t.deepEqual(told, [undefined, 'unheard', 'unheard', undefined, 'unheard', 'unheard'])
})

test('what the session throws ends the turn', async t => {
  const desk = {
    over: new AbortController().signal,
    scene: async () => sceneOf(),
    attempt: async () => {
      throw new Error('a peer left')
    },
    sample: async () => true as const
  }
  const turn = takeTurn(
    link('a', () => [plan('x')]),
    sceneOf(),
    desk
  )
  await t.throwsAsync(turn, { message: 'a peer left' })
})

test('the plan that opened is told with the turn', async t => {
  const opens = plan('opens')
  const { turns } = await walked([link('a', () => [plan('x'), opens])])
  const [, turn] = turns[0] ?? []
  t.is(turn?.outcome === 'path' ? turn.plan : undefined, opens)
})
