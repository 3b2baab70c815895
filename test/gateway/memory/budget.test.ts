import test from 'ava'
import { type Aiming, Budget } from '../../../src/gateway/memory/budget.ts'
import { FakeTime } from '../relay/fake-time.ts'

const [here, there] = ['198.51.100.7', '198.51.100.8']

function budget(limits = { probesPerAddress: 8000, probesInAll: 20_000 }) {
  const time = new FakeTime()
  return { time, budget: new Budget(limits, () => time.now()) }
}

const pair = (caller: string, callee: string, network = caller): Aiming => ({
  caller: { account: { network, certificate: caller } },
  callee: { account: { network: callee, certificate: callee } }
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

test('searches in the background have a tenth together, at an address and in all, and leave nine for who connects', t => {
  const { budget: of } = budget()
  const behind = (caller: string, callee: string): Aiming => ({ ...pair(caller, callee), inBackground: true })
  t.is(spend(of, behind('ann', 'bob')), 720, 'one pair leaves others something')
  for (let count = 0; count < 20; count++) spend(of, behind(`eve ${count}`, `mallory ${count}`))
  t.is(of.left(here, behind('new', 'newer')), 0)
  t.is(of.left(here, pair('carol', 'dave')), 2000)
  t.true(of.left(here, pair('ann', 'bob')) >= 2000 - 720, 'what ann took counts for her')
  for (let at = 10; at < 30; at++) spend(of, behind(`ann ${at}`, 'bob'), `198.51.100.${at}`)
  t.is(of.left('198.51.100.99', behind('new', 'newer')), 0, 'a tenth of all')
  t.true(of.left('198.51.100.99', pair('carol', 'dave')) > 1900)
})

test('a search in the background has no more than is left for all, and what it did not need is given back', t => {
  const { budget: of } = budget()
  const behind: Aiming = { ...pair('ann', 'bob'), inBackground: true }
  spend(of, pair('ann', 'bob'))
  t.is(of.left(here, behind), 0)
  of.giveBack(here, pair('ann', 'bob'), 2000)
  spend(of, behind)
  of.giveBack(here, behind, 700)
  t.is(of.left(here, behind), 700)
  of.refuse(behind)
  of.refuse(pair('ann', 'bob'))
  of.refuse(pair('ann', 'bob'))
  t.like(of, { refused: 2, refusedInBackground: 1 })
})

test('what a plan did not need is given back', t => {
  const { budget: of } = budget()
  of.take(here, pair('ann', 'bob'), 500)
  of.giveBack(here, pair('ann', 'bob'), 450)
  t.is(of.left(here, pair('ann', 'bob')), 1950)
  of.giveBack(here, pair('ann', 'bob'), 9000)
  t.is(of.left(here, pair('ann', 'bob')), 2000)
})
