import test from 'ava'
import { Budget } from '../../../src/gateway/memory/budget.ts'
import { FakeTime } from '../relay/fake-time.ts'

function budget(limits = { probesPerAddress: 600, probesInAll: 1000 }) {
  const time = new FakeTime()
  return { time, budget: new Budget(limits, () => time.now()) }
}

test('what is aimed at one address is short for all, and comes back within a minute', t => {
  const { budget: of, time } = budget()
  of.take('198.51.100.7', 600)
  t.is(of.left('198.51.100.7'), 0)
  t.is(of.left('198.51.100.8'), 400, 'the limit in all holds for others too')
  time.advance(30_000)
  t.is(of.left('198.51.100.7'), 300)
  time.advance(60_000)
  t.is(of.left('198.51.100.7'), 600, 'and no more than that is saved up')
})

test('what a plan did not need is given back', t => {
  const { budget: of } = budget()
  of.take('198.51.100.7', 500)
  of.giveBack('198.51.100.7', 450)
  t.is(of.left('198.51.100.7'), 550)
  of.giveBack('198.51.100.7', 9000)
  t.is(of.left('198.51.100.7'), 600)
})
