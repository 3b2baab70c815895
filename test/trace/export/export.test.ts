import { readFile } from 'node:fs/promises'
import { context, TraceFlags, type Tracer, trace } from '@opentelemetry/api'
import { type ReadableSpan, TracerProvider } from '@opentelemetry/sdk-trace'
import test, { type ExecutionContext } from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { exporting } from '../../../src/trace/export/export.ts'
import { type ExportCounters, noneExported, type Patience } from '../../../src/trace/export/outbox.ts'
import type { SpanRecord, TraceRecord } from '../../../src/trace/record/record.ts'
import { version as ours } from '../../../src/version.ts'
import { endNative } from '../../end-native.ts'
import { until } from '../../until.ts'
import { World, type WorldSpec } from '../../world.ts'
import { type Collected, Collector } from './collector.ts'

test.after.always(endNative)

const never = `export default {
  name: 'never',
  defaults: {},
  start: () => ({ plan: () => [{ kind: 'pass', reason: 'not today' }] })
}`

const caller = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' }

for (const [what, strategies] of [
  ['direct', '[direct]'],
  ['relayed', '[relay]'],
  ['failed', '[./never.mjs]']
] as const)
  test.serial(
    `a ${what} connection arrives whole at a collector, with the parents and values the store has`,
    async t => {
      await using collector = await Collector.open()
      const record = await connectOnce(collector, { strategies, files: { 'never.mjs': never } })
      t.is(record.outcome, what === 'failed' ? 'failed' : 'path')
      const { spans } = collector
      t.deepEqual(ids(spans), ids(record.spans))
      const [root] = record.spans
      const arrived = (id: string | undefined) => spans.find(span => span.id === id)
      for (const span of record.spans) sameSpan(t, arrived(span.id), span, record.id)
      t.is(root?.parent, caller.span)
      t.true(record.spans.slice(1).every(({ parent }) => arrived(parent)))
      t.true(spans.every(({ error, attributes }) => error === (attributes['postern.outcome'] === 'failed')))
      t.true(spans.every(({ dropped, scope, version }) => dropped === 0 && `${scope} ${version}` === `postern ${ours}`))
    }
  )

test.serial(
  'what is of another time than its request has a trace of its own, and links lead there and back',
  async t => {
    await using collector = await Collector.open()
    const record = await connectOnce(collector, { strategies: '[relay]' })
    const [root] = record.spans
    const { spans } = collector
    const beside = spans.filter(({ trace }) => trace !== record.id)
    t.deepEqual(beside.map(({ name }) => name).sort(), ['postern.change', 'postern.join', 'postern.join'])
    t.is(new Set(beside.map(({ trace }) => trace)).size, 3)
    for (const { parent, links } of beside)
      t.deepEqual([parent, links], [undefined, [{ trace: record.id, id: root?.id ?? '' }]])
    // The request has ended when its path changes, and then has its links.
    const joins = beside.filter(({ name }) => name === 'postern.join').map(({ trace, id }) => ({ trace, id }))
    t.deepEqual(new Set(spans.find(({ id }) => id === root?.id)?.links), new Set(joins))
    const inside = spans.filter(({ trace, id }) => trace === record.id && id !== root?.id)
    for (const { name, startMs } of inside) t.true(startMs >= (root?.startMs ?? Infinity), name)
  }
)

