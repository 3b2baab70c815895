import { execFileSync, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Attributes, type Context, ROOT_CONTEXT, type Span, trace } from '@opentelemetry/api'
import { TracerProvider } from '@opentelemetry/sdk-trace'
import test, { type ExecutionContext } from 'ava'
import { nowMs } from '../../../src/clock.ts'
import { parentOf, within } from '../../../src/gateway/recording/step.ts'
import type { TraceRecord } from '../../../src/trace/record/record.ts'
import { verdictAttributes } from '../../../src/trace/record/verdict-attributes.ts'
import { TraceFile } from '../../../src/trace/store/file.ts'
import { type StoreOptions, TraceStore } from '../../../src/trace/store/store.ts'
import { judge } from '../../../src/trace/verdict/judge.ts'
import { judgeLosses } from '../../../src/trace/verdict/losses/judge.ts'
import { canLimit, limitFiles } from '../../full-disk.ts'

const ROOM = 2 ** 20

const ends = {
  direct: { 'postern.outcome': 'path', 'postern.path': 'direct', 'postern.plugin': 'stun', 'postern.reason': 'why' },
  relayed: { 'postern.outcome': 'path', 'postern.path': 'relay', 'postern.plugin': 'relay' },
  failed: { 'postern.outcome': 'failed', 'postern.code': 'no-path' }
} as const

type End = keyof typeof ends

function store(options: Partial<StoreOptions> = {}) {
  const traces = new TraceStore({ memory: ROOM, judge: spans => judge(spans, []), ...options })
  const tracer = new TracerProvider({ spanProcessors: [traces] }).getTracer('test')
  const begin = (parent: Context = ROOT_CONTEXT, more: Attributes = {}) =>
    tracer.startSpan(
      'postern.connect',
      { attributes: { 'postern.caller': 'ann', ...more }, startTime: nowMs() },
      parent
    )
  const step = (parent: Span, name = 'postern.plugin') =>
    tracer.startSpan(name, { startTime: nowMs() }, trace.setSpan(ROOT_CONTEXT, parent))
  /** A connect that is over at once, with one step in it. */
  const connect = (end: End, { parent = ROOT_CONTEXT, more = {} }: { parent?: Context; more?: Attributes } = {}) => {
    const root = begin(parent, more)
    step(root).end()
    root.setAttributes(ends[end])
    root.end()
    return root
  }
  return { traces, tracer, begin, step, connect }
}

const idOf = (span: Span) => span.spanContext().traceId
const namesOf = (record: TraceRecord | undefined) => record?.spans.map(({ name }) => name)

/** Of a span of the tests above, in every record, exactly: all are alike. */
function sizeOfOne(end: End): number {
  const { traces, connect } = store()
  connect(end)
  return traces.counters.bytes
}

test('a trace is there when its root has ended, with its spans in the order of their start', t => {
  const { traces, connect } = store()
  const root = connect('direct')
  const [record] = traces.get(idOf(root))
  t.like(record, { id: idOf(root), caller: 'ann', outcome: 'path', path: 'direct', by: 'stun', reason: 'why' })
  t.deepEqual(namesOf(record), ['postern.connect', 'postern.plugin'])
  t.is(record?.spans[1]?.parent, record?.spans[0]?.id)
  t.is(record?.spans[0]?.parent, undefined)
  t.true((record?.ms ?? -1) >= 0)
})

test('a step that began before its root stands behind it', t => {
  const { traces, tracer, begin } = store()
  const root = begin()
  tracer.startSpan('postern.join', { startTime: Date.now() - 5000 }, trace.setSpan(ROOT_CONTEXT, root)).end()
  root.end()
  t.deepEqual(namesOf(traces.get(idOf(root))[0]), ['postern.connect', 'postern.join'])
})

