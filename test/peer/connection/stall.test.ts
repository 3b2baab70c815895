// When streams are found to send what does not arrive, in ticks of 200 ms.

import test from 'ava'
import { Stall } from '../../../src/peer/connection/stall.ts'

/** The ticks, counted from 1, at which it is looked into. */
function looked(flights: readonly (readonly [flyingBytes: number, arrivedBytes: number])[], rttMs = 0): number[] {
  const stall = new Stall()
  return flights.flatMap(([flyingBytes, arrivedBytes], tick) =>
    stall.tick({ flyingBytes, arrivedBytes }, rttMs) ? [tick + 1] : []
  )
}

const ticks = (count: number, flyingBytes = 1000) => Array.from({ length: count }, () => [flyingBytes, 0] as const)

test('what does not arrive for a second is looked into, and again after twice as long each time', t => {
  t.deepEqual(looked(ticks(40)), [5, 15, 35])
})

test('four round trips are waited for where these are longer', t => {
  t.deepEqual(looked(ticks(10), 500), [10])
})

test('nothing is amiss where nothing is on its way, or something arrives', t => {
  t.deepEqual(looked(ticks(40, 0)), [])
  t.deepEqual(looked(ticks(40).map(([flying], tick) => [flying, tick] as const)), [])
})

test('after something has arrived it is a second again', t => {
  t.deepEqual(looked([...ticks(6), [1000, 1], ...ticks(5).map(([flying]) => [flying, 1] as const)]), [5, 11])
})
