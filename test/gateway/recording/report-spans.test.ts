import { ROOT_CONTEXT } from '@opentelemetry/api'
import test from 'ava'
import type { Clock } from '../../../src/gateway/peers/peer-clock.ts'
import { recordReport, type Told } from '../../../src/gateway/recording/report-spans.ts'
import { beneath } from '../../../src/gateway/recording/step.ts'
import type { Report } from '../../../src/wire/report.ts'
import { recorder } from '../../trace/recorder.ts'

const HOUR_MS = 3_600_000

/** When the order left. */
const startMs = 1_700_000_000_000
const session = '0123456789abcdef'
const [local, remote] = [
  { address: '192.0.2.1', port: 1 },
  { address: '192.0.2.2', port: 2 }
]

const opened = (report: Partial<Report>): Told => ({
  ...{ type: 'opened', session, plan: 1, local, remote },
  report: { steps: [], sent: 0, received: 0, ...report }
})

const failed = (report: Partial<Report>, code = 'called-off'): Told => ({
  ...{ type: 'failed', session, plan: 1, code, reason: 'it was called off' },
  report: { steps: [], sent: 0, received: 0, ...report }
})

/** The spans of a report about an order that left 100 ms ago. */
function spansOf(told: Told, { clock, rttMs = 20 }: { clock?: Clock; rttMs?: number } = {}) {
  const { tracer, spans } = recorder()
  const leftMs = startMs
  recordReport(beneath(tracer, ROOT_CONTEXT), {
    side: 'callee',
    peer: 'bob',
    told,
    clock,
    leftMs,
    arrivedMs: leftMs + 100,
    rttMs
  })
  const at = (atMs: number | undefined) => Math.round((atMs ?? Number.NaN) - leftMs)
  return spans.map(({ name, startMs: fromMs, endMs, attributes, events }) => ({
    name: name.replace('postern.', ''),
    from: at(fromMs),
    to: at(endMs),
    attributes,
    events: events.map(event => [event.name, at(event.atMs)] as const)
  }))
}

const walk: Report['steps'] = [
  ['heard', 20],
  ['answered', 30],
  ['bound', 32],
  ['ice', 40],
  ['dtls', 50],
  ['open', 60]
]

test('an opened path is a search until the socket is let go, and a handover from then on', t => {
  const spans = spansOf(opened({ steps: walk, sent: 5, received: 2, flows: 1, sentMs: [1, 31], receivedMs: [20, 30] }))
  t.deepEqual(
    spans.map(({ name, from, to, events }) => [name, from, to, events]),
    [
      [
        'probe',
        10,
        42,
        [
          ['first_sent', 11],
          ['heard', 30],
          ['first_received', 30],
          ['answered', 40],
          ['last_received', 40],
          ['last_sent', 41]
        ]
      ],
      [
        'handover',
        42,
        70,
        [
          ['ice', 50],
          ['dtls', 60],
          ['sctp', 70]
        ]
      ]
    ]
  )
  t.like(spans[0]?.attributes, { 'postern.outcome': 'path', 'postern.sent': 5, 'postern.flows': 1 })
  t.like(spans[1]?.attributes, { 'postern.outcome': 'path', 'network.peer.address': '192.0.2.2' })
})

test('a side that gave up before it found anything has no handover, and one that failed later gave up there', t => {
  const [probe, ...none] = spansOf(failed({ sent: 9, heard: [remote] }))
  t.deepEqual(none, [])
  t.deepEqual([probe?.from, probe?.to], [10, 90], 'until its word left')
  t.like(probe?.attributes, {
    'postern.outcome': 'failed',
    'postern.code': 'called-off',
    'postern.heard': ['192.0.2.2:2']
  })
  const [found, handover] = spansOf(failed({ steps: [['bound', 5]] }, 'io'))
  t.deepEqual([found?.from, found?.to, found?.attributes['postern.outcome']], [10, 15, 'path'])
  t.deepEqual([handover?.from, handover?.to, handover?.attributes['postern.code']], [15, 90, 'io'])
})

test('steps are placed by the clock of the peer, an hour off or not', t => {
  for (const offsetMs of [0, HOUR_MS, -HOUR_MS]) {
    const startedMs = startMs - offsetMs + 30
    const clock = { offsetMs, uncertaintyMs: 1 }
    const [probe] = spansOf(failed({ startedMs, steps: [['walked', 40]] }), { clock })
    t.deepEqual([probe?.from, probe?.events[0]?.[1]], [30, 70])
  }
})

test('no claim puts a step before its order left, or after its report arrived', t => {
  const offsets = [-HOUR_MS, -8.64e15, HOUR_MS, 8.64e15]
  for (const offsetMs of offsets)
    for (const startedMs of [0, startMs, 8.64e15]) {
      const told = opened({ startedMs, steps: walk, sentMs: [0, 86_400_000], receivedMs: [86_400_000, 0] })
      const spans = spansOf(told, { clock: { offsetMs, uncertaintyMs: 0 } })
      const times = spans.flatMap(({ from, to, events }) => [from, to, ...events.map(([, atMs]) => atMs)])
      t.deepEqual(
        times.filter(atMs => !(atMs >= 0 && atMs <= 100)),
        []
      )
      for (const { from, to } of spans) t.true(from <= to)
    }
})

test('steps that nobody knows are not recorded', t => {
  const [probe] = spansOf(
    failed({
      steps: [
        ['postern', 1],
        ['__proto__', 2],
        ['heard', 3]
      ]
    })
  )
  t.deepEqual(probe?.events, [['heard', 13]])
})
