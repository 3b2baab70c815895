// The matrix of browsers without browsers: which pairs there are, that a run goes on where its file ends, and what is reported.

import { appendFile, mkdtempDisposable, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { SpanRecord, TraceRecord } from '../../../src/trace/record/record.ts'
import { coreTypes } from '../nat.ts'
import type { Rig } from '../rig.ts'
import type { Actor } from './actors.ts'
import { RunFile } from './file.ts'
import { type Pair, pairsOf, parts } from './pairs.ts'
import { expectedOf, type IceRow, type Row } from './row.ts'
import { goalsOf, report } from './table.ts'
import { tryIce, tryPair } from './trial.ts'

const SEED = 7
const of = (pairs: readonly Pair[], part: string) => pairs.filter(pair => pair.part === part)

test('there are 144, 78 and 24 pairs, none of them twice', t => {
  const pairs = pairsOf(SEED)
  t.deepEqual(
    parts.map(part => of(pairs, part).length),
    [144, 78, 24]
  )
  t.is(new Set(pairs.map(({ id }) => id)).size, pairs.length)
  const unordered = of(pairs, 'chromium-chromium').map(({ nats }) => [...nats].sort().join())
  t.is(new Set(unordered).size, 78)
  const firefox = Map.groupBy(of(pairs, 'firefox'), ({ kinds }) => kinds.join())
  t.deepEqual(
    [...firefox].map(([kinds, { length }]) => [kinds, length]),
    [
      ['firefox,node', 8],
      ['firefox,chromium', 8],
      ['firefox,firefox', 8]
    ]
  )
})

test('a seed draws the same pairs again, another one draws others, and both sides call about as often', t => {
  t.deepEqual(pairsOf(SEED), pairsOf(SEED))
  const ids = (seed: number) => of(pairsOf(seed), 'firefox').map(({ id }) => id)
  t.notDeepEqual(ids(SEED), ids(SEED + 1))
  const byFirst = pairsOf(SEED).filter(({ caller }) => caller === 0).length
  t.true(byFirst > 90 && byFirst < 156, `${byFirst} of 246`)
})

test('twelve pairs that are spread over the table are looked at for 10 s, the others for 3', t => {
  const seconds = pairsOf(SEED).map(({ mediaS }) => mediaS)
  const long = seconds.flatMap((mediaS, at) => (mediaS === 10 ? [at] : []))
  t.is(long.length, 12)
  t.true(long.every((at, n) => at - (long[n - 1] ?? 0) <= 21))
  t.is(seconds.filter(mediaS => mediaS === 3).length, 246 - 12)
})

const row = (pair: Pair, more: Partial<Row> = {}): Row => ({
  ...{ what: 'postern', pair: pair.id, outcome: 'direct', by: 'stun', ms: 80, expected: 1, tookMs: 4000 },
  ...more
})
const ice = (pair: Pair, more: Partial<IceRow> = {}): IceRow => ({
  ...{ what: 'plain-ice', pair: pair.id, outcome: 'relay', ms: 200 },
  ...more
})

test('a run goes on where its file ends, though its last line was cut off', async t => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'postern-matrix-'))
  const path = join(folder.path, 'run.jsonl')
  const [one, other, third] = pairsOf(SEED) as [Pair, Pair, Pair]
  const before = await RunFile.open(path, SEED, () => 0)
  await before.add(row(one))
  await before.add(ice(one))
  await before.add(row(other, { outcome: 'untested', why: 'the browser ended' }))
  const whole = await readFile(path, 'utf8')
  await appendFile(path, '{"what":"postern","pai')
  const after = await RunFile.open(path, undefined, () => 0)
  t.is(after.seed, SEED)
  t.deepEqual([[...after.rows.keys()], [...after.ice.keys()]], [[one.id], [one.id]])
  t.is(await readFile(path, 'utf8'), whole)
  await after.add(row(third))
  t.deepEqual([...(await RunFile.open(path, SEED, () => 0)).rows.keys()], [one.id, third.id])
  await t.throwsAsync(
    RunFile.open(path, SEED + 1, () => 0),
    { message: /is of a run with --seed 7/ }
  )
})

test('plain ICE is taken from the file of another run', async t => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'postern-matrix-'))
  const [one] = pairsOf(SEED) as [Pair]
  const before = await RunFile.open(join(folder.path, 'before.jsonl'), SEED, () => 0)
  await before.add(ice(one))
  await before.add(row(one))
  const after = await RunFile.open(join(folder.path, 'after.jsonl'), SEED + 1, () => 0)
  await after.takeIce(before.path)
  t.deepEqual([[...after.rows.keys()], [...after.ice.keys()]], [[], [one.id]])
})

const results = (pairs: readonly Pair[], change: (pair: Pair) => Partial<Row> = () => ({})) => ({
  pairs,
  rows: new Map(pairs.map(pair => [pair.id, row(pair, change(pair))])),
  ice: new Map(pairs.map(pair => [pair.id, ice(pair)]))
})

test('the report has at most 80 columns, and says what failed and why', t => {
  const failing = { outcome: 'failed', verdict: 'gateway-ports', why: 'no-path: tried; relay failed (late)' } as const
  const isLast = ({ nats }: Pair) => nats.every(nat => nat === coreTypes.at(-1))
  const lines = report(results(pairsOf(SEED), pair => (isLast(pair) ? failing : {})))
  t.deepEqual(
    lines.flatMap(text => text.split('\n')).filter(line => line.length > 80),
    []
  )
  const failed = 'chromium carrier > chromium carrier: failed, gateway-ports: relay failed (late)'
  const turned = 'node carrier > chromium carrier: failed, gateway-ports: relay failed (late)'
  t.true(lines.includes(failed))
  t.true(lines.includes(turned) || lines.includes(turned.replace(/^(\w+)( \w+ > )(\w+)/, '$3$2$1')))
})

