import { readFile } from 'node:fs/promises'
import test from 'ava'
import { Metrics } from '../../../src/gateway/http/metrics.ts'
import { noVisits } from '../../../src/gateway/nettest/counters.ts'
import { noneYet } from '../../../src/gateway/signalling/counters.ts'
import { noneExported } from '../../../src/trace/export/outbox.ts'
import type { SpanRecord, TraceRecord } from '../../../src/trace/record/record.ts'
import { verdicts } from '../../../src/verdict.ts'
import { endNative } from '../../end-native.ts'
import { HandMade } from '../../hand-made.ts'
import { until } from '../../until.ts'
import { World } from '../../world.ts'

test.after.always(endNative)

test('a relayed connection is counted, its bytes too when it has ended, and nobody is named', async t => {
  await using world = await World.open({ strategies: '[relay]' })
  const bob = await world.join('bob-of-all-names')
  const ann = await world.join('ann-of-all-names')
  const connection = await ann.connect({ name: 'bob-of-all-names' })
  await connection.ping()
  await world.trace(connection.path.trace)
  await connection.close()
  await Promise.all([ann.close(), bob.close()])
  const { relay } = await until(async () => {
    const status = await world.gateway.status()
    return status.peers === 0 && status.sessions.relayed === 0 && status
  })
  const text = await scraped(world)
  t.notRegex(text, /of-all-names/)
  const series = read(text)
  t.is(series.get('postern_attempts_total{strategy="relay",outcome="path"}'), 1)
  t.is(series.get('postern_paths_total{kind="relay"}'), 1)
  t.is(series.get('postern_connect_seconds_count{strategy="relay"}'), 1)
  t.is(series.get('postern_joins_total{outcome="joined"}'), 2)
  t.is(series.get('postern_peers'), 0)
  t.is(series.get('postern_traces'), 1)
  const { caller, callee } = relay
  t.true(caller.sentBytes > 500 && callee.sentBytes > 500)
  t.is(series.get('postern_relay_bytes_total{from="caller"}'), caller.sentBytes)
  t.is(series.get('postern_relay_bytes_total{from="callee"}'), callee.sentBytes)
})

test('what is scraped is in the text format: help, type and unit, and a number in each line', async t => {
  const { metrics, text } = made()
  metrics.ended(record({}))
  const said = await text()
  t.regex(metrics.contentType, /^text\/plain; version=0\.0\.4/)
  t.true(said.endsWith('\n'))
  const told = new Map<string, string>()
  for (const line of said.trimEnd().split('\n')) {
    const type = /^# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge|histogram)$/.exec(line)
    if (type) told.set(type[1] ?? '', type[2] ?? '')
    else if (line !== '' && !/^# HELP [a-z_:][a-z0-9_:]* \S.*$/.test(line)) {
      const [name = ''] = /^[a-z_:][a-z0-9_:]*/.exec(line) ?? []
      t.regex(line, SAMPLE, line)
      t.true(told.has(name) || told.get(name.replace(/_(bucket|sum|count)$/, '')) === 'histogram', line)
    }
  }
  // As `promtool check metrics` has it, which knows no gauge that ends so.
  for (const [name, type] of told) t.is(name.endsWith('_total'), type === 'counter', name)
  t.true([...told.keys()].some(name => name === 'process_resident_memory_bytes'))
})

test('strategies of a reload begin at zero, and what began by one of before keeps its name', async t => {
  const strategies = ['stun']
  const { metrics, text } = made(strategies)
  strategies.splice(0, 1, 'relay')
  t.is(read(await text()).get('postern_attempts_total{strategy="relay",outcome="path"}'), 0)
  metrics.ended(record({}))
  const series = read(await text())
  t.is(series.get('postern_connect_seconds_count{strategy="stun"}'), 1)
  t.is(series.get('postern_connect_seconds_count{strategy="relay"}'), 0)
})