test('a refused join is a record of its own', t => {
  const { traces, tracer } = store()
  const refused = { 'postern.outcome': 'failed', 'postern.code': 'bad-token', 'postern.peer': 'eve' }
  const root = tracer.startSpan('postern.join', { attributes: refused }, ROOT_CONTEXT)
  root.end()
  t.like(traces.get(idOf(root))[0], { caller: 'eve', callee: '', outcome: 'failed', by: 'bad-token' })
})

test('the verdict that the root carries is the verdict of the record; without one it is judged', t => {
  const { traces, connect } = store()
  const verdict = {
    code: 'udp-blocked',
    sentence: 'no UDP from ann',
    side: 'caller',
    evidence: ['nothing came'],
    advice: 'open it',
    also: ['relay-off']
  } as const
  const said = connect('failed', {
    more: verdictAttributes({ ...verdict, evidence: ['nothing came'], also: ['relay-off'] })
  })
  t.deepEqual(traces.get(idOf(said))[0]?.verdict, { ...verdict, evidence: ['nothing came'], also: ['relay-off'] })
  t.is(traces.get(idOf(connect('direct')))[0]?.verdict.code, 'direct')
})

test('what was recorded so far can be asked for before the root ends, the root first', t => {
  const { traces, begin, step } = store()
  const root = begin()
  step(root, 'first').end()
  const other = begin()
  step(other, 'of another').end()
  root.setAttribute('postern.outcome', 'failed')
  t.deepEqual(
    traces.soFar(root).map(({ name }) => name),
    ['postern.connect', 'first']
  )
  t.is(traces.soFar(root)[0]?.attributes['postern.outcome'], 'failed')
})

test('who is told of records is told of each once, complete', t => {
  const told: TraceRecord[] = []
  const { traces, connect, step } = store({ onEnded: record => told.push(record) })
  const root = connect('relayed')
  step(root, 'postern.change').end()
  t.is(told.length, 1)
  t.deepEqual(namesOf(told[0]), ['postern.connect', 'postern.plugin'])
  t.is(traces.counters.late, 1)
})

test('the list is the newest first, and has what is asked for alone', t => {
  const { traces, connect } = store()
  const roots = (['direct', 'failed', 'relayed', 'failed'] as const).map(end => connect(end))
  const listed = (filter: object) =>
    traces.list({ limit: 10, ...filter }).map(({ id }) => roots.findIndex(root => idOf(root) === id))
  t.deepEqual(listed({}), [3, 2, 1, 0])
  t.deepEqual(listed({ failed: true }), [3, 1])
  t.deepEqual(listed({ failed: true, limit: 1 }), [3])
  t.deepEqual(listed({ relayed: true }), [2])
  t.deepEqual(listed({ relayed: true, failed: true }), [3, 2, 1])
  t.deepEqual(listed({ peer: 'ann', verdict: 'direct' }), [0])
  t.deepEqual(listed({ peer: 'bob' }), [])
  const middle = traces.get(idOf(roots[2] as Span))[0]?.startMs
  t.deepEqual(listed({ sinceMs: middle }), [3, 2])
  t.deepEqual(listed({ beforeMs: middle }), [1, 0])
})

test('only so many bytes are kept: the oldest direct paths go first, then the oldest of the others', t => {
  const memory = 4 * Math.max(...(['direct', 'relayed', 'failed'] as const).map(sizeOfOne))
  const { traces, connect } = store({ memory })
  const roots: [End, Span][] = []
  const add = (end: End) => roots.push([end, connect(end)])
  const left = () =>
    roots.flatMap(([end, root], index) => (traces.get(idOf(root)).length > 0 ? [`${index} ${end}`] : []))
  for (const end of ['failed', 'direct', 'relayed', 'direct'] as const) add(end)
  t.is(traces.counters.evicted, 0)
  add('failed')
  t.deepEqual(left(), ['0 failed', '2 relayed', '3 direct', '4 failed'], 'looking at one keeps it no longer')
  add('failed')
  add('failed')
  t.deepEqual(left(), ['2 relayed', '4 failed', '5 failed', '6 failed'])
  add('direct')
  t.false(left().includes('7 direct'), 'no room for a direct path among failures')
  t.true(traces.counters.bytes <= memory)
  t.like(traces.counters, { kept: 4, evicted: 4 })
})