test.serial("the gateway and both peers are told apart, by their spans' resources and kinds", async t => {
  await using collector = await Collector.open()
  await connectOnce(collector, { strategies: '[direct, relay]' })
  const { spans } = collector
  // What became of the path is told when it is over, which may be now or later.
  const inTime = spans.filter(({ name }) => name !== 'postern.change')
  const senders = inTime.map(({ name, kind, resource }) => [
    `${name.slice(8)} ${kind}`,
    [resource['service.name'], resource['service.instance.id']].join(' ')
  ])
  const gateway = String(senders.find(([what]) => what === 'connect SERVER')?.[1])
  t.regex(gateway, /^postern [0-9a-f-]{36}$/)
  const told = Object.entries(Object.groupBy(senders, ([what = '']) => what))
  t.deepEqual(
    Object.fromEntries(told.map(([what, all = []]) => [what, [...new Set(all.map(([, who]) => who))].sort()])),
    {
      'connect SERVER': [gateway],
      'join SERVER': [gateway],
      'observe INTERNAL': [gateway],
      'profile INTERNAL': [gateway],
      'plugin INTERNAL': [gateway],
      'plan CLIENT': [gateway],
      'probe SERVER': ['postern-peer ann', 'postern-peer bob'],
      'handover CLIENT': ['postern-peer ann', 'postern-peer bob']
    }
  )
  // By this a reader knows that all times are on one clock.
  t.is(new Set(spans.map(({ resource }) => resource['host.name'])).size, 1)
  t.true(
    spans.every(
      ({ resource }) => Boolean(resource['service.version']) === !/-peer$/.test(`${resource['service.name']}`)
    )
  )
})

test.serial('a trace that its caller does not sample is kept by the gateway, and not exported', async t => {
  await using collector = await Collector.open()
  const record = await connectOnce(collector, { strategies: '[direct]' }, '00')
  t.is(record.outcome, 'path')
  t.deepEqual(collector.spans, [])
})

test('the resource says who sends: postern and its version, or what the operator calls it', async t => {
  const [{ resource: plain }] = await sent({})
  t.is(plain['service.name'], 'postern')
  t.regex(String(plain['service.version']), /^\d+\.\d+\.\d+/)
  t.regex(String(plain['service.instance.id']), /^[0-9a-f-]{36}$/)
  t.deepEqual([plain['telemetry.sdk.name'], plain['telemetry.sdk.language']], ['opentelemetry', 'nodejs'])
  const [{ resource: named }] = await sent({
    OTEL_SERVICE_NAME: 'door',
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=gate,deployment.environment.name=a%2Cb, service.instance.id=one'
  })
  t.is(named['service.name'], 'door')
  t.is(named['deployment.environment.name'], 'a,b')
  t.is(named['service.instance.id'], 'one')
})

