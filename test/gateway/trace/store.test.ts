import { type Context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { TracerProvider } from '@opentelemetry/sdk-trace'
import test from 'ava'
import { parentOf, within } from '../../../src/gateway/trace/record.ts'
import { TraceStore } from '../../../src/gateway/trace/store.ts'

function store(keep = 10) {
  const traces = new TraceStore(keep)
  const tracer = new TracerProvider({ spanProcessors: [traces] }).getTracer('test')
  /** A connect that is over at once, with one step in it. */
  const connect = (outcome: string, { parent = ROOT_CONTEXT, name = 'postern.connect' } = {}): string => {
    const root = tracer.startSpan(name, { attributes: { 'postern.caller': 'ann' } }, parent)
    tracer.startSpan('postern.plugin', {}, trace.setSpan(parent, root)).end()
    root.setAttributes({ 'postern.outcome': outcome, 'postern.plugin': 'stun', 'postern.reason': 'why' })
    root.end()
    return root.spanContext().traceId
  }
  return { traces, tracer, connect }
}

test('a trace is there when its root has ended, with its spans in the order of their start', t => {
  const { traces, connect } = store()
  const id = connect('path')
  const [record] = traces.get(id)
  t.deepEqual(
    [record?.id, record?.caller, record?.outcome, record?.by, record?.reason],
    [id, 'ann', 'path', 'stun', 'why']
  )
  t.deepEqual(
    record?.spans.map(({ name }) => name),
    ['postern.connect', 'postern.plugin']
  )
  t.is(record?.spans[1]?.parent, record?.spans[0]?.id)
  t.is(record?.spans[0]?.parent, undefined)
  t.true((record?.ms ?? -1) >= 0)
})

test('the list is the newest first, and may hold the failed ones alone', t => {
  const { traces, connect } = store()
  const ids = ['path', 'failed', 'path', 'failed'].map(outcome => connect(outcome))
  const listed = (failed: boolean, limit = 10) => traces.list({ failed, limit }).map(({ id }) => ids.indexOf(id))
  t.deepEqual(listed(false), [3, 2, 1, 0])
  t.deepEqual(listed(true), [3, 1])
  t.deepEqual(listed(true, 1), [3])
})

test('only so many are kept, the oldest goes first, and looking at one keeps it no longer', t => {
  const { traces, connect } = store(2)
  const [first = '', second = ''] = ['path', 'path'].map(outcome => connect(outcome))
  traces.get(first)
  const third = connect('path')
  t.deepEqual(traces.get(first), [])
  t.deepEqual(
    traces.list({ limit: 10 }).map(({ id }) => id),
    [third, second]
  )
})

test('two connects at once within one trace of the caller do not mix their spans', t => {
  const { traces, tracer } = store()
  const parent = parentOf(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`)
  const begin = (caller: string) => {
    const root = tracer.startSpan('postern.connect', { attributes: { 'postern.caller': caller } }, parent)
    return { root, step: tracer.startSpan(`step of ${caller}`, {}, trace.setSpan(parent, root)) }
  }
  const [ann, bob] = [begin('ann'), begin('bob')]
  for (const { step } of [ann, bob]) step.end()
  for (const [{ root }, caller] of [
    [ann, 'ann'],
    [bob, 'bob']
  ] as const) {
    root.end()
    const record = traces.get('a'.repeat(32)).at(-1)
    t.is(record?.caller, caller)
    t.deepEqual(
      record?.spans.map(({ name }) => name),
      ['postern.connect', `step of ${caller}`]
    )
    t.is(record?.spans[0]?.parent, 'b'.repeat(16))
  }
})

test('of several connects within one trace, by whomever, none replaces another', t => {
  const { traces, connect } = store()
  const parent = parentOf(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`)
  for (const outcome of ['path', 'failed', 'path']) connect(outcome, { parent })
  const records = traces.get('a'.repeat(32))
  t.deepEqual(
    records.map(({ outcome }) => outcome),
    ['path', 'failed', 'path'],
    'oldest first'
  )
  t.is(new Set(records.map(({ spans }) => spans[0]?.id)).size, 3)
  t.is(traces.list({ limit: 10 }).length, 3)
})

test('a traceparent that is none begins a trace of its own', t => {
  const idOf = (context: Context) => trace.getSpanContext(context)?.traceId
  for (const odd of [
    undefined,
    '',
    'x',
    `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`,
    `00-${'a'.repeat(32)}-${'0'.repeat(16)}-01`,
    `00-${'A'.repeat(32)}-${'b'.repeat(16)}-01`,
    `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01-more`
  ])
    t.is(idOf(parentOf(odd)), undefined, odd)
  t.is(idOf(parentOf(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`)), 'a'.repeat(32), 'sampled or not')
})

test('a step that throws is in the trace with its error, and throws on', async t => {
  const { traces, tracer } = store()
  const failing = within(tracer, ROOT_CONTEXT, 'postern.connect', {}, async () => {
    throw new Error('broken')
  })
  await t.throwsAsync(failing, { message: 'broken' })
  t.is(traces.list({ failed: true, limit: 1 })[0]?.reason, 'broken')
})
