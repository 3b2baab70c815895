import test from 'ava'
import { TokenBucket } from '../src/token-bucket.ts'

function bucket(options: { perSecond: number; capacity: number; tokens?: number }) {
  const time = { nowMs: 5 }
  return { time, bucket: new TokenBucket({ ...options, now: () => time.nowMs }) }
}

test('it is full at first, gives what it has, and fills evenly up to its capacity', t => {
  const { bucket: full, time } = bucket({ perSecond: 10, capacity: 3 })
  t.deepEqual(
    [1, 2, 3, 4].map(() => full.take()),
    [true, true, true, false]
  )
  time.nowMs += 99
  t.false(full.take())
  time.nowMs += 1
  t.true(full.take())
  time.nowMs += 60_000
  t.is(full.level, 3)
})

test('a debt is paid before anything else can be taken', t => {
  const { bucket: owing, time } = bucket({ perSecond: 10, capacity: 3 })
  owing.charge(5)
  t.is(owing.level, -2)
  t.is(owing.untilMs(), 300)
  t.is(owing.untilMs(0), 200)
  time.nowMs += 300
  t.is(owing.untilMs(), 0)
  t.true(owing.take())
})

test('what is given back counts up to the capacity, and a clock that goes back takes nothing', t => {
  const { bucket: given, time } = bucket({ perSecond: 1, capacity: 10, tokens: 4 })
  given.charge(-5)
  t.is(given.level, 9)
  given.charge(-5)
  t.is(given.level, 10)
  time.nowMs -= 1000
  t.is(given.level, 10)
})