test('what is refused before anything was tried drives nothing but its like and direct paths out', t => {
  const { traces, begin, step, connect } = store({ memory: 20 * sizeOfOne('failed') })
  const kept = [connect('failed'), connect('relayed')]
  const direct = connect('direct')
  const refuse = () => {
    const root = begin()
    root.setAttributes(ends.failed)
    root.end()
    return root
  }
  const refused = Array.from({ length: 1000 }, refuse)
  const isKept = (root: Span | undefined) => root !== undefined && traces.get(idOf(root)).length === 1
  t.true(kept.every(isKept))
  t.deepEqual([isKept(direct), isKept(refused[0]), isKept(refused.at(-1))], [false, false, true])
  const late = refused.at(-1) as Span
  step(late).end()
  t.is(traces.get(idOf(late))[0]?.spans.length, 2)
  t.is(traces.counters.kept + traces.counters.evicted, 1003, 'it is there once')
  Array.from({ length: 1000 }, refuse)
  t.true(isKept(late))
})

const asked = (source: string, caller: string, callee: string): Attributes => ({
  'postern.source': source,
  'postern.caller': caller,
  'postern.callee': callee
})

test('five thousand failures of one pair leave the failure of another in the store', t => {
  const memory = 40 * sizeOfOne('failed')
  const { traces, connect } = store({ memory })
  const other = connect('failed', { more: asked('a', 'carol', 'dave') })
  for (let count = 0; count < 5000; count++) connect('failed', { more: asked('a', 'eve', 'mallory') })
  t.is(traces.get(idOf(other)).length, 1)
  t.true(traces.counters.bytes <= memory)
  t.true(traces.list({ peer: 'eve', limit: 1000 }).length > 10)
})

test('nor do any number of pairs of one network drive out what another has left, or turn over more than their own', t => {
  const { traces, connect } = store({ memory: 60 * sizeOfOne('failed') })
  const others = ['ann', 'bob', 'carol'].map(caller => connect('failed', { more: asked('b', caller, 'dave') }))
  for (let count = 0; count < 1000; count++) connect('failed', { more: asked('a', `eve ${count}`, 'dave') })
  t.true(others.every(root => traces.get(idOf(root)).length === 1))
  t.deepEqual(
    traces.list({ limit: 1 }).map(({ caller }) => caller),
    ['eve 999'],
    'of its own the oldest went'
  )
})

test('with no memory nothing is kept, and who is told of records is told all the same', t => {
  let told = 0
  const { traces, connect } = store({ memory: 0, onEnded: () => told++ })
  connect('failed')
  t.deepEqual(traces.list({ limit: 10 }), [])
  t.like(traces.counters, { kept: 0, bytes: 0, evicted: 0 })
  t.is(told, 1)
})

test('two connects at once within one trace of the caller do not mix their spans', t => {
  const { traces, begin, step } = store()
  const parent = parentOf(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`)
  const start = (caller: string) => {
    const root = begin(parent, { 'postern.caller': caller })
    return { root, step: step(root, `step of ${caller}`) }
  }
  const [ann, bob] = [start('ann'), start('bob')]
  for (const { step } of [ann, bob]) step.end()
  for (const [{ root }, caller] of [
    [ann, 'ann'],
    [bob, 'bob']
  ] as const) {
    root.end()
    const record = traces.get('a'.repeat(32)).at(-1)
    t.is(record?.caller, caller)
    t.deepEqual(namesOf(record), ['postern.connect', `step of ${caller}`])
    t.is(record?.spans[0]?.parent, 'b'.repeat(16))
  }
})

test('of several connects within one trace, by whomever, none replaces another', t => {
  const { traces, connect } = store()
  const parent = parentOf(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`)
  for (const end of ['relayed', 'failed', 'direct'] as const) connect(end, { parent })
  const records = traces.get('a'.repeat(32))
  t.deepEqual(
    records.map(({ outcome, path }) => path ?? outcome),
    ['relay', 'failed', 'direct'],
    'oldest first'
  )
  t.is(new Set(records.map(({ spans }) => spans[0]?.id)).size, 3)
})