test('headers, compression and the endpoint for traces alone are honoured', async t => {
  await using collector = await Collector.open()
  await sent(
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/v1/traces`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-who=ann,x-what=a%20b',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-who=bob',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip'
    },
    { collector }
  )
  const [headers] = collector.headers
  t.deepEqual([headers?.['x-who'], headers?.['x-what']], ['bob', 'a b'])
  t.is(headers?.['content-encoding'], 'gzip')
  t.is(headers?.['content-type'], 'application/x-protobuf')
})

test('the sampler chooses what is exported, and everything is recorded all the same', async t => {
  const unsampled = `00-${caller.trace}-${caller.span}-00`
  for (const [sampler, argument, exports] of [
    ['always_on', '', { root: true, unsampled: true }],
    ['always_off', '', { root: false, unsampled: false }],
    ['traceidratio', '0', { root: false, unsampled: false }],
    ['traceidratio', '1', { root: true, unsampled: true }],
    ['parentbased_always_on', '', { root: true, unsampled: false }],
    ['parentbased_always_off', '', { root: false, unsampled: false }],
    ['parentbased_traceidratio', '0.0', { root: false, unsampled: false }],
    ['', '', { root: true, unsampled: false }]
  ] as const) {
    const env = { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: argument }
    const recorded: string[] = []
    const spans = await sent(env, {
      recorded,
      make: tracer => {
        family(tracer, 'root')
        family(tracer, 'unsampled', unsampled)
      }
    })
    t.deepEqual(recorded, ['root child', 'root', 'unsampled child', 'unsampled'])
    const names = Object.entries(exports).flatMap(([name, yes]) => (yes ? [`${name} child`, name] : []))
    t.deepEqual(
      spans.map(({ name }) => name),
      names,
      `${sampler} ${argument}`
    )
  }
})

test('limits cut what is exported, tell of it, and leave what is recorded alone', async t => {
  const recorded: string[] = []
  let whole: SpanRecord['attributes'] = {}
  const [span] = await sent(
    {
      OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: '2',
      OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '3',
      OTEL_SPAN_EVENT_COUNT_LIMIT: '1'
    },
    {
      recorded,
      make: tracer => {
        const span = tracer.startSpan('wide', { attributes: { a: 'letters', b: ['more', 'x'], c: 1 } })
        span.addEvent('one', { d: 'events' })
        span.addEvent('two')
        span.end()
        whole = (span as unknown as ReadableSpan).attributes
      }
    }
  )
  t.deepEqual(span.attributes, { a: 'let', b: ['mor', 'x'] })
  t.deepEqual(
    span.events.map(({ name, attributes }) => [name, attributes]),
    [['one', { d: 'eve' }]]
  )
  t.is(span.dropped, 2)
  t.deepEqual(whole, { a: 'letters', b: ['more', 'x'], c: 1 })
})

test('the whole queue leaves at the end, however small the batches', async t => {
  const make = (tracer: Tracer) => {
    for (let made = 0; made < 100; made++) tracer.startSpan('one').end()
  }
  t.is((await sent({ OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '1' }, { make, atEnd: true })).length, 100)
})

test('nothing is exported unless an endpoint is set, nor where OTEL_* turns it off', t => {
  const there = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' }
  for (const env of [
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
    { ...there, OTEL_SDK_DISABLED: 'TRUE' },
    { ...there, OTEL_TRACES_EXPORTER: 'none' }
  ])
    t.is(exporting(env, quiet).processors.length, 0)
})

test('a variable that is wrong is a wrong configuration, and says what was expected', t => {
  for (const [name, value, message] of [
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'localhost:4318', /expected a URL such as http:\/\/localhost:4318$/],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc', /got grpc; expected http\/protobuf$/],
    ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'http/json', /^OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: got http\/json/],
    ['OTEL_EXPORTER_OTLP_COMPRESSION', 'zstd', /expected none or gzip$/],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '10s', /got 10s; expected a whole number, at least 1$/],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'secret', /^OTEL_EXPORTER_OTLP_HEADERS: it cannot be read; expected key=value/],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'grpc://me:secret@collector', /got …@collector; expected a URL/],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'Bearer secret==', /^OTEL_EXPORTER_OTLP_HEADERS: it has what no header can be; /],
    ['OTEL_EXPORTER_OTLP_TRACES_HEADERS', 'key=sec%0Aret', /HEADERS: it has what no header can be; /],
    ['OTEL_EXPORTER_OTLP_CERTIFICATE', '/nowhere.pem', /\/nowhere\.pem cannot be read; expected a file in PEM$/],
    ['OTEL_TRACES_EXPORTER', 'zipkin', /got zipkin; expected otlp or none$/],
    ['OTEL_TRACES_SAMPLER', 'always_om', /did you mean "always_on"\?/],
    ['OTEL_BSP_MAX_QUEUE_SIZE', '0', /at least 1$/],
    ['OTEL_SPAN_EVENT_COUNT_LIMIT', 'many', /got many; expected a whole number, at least 0$/],
    ['OTEL_RESOURCE_ATTRIBUTES', 'a=%zz', /^OTEL_RESOURCE_ATTRIBUTES: it cannot be read/]
  ] as const) {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', [name]: value }
    const error = t.throws(() => exporting(env, quiet), { instanceOf: PosternError, message }, name)
    t.is(error?.code, 'bad-config')
    t.notRegex(String(error?.message), /secret/)
  }
  const ratio = { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '1.5' }
  t.throws(() => exporting({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', ...ratio }, quiet), {
    message: /^OTEL_TRACES_SAMPLER_ARG: got 1.5; expected a number from 0 to 1$/
  })
})

test('docs/monitoring.md lists every variable that is read, and no other', async t => {
  const asked = new Set<string>()
  const env = new Proxy({} as NodeJS.ProcessEnv, {
    get: (_, name) => {
      asked.add(String(name))
      return name === 'OTEL_TRACES_EXPORTER' ? 'otlp' : name === 'OTEL_TRACES_SAMPLER' ? 'traceidratio' : undefined
    }
  })
  exporting(env, quiet)
  const text = await readFile(new URL('../../../docs/monitoring.md', import.meta.url), 'utf8')
  const rows = text.split('\n').filter(line => line.startsWith('| `OTEL_'))
  const documented = rows.flatMap(row => row.split('|')[1]?.match(/OTEL_\w+/g) ?? [])
  const general = [...asked].map(name =>
    /TRACES_(?!ENDPOINT)/.test(name) ? name.replace('OTLP_TRACES_', 'OTLP_') : name
  )
  t.deepEqual([...new Set(general)].sort(), documented.sort())
})

const outages: Readonly<Record<string, readonly [RegExp, (c: Collector) => unknown, (c: Collector) => unknown]>> = {
  'refuses connections': [/^ECONNREFUSED$/, c => c.stop(), c => c.start()],
  'accepts and never answers': [
    /^it did not answer within 50 ms$/,
    c => {
      c.answers = false
    },
    c => {
      c.answers = true
    }
  ],
  'begins an answer and never ends it': [
    /^it did not answer within 50 ms$/,
    c => {
      c.drips = true
    },
    c => {
      c.drips = false
    }
  ],
  'answers 503': [
    /^it answers 503 Service Unavailable$/,
    c => {
      c.status = 503
    },
    c => {
      c.status = 200
    }
  ]
}

for (const [outage, [reason, begin, end]] of Object.entries(outages))
  test(`while a collector ${outage} spans are kept up to the bound, the rest is counted; they arrive when it is back`, async t => {
    await using collector = await Collector.open()
    const patience = { keepMs: 60_000, firstMs: 1, longestMs: 2 }
    const timeoutMs = /never/.test(outage) ? 50 : 10_000
    const { exports, tracer, told, finish } = outbox(collector, patience, timeoutMs)
    await begin(collector)
    for (let made = 0; made < 100; made++) tracer.startSpan('kept').end()
    const { spans: counters, collector: waits } = exports.counters
    // Ten are on their way as soon as there are ten, twenty wait.
    t.is(counters.dropped, 70)
    t.deepEqual([waits.waiting, waits.bytes > 0], [30, true])
    const asked = collector.asked
    await until(() => (outage === 'refuses connections' ? told.length === 1 : collector.asked >= asked + 3))
    await end(collector)
    await until(() => counters.exported === 30)
    tracer.startSpan('later').end()
    await finish()
    // What was answered too late was sent again.
    t.true(collector.spans.length >= 31)
    t.deepEqual(counters, spansOf({ exported: 31, dropped: 70 }))
    t.deepEqual([waits.waiting, waits.bytes, waits.retryAfter], [0, 0, 0])
    t.true(waits.retries >= 1)
    t.deepEqual(
      told.map(([text]) => text),
      ['traces do not reach the collector', 'traces reach the collector again']
    )
    t.regex(told[0]?.[1] ?? '', reason)
  })

test('a batch that a collector does not take for long is given up, and one that it will never take at once; both are counted', async t => {
  for (const [status, how, tries, reason] of [
    [429, 'expired', 14, 'it answers 429 Too Many Requests'],
    [502, 'expired', 14, 'it answers 502 Bad Gateway'],
    [503, 'expired', 14, 'it answers 503 Service Unavailable'],
    [504, 'expired', 14, 'it answers 504 Gateway Timeout'],
    [500, 'refused', 1, 'it answers 500 Internal Server Error'],
    [400, 'refused', 1, 'it answers 400 Bad Request']
  ] as const) {
    await using collector = await Collector.open()
    const { exports, tracer, told, finish } = outbox(collector, quick())
    collector.status = status
    for (let made = 0; made < 10; made++) tracer.startSpan('lost').end()
    await until(() => exports.counters.spans[how] === 10)
    // 1, 2, 4, 8 and 16 s, then 30 s each, a fifth more or less, until five minutes are over.
    t.true(Math.abs(collector.asked - tries) <= (tries > 1 ? 3 : 0), `${collector.asked} tries`)
    await finish()
    t.deepEqual(exports.counters.spans, spansOf({ [how]: 10 }))
    t.deepEqual(told, [['traces do not reach the collector', reason]])
  }
})

test('spans that a collector rejects of a batch are counted, and its reason is told once', async t => {
  await using collector = await Collector.open()
  const { exports, tracer, told, finish } = outbox(collector)
  collector.rejects = { rejectedSpans: 3, errorMessage: 'their clock is wrong' }
  for (let made = 0; made < 20; made++) tracer.startSpan('one').end()
  await finish()
  t.deepEqual(exports.counters.spans, spansOf({ exported: 14, rejected: 6 }))
  t.is(collector.asked, 2)
  t.deepEqual(told, [['the collector rejects some of the spans', 'their clock is wrong']])
})

test('a warning of a collector that takes all spans is told', async t => {
  await using collector = await Collector.open()
  const { exports, tracer, told, finish } = outbox(collector)
  collector.rejects = { rejectedSpans: 0, errorMessage: 'it is nearly full' }
  tracer.startSpan('one').end()
  await finish()
  t.deepEqual(exports.counters.spans, spansOf({ exported: 1 }))
  t.deepEqual(told, [['the collector takes the spans with a warning', 'it is nearly full']])
})

for (const [outage, [, begin, end]] of Object.entries(outages).filter(([outage]) => !/never/.test(outage)))
  test(`a collector that ${outage} for two minutes gets every span that was recorded meanwhile, once`, async t => {
    await using collector = await Collector.open()
    const made: string[] = []
    const record = () => {
      const span = tracer.startSpan('kept')
      made.push(span.spanContext().spanId)
      span.end()
    }
    const spent = { ms: 0 }
    const patience = quick(spent, async waitMs => {
      // Ten spans a second.
      for (let count = 0; count < waitMs / 100; count++) record()
      if (spent.ms >= 120_000) await end(collector)
    })
    const { exports, tracer, finish } = outbox(collector, patience, 10_000, {
      OTEL_BSP_MAX_QUEUE_SIZE: '2048',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: ''
    })
    await begin(collector)
    record()
    const { spans: counters, collector: waits } = exports.counters
    await until(() => counters.exported > 0 && waits.waiting === 0)
    await finish()
    t.true(made.length > 1200 && made.length < 2048, `${made.length}`)
    t.deepEqual(ids(collector.spans), made.sort())
    t.deepEqual(counters, spansOf({ exported: made.length }))
  })

test("Retry-After is kept to and counted: seconds, or a date by the collector's own clock; five minutes at most", async t => {
  const date = 'Tue, 01 Jan 2030 12:00:00 GMT'
  for (const [says, waitMs] of [
    [{ 'retry-after': '120' }, 120_000],
    [{ 'retry-after': 'Tue, 01 Jan 2030 12:00:45 GMT', date }, 45_000],
    [{ 'retry-after': 'Tuesday, 01-Jan-30 12:00:45 GMT', date }, 45_000],
    [{ 'retry-after': 'Tue Jan  1 12:00:45 2030', date }, 45_000],
    [{ 'retry-after': '86400' }, 300_000],
    // It is over, or cannot be read.
    [{ 'retry-after': '0' }, undefined],
    [{ 'retry-after': 'Tue, 01 Jan 2030 11:00:00 GMT', date }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '-5' }, undefined]
  ] as const) {
    await using collector = await Collector.open()
    collector.status = 429
    collector.says = says
    const waits: number[] = []
    const patience = quick({ ms: 0 }, async ms => {
      waits.push(ms)
      collector.status = 200
    })
    const { exports, tracer, finish } = outbox(collector, patience)
    tracer.startSpan('one').end()
    await until(() => exports.counters.spans.exported === 1)
    await finish()
    t.is(waits.length, 1)
    if (waitMs === undefined)
      t.true((waits[0] ?? 0) >= 800 && (waits[0] ?? 0) <= 1200, `${says['retry-after']}: ${waits}`)
    else t.is(waits[0], waitMs, says['retry-after'])
    t.like(exports.counters.collector, { retries: 1, retryAfter: waitMs === undefined ? 0 : 1 })
  }
})