test('a goal is missed where a pair failed, or where too few are direct; of a part alone nothing else is judged', t => {
  const pairs = pairsOf(SEED)
  const all = new Set(parts)
  const met = (found: Parameters<typeof goalsOf>[0], whole = all) => goalsOf(found, whole).map(({ isMet }) => isMet)
  t.deepEqual(met(results(pairs)), [true, true, true, true])
  const relayed = results(pairs, ({ part }) => (part === 'chromium-node' ? { outcome: 'relay' } : {}))
  t.deepEqual(met(relayed), [false, true, true, true])
  const [first] = pairs as [Pair]
  t.deepEqual(met(results(pairs, pair => (pair === first ? { outcome: 'failed' } : {}))), [true, true, true, false])
  const firefox = results(pairs)
  for (const pair of of(pairs, 'firefox')) firefox.ice.set(pair.id, ice(pair, { outcome: 'direct' }))
  t.deepEqual(met(firefox), [true, true, true, true])
  const lost = of(pairs, 'firefox')[0] as Pair
  firefox.rows.set(lost.id, row(lost, { outcome: 'relay' }))
  t.deepEqual(met(firefox), [true, true, false, true])
  t.deepEqual(met(results([first]), new Set()), [true])
})

test('of what was expected counts each plan for a direct path of the request itself', t => {
  const span = (id: string, name: string, parent: string, attributes: SpanRecord['attributes'] = {}): SpanRecord => {
    return { id, parent, name, attributes, startMs: 0, endMs: 1, events: [] }
  }
  const plan = (id: string, parent: string, plugin: string, expected: number | undefined, outcome: string) =>
    span(id, 'postern.plan', parent, {
      'postern.plugin': plugin,
      'postern.outcome': outcome,
      ...(expected === undefined ? {} : { 'postern.expected': expected })
    })
  const spans = [
    span('root', 'postern.connect', ''),
    plan('a', 'root', 'stun', undefined, 'failed'),
    plan('b', 'root', 'predict', 0.25, 'failed'),
    plan('c', 'root', 'predict', 0.5, 'path'),
    plan('d', 'root', 'relay', undefined, 'path'),
    span('again', 'postern.again', 'root'),
    plan('e', 'again', 'spray', 0.75, 'path')
  ]
  t.is(expectedOf({ spans } as unknown as TraceRecord), 0.75)
  const observed = [plan('a', 'root', 'stun', undefined, 'path')]
  t.is(expectedOf({ spans: observed } as unknown as TraceRecord), 1)
})

const nothing = async () => {}
const gains = [
  { frames: 20, samples: 48_000 },
  { frames: 19, samples: 48_000 }
]

/** All goes well, but for what is given. */
const actor = (name: string, more: Partial<Actor> = {}): Actor => ({
  ...{ name, isPage: true, awaits: nothing, film: nothing, hangUp: nothing, [Symbol.asyncDispose]: nothing },
  call: async () => ({ path: { kind: 'direct', by: 'stun', ms: 80 } }),
  called: async () => true,
  echo: async () => true,
  watch: async () => gains,
  ice: { name, join: nothing, call: async () => ({ ms: 90 }), candidate: async () => 'srflx', release: nothing },
  ...more
})
const rig = { trace: async () => undefined } as unknown as Rig
const first = pairsOf(SEED)[0] as Pair
const tried = async (one: Partial<Actor>) => await tryPair(rig, first, [actor('a', one), actor('b', one)])

test('a pair is direct where bytes came back and both saw and heard the other', async t => {
  t.like(await tried({}), { pair: first.id, outcome: 'direct', by: 'stun', ms: 80, media: [gains, gains] })
})

test('a pair has failed that did not connect, or whose path carried too little', async t => {
  const refused = { failed: { code: 'no-path', reason: 'no path to b' } }
  t.like(await tried({ call: async () => refused }), { outcome: 'failed', why: 'no-path: no path to b' })
  t.like(await tried({ called: async () => false }), { outcome: 'failed', by: 'stun' })
  t.like(await tried({ echo: async () => false }), { outcome: 'failed', by: 'stun' })
  const closed = async () => {
    throw new Error('page.evaluate: PosternError: the connection is closed')
  }
  t.like(await tried({ echo: closed }), {
    outcome: 'failed',
    why: 'page.evaluate: PosternError: the connection is closed'
  })
  const still = await tried({ watch: async () => [...gains, { frames: 21, samples: 0 }] })
  t.like(still, { outcome: 'failed' })
  t.regex(still.why ?? '', /of the first, in each second: 20 and 48000, 19 and 48000, 21 and 0$/)
})

test('where a process has ended, nothing is said of the pair', async t => {
  const gone = async () => {
    throw new Error('the process on s0h0 ended with SIGKILL')
  }
  t.like(await tried({ call: gone }), { outcome: 'untested', why: 'the process on s0h0 ended with SIGKILL' })
  t.like(await tried({ film: gone }), { outcome: 'untested' })
})

test('plain ICE is direct where neither side is relayed in the end', async t => {
  const by = async (candidate: string | undefined) => {
    const ice = { ...actor('a').ice, candidate: async () => candidate }
    return await tryIce(first, [actor('a', { ice }), actor('b')])
  }
  t.like(await by('prflx'), { outcome: 'direct', ms: 90 })
  t.like(await by('relay'), { outcome: 'relay', ms: 90 })
})