test('however many requests a caller makes under the id of another one, the other is told of', t => {
  const { traces, connect } = store()
  const parent = parentOf(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`)
  connect('failed', { parent, more: { 'postern.caller': 'victim' } })
  for (let request = 0; request < 150; request++) connect('failed', { parent })
  const told = traces.get('a'.repeat(32))
  t.is(told.length, 100)
  t.deepEqual([told[0]?.caller, told[1]?.caller], ['victim', 'ann'])
  t.deepEqual(
    told.map(({ startMs }) => startMs),
    told.map(({ startMs }) => startMs).sort((a, b) => a - b)
  )
})

test('a span that ends after its root is added to the record, wherever in it its parent is', t => {
  const { traces, connect, begin, step } = store()
  const root = begin()
  const plan = step(root, 'postern.plan')
  const late = step(plan, 'postern.probe')
  plan.end()
  root.setAttributes(ends.relayed)
  root.end()
  const before = traces.counters.bytes
  late.end()
  step(late, 'postern.later').end()
  step(root, 'postern.change').end()
  const [record] = traces.get(idOf(root))
  t.deepEqual(namesOf(record), ['postern.connect', 'postern.plan', 'postern.probe', 'postern.later', 'postern.change'])
  t.true(traces.counters.bytes > before, 'its bytes count')
  t.like(traces.counters, { kept: 1, late: 3, lost: 0 })
  connect('failed')
  t.is(traces.list({ limit: 10 }).at(-1)?.id, idOf(root), 'and it stays where it was in the list')
})

test('spans after the end are bounded, and one whose record has gone is counted', t => {
  const { traces, connect, step } = store({ memory: 200_000 })
  const root = connect('relayed')
  for (let count = 0; count < 210; count++) step(root, 'postern.change').end()
  t.like(traces.counters, { late: 200, lost: 10 })
  t.is(traces.get(idOf(root))[0]?.spans.length, 202)
  while (traces.get(idOf(root)).length > 0) connect('failed')
  step(root, 'postern.change').end()
  t.is(traces.counters.lost, 11)
})

test('a connection that ends since no size of packets passes has that verdict from then on, whatever it had', t => {
  const { traces, connect, step } = store()
  const root = connect('direct')
  const told = (attributes: Attributes) => step(root, 'postern.change').setAttributes(attributes).end()
  told({
    'postern.change': 'lost',
    'postern.mtu': 1100,
    'postern.reason': 'packets of 1100 bytes do not pass directly'
  })
  t.is(traces.get(idOf(root))[0]?.verdict.code, 'direct')
  told({ 'postern.change': 'ended', 'postern.code': 'too-narrow' })
  t.like(traces.get(idOf(root))[0]?.verdict, {
    code: 'too-narrow',
    evidence: ['packets of 1100 bytes do not pass directly']
  })
})

test('a search for another path amends its record once, with all of its steps, and is no record of its own', t => {
  const { traces, connect, step } = store()
  const root = connect('relayed')
  const search = step(root, 'postern.again')
  const turn = step(search)
  step(turn, 'postern.plan').end()
  turn.end()
  const before = traces.counters.late
  t.is(traces.get(idOf(root))[0]?.spans.length, 2, 'nothing of it while it is under way')
  search.end()
  const [record, ...others] = traces.get(idOf(root))
  t.deepEqual(namesOf(record)?.slice(2), ['postern.again', 'postern.plugin', 'postern.plan'])
  t.deepEqual(others, [])
  t.is(traces.counters.late - before, 3)
  step(turn, 'postern.probe').end()
  t.is(traces.get(idOf(root))[0]?.spans.length, 6, 'what comes later still does')
  t.is(traces.list({ limit: 10 }).length, 1)
})

test('a loss is judged again with all that comes later, told once when it is settled, and named in the list', t => {
  const told: string[] = []
  const { traces, connect, tracer } = store({ judgeLosses, onLoss: ({ code }) => told.push(code) })
  const root = connect('direct')
  const change = (attributes: Attributes) =>
    tracer
      .startSpan('postern.change', { attributes, startTime: nowMs() }, trace.setSpan(ROOT_CONTEXT, root))
      .end(nowMs())
  const losses = () => traces.get(idOf(root))[0]?.losses?.map(({ code, settled }) => [code, settled])
  t.is(losses(), undefined)
  change({ 'postern.change': 'lost', 'postern.told_by': 'caller' })
  t.deepEqual(losses(), [['unexplained', false]])
  t.deepEqual(told, [])
  change({ 'postern.change': 'ended', 'postern.told_by': 'caller', 'postern.code': 'path-lost' })
  t.deepEqual(losses(), [['vanished', true]])
  change({ 'postern.change': 'idle' })
  t.deepEqual(told, ['vanished'])
  t.deepEqual(traces.list({ limit: 1 })[0]?.lost, ['vanished'])
})

test('a search whose connection has no record is a record of its own, whatever trace its peer names', t => {
  const { traces, connect, step, tracer } = store()
  const other = connect('relayed')
  const { traceId, spanId } = other.spanContext()
  const attributes = { 'postern.caller': 'ann', 'postern.continues': '00112233445566aa', ...ends.direct }
  const search = tracer.startSpan(
    'postern.again',
    { attributes, startTime: nowMs() },
    parentOf(`00-${traceId}-${spanId}-01`)
  )
  step(search).end()
  search.end()
  const [first, second] = traces.get(traceId)
  t.deepEqual(namesOf(first), ['postern.connect', 'postern.plugin'])
  t.deepEqual(namesOf(second), ['postern.again', 'postern.plugin'])
  t.like(second, { continues: '00112233445566aa', path: 'direct', caller: 'ann' })
  t.is(first?.continues, undefined)
})

test('one request has a bounded number of spans, its root among them', t => {
  const { traces, begin, step } = store({ memory: 10 * ROOM })
  const root = begin()
  for (let count = 0; count < 1100; count++) step(root).end()
  root.end()
  const [record] = traces.get(idOf(root))
  t.is(record?.spans.length, 1001)
  t.is(record?.spans[0]?.name, 'postern.connect')
  t.is(traces.counters.lost, 100)
})

test('a traceparent that is none begins a trace of its own', t => {
  const traceOf = (context: Context) => trace.getSpanContext(context)?.traceId
  for (const odd of [
    undefined,
    '',
    'x',
    `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`,
    `00-${'a'.repeat(32)}-${'0'.repeat(16)}-01`,
    `00-${'A'.repeat(32)}-${'b'.repeat(16)}-01`,
    `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01-more`
  ])
    t.is(traceOf(parentOf(odd)), undefined, odd)
  t.is(traceOf(parentOf(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`)), 'a'.repeat(32), 'sampled or not')
})

