// Reports on time, late, from other clocks, and not at all: by peers that say what they are told to say.

import { ROOT_CONTEXT } from '@opentelemetry/api'
import test from 'ava'
import { recordJoin } from '../../../src/gateway/recording/join-span.ts'
import { Step } from '../../../src/gateway/recording/step.ts'
import type { SpanRecord, TraceRecord } from '../../../src/trace/record/record.ts'
import { FAR_MS, type HandMade, nothingDone } from '../../hand-made.ts'
import { recorder } from '../../trace/recorder.ts'
import { until } from '../../until.ts'
import type { World } from '../../world.ts'
import { handMade } from '../signalling/room.ts'

const HOUR_MS = 3_600_000

/** A plan that cannot work: both sides wait for the other. */
const vain = `const nowhere = { kind: 'punch', targets: [] }
export default {
  name: 'vain',
  defaults: {},
  start: () => ({ plan: () => [{ kind: 'plan', caller: nowhere, callee: nowhere, waitMs: 50, why: 'in vain' }] })
}`
const inVain = { files: { 'vain.mjs': vain }, strategies: '[./vain.mjs]' }

const traceOf = (world: World, id: string): Promise<TraceRecord> => until(() => world.gateway.traces.get(id)[0])

const named = ({ spans }: TraceRecord, name: string): SpanRecord[] =>
  spans.filter(span => span.name === `postern.${name}`)

const beneath = ({ spans }: TraceRecord, parent: SpanRecord | undefined): SpanRecord[] =>
  spans.filter(span => span.parent === parent?.id)

const said = (spans: readonly SpanRecord[], ...names: string[]) =>
  spans.map(span => names.map(name => span.attributes[`postern.${name}`])).toSorted()

/** Obeys an order at once, as a peer whose clock is behind ours by `offsetMs`. */
async function opens(peer: HandMade, offsetMs: number): Promise<void> {
  const { session, plan } = await peer.hears('order')
  const [local, remote] = peer.welcome.endpoints
  const startedMs = Date.now() - offsetMs
  const report = {
    ...nothingDone,
    startedMs,
    steps: [
      ['heard', 0.5],
      ['bound', 1],
      ['open', 2]
    ],
    sentMs: [0, 1]
  }
  peer.say({ type: 'opened', session, plan, local, remote, report })
}

test('what peers report whose clocks are hours off lies within the plan, and the call before its arrival', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  const offsets = { caller: HOUR_MS, callee: -2 * HOUR_MS }
  ann.say({ type: 'clock', offsetMs: offsets.caller, uncertaintyMs: 2 })
  bob.say({ type: 'clock', offsetMs: offsets.callee, uncertaintyMs: 3 })
  await Promise.all([ann.warm(0), bob.warm(0)])
  await Promise.all([ann.settled(), bob.settled()])
  ann.say({ type: 'connect', request: 0, to: 'bob', atMs: Date.now() - offsets.caller - 400 })
  await Promise.all([opens(ann, offsets.caller), opens(bob, offsets.callee)])
  await ann.hears('path')
  const trace = await traceOf(room.world, (await ann.hears('session')).trace)
  const [root] = named(trace, 'connect')
  const [plan] = named(trace, 'plan')
  const parts = beneath(trace, plan)
  t.is(parts.length, 4)
  for (const { startMs, endMs, name } of parts)
    t.true(startMs >= (plan?.startMs ?? Infinity) && endMs <= (plan?.endMs ?? 0), name)
  const calledMs = (root?.events.find(({ name }) => name === 'asked')?.atMs ?? 0) - (root?.startMs ?? 0)
  t.true(calledMs >= 399 && calledMs < 5000, `${calledMs}`)
  for (const [side, offset] of Object.entries(offsets)) t.is(root?.attributes[`postern.${side}.clock.offset`], offset)
})

test('a call is dated 10 s back at most, and never later than it arrived', async t => {
  for (const [agoMs, leastMs, mostMs] of [
    [HOUR_MS, 10_000, 10_000],
    [-HOUR_MS, 0, 0]
  ] as const) {
    await using room = await handMade(['ann', 'bob'])
    const [ann] = room.peers
    ann.say({ type: 'clock', offsetMs: 0, uncertaintyMs: 0 })
    ann.say({ type: 'connect', request: 0, to: 'nobody', atMs: Date.now() - agoMs })
    const { trace = '' } = await ann.hears('refused')
    const [root] = (await traceOf(room.world, trace)).spans
    const beforeMs = Math.round((root?.events[0]?.atMs ?? 0) - (root?.startMs ?? 0))
    t.true(beforeMs >= leastMs && beforeMs <= mostMs, `${beforeMs}`)
  }
})

