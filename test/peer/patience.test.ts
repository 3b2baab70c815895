import test from 'ava'
import { PosternError } from '../../src/errors.ts'
import { AGAIN, backoff, FIRST, persist, toldMs } from '../../src/peer/patience.ts'

const full = (retryMs?: number) => new PosternError('relay-full', 'no room', { retryMs })

test('a wait is twice the one before up to the longest, and never the same for two', t => {
  for (const { firstMs, longestMs } of [FIRST, AGAIN]) {
    const waits = backoff({ firstMs, longestMs })
    for (let turn = 0; turn < 12; turn++) {
      const most = Math.min(firstMs * 2 ** turn, longestMs)
      const waitMs = waits.next().value
      t.true(waitMs >= most / 2 && waitMs <= most, `${waitMs} of ${most}`)
    }
  }
  t.is(new Set(Array.from({ length: 100 }, () => backoff(FIRST).next().value)).size, 100)
  t.deepEqual(FIRST, { firstMs: 1000, longestMs: 30_000 })
})

test('what the gateway asks for is waited at least, and not for hours or without a pause', t => {
  const waits = Array.from({ length: 100 }, () => toldMs(full(2000)) ?? 0)
  t.true(waits.every(waitMs => waitMs >= 2000 && waitMs <= 3000))
  t.is(new Set(waits).size, 100)
  t.true((toldMs(full(0)) ?? 0) >= 100)
  t.true((toldMs(full(86_400_000)) ?? 0) <= 450_000)
  t.is(toldMs(full()), undefined)
})

test('who does not go on is told at once, unless the gateway asks to be tried again', async t => {
  const waited: number[] = []
  const onWaiting = (_: PosternError, waitMs: number) => waited.push(waitMs)
  let tries = 0
  const attempt = async () => {
    if (tries++ < 3) throw full(100)
    return 'in'
  }
  t.is(await persist(attempt, { onWaiting }), 'in')
  t.is(waited.length, 3)
  const error = full()
  t.is(await t.throwsAsync(persist(() => Promise.reject(error), { onWaiting })), error)
  t.is(waited.length, 3)
})

test('nobody who does not go on waits for more than a minute', async t => {
  const error = full(61_000)
  t.is(await t.throwsAsync(persist(() => Promise.reject(error), {})), error)
})

test('what was explained once and refused in the same way to the end is told with its explanation', async t => {
  const verdict = { code: 'join-refused', sentence: 'no', side: 'gateway', evidence: [], advice: '', also: [] } as const
  const explained = new PosternError('relay-full', 'no room', { retryMs: 100, verdict })
  const errors = [explained, full(100), full()]
  t.is(await t.throwsAsync(persist(() => Promise.reject(errors.shift()), {})), explained)
  const other = new PosternError('bad-token', 'wrong')
  const changing = [explained, other]
  t.is(await t.throwsAsync(persist(() => Promise.reject(changing.shift()), {})), other)
})

test('waiting ends with its signal', async t => {
  const enough = new AbortController()
  const reason = new PosternError('io', 'enough')
  const onWaiting = () => enough.abort(reason)
  const waiting = persist(() => Promise.reject(full()), { goesOn: () => true, onWaiting, signal: enough.signal })
  t.is(await t.throwsAsync(waiting), reason)
})