test('a step that throws is in the trace with its error, and throws on', async t => {
  const { traces, tracer } = store()
  const failing = within(tracer, ROOT_CONTEXT, 'postern.connect', {}, async () => {
    throw new Error('broken')
  })
  await t.throwsAsync(failing, { message: 'broken' })
  t.is(traces.list({ failed: true, limit: 1 })[0]?.reason, 'broken')
})

async function folderOf(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-traces-'))
  t.teardown(() => rm(folder, { recursive: true }))
  return folder
}

/** A store with a file, as a gateway has it, which has read what was there. */
async function withFile(path: string, memory = ROOM) {
  const warnings: unknown[] = []
  const log = { warn: (...said: unknown[]) => void warnings.push(said) }
  const made = store({ memory, file: await TraceFile.open(path, { memory, log }) })
  await made.traces.load()
  return { ...made, warnings }
}

const lines = async (path: string) => (await readFile(path, 'utf8')).split('\n').filter(line => line !== '')

test('a restart loses nothing', async t => {
  const path = join(await folderOf(t), 'deep', 'traces.jsonl')
  const before = await withFile(path)
  for (const end of ['failed', 'direct', 'relayed'] as const) before.connect(end)
  const all = before.traces.list({ limit: 10 })
  const records = all.flatMap(({ id }) => before.traces.get(id))
  await before.traces.shutdown()
  t.is((await stat(path)).mode & 0o777, 0o600)
  const after = await withFile(path)
  t.deepEqual(after.traces.list({ limit: 10 }), all)
  t.deepEqual(
    all.flatMap(({ id }) => after.traces.get(id)),
    records
  )
  await after.traces.shutdown()
})

