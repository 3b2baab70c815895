// Requests and joins that are refused, firewalls, and NATs that need luck: each cause is produced, and its verdict is right.

import test from 'ava'
import { verdicts } from '../../src/verdict.ts'
import { testLanes } from './run.ts'
import { lanes } from './table.ts'

/** It takes a path that was found and carries no full packets: test/lab/faults/narrow.test.ts produces it. */
const elsewhere = ['too-narrow']

test('every verdict has a cause that is produced, but the one for what is not known', t => {
  const produced = new Set(Object.values(lanes).flatMap(({ causes }) => causes.map(({ code }) => code)))
  t.deepEqual(
    Object.keys(verdicts).filter(code => !produced.has(code as keyof typeof verdicts) && !elsewhere.includes(code)),
    ['unexplained']
  )
})

testLanes(lanes.asking, lanes.firewalled, lanes.guessing)