test('verdicts, turns, profiles and times are counted by what the spans say', async t => {
  const { metrics, text } = made()
  const profile = {
    'postern.mapping': 'address-dependent',
    'postern.filtering': 'unknown',
    'postern.allocation': 'stepping'
  }
  const turns = ['passed', 'path'].map((outcome, at) =>
    span('postern.plugin', { 'postern.plugin': ['direct', 'stun'][at], 'postern.outcome': outcome })
  )
  metrics.ended(record({ spans: [span('postern.connect', {}), span('postern.profile', profile), ...turns] }))
  metrics.ended(record({ outcome: 'failed', by: 'no-path', path: undefined, verdict: 'both-random' }))
  const series = read(await text())
  t.is(series.get('postern_attempts_total{strategy="direct",outcome="passed"}'), 1)
  t.is(series.get('postern_attempts_total{strategy="stun",outcome="path"}'), 1)
  t.is(series.get('postern_paths_total{kind="direct"}'), 1)
  t.is(series.get('postern_verdicts_total{verdict="direct",outcome="path"}'), 1)
  t.is(series.get('postern_verdicts_total{verdict="both-random",outcome="failed"}'), 1)
  t.is(series.get('postern_profiles_total{mapping="address-dependent",filtering="unknown",allocation="stepping"}'), 1)
  t.is(series.get('postern_connect_seconds_sum{strategy="stun"}'), 0.03)
  t.is(series.get('postern_connect_seconds_bucket{le="0.02",strategy="stun"}'), 0)
  t.is(series.get('postern_connect_seconds_bucket{le="0.05",strategy="stun"}'), 1)
})

test('what can be counted is there from the start, at zero, so that nobody misses the first of it', async t => {
  const { metrics, text } = made()
  const first = read(await text())
  for (const series of [
    'postern_attempts_total{strategy="stun",outcome="path"}',
    'postern_attempts_total{strategy="relay",outcome="passed"}',
    'postern_connect_seconds_count{strategy="direct"}',
    'postern_connect_seconds_bucket{le="+Inf",strategy="direct"}',
    'postern_paths_total{kind="relay"}',
    'postern_profiles_total{mapping="unknown",filtering="unknown",allocation="unknown"}',
    'postern_spans_total{outcome="expired"}',
    ...Object.keys(verdicts).map(code => `postern_verdicts_total{verdict="${code}",outcome="failed"}`)
  ])
    t.is(first.get(series), 0, series)
  const profile = { 'postern.mapping': 'address-dependent', 'postern.filtering': 'endpoint-independent' }
  const turn = { 'postern.plugin': 'direct', 'postern.outcome': 'failed' }
  metrics.ended(record({ spans: [span('postern.profile', profile), span('postern.plugin', turn)] }))
  metrics.ended(record({ outcome: 'failed', by: 'no-path', path: undefined, verdict: 'both-random' }))
  t.deepEqual([...read(await text()).keys()].filter(isOurs), [...first.keys()].filter(isOurs))
})

test('a turn of the event loop that held everything up is told at the next scrape, and then no more', async t => {
  const { text } = made()
  const longest = async () => read(await text()).get('postern_stall_max_seconds') ?? Number.NaN
  // The delay is measured by a timer each 10 ms: between two of its looks.
  const looks = () => new Promise(resolve => setTimeout(resolve, 50))
  await looks()
  const endMs = performance.now() + 300
  while (performance.now() < endMs);
  await looks()
  const told = await longest()
  t.true(told > 0.25 && told < 60, `${told} s`)
  await looks()
  t.true((await longest()) < told)
})

test('what reaches a limit is counted by that limit and what became of it', async t => {
  await using world = await World.open({ more: 'limits: { peers: 1 }' })
  const ann = await world.join('ann')
  await using bob = new HandMade(world.url)
  await bob.hello({ identity: await world.identity('bob'), token: world.gateway.joinToken })
  t.is((await bob.hears('refused')).code, 'relay-full')
  const series = read(await scraped(world))
  t.is(series.get('postern_limits_total{limit="peers",outcome="wait"}'), 1)
  t.is(series.get('postern_limits_total{limit="connections",outcome="shed"}'), 0)
  t.true((series.get('postern_connections') ?? 0) >= 1)
  await ann.close()
})

