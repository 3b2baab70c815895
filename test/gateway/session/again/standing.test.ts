import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { nowMs } from '../../../../src/clock.ts'
import { Connections, type ConnectionsOptions } from '../../../../src/gateway/session/again/standing.ts'
import { recorder } from '../../../trace/recorder.ts'
import { Hand } from '../made.ts'

const id = '00112233445566aa'
const root = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 }

function standing(options: Partial<ConnectionsOptions> = {}) {
  const { tracer, spans } = recorder()
  const connections = new Connections(tracer, { max: 10, isJoined: () => true, ...options })
  const [caller, callee] = [new Hand('ann'), new Hand('bob')]
  connections.begin(id, { caller, callee }, root)
  return { connections, spans, caller, callee }
}

const news = { type: 'news', session: id } as const

test('what a side tells is recorded beneath the root of its connection, with all that it tells', t => {
  const { connections, spans, caller, callee } = standing()
  connections.news(caller, { ...news, what: 'lost', kind: 'direct', ms: 1200, reason: 'nothing was heard' })
  connections.news(callee, {
    ...news,
    what: 'resumed',
    seen: 'there',
    kind: 'relay',
    door: 'udp',
    ms: 140,
    resentBytes: 9
  })
  t.deepEqual(
    spans.map(({ name, parent }) => [name, parent]),
    [0, 1].map(() => ['postern.change', root.spanId])
  )
  t.deepEqual(spans[0]?.attributes, {
    'postern.change': 'lost',
    'postern.side': 'caller',
    'postern.told_by': 'caller',
    'postern.reason': 'nothing was heard',
    'postern.path': 'direct',
    'postern.silence': 1200
  })
  t.deepEqual(spans[1]?.attributes, {
    'postern.change': 'resumed',
    'postern.side': 'caller',
    'postern.told_by': 'callee',
    'postern.path': 'relay',
    'postern.door': 'udp',
    'postern.pause': 140,
    'postern.resent': 9
  })
})

test('what a side repeats of the same moment is recorded once', t => {
  const { connections, spans, caller, callee } = standing()
  const atMs = nowMs()
  for (let time = 0; time < 3; time++) connections.news(caller, { ...news, what: 'lost', atMs })
  connections.news(callee, { ...news, what: 'lost', atMs })
  connections.news(caller, { ...news, what: 'resumed', atMs })
  connections.news(caller, { ...news, what: 'lost', atMs: atMs + 1 })
  t.is(spans.length, 4)
  t.is(connections.counters.told, 4)
})

test('when it happened is told on the gateway’s clock, not before there was a path, and not after it was told', t => {
  const { connections, spans, caller } = standing()
  const beganMs = nowMs()
  caller.keepsTime({ offsetMs: 3_600_000, uncertaintyMs: 1 })
  for (const atMs of [0, nowMs() - 3_600_000, nowMs() + 1e9]) connections.news(caller, { ...news, what: 'lost', atMs })
  for (const { startMs } of spans) t.true(startMs >= beganMs - 1000 && startMs <= nowMs(), `${startMs - beganMs}`)
})

test('each side has thirty-two moments in the trace, and the rest are counted', t => {
  const { connections, spans, caller, callee } = standing()
  for (let count = 0; count < 40; count++) connections.news(caller, { ...news, what: 'lost' })
  connections.news(callee, { ...news, what: 'lost' })
  t.is(spans.length, 33)
  t.like(connections.counters, { told: 33, unrecorded: 8, foreign: 0 })
})

test('a connection is forgotten when both sides have told its end', t => {
  const { connections, caller, callee } = standing()
  connections.news(caller, { ...news, what: 'ended' })
  t.is(connections.size, 1)
  connections.news(callee, { ...news, what: 'ended' })
  t.is(connections.size, 0)
  connections.news(callee, { ...news, what: 'ended' })
  t.is(connections.counters.foreign, 1)
})

test('a connection is remembered while one of its sides is joined, and forgotten once both have been away for long', async t => {
  const joined = new Set(['ann', 'bob', 'carol'])
  const { connections, caller, callee } = standing({ isJoined: id => joined.has(id), awayMs: 1 })
  let count = 0
  /** Others connect, and meanwhile it is looked who is there. */
  const others = async () => {
    await sleep(3)
    connections.begin(`${++count}`.padStart(16, '0'), { caller: new Hand('carol'), callee }, root)
  }
  const isKnown = () => connections.find(id, caller, callee) !== undefined
  joined.delete('ann')
  for (let times = 0; times < 3; times++) await others()
  t.true(isKnown(), 'bob is there')
  joined.delete('bob')
  await others()
  t.true(isKnown(), 'both may be changing their network')
  joined.add('ann')
  await others()
  joined.delete('ann')
  await others()
  t.true(isKnown(), 'one had come back')
  await others()
  t.false(isKnown())
  t.is(connections.size, count)
})

test('so many connections are remembered, and the one that nothing was heard of for longest goes first', t => {
  const { connections, caller, callee } = standing({ max: 2 })
  connections.begin('2'.repeat(16), { caller, callee }, root)
  connections.news(caller, { ...news, what: 'lost' })
  connections.begin('3'.repeat(16), { caller, callee }, root)
  t.deepEqual(
    [id, '2'.repeat(16), '3'.repeat(16)].map(one => connections.find(one, caller, callee) !== undefined),
    [true, false, true]
  )
})

test('a connection that is known cannot be claimed by others', t => {
  const { connections, caller, callee } = standing()
  const [eve, mallory] = [new Hand('eve'), new Hand('mallory')]
  connections.begin(id, { caller: eve, callee: mallory }, { ...root, spanId: 'c'.repeat(16) })
  t.is(connections.find(id, eve, mallory), undefined)
  t.is(connections.find(id, caller, eve), undefined)
  t.like(connections.find(id, callee, caller), { root })
  const impostor = new Hand('ann', { fingerprint: 'another' })
  t.is(connections.find(id, impostor, callee), undefined, 'an id that somebody else has now')
  connections.news(impostor, { ...news, what: 'ended' })
  t.is(connections.counters.foreign, 1)
})