test('of a record that was amended the last line counts', async t => {
  const path = join(await folderOf(t), 'traces.jsonl')
  const before = await withFile(path)
  const root = before.connect('relayed')
  before.step(root, 'postern.change').end()
  await before.traces.shutdown()
  t.is((await lines(path)).length, 2)
  const after = await withFile(path)
  t.deepEqual(namesOf(after.traces.get(idOf(root))[0])?.at(-1), 'postern.change')
  t.is(after.traces.counters.kept, 1)
  await after.traces.shutdown()
})

test('a line that was cut short, or is no trace, costs that line alone, and is counted', async t => {
  const path = join(await folderOf(t), 'traces.jsonl')
  const before = await withFile(path)
  const first = before.connect('failed')
  await before.traces.shutdown()
  const [line = ''] = await lines(path)
  await writeFile(path, `\n{"id":"x"}\n[]\nnull\n\0\xff\n${line}\n${line.slice(0, line.length / 2)}`)
  const killed = await withFile(path)
  t.is(killed.traces.get(idOf(first)).length, 1)
  t.is(killed.traces.counters.file?.skipped, 5)
  t.is(killed.warnings.length, 1, 'said once')
  const second = killed.connect('failed')
  await killed.traces.shutdown()
  const after = await withFile(path)
  t.is(after.traces.counters.kept, 2)
  t.is(after.traces.get(idOf(second)).length, 1, 'what comes after a torn line begins on one of its own')
  await after.traces.shutdown()
})

test('a process that is killed while it writes leaves all that it had written, and at most one line that is torn', async t => {
  const path = join(await folderOf(t), 'traces.jsonl')
  const script = fileURLToPath(new URL('writes-on.ts', import.meta.url))
  const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let written = 0
  for await (const line of createInterface(child.stdout)) {
    written = Number(line)
    if (written >= 100) child.kill('SIGKILL')
  }
  const { traces } = await withFile(path, 2 ** 30)
  t.true(traces.counters.kept >= written, `${traces.counters.kept} of ${written}`)
  t.true((traces.counters.file?.skipped ?? 9) <= 1)
  await traces.shutdown()
})

test('a file is read within the memory there is, what would be kept is', async t => {
  const path = join(await folderOf(t), 'traces.jsonl')
  const before = await withFile(path)
  const failed = before.connect('failed')
  for (let count = 0; count < 20; count++) before.connect('direct')
  await before.traces.shutdown()
  // Times have more digits or fewer.
  const memory = Math.round(sizeOfOne('failed') + 3.5 * sizeOfOne('direct'))
  const after = await withFile(path, memory)
  t.is(after.traces.get(idOf(failed)).length, 1)
  t.true(after.traces.counters.bytes <= memory)
  t.is(after.traces.counters.kept, 4)
  await after.traces.shutdown()
})