test('docs/monitoring.md lists every metric with its labels, and no other', async t => {
  const { metrics, text } = made()
  metrics.ended(record({ spans: ['postern.plugin', 'postern.profile'].map(name => span(name, {})) }))
  const series = [...read(await text()).keys()].filter(name => /^postern_/.test(name) && !/_(sum|count)/.test(name))
  const labelled = series.map(one => {
    const [name = '', labels = ''] = one.replace(/_bucket\b/, '').split('{')
    return [name, ...[...labels.matchAll(/(\w+)=/g)].map(([, label]) => label).filter(label => label !== 'le')].join(
      ' '
    )
  })
  const documented = (await readFile(new URL('../../../docs/monitoring.md', import.meta.url), 'utf8'))
    .split('\n')
    .filter(line => line.startsWith('| `postern_'))
    .map(line =>
      [
        ...line
          .split('|')
          .slice(1, 3)
          .join('')
          .matchAll(/`(\w+)`/g)
      ]
        .map(([, word]) => word)
        .join(' ')
    )
  t.deepEqual([...new Set(labelled)].sort(), documented.sort())
})

test('docs/monitoring.md says what each limit and its outcome mean', async t => {
  const told = await readFile(new URL('../../../docs/monitoring.md', import.meta.url), 'utf8')
  const table = told.slice(told.indexOf('| `limit` | `outcome` |')).split('\n\n')[0] ?? ''
  const rows = [...table.matchAll(/^\| `([\w-]+)` \| `(\w+)` \| \S/gm)].map(
    ([, limit, outcome]) => `${limit} ${outcome}`
  )
  const counted = [...read(await made().text()).keys()].flatMap(
    series => /^postern_limits_total\{limit="(.*)",outcome="(.*)"\}$/.exec(series)?.slice(1).join(' ') ?? []
  )
  t.deepEqual(rows.slice(1).sort(), counted.sort())
})

test('a path that was lost is counted by its cause', async t => {
  const { metrics, text } = made()
  const loss = { ...record({}).verdict, atMs: 0, settled: true }
  t.is(read(await text()).get('postern_path_losses_total{cause="nat-forgot"}'), 0)
  for (const code of ['nat-forgot', 'nat-forgot', 'of-another-version']) metrics.lost({ ...loss, code })
  const series = read(await text())
  t.is(series.get('postern_path_losses_total{cause="nat-forgot"}'), 2)
  t.is(series.get('postern_path_losses_total{cause="other"}'), 1)
})

test('a thousand strange words make no more series than one', async t => {
  const { metrics, text } = made()
  const strange = (word: string) => {
    const said = ['plugin', 'outcome', 'mapping', 'filtering', 'allocation'].map(name => [`postern.${name}`, word])
    const attributes = Object.fromEntries(said)
    const spans = ['postern.connect', 'postern.plugin', 'postern.profile'].map(name => span(name, attributes))
    metrics.ended(record({ caller: word, callee: word, outcome: word, by: word, verdict: word, spans }))
  }
  const series = async () => [...read(await text()).keys()].filter(name => name.startsWith('postern_'))
  strange('strange-0')
  const first = await series()
  for (let number = 1; number <= 1000; number++) strange(`strange-${number}`)
  t.deepEqual(await series(), first)
  t.false(first.some(name => name.includes('strange')))
})

test('what the gateway counts is read when somebody asks', async t => {
  await using world = await World.open()
  await world.join('ann')
  t.is(read(await scraped(world)).get('postern_peers'), 1)
  await t.throwsAsync(world.join('bob', { token: 'wrong' }))
  t.is(read(await scraped(world)).get('postern_joins_total{outcome="refused"}'), 1)
})

