import test from 'ava'
import { nothing, type SpliceCounters } from '../../../src/gateway/relay/counters.ts'
import { Rates } from '../../../src/gateway/session/relayed/rates.ts'

/** A path since 0, and a clock that is set. */
function looking() {
  const clock = { nowMs: 0 }
  const rates = new Rates(() => clock.nowMs)
  const path = { sinceMs: 0 }
  const look = (nowMs: number, caller: Partial<SpliceCounters['caller']>) => {
    clock.nowMs = nowMs
    return rates.of(path, { caller: { ...nothing(), ...caller }, callee: nothing() }).caller
  }
  return { rates, look }
}

test('the first look tells of the time since the path is there', t => {
  const { look } = looking()
  t.deepEqual(look(2000, { sentBytes: 1_000_000, delayed: 10, delayedMs: 200 }), {
    bitsPerSecond: 4_000_000,
    delayMs: 20
  })
})

test('later looks tell of the last seconds alone', t => {
  const { look } = looking()
  look(2000, { sentBytes: 1_000_000, delayed: 10, delayedMs: 200 })
  t.deepEqual(look(4000, { sentBytes: 1_250_000, delayed: 12, delayedMs: 300 }), {
    bitsPerSecond: 1_000_000,
    delayMs: 50
  })
  t.deepEqual(look(6000, { sentBytes: 1_250_000, delayed: 12, delayedMs: 300 }), { bitsPerSecond: 0, delayMs: 0 })
})

test('looks of several viewers in between do not make the time too short for a rate', t => {
  const { look } = looking()
  look(2000, {})
  for (let nowMs = 2100; nowMs <= 6000; nowMs += 100) {
    const { bitsPerSecond } = look(nowMs, { sentBytes: (nowMs - 2000) * 500 })
    if (nowMs >= 3000) t.is(bitsPerSecond, 4_000_000, String(nowMs))
  }
})

test('at the moment when a path is there it has no rate', t => {
  t.deepEqual(looking().look(0, {}), { bitsPerSecond: 0, delayMs: 0 })
})

test('each path has looks of its own', t => {
  const { rates, look } = looking()
  look(2000, { sentBytes: 1_000_000 })
  const other = rates.of({ sinceMs: 1000 }, { caller: { ...nothing(), sentBytes: 500_000 }, callee: nothing() })
  t.is(other.caller.bitsPerSecond, 4_000_000)
})
