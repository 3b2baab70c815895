import { randomBytes } from 'node:crypto'
import test from 'ava'
import { KEY_MS, TraceKeys } from '../../../src/gateway/recording/trace-keys.ts'

const made = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }

test('a key names the request that it was made for, for an hour, and no longer', t => {
  let nowMs = 1_795_442_427_250
  const keys = new TraceKeys(() => nowMs)
  const key = keys.keyOf(made)
  t.regex(key, /^[A-Za-z0-9][\w-]+$/, 'it can stand behind an option')
  t.is(keys.rootOf(made.traceId, key), made.spanId)
  nowMs += KEY_MS - 1
  t.is(keys.rootOf(made.traceId, key), made.spanId)
  nowMs += 1001
  t.is(keys.rootOf(made.traceId, key), undefined)
})

test('a key that was changed, cut, made for another trace or by another gateway reads nothing', t => {
  const keys = new TraceKeys()
  const key = keys.keyOf(made)
  const bytes = Buffer.from(key, 'base64url')
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    t.is(keys.rootOf(made.traceId, changed.toString('base64url')), undefined, `byte ${at}`)
  }
  for (const other of [
    '',
    key.slice(0, -2),
    `${key}AA`,
    randomBytes(28).toString('base64url'),
    '\u0000',
    'ü'.repeat(28)
  ])
    t.is(keys.rootOf(made.traceId, other), undefined, other)
  t.is(keys.rootOf('0af7651916cd43dd8448eb211c80319d', key), undefined)
  t.is(keys.rootOf(made.traceId, new TraceKeys().keyOf(made)), undefined)
})
