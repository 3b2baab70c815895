import test from 'ava'
import { type Aiming, Budget } from '../../../src/gateway/memory/budget.ts'
import { FakeTime } from '../relay/fake-time.ts'

const [here, there] = ['198.51.100.7', '198.51.100.8']

function budget(limits = { probesPerAddress: 8000, probesInAll: 20_000 }) {
  const time = new FakeTime()
  return { time, budget: new Budget(limits, () => time.now()) }
}

const pair = (caller: string, callee: string, network = caller): Aiming => ({
  caller: { fingerprint: caller, network },
  callee: { fingerprint: callee }
})

/** Takes all that there is. */
function spend(of: Budget, aiming: Aiming, address = here): number {
  const left = of.left(address, aiming)
  of.take(address, aiming, left)
  return left
}

test('one pair, and one caller, has a quarter of what an address may get, and others have theirs', t => {
  const { budget: of } = budget()
  t.is(spend(of, pair('ann', 'bob')), 2000)
  t.is(spend(of, pair('bob', 'ann')), 0, 'both ways together')
  t.is(spend(of, pair('ann', 'carol')), 0)
  t.is(spend(of, pair('eve', 'bob')), 2000)
  t.is(spend(of, pair('ann', 'carol'), there), 2000, 'another address has a budget of its own')
})

test('a network with many certificates leaves enough for the prediction of another', t => {
  const { budget: of } = budget()
  for (let count = 0; count < 20; count++) spend(of, pair(`eve ${count}`, `mallory ${count}`, 'a'))
  t.is(spend(of, pair('ann', 'bob')), 250)
})

test('what was taken comes back within minutes', t => {
  const { budget: of, time } = budget()
  spend(of, pair('ann', 'bob'))
  time.advance(30_000)
  t.is(of.left(here, pair('ann', 'bob')), 786)
  time.advance(270_000)
  t.true(of.left(here, pair('ann', 'bob')) > 1980)
})

test('what is aimed at all addresses together is short for all', t => {
  const { budget: of } = budget({ probesPerAddress: 8000, probesInAll: 4000 })
  t.is(spend(of, pair('ann', 'bob')), 2000)
  t.is(spend(of, pair('carol', 'dave'), there), 1600, 'nine tenths')
  t.is(of.left('198.51.100.9', pair('eve', 'mallory')), 125)
})

test('what a plan did not need is given back', t => {
  const { budget: of } = budget()
  of.take(here, pair('ann', 'bob'), 500)
  of.giveBack(here, pair('ann', 'bob'), 450)
  t.is(of.left(here, pair('ann', 'bob')), 1950)
  of.giveBack(here, pair('ann', 'bob'), 9000)
  t.is(of.left(here, pair('ann', 'bob')), 2000)
})
