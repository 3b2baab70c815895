import { setImmediate as turnOfLoop } from 'node:timers/promises'
import test from 'ava'
import { inTurns, Judging } from '../../../src/gateway/shares/judging.ts'
import { type Pass, type Proposal, pass } from '../../../src/strategy/plan.ts'
import type { Planner } from '../../../src/strategy/plugin.ts'
import { sceneOf } from '../../scenes.ts'

const of = (network: string, certificate = network) => ({ network, certificate })

/** A clock that goes on only while something is computed. */
function judges() {
  let nowMs = 0
  const judging = new Judging(() => nowMs)
  const done: string[] = []
  const work = (name: string, ms: number, network: string) =>
    judging.run(of(network), () => {
      nowMs += ms
      done.push(name)
      return name
    })
  const spend = (ms: number) => {
    nowMs += ms
  }
  return { judging, done, work, spend }
}

test('what takes little is done at once, and what takes longer leaves the loop to others in between', async t => {
  const { done, work } = judges()
  const all = ['1', '2', '3', '4'].map(name => work(name, name === '1' ? 0.5 : 10, 'a'))
  t.deepEqual(done, ['1', '2'], 'more does not begin in this turn')
  await turnOfLoop()
  t.deepEqual(done, ['1', '2', '3'])
  await turnOfLoop()
  t.deepEqual(done, ['1', '2', '3', '4'])
  t.deepEqual(await Promise.all(all), ['1', '2', '3', '4'])
})

test('networks take turns, however much one of them has asked for', async t => {
  const { done, work } = judges()
  const all = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2'].map(name => work(name, 10, name.slice(0, 1)))
  await Promise.all(all)
  t.deepEqual(done, ['a1', 'a2', 'b1', 'a3', 'b2', 'a4'])
})

test('what throws fails for who asked for it, and for nobody else', async t => {
  const { judging, work } = judges()
  const failing = judging.run(of('a'), () => {
    throw new Error('no')
  })
  await t.throwsAsync(failing, { message: 'no' })
  t.is(await work('1', 1, 'a'), '1')
})

test('a quarter of the time is for all, and a network that has had much of it leaves some to others', async t => {
  const { judging, work, spend } = judges()
  for (let count = 0; judging.hasRoom(of('a', `${count}`)); count++)
    await judging.run(of('a', `${count}`), () => spend(25))
  t.false(judging.hasRoom(of('a', 'one more')))
  t.true(judging.hasRoom(of('b')))
  t.true(judging.retryMs() > 0)
  await work('b', 60, 'b')
  t.false(judging.hasRoom(of('b')), 'nor has another much while there is so little')
  spend(10_000)
  t.true(judging.hasRoom(of('a')))
})

test('a planner that computes in turns proposes what it would have proposed, whatever it gives', async t => {
  const proposals = [pass('one'), pass('two')]
  const planners: Planner[] = [
    { plan: () => proposals },
    {
      *plan() {
        yield* proposals
      }
    },
    {
      async *plan() {
        yield* proposals
      }
    }
  ]
  for (const planner of planners) {
    const { judging } = judges()
    const strategy = inTurns({ name: 'mine', planner, lastResort: false }, judging, of('a'))
    const found: Proposal[] = []
    for await (const proposal of strategy.planner.plan(sceneOf())) found.push(proposal)
    t.deepEqual(found, proposals)
  }
})

test('a planner that is not asked any more cleans up, and one that throws is told of where it is asked', async t => {
  const { judging } = judges()
  let isCleanedUp = false
  const careful: Planner = {
    *plan(): Iterable<Pass> {
      try {
        for (;;) yield pass('again')
      } finally {
        isCleanedUp = true
      }
    }
  }
  for await (const _ of inTurns({ name: 'mine', planner: careful, lastResort: false }, judging, of('a')).planner.plan(
    sceneOf()
  ))
    break
  t.true(isCleanedUp)
  const broken: Planner = {
    plan: () => {
      throw new Error('broken')
    }
  }
  const plans = inTurns({ name: 'mine', planner: broken, lastResort: false }, judging, of('a')).planner.plan(sceneOf())
  await t.throwsAsync(
    async () => {
      for await (const _ of plans);
    },
    { message: 'broken' }
  )
})