test('a collector that comes and goes is told once a minute at most', async t => {
  await using collector = await Collector.open()
  const spent = { ms: 0 }
  const patience = quick(spent, async () => {
    collector.status = 200
  })
  const { exports, tracer, told, finish } = outbox(collector, patience)
  for (let turn = 1; turn <= 100; turn++) {
    collector.status = 503
    tracer.startSpan('one').end()
    await until(() => exports.counters.spans.exported === turn)
  }
  await finish()
  const warnings = told.filter(([text]) => text === 'traces do not reach the collector').length
  t.true(warnings >= 1 && warnings <= 1 + spent.ms / 60_000, `${warnings} in ${spent.ms} ms`)
  t.true(told.length <= 2 * warnings)
})

test('spans that wait have a bound in bytes as well, and what is above it is counted', async t => {
  await using collector = await Collector.open()
  const patience = { ...quick(), queueBytes: 64 << 10 }
  const { exports, tracer, finish } = outbox(collector, patience, 10_000, { OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '1' })
  const text = 'x'.repeat(10 << 10)
  // One is on its way, five wait, each a little heavier than its text.
  for (let made = 0; made < 10; made++) tracer.startSpan('large', { attributes: { text } }).end()
  const { spans, collector: waits } = exports.counters
  t.is(spans.overweight, 4)
  t.true(waits.bytes > 5 * text.length && waits.bytes < 64 << 10)
  await finish()
  t.deepEqual(spans, spansOf({ exported: 6, overweight: 4 }))
  t.is(waits.bytes, 0)
})