// Helpers.

const isOurs = (name: string) => name.startsWith('postern_')

const scraped = async (world: World): Promise<string> => await (await world.api('/metrics')).text()

const SAMPLE = /^([a-z_:][a-z0-9_:]*(?:\{(?:[a-z_]+="[^"\\\n]*",?)+\})?) (-?[0-9.e+-]+|[+-]Inf|Na[nN])$/

/** Values by series. */
function read(text: string): Map<string, number> {
  const samples = text.split('\n').map(line => SAMPLE.exec(line))
  return new Map(samples.flatMap(match => (match ? [[match[1] ?? '', Number(match[2])]] : [])))
}

const none = { started: 0, moved: 0, failed: 0 }
const searches = { relay: none, direct: none }

/**
 * Metrics of a gateway where nothing happens.
 * @param strategies the configured ones, which may be others later
 */
function made(strategies: readonly string[] = ['direct', 'stun', 'relay']) {
  const counts = {
    sentBytes: 0,
    delayed: 0,
    delayedMs: 0,
    dropped: { session: 0, peer: 0, network: 0, total: 0, unlatched: 0 }
  }
  const door = { open: 0, opened: 0, broken: 0, idle: 0, dropped: 0 }
  const status = {
    peers: 0,
    hidden: 0,
    sessions: { now: 0, relayed: 0, again: { ...searches, refused: 0, news: { told: 0, unrecorded: 0, foreign: 0 } } },
    udp: { limited: 0, refused: 0, foreign: 0 },
    overload: { received: 0, strangers: 0, sent: 0 },
    doors: { tcp: door, websocket: door, latched: { udp: 0, tcp: 0, websocket: 0 } },
    signalling: noneYet(),
    http: { open: 0, shed: 0, starved: 0, busy: 0, unread: 0 },
    proxies: { ignored: 0, unclear: 0, missing: 0, foreign: 0, malformed: 0, late: 0 },
    access: { loggedIn: 0, wrongTokens: 0, limited: 0 },
    names: { known: 0, full: 0, limited: 0, unkept: 0 },
    rooms: { open: 0, inside: 0, waiting: 0, made: 0, refused: 0, unkept: 0 },
    tests: { now: 0, kept: 0, ...noVisits() },
    forwards: { tried: 0, proved: 0, unheard: 0, refused: 1, limited: 1 },
    judgements: { refused: 0 },
    probes: { refused: 0, refusedInBackground: 0 },
    relay: { caller: counts, callee: counts },
    checks: { asked: 0, latched: 0, refused: 0, limited: 0 },
    traces: { kept: 0, bytes: 0, evicted: 0 },
    ...noneExported(),
    reloads: { applied: 0, refused: 0 },
    drain: { begun: 0, refused: 0 },
    warnings: []
  }
  const metrics = new Metrics({ strategies: () => strategies })
  return { metrics, text: () => metrics.text(status as never) }
}

type Given = { [Key in keyof Omit<TraceRecord, 'verdict'>]?: TraceRecord[Key] | undefined } & { verdict?: string }

/** A trace of a direct connection that took 30 ms, but for what is given. */
function record({ verdict = 'direct', ...given }: Given): TraceRecord {
  return {
    id: '0'.repeat(32),
    startMs: 0,
    ms: 30,
    caller: 'ann',
    callee: 'bob',
    outcome: 'path',
    by: 'stun',
    reason: '',
    path: 'direct',
    spans: [],
    ...given,
    verdict: { code: verdict, sentence: '', side: 'none', evidence: [], advice: '', also: [] }
  } as TraceRecord
}

const span = (name: string, attributes: SpanRecord['attributes']): SpanRecord => ({
  id: '0'.repeat(16),
  name,
  startMs: 0,
  endMs: 1,
  attributes,
  events: []
})