test('a file that has grown beyond twice the memory holds what is kept and no more', async t => {
  const path = join(await folderOf(t), 'traces.jsonl')
  const { traces, connect } = await withFile(path)
  const more = { 'postern.long': 'x'.repeat(20_000) }
  const failed = connect('failed')
  for (let round = 0; round < 20; round++) {
    for (let count = 0; count < 10; count++) connect('direct', { more })
    await traces.forceFlush()
    t.true((await stat(path)).size < 2.5 * ROOM)
  }
  await traces.shutdown()
  t.is((await stat(path)).mode & 0o777, 0o600)
  const after = await withFile(path)
  t.deepEqual(after.traces.list({ limit: 1000 }), traces.list({ limit: 1000 }))
  t.is(after.traces.get(idOf(failed)).length, 1, 'what was written before as well')
  await after.traces.shutdown()
})

const withLimit = canLimit ? test.serial : test.serial.skip

withLimit(
  'what a full disk keeps from being written anew leaves nothing beside the file, and is said once',
  async t => {
    const path = join(await folderOf(t), 'traces.jsonl')
    const { traces, connect, warnings } = await withFile(path)
    const more = { 'postern.long': 'x'.repeat(20_000) }
    const grow = async () => {
      for (let count = 0; count < 10; count++) connect('direct', { more })
      await traces.forceFlush()
    }
    while ((await stat(path)).size < 2 * ROOM) await grow()
    const { size } = await stat(path)
    {
      using _ = limitFiles(ROOM / 2)
      for (let round = 0; round < 5; round++) await grow()
    }
    await traces.shutdown()
    t.is(warnings.length, 1)
    t.is((await stat(path)).size, size)
    t.deepEqual(await readdir(dirname(path)), ['traces.jsonl'])
  }
)

test('a link beside the file leads to no other one, and a link in its place is refused', async t => {
  const path = join(await folderOf(t), 'traces.jsonl')
  const target = join(dirname(path), 'target')
  await writeFile(target, 'of somebody else', { mode: 0o644 })
  const { traces, connect } = await withFile(path)
  await symlink(target, `${path}.new`)
  const more = { 'postern.long': 'x'.repeat(20_000) }
  for (let round = 0; round < 12; round++) {
    for (let count = 0; count < 10; count++) connect('direct', { more })
    await traces.forceFlush()
  }
  await traces.shutdown()
  t.true((await stat(path)).size < 2 * ROOM, 'it was written anew')
  await rm(path)
  await symlink(target, path)
  const log = { warn: () => {} }
  await t.throwsAsync(TraceFile.open(path, { memory: ROOM, log }), {
    message: /cannot be opened: it is a symbolic link/
  })
  t.is(await readFile(target, 'utf8'), 'of somebody else')
  t.is((await stat(target)).mode & 0o777, 0o644)
})

test('a file that cannot be opened is said at the start', async t => {
  const folder = await folderOf(t)
  await writeFile(join(folder, 'file'), '')
  const log = { warn: () => {} }
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  for (const path of [folder, join(folder, 'file', 'below'), '/dev/null', fifo])
    await t.throwsAsync(TraceFile.open(path, { memory: ROOM, log }), {
      code: 'bad-config',
      message: new RegExp(`^traces.file: ${path} cannot be opened: `)
    })
})

test('a record that finds no room in the queue is dropped, and counted', async t => {
  const path = join(await folderOf(t), 'traces.jsonl')
  const { traces, connect } = await withFile(path, 64 * ROOM)
  const more = { 'postern.long': 'x'.repeat(9 * ROOM) }
  const roots = [connect('failed', { more }), connect('failed', { more })]
  await traces.shutdown()
  t.like(traces.counters.file, { written: 1, dropped: 1, failed: 0 })
  t.is(traces.get(idOf(roots[1] as Span)).length, 1, 'it is in memory all the same')
})

test('a file that takes nothing any more keeps nobody waiting: it is said once, and what was lost is counted', async t => {
  const path = join(await folderOf(t), 'traces.jsonl')
  const { traces, connect, warnings } = await withFile(path)
  await traces.shutdown()
  for (let count = 0; count < 2; count++) {
    connect('failed')
    await traces.forceFlush()
  }
  t.is(traces.counters.file?.failed, 2)
  t.is(warnings.length, 1)
})