test('at the end what waits for another try is tried at once, once more, and the log says how much was lost', async t => {
  await using collector = await Collector.open()
  collector.status = 503
  collector.says = { 'retry-after': '3600' }
  const { exports, tracer, told, provider } = outbox(collector)
  for (let made = 0; made < 25; made++) tracer.startSpan('lost').end()
  await until(() => exports.counters.collector.retries === 1)
  await provider.shutdown()
  t.is(collector.asked, 4)
  t.deepEqual(exports.counters.spans, spansOf({ expired: 25 }))
  t.deepEqual(told.at(-1), ['the last traces did not reach the collector', '25 spans'])
})

test.serial('connections are made while the collector does not answer, and the gateway closes in time', async t => {
  await using collector = await Collector.open()
  collector.answers = false
  const startMs = performance.now()
  const record = await connectOnce(collector, { strategies: '[direct]' })
  t.is(record.path, 'direct')
  t.deepEqual(collector.spans, [])
  // Two seconds for last words, and the rest of it.
  t.true(performance.now() - startMs < 5000)
})

// Helpers.

const quiet = { info: () => {}, warn: () => {} }

const spansOf = (some: Partial<ExportCounters['spans']>) => ({ ...noneExported().spans, ...some })

/** The waits of a gateway on a clock of its own, where each is over at once. @param waits is told of each when it is over */
function quick(spent = { ms: 0 }, waits: (waitMs: number) => Promise<unknown> = async () => {}): Patience {
  return {
    keepMs: 300_000,
    firstMs: 1000,
    longestMs: 30_000,
    now: () => spent.ms,
    sleep: async waitMs => {
      spent.ms += waitMs
      await waits(waitMs)
    }
  }
}

