import { once } from 'node:events'
import test from 'ava'
import { asPosternError, PosternError } from '../src/errors.ts'

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
})
