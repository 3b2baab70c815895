import { ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { TracerProvider } from '@opentelemetry/sdk-trace'
import test from 'ava'
import { nowMs } from '../../../src/clock.ts'
import { recordProfile } from '../../../src/gateway/recording/profile-span.ts'
import { beneath } from '../../../src/gateway/recording/step.ts'
import { direct } from '../../../src/plugins/direct.ts'
import { predict } from '../../../src/plugins/predict.ts'
import { relay } from '../../../src/plugins/relay.ts'
import { spray } from '../../../src/plugins/spray.ts'
import { stun } from '../../../src/plugins/stun.ts'
import { type Proposal, pass } from '../../../src/strategy/plan.ts'
import type { Plugin } from '../../../src/strategy/plugin.ts'
import type { Scene, Side } from '../../../src/strategy/scene.ts'
import type { Strategy } from '../../../src/strategy/turn.ts'
import type { TraceRecord } from '../../../src/trace/record/record.ts'
import { TraceStore } from '../../../src/trace/store/store.ts'
import { judge } from '../../../src/trace/verdict/judge.ts'
import { type Replay, replay } from '../../../src/trace/verdict/replay.ts'
import { type SideSpec, sideOf } from '../../scenes.ts'

/** A plugin as the gateway starts it, its options those of the shipped file. */
async function linkOf<Options extends object>(plugin: Plugin<Options>): Promise<Strategy> {
  const toolbox = { log: { info: () => {}, warn: () => {} }, signal: new AbortController().signal }
  const numbers = Object.entries(plugin.defaults).map(([name, value]) => [
    name,
    typeof value === 'string' ? Number.parseFloat(value) * (/\ds$/.test(value) ? 1000 : 1) : value
  ])
  const planner = await plugin.start(Object.fromEntries(numbers) as Options, toolbox)
  return { name: plugin.name, planner, lastResort: plugin.lastResort ?? false }
}

const link = (name: string, plan: (scene: Scene) => Iterable<Proposal>): Strategy => ({
  name,
  planner: { plan },
  lastResort: false
})

type Turn = readonly [name: string, outcome: 'path' | 'passed' | 'failed', ms: number, expected?: number]

interface Story {
  readonly caller?: SideSpec
  readonly callee?: SideSpec
  /** Strategies that had their turn, with the outcome and how long they took. */
  readonly turns?: readonly Turn[]
  /** Profiles of fresh sockets, recorded later. */
  readonly later?: readonly [caller: Side, callee: Side][]
  readonly observed?: boolean
  /** One side heard the other on a link, or did not. */
  readonly near?: boolean
}

/** A trace as the gateway records it. */
function recorded({ caller = {}, callee = {}, turns = [], later = [], observed = true, near }: Story): TraceRecord {
  const traces = new TraceStore({ memory: 2 ** 20, judge: spans => judge(spans, []) })
  const tracer = new TracerProvider({ spanProcessors: [traces] }).getTracer('test')
  const names = { 'postern.caller': 'ann', 'postern.callee': 'bob' }
  const root = tracer.startSpan('postern.connect', { attributes: names, startTime: nowMs() }, ROOT_CONTEXT)
  const within = trace.setSpan(ROOT_CONTEXT, root)
  const first = [sideOf('caller', caller), sideOf('callee', callee)] as const
  for (const [one, other] of observed ? [first, ...later] : []) {
    recordProfile(beneath(tracer, within), 'caller', one)
    recordProfile(beneath(tracer, within), 'callee', other)
  }
  if (near !== undefined) tracer.startSpan('postern.observe', { attributes: { 'postern.near': near } }, within).end()
  let atMs = nowMs()
  for (const [name, outcome, ms, expected] of turns) {
    const attributes = { 'postern.plugin': name, 'postern.outcome': outcome, 'postern.reason': `${name} said so` }
    const span = tracer.startSpan('postern.plugin', { attributes, startTime: atMs }, within)
    const more = expected === undefined ? {} : { 'postern.expected': expected }
    if (outcome === 'failed')
      tracer
        .startSpan('postern.plan', { attributes: more, startTime: atMs }, trace.setSpan(within, span))
        .end(atMs + ms)
    atMs += ms
    span.end(atMs)
  }
  const [winner] = turns.at(-1) ?? []
  const won = turns.at(-1)?.[1] === 'path'
  root.setAttributes({
    'postern.outcome': won ? 'path' : 'failed',
    'postern.reason': 'so it was',
    ...(won ? { 'postern.path': winner === 'relay' ? 'relay' : 'direct', 'postern.plugin': winner } : {}),
    ...(won ? {} : { 'postern.code': 'no-path' })
  })
  root.end(atMs)
  return traces.list({ limit: 1 }).flatMap(({ id }) => traces.get(id))[0] as TraceRecord
}

const relayed: readonly Turn[] = [
  ['direct', 'passed', 1],
  ['relay', 'path', 40]
]

const said = ({ strategies }: Replay) =>
  strategies.map(({ name, probability, before, now }) => [
    name,
    before?.outcome,
    now.passes === undefined ? now.tries.length > 0 : 'passes',
    Math.round(100 * probability)
  ])

test('where sources were hidden nothing would have helped, but on a link that both have', async t => {
  const profile = { hidden: true, mapping: 'unknown', filtering: 'unknown' } as const
  const unseen = (last: number) => ({ profile, addresses: [{ address: `10.2.0.${last}`, prefix: 24 }] })
  const sides = { caller: unseen(2), callee: unseen(3), turns: relayed }
  const links = [await linkOf(direct), await linkOf(stun), await linkOf(predict), await linkOf(spray)]
  const apart = await replay(recorded({ ...sides, near: false }), links)
  t.is(apart.verdict.code, 'hidden-sources')
  t.deepEqual(apart.answer, { helps: 'no' })
  t.true(said(apart).every(([, , what]) => what === 'passes'))
  const near = await replay(recorded({ ...sides, near: true }), links)
  t.deepEqual(near.answer, { helps: 'yes', by: ['direct'] })
})

test('a pair of cones that was relayed without being tried: stun would have helped', async t => {
  const strict = { filtering: 'address-and-port-dependent' } as const
  const record = recorded({ caller: { profile: strict }, callee: { profile: strict }, turns: relayed })
  const links = [await linkOf(direct), await linkOf(stun), await linkOf(relay)]
  const found = await replay(record, links)
  t.deepEqual(said(found), [
    ['direct', 'passed', 'passes', 0],
    ['stun', undefined, true, 100],
    ['relay', 'path', false, 0]
  ])
  t.deepEqual(found.answer, { helps: 'yes', by: ['stun'] })
  t.deepEqual(found.order, ['direct', 'relay'])
})

test('what works wherever it is made, and was tried in vain, is worth nothing', async t => {
  const record = recorded({
    turns: [
      ['stun', 'failed', 900],
      ['relay', 'path', 40]
    ]
  })
  const found = await replay(record, [await linkOf(stun)])
  t.deepEqual(said(found), [['stun', 'failed', true, 0]])
  t.deepEqual(found.answer, { helps: 'no' })
  t.true(Math.abs(found.inVainMs - 900) < 1)
})

const plan = (expected: number): Proposal => ({
  kind: 'plan',
  caller: { kind: 'punch', targets: [] },
  callee: { kind: 'punch', targets: [] },
  waitMs: 100,
  why: 'for the test',
  expected
})

test("what both networks were waited for is no strategy's time", async t => {
  const record = recorded({
    turns: [
      ['direct', 'passed', 500],
      ['relay', 'path', 40]
    ]
  })
  const known = record.startMs + 499
  const spans = record.spans.map(span => (span.name === 'postern.profile' ? { ...span, startMs: known } : span))
  const { inVainMs } = await replay({ ...record, spans }, [])
  t.true(inVainMs > 0 && inVainMs < 10, `${inVainMs} ms`)
})

test('a chance that was missed counts as a chance again, and helps only where it is larger than it was', async t => {
  const record = recorded({ turns: [['lottery', 'failed', 300, 0.3]] })
  const answer = async (...expected: number[]) =>
    (await replay(record, [link('lottery', () => expected.map(plan))])).answer.helps
  t.is(await answer(0.3), 'no')
  t.is(await answer(0.45), 'perhaps')
  t.is(await answer(0.3, 0.4), 'yes')
  t.is(await answer(0.01), 'no')
})

test('a path that was direct would have been found sooner, or not at all', async t => {
  const record = recorded({
    turns: [
      ['predict', 'failed', 800, 0.4],
      ['stun', 'path', 30]
    ]
  })
  const [slow, quick] = [link('predict', () => [pass('no')]), link('stun', () => [plan(1)])]
  const saved = (await replay(record, [quick, slow])).answer
  t.is(saved.helps, 'sooner')
  t.true(saved.helps === 'sooner' && Math.abs(saved.ms - 800) < 1)
  t.deepEqual((await replay(record, [slow, quick])).answer, { helps: 'no' })
  t.deepEqual((await replay(record, [slow])).answer, { helps: 'missing', winner: 'stun' })
})

test('what came of the path later is not asked again: searches change nothing of the answer', async t => {
  const record = recorded({ caller: { mapped: { address: '198.51.100.10', port: 1 } }, turns: relayed })
  const { spans } = recorded({ caller: { profile: { hidden: true } }, turns: [['spray', 'failed', 900, 0.5]] })
  const search = { id: 'search', name: 'postern.again', startMs: 0, endMs: 0, attributes: {}, events: [] }
  const later = spans.slice(1).map(span => ({ ...span, ...(span.parent === spans[0]?.id ? { parent: 'search' } : {}) }))
  const strategies = [await linkOf(stun), await linkOf(relay)]
  const longer = { ...record, spans: [...record.spans, search, ...later] }
  t.deepEqual(await replay(longer, strategies), await replay(record, strategies))
})

test('the scene is the one that was recorded', async t => {
  const seen: Scene[] = []
  const looks = link('looks', scene => {
    seen.push(scene)
    return [pass('only looking')]
  })
  const atMs = nowMs()
  const mapped = { address: '198.51.100.10', port: 40_010 }
  const via = { address: '203.0.113.2', port: 3479 }
  const gateway = { address: '203.0.113.1', port: 3478 }
  const caller: SideSpec = {
    mapped,
    gateway,
    port: 12_010,
    addresses: [{ address: '10.0.0.2', prefix: 24 }],
    rttMs: 12.5,
    probes: 321,
    profile: {
      mapping: 'address-dependent',
      filtering: 'unknown',
      remaps: true,
      addresses: [mapped.address],
      samples: [
        { via, primary: false, mapped: { ...mapped, port: 40_011 }, atMs, sinceMs: atMs },
        { via: gateway, primary: true, mapped, atMs, sinceMs: atMs }
      ]
    },
    observations: [
      { address: mapped.address, port: 40_000, atMs: atMs - 1000, localPort: 12_009 },
      { address: mapped.address, port: 40_010, atMs: atMs - 10, localPort: 12_010, unseen: 3 }
    ]
  }
  await replay(recorded({ caller, turns: relayed }), [looks])
  const side = seen[0]?.caller
  t.like(side, { name: 'ann', mapped, gateway, port: 12_010, rttMs: 12.5, probes: 321 })
  t.deepEqual(side?.addresses, [{ address: '10.0.0.2', prefix: 24 }])
  t.like(side?.profile, { mapping: 'address-dependent', filtering: 'unknown', translated: true, remaps: true })
  t.deepEqual(
    side?.profile.samples.map(({ primary }) => primary),
    [false, true]
  )
  t.deepEqual(
    side?.observations.map(({ port, localPort, unseen }) => [port, localPort, unseen]),
    [
      [40_000, 12_009, undefined],
      [40_010, 12_010, 3]
    ]
  )
  const [one, other] = side?.observations ?? []
  t.true(Math.abs((other?.atMs ?? 0) - (one?.atMs ?? 0) - 990) < 1)
  t.is(seen[0]?.callee.name, 'bob')
})

/** A socket's four mappings of a NAT that counts by two. */
const stepping = (name: 'caller' | 'callee', from: number, localPort: number, atMs: number): Side => {
  const address = '198.51.100.10'
  const observations = [0, 1, 2, 3].map(n => ({ address, port: from + 2 * n, atMs: atMs - 4 + n, localPort }))
  const strict = 'address-and-port-dependent'
  const allocation = { kind: 'stepping', confidence: 1, evidence: '', step: 2 } as const
  return sideOf(name, {
    mapped: { address, port: from },
    port: localPort,
    observations,
    profile: { mapping: strict, filtering: strict, assignment: allocation }
  })
}

test('a wish for samples is granted with those that were recorded next, and then as if the last were made just then', async t => {
  const atMs = nowMs()
  const wishes: [port: number | undefined, ageMs: number][] = []
  const wishful = link('wishful', function* (scene) {
    for (let round = 0; round < 3; round++) {
      yield { kind: 'sample', sides: ['caller'] }
      const last = scene.caller.observations.at(-1)
      wishes.push([last?.port, scene.atMs - (last?.atMs ?? 0)])
    }
  })
  const record = recorded({
    caller: stepping('caller', 40_000, 12_000, atMs - 5000),
    later: [[stepping('caller', 41_000, 12_001, atMs - 3000), sideOf('callee')]],
    turns: relayed
  })
  await replay(record, [wishful])
  t.deepEqual(wishes, [
    [41_006, 0],
    [41_006, 0],
    [41_006, 0]
  ])
})

test('a NAT that counts, relayed without predict: predict would have helped, as it would have then', async t => {
  const callee = { profile: { filtering: 'address-and-port-dependent' } } as const
  const record = recorded({ caller: stepping('caller', 40_000, 12_000, nowMs() - 5000), callee, turns: relayed })
  const links = [await linkOf(stun), await linkOf(predict), await linkOf(spray), await linkOf(relay)]
  const found = await replay(record, links)
  t.deepEqual(found.strategies[0]?.now.tries, [], 'stun passes')
  t.true((found.strategies[1]?.probability ?? 0) > 0.9)
  t.is(found.answer.helps, 'yes')
})

test('a request that ended before both networks were observed cannot be asked again, and says so', async t => {
  const record = recorded({ observed: false })
  await t.throwsAsync(replay(record, []), {
    code: 'bad-config',
    message: /before both networks were observed.*no-path: so it was/
  })
  const old = record.spans.map(span => ({ ...span, name: 'postern.profile', attributes: { 'postern.side': 'caller' } }))
  await t.throwsAsync(replay({ ...record, spans: old }, []), {
    code: 'bad-config',
    message: /another version of postern/
  })
})

test('that addresses were cut to their subnets is told', async t => {
  const at = (address: string): SideSpec => ({ mapped: { address, port: 40_000 } })
  const masked = async (...[one, other]: [string, string]) =>
    (await replay(recorded({ caller: at(one), callee: at(other), turns: relayed }), [])).masked
  t.true(await masked('198.51.100.0', '203.0.113.0'))
  t.false(await masked('198.51.100.0', '203.0.113.10'))
})

test('values of any sort in the attributes of a profile break nothing', async t => {
  const record = recorded({ turns: relayed })
  const odd = [null, -1, 'x', [], [null, 'x y z'], { a: 1 }, '198.51.100.1:99999']
  for (const value of odd)
    for (const name of [
      'mapped',
      'port',
      'links',
      'rtt',
      'observed',
      'mapping',
      'translated',
      'probes_left',
      'allocation'
    ]) {
      const spans = record.spans.map(span =>
        span.name === 'postern.profile'
          ? { ...span, attributes: { ...span.attributes, [`postern.${name}`]: value } }
          : span
      )
      const found = await replay({ ...record, spans }, [await linkOf(stun), await linkOf(direct)]).catch(error => error)
      t.true('answer' in found || found.code === 'bad-config', `${name} ${JSON.stringify(value)}: ${found}`)
    }
})