/** An exporter with short waits and a small queue, and what it logs: each text with its reason. */
function outbox(collector: Collector, patience?: Patience, timeoutMs = 10_000, env: NodeJS.ProcessEnv = {}) {
  const told: (readonly [text: string, reason: string])[] = []
  const tell = (fields: { reason?: string; spans?: number }, text: string) =>
    void told.push([text, fields.reason ?? `${fields.spans} spans`])
  const exports = exporting(
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: `${timeoutMs}`,
      OTEL_BSP_SCHEDULE_DELAY: '5',
      OTEL_BSP_MAX_QUEUE_SIZE: '20',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '10',
      ...env
    },
    { info: tell, warn: tell },
    patience
  )
  const provider = new TracerProvider({ spanProcessors: [...exports.processors], sampler: exports.sampler })
  /** Ends it, without haste: what is under way at the end has two seconds, which a busy computer may need for itself. */
  const finish = async () => {
    await provider.forceFlush()
    await provider.shutdown()
  }
  return { exports, told, provider, finish, tracer: provider.getTracer('test') }
}

/** A connect within a caller's own trace to a gateway that exports to the collector; the record, when all has ended. */
async function connectOnce(collector: Collector, spec: WorldSpec, flags = '01'): Promise<TraceRecord> {
  await using opened = new AsyncDisposableStack()
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = collector.url
  opened.defer(() => void delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT)
  const world = opened.use(await World.open(spec))
  await world.join('bob')
  const ann = await world.join('ann')
  const traceparent = `00-${caller.trace}-${caller.span}-${flags}`
  const connection = await ann.connect({ name: 'bob' }, { traceparent }).catch(() => undefined)
  await connection?.close()
  await world.trace(caller.trace)
  await opened.disposeAsync()
  return world.gateway.traces.get(caller.trace)[0] as TraceRecord
}

