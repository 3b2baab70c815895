// Two peers whose UDP does not reach the gateway: it tells them an address where nobody is.

import test, { type ExecutionContext } from 'ava'
import type { Connection } from '../../../src/peer/connection/connection.ts'
import type { PeerOptions } from '../../../src/peer/peer.ts'
import { ping } from '../../../src/peer/services/ping.ts'
import { endNative } from '../../end-native.ts'
import { until } from '../../until.ts'
import { World } from '../../world.ts'
import { Forwarder } from './forwarder.ts'

test.after.always(endNative)

const blocked = { addresses: ['127.0.0.1'], told: ['127.0.0.9'] } as const

test('two peers whose UDP is blocked are connected by TCP, and the trace and the verdict say why', async t => {
  await using world = await World.open(blocked)
  const { connection, ms } = await connected(world)
  t.like(connection.path, { kind: 'relay', by: 'relay', door: 'tcp' })
  t.true(ms < 3000, `${ms} ms`)
  await works(t, connection)
  const { doors } = await world.gateway.status()
  t.deepEqual(doors.latched, { udp: 0, tcp: 2, websocket: 0 })
  const trace = await world.trace(connection.path.trace)
  t.is(trace.path, 'relay')
  const relayed = trace.spans.find(({ name }) => name === 'postern.relay')
  t.like(relayed?.attributes, { 'postern.caller.door': 'tcp', 'postern.callee.door': 'tcp' })
  const turns = trace.spans.filter(({ name }) => name === 'postern.plugin')
  t.deepEqual(
    turns.map(({ attributes }) => attributes['postern.reason']),
    ['UDP of ann and bob is blocked', 'UDP of ann and bob is blocked', 'every other strategy passed or failed']
  )
  t.is(trace.verdict.code, 'gateway-ports')
  t.regex(trace.verdict.evidence.join(), /answers by tcp in \d+ ms/)
  await connection.close()
  await until(async () => (await world.gateway.status()).doors.tcp.open === 0)
})

test('where something in front of the gateway passes nothing but HTTP, it is a WebSocket', async t => {
  await using world = await World.open(blocked)
  await using way = await Forwarder.open(['frames'])
  way.target = world.gateway.http.port
  const { connection } = await connected(world, { gateway: way.url })
  t.like(connection.path, { kind: 'relay', door: 'websocket' })
  await works(t, connection)
  t.deepEqual((await world.gateway.status()).doors.latched, { udp: 0, tcp: 0, websocket: 2 })
})

test('a connection lives through its door being cut, again and again, on both sides', async t => {
  await using world = await World.open(blocked)
  await using way = await Forwarder.open()
  way.target = world.gateway.http.port
  const { connection } = await connected(world, { gateway: way.url })
  for (let round = 0; round < 3; round++) {
    t.is(way.cut('frames'), 2)
    await works(t, connection)
    await until(async () => (await world.gateway.status()).doors.latched.tcp === 2)
  }
  const trace = await world.trace(connection.path.trace)
  t.true(trace.spans.some(({ name, attributes }) => name === 'postern.change' && attributes['postern.door'] === 'tcp'))
})

test('where TCP is closed for good in mid-connection, the WebSocket takes its place', async t => {
  await using world = await World.open(blocked)
  await using way = await Forwarder.open()
  way.target = world.gateway.http.port
  const { connection } = await connected(world, { gateway: way.url })
  way.closed.add('frames')
  way.cut('frames')
  await works(t, connection)
  t.deepEqual((await world.gateway.status()).doors.latched, { udp: 0, tcp: 0, websocket: 2 })
})

test('where no door opens either, the error says what was tried', async t => {
  await using world = await World.open(blocked)
  await using way = await Forwarder.open(['frames', 'relay'])
  way.target = world.gateway.http.port
  const error = await t.throwsAsync(connected(world, { gateway: way.url }), { code: 'udp-blocked' })
  t.regex(error?.message ?? '', /over UDP; no door of its relay opens: TCP 127\.0\.0\.1:\d+ \(.*\), ws:.*\/relay \(/)
})

async function connected(
  world: World,
  options: Partial<PeerOptions> = {}
): Promise<{ connection: Connection; ms: number }> {
  await world.join('bob', options)
  const ann = await world.join('ann', options)
  const startMs = performance.now()
  const connection = await ann.connect({ name: 'bob' })
  return { connection, ms: performance.now() - startMs }
}

async function works(t: ExecutionContext, connection: Connection): Promise<void> {
  const { avgMs } = await ping(connection, { count: 5, intervalMs: 1 })
  t.true(avgMs > 0)
}
