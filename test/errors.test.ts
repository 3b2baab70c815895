import { once } from 'node:events'
import test from 'ava'
import { asPosternError, codes, PosternError } from '../src/errors.ts'
import { causes } from '../src/strategy/plan.ts'
import { lossVerdicts, verdicts } from '../src/verdict.ts'
import { formerWords, vocabulary } from '../src/vocabulary.ts'
import { CALLED_OFF, STALE_SOCKET } from '../src/wire/obeying.ts'

test('a deadline is a timeout, and an abort is no fault of ours', async t => {
  const late = AbortSignal.timeout(1)
  await once(late, 'abort')
  t.like(asPosternError(late.reason), { code: 'timeout', message: 'the deadline passed' })
  t.like(asPosternError(AbortSignal.abort().reason), { code: 'io', message: 'it was called off' })
})

test('an error of our own stays what it is, one of the system is io, anything else is our fault', t => {
  const own = new PosternError('no-path', 'none')
  t.is(asPosternError(own), own)
  t.like(asPosternError(Object.assign(new Error('EACCES'), { syscall: 'open' })), { code: 'io', message: 'EACCES' })
  t.like(asPosternError('odd'), { code: 'internal', message: 'odd' })
  t.like(asPosternError(Symbol('odd')), { code: 'internal', message: 'Symbol(odd)' })
  t.like(asPosternError(Object.create(null)), { code: 'internal', message: 'something that is no text' })
})

test('errors, strategies and verdicts draw from one vocabulary, in which no word stands twice and each is drawn', t => {
  const drawn = new Set([
    ...Object.keys(codes),
    ...Object.keys(causes),
    ...Object.keys(verdicts),
    ...Object.keys(lossVerdicts)
  ])
  const ofOrders = [STALE_SOCKET, CALLED_OFF]
  t.deepEqual([...drawn, ...ofOrders].sort(), Object.keys(vocabulary).sort())
  for (const [former, now] of Object.entries(formerWords)) {
    t.true(Object.hasOwn(vocabulary, now), now)
    t.false(Object.hasOwn(vocabulary, former), `${former} is a word of today`)
  }
})