interface Sending {
  readonly collector?: Collector
  /** Takes the names of all spans that were recorded. */
  readonly recorded?: string[]
  /** Leaves it to the end of the gateway that spans are sent. */
  readonly atEnd?: boolean
  make?(tracer: Tracer): void
}

/** What arrives of some spans. */
async function sent(env: NodeJS.ProcessEnv, { collector, recorded = [], atEnd = false, make }: Sending = {}) {
  await using own = await Collector.open()
  const to = collector ?? own
  const exports = exporting({ OTEL_EXPORTER_OTLP_ENDPOINT: to.url, ...env }, quiet)
  const store = {
    onStart() {},
    onEnd: ({ name }: ReadableSpan) => void recorded.push(name),
    async forceFlush() {},
    async shutdown() {}
  }
  const { processors, sampler, resource } = exports
  const provider = new TracerProvider({ spanProcessors: [store, ...processors], sampler, resource })
  const tracer = provider.getTracer('test')
  if (make) make(tracer)
  else tracer.startSpan('one').end()
  if (!atEnd) await provider.forceFlush()
  await provider.shutdown()
  return to.spans as [Collector['spans'][number], ...Collector['spans']]
}

/** A span and one beneath it, in the caller's trace where there is one. */
function family(tracer: Tracer, name: string, traceparent?: string): void {
  const [, traceId = '', spanId = ''] = traceparent?.split('-') ?? []
  const remote = { traceId, spanId, traceFlags: TraceFlags.NONE, isRemote: true }
  const around = traceparent ? trace.setSpanContext(context.active(), remote) : context.active()
  const root = tracer.startSpan(name, {}, around)
  tracer.startSpan(`${name} child`, {}, trace.setSpan(around, root)).end()
  root.end()
}

const ids = (spans: readonly { readonly id: string }[]) => spans.map(({ id }) => id).sort()

/** Times go over the wire in nanoseconds, and are told in floating milliseconds. */
function sameSpan(t: ExecutionContext, arrived: Collected | undefined, kept: SpanRecord, trace: string): void {
  t.is(arrived?.name, kept.name)
  t.is(arrived?.trace === trace ? arrived?.parent : arrived?.links[0]?.id, kept.parent)
  t.deepEqual(arrived?.attributes, kept.attributes)
  t.deepEqual(
    arrived?.events.map(({ name, attributes }) => ({ name, attributes })),
    kept.events.map(({ name, attributes }) => ({ name, attributes }))
  )
  const times = ({ startMs, endMs, events }: SpanRecord) => [startMs, endMs, ...events.map(({ atMs }) => atMs)]
  const pairs = times(kept).map((ms, at) => [ms, times(arrived ?? kept)[at] ?? 0] as const)
  t.true(pairs.every(([a, b]) => Math.abs(a - b) < 0.01))
}
