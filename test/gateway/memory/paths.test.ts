import test from 'ava'
import { Paths } from '../../../src/gateway/memory/paths.ts'
import type { Report } from '../../../src/wire/report.ts'
import { nothingDone } from '../../hand-made.ts'

const [here, there] = ['192.0.2.1', '198.51.100.1']
const report = (steps: Report['steps']): Report => ({ ...nothingDone, steps })
const taking30Ms = report([
  ['heard', 3],
  ['bound', 10],
  ['ice', 40]
])

test('the round trip between two networks is that of the first check, whoever calls whom', t => {
  const paths = new Paths()
  paths.learn(here, there, taking30Ms)
  t.is(paths.rttMs(here, there), 30)
  t.is(paths.rttMs(there, here), 30)
  t.is(paths.rttMs(here, here), undefined)
})

test('a report that does not tell both ends of a check teaches nothing', t => {
  const paths = new Paths()
  for (const steps of [
    [['ice', 40]],
    [['bound', 10]],
    [
      ['bound', 40],
      ['ice', 40]
    ],
    []
  ] as Report['steps'][])
    paths.learn(here, there, report(steps))
  paths.learn(here, there, undefined)
  t.is(paths.rttMs(here, there), undefined)
})

test('a round trip is forgotten after an hour, and the latest counts', t => {
  let nowMs = 1
  const paths = new Paths(() => nowMs)
  paths.learn(
    here,
    there,
    report([
      ['bound', 0],
      ['ice', 90]
    ])
  )
  paths.learn(there, here, taking30Ms)
  nowMs += 3_600_000
  t.is(paths.rttMs(here, there), 30)
  nowMs += 1
  t.is(paths.rttMs(here, there), undefined)
})

test('what packets pass is remembered for a pair of networks and a kind of path, for an hour', t => {
  let nowMs = 1
  const paths = new Paths(() => nowMs)
  paths.narrow('direct', here, there, 1200)
  t.is(paths.mtu('direct', there, here), 1200)
  t.is(paths.mtu('relay', here, there), undefined)
  t.is(paths.mtu('direct', here, here), undefined)
  nowMs += 3_600_001
  t.is(paths.mtu('direct', here, there), undefined)
})