test('a report about a plan that was called off is recorded beneath that plan, and changes nothing else', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { session } = await bob.hears('order')
  bob.say({ type: 'failed', session, plan: 1, code: 'io', reason: 'no', report: nothingDone })
  await Promise.all([ann.hears('cancel'), ann.hears('order')])
  const late = { ...nothingDone, sent: 3, received: 1, heard: [{ address: '127.0.0.1', port: 7 }] }
  ann.say({ type: 'failed', session, plan: 1, code: 'called-off', reason: 'it was called off', report: late })
  await ann.settled()
  await Promise.all([opens(ann, 0), opens(bob, 0)])
  t.is((await ann.hears('path')).by, 'direct')
  const trace = await traceOf(room.world, (await ann.hears('session')).trace)
  const [first, second] = named(trace, 'plan')
  t.deepEqual(said(beneath(trace, first), 'side', 'outcome', 'code', 'sent'), [
    ['callee', 'failed', 'io', 0],
    ['caller', 'failed', 'called-off', 3]
  ])
  t.deepEqual(said(beneath(trace, second), 'side', 'outcome'), [
    ['callee', 'path'],
    ['callee', 'path'],
    ['caller', 'path'],
    ['caller', 'path']
  ])
})

test('a failure is judged when both sides have said what they did', async t => {
  await using room = await handMade(['ann', 'bob'], inVain)
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0, { rttMs: FAR_MS }), bob.warm(0, { rttMs: FAR_MS })])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  for (const peer of [ann, bob]) {
    const { session, plan } = await peer.hears('cancel')
    peer.say({ type: 'failed', session, plan, code: 'called-off', reason: 'it was called off', report: nothingDone })
  }
  const { trace, verdict } = await ann.hears('over')
  t.truthy(verdict)
  const record = await traceOf(room.world, trace)
  t.deepEqual(said(named(record, 'probe'), 'side', 'code'), [
    ['callee', 'called-off'],
    ['caller', 'called-off']
  ])
  t.is(record.spans[0]?.attributes['postern.verdict'], verdict?.code)
})

test('a side that is there and never reports is shown, and waited for no longer than its report may take', async t => {
  await using room = await handMade(['ann', 'bob'], inVain)
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0, { rttMs: 300 }), bob.warm(0)])
  // From before it is called off, which is told a moment later here.
  const startMs = performance.now()
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { session, plan } = await ann.hears('cancel')
  ann.say({ type: 'failed', session, plan, code: 'called-off', reason: 'it was called off', report: nothingDone })
  const { trace } = await ann.hears('over')
  const tookMs = performance.now() - startMs
  t.true(tookMs > 1000, `${tookMs} ms: a round trip, and one lost packet`)
  t.true(tookMs < 5000, `${tookMs} ms`)
  const record = await traceOf(room.world, trace)
  t.deepEqual(said(named(record, 'probe'), 'side', 'outcome', 'cause'), [
    ['callee', 'failed', 'never-obeyed'],
    ['caller', 'failed', undefined]
  ])
})

test('of a side that was lost no report is awaited, nor one that is missing recorded', async t => {
  await using room = await handMade(['ann', 'bob'], { ...inVain, strategies: '[direct]' })
  const [ann, bob] = room.peers
  await Promise.all([ann.warm(0), bob.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  await bob.hears('order')
  bob.ws.terminate()
  const { session, plan } = await ann.hears('cancel')
  ann.say({ type: 'failed', session, plan, code: 'called-off', reason: 'it was called off', report: nothingDone })
  const record = await traceOf(room.world, (await ann.hears('over')).trace)
  t.deepEqual(said(named(record, 'probe'), 'side', 'code'), [['caller', 'called-off']])
  t.deepEqual(said(named(record, 'plan'), 'cause'), [['peer-lost']])
  t.is(record.spans[0]?.attributes['postern.side'], 'callee')
})

test('a join is a part of the trace where it came shortly before the call, and of no other', t => {
  const { tracer, spans } = recorder()
  const nowMs = 1_700_000_000_000
  const arrival = { cameMs: nowMs, helloMs: nowMs + 10, warmMs: nowMs + 30 }
  for (const afterMs of [10_011, 10_009])
    recordJoin(new Step(tracer, tracer.startSpan('postern.connect', {}, ROOT_CONTEXT), ROOT_CONTEXT), {
      side: 'callee',
      peer: { name: 'bob', arrival },
      calledMs: nowMs + afterMs
    })
  t.deepEqual(
    spans.map(({ startMs, endMs, events }) => [startMs, endMs, ...events.map(({ name, atMs }) => [name, atMs])]),
    [[nowMs, nowMs + 30, ['hello', nowMs + 10], ['warm', nowMs + 30]]]
  )
})
