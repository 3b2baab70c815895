import test from 'ava'
import type { TraceRecord } from '../../../src/trace/record/record.ts'
import { asRecord, readRecord } from '../../../src/trace/record/schema.ts'

const verdict = { code: 'both-random', sentence: '', side: 'both', evidence: [], advice: '', also: [] }
const span = { id: '1', name: 'postern.plugin', startMs: 0, endMs: 1, attributes: {}, events: [] }
const record = {
  ...{
    id: 'a'.repeat(32),
    startMs: 0,
    ms: 1,
    caller: 'ann',
    callee: 'bob',
    outcome: 'failed',
    by: 'no-path',
    reason: ''
  },
  ...{ verdict, spans: [span] }
}

const caused = (cause: string) => ({ ...span, attributes: { 'postern.cause': cause, 'postern.reason': cause } })

test('a trace that a former release saved is read with the words of today', t => {
  const former = ['shared-budget', 'threw', 'handover', 'failed', 'no-report', 'gone']
  const spans = [
    { ...span, attributes: { 'postern.verdict': 'token-refused', 'postern.verdict.also': ['fingerprint-refused'] } },
    ...former.map(caused)
  ]
  const saved = { ...record, verdict: { ...verdict, code: 'token-refused', also: ['fingerprint-refused'] }, spans }
  const read = readRecord(JSON.stringify(saved)) as TraceRecord
  t.like(read.verdict, { code: 'bad-token', also: ['fingerprint-mismatch'] })
  const [root, ...others] = read.spans
  t.deepEqual(root?.attributes, { 'postern.verdict': 'bad-token', 'postern.verdict.also': ['fingerprint-mismatch'] })
  t.deepEqual(
    others.map(({ attributes }) => attributes['postern.cause']),
    ['budget-shared-out', 'plugin-threw', 'handover-lost', 'never-obeyed', 'never-obeyed', 'peer-left']
  )
  t.deepEqual(
    others.map(({ attributes }) => attributes['postern.reason']),
    former,
    'a sentence stays as it was'
  )
})

test('what is no word is left as it is, whatever it is', t => {
  const odd = { ...span, attributes: { 'postern.cause': 7, 'postern.verdict.also': [null, 'constructor'] } }
  t.deepEqual(asRecord({ ...record, spans: [odd] })?.spans, [odd])
  t.is(readRecord('{"spans"'), undefined)
  t.is(asRecord({ ...record, spans: [] }), undefined)
})

test('an attribute that is none is left out: an object, a list of lists', t => {
  const given = { 'postern.sent': 1, 'postern.heard': [['x']], 'postern.reason': { toString: 1 }, other: true }
  const event = { name: 'warm', atMs: 0, attributes: { 'postern.side': {}, more: 'x' } }
  const read = asRecord({ ...record, spans: [{ ...span, attributes: given, events: [event] }] })
  t.deepEqual(read?.spans[0]?.attributes, { 'postern.sent': 1, other: true })
  t.deepEqual(read?.spans[0]?.events[0]?.attributes, { more: 'x' })
})
