// What an order that is called off has come to, told all the same; and the times, sources and counts that reports have.

import test from 'ava'
import { nowMs } from '../../../src/clock.ts'
import { PosternError } from '../../../src/errors.ts'
import { Diary } from '../../../src/peer/punch/diary.ts'
import { CALLED_OFF } from '../../../src/wire/obeying.ts'
import { HEARD } from '../../../src/wire/report.ts'
import { parseFromPeer } from '../../../src/wire/signal.ts'
import { endNative } from '../../end-native.ts'
import { until } from '../../until.ts'
import { World } from '../../world.ts'
import { Far } from '../far.ts'
import { type Guest, HandMadeGateway, session } from '../hand-made-gateway.ts'

test.after.always(endNative)

/** A strategy whose plans lead to somebody who does not answer. */
const nowhere = (port: number) => `export default {
  name: 'nowhere',
  defaults: {},
  start: () => ({
    *plan() {
      const punch = { kind: 'punch', targets: [{ address: '127.0.0.1', port: ${port} }] }
      for (const why of ['once', 'again']) yield { kind: 'plan', caller: punch, callee: punch, waitMs: 3000, why }
    }
  })
}`

const fingerprint = 'AA:'.repeat(31).concat('AA')

test.serial('an order that is called off is reported, with what was heard and when', async t => {
  await using gateway = await HandMadeGateway.open()
  const { guest } = await inSession(gateway)
  await using far = await Far.open()
  const beforeMs = nowMs()
  const plan = order(guest, far)
  const [probe] = await far.has(1)
  far.probe('active', probe?.from ?? far.endpoint)
  await far.has(2)
  guest.say({ type: 'cancel', session, plan })
  const { report, ...failed } = await guest.heard('failed')
  t.deepEqual(failed, { type: 'failed', session, plan, code: CALLED_OFF, reason: 'the order was called off' })
  t.true((report.startedMs ?? 0) >= beforeMs && (report.startedMs ?? 0) <= nowMs())
  t.deepEqual(report.heard, [far.endpoint])
  t.is(report.received, 1)
  const { sentMs: [firstSentMs, lastSentMs] = never, receivedMs: [firstHeardMs, lastHeardMs] = never } = report
  t.true(0 <= firstSentMs && firstSentMs <= firstHeardMs && firstHeardMs === lastHeardMs && lastHeardMs <= lastSentMs)
})

test.serial('an order that another one replaces, or that the session ends with, is reported once', async t => {
  await using gateway = await HandMadeGateway.open()
  const { guest, peer } = await inSession(gateway)
  await using far = await Far.open()
  const plans = [order(guest, far), order(guest, far)]
  await far.has(1)
  guest.say({ type: 'over', session, code: 'io', reason: 'enough', trace: '0'.repeat(32) })
  const told = [await guest.heard('failed'), await guest.heard('failed')]
  t.deepEqual(
    told.map(({ plan, code }) => [plan, code]),
    plans.map(plan => [plan, CALLED_OFF])
  )
  await peer.close()
  await guest.closed
  t.false(guest.said.some(({ type }) => type === 'failed'))
})

test.serial('a peer that leaves tells first what its order has come to', async t => {
  await using gateway = await HandMadeGateway.open()
  const { guest, peer } = await inSession(gateway)
  await using far = await Far.open()
  const plan = order(guest, far)
  await far.has(1)
  await peer.close()
  t.like(await guest.heard('failed'), { plan, code: CALLED_OFF })
})

test.serial(
  'a request that is given up midway leaves both reports in the trace, and nothing more is tried',
  async t => {
    await using far = await Far.open()
    const files = { 'nowhere.mjs': nowhere(far.endpoint.port) }
    await using world = await World.open({ strategies: '[./nowhere.mjs]', files })
    await world.join('bob')
    const ann = await world.join('ann')
    const over = new AbortController()
    const failed = t.throwsAsync(ann.connect({ name: 'bob' }, { signal: over.signal }), { instanceOf: PosternError })
    await until(() => new Set(far.arrived.map(({ from }) => from.port)).size === 2)
    over.abort(new PosternError('timeout', 'long enough'))
    const { spans } = await world.trace((await failed)?.trace ?? '')
    t.is(spans.filter(({ name }) => name === 'postern.plan').length, 1)
    const probes = spans.filter(({ name }) => name === 'postern.probe')
    t.deepEqual(probes.map(({ attributes }) => attributes['postern.side']).sort(), ['callee', 'caller'])
    t.true(probes.every(({ attributes }) => Number(attributes['postern.sent']) > 0))
  }
)

test.serial('an order that has failed or opened is not told again when it is called off', async t => {
  await using gateway = await HandMadeGateway.open()
  const { guest, peer } = await inSession(gateway)
  await using far = await Far.open()
  const plan = guest.order(99, { kind: 'punch', targets: [far.endpoint] }, { role: 'passive', fingerprint })
  t.like(await guest.heard('failed'), { plan, code: 'stale-socket' })
  guest.say({ type: 'cancel', session, plan })
  guest.say({ type: 'over', session, code: 'io', reason: 'enough', trace: '0'.repeat(32) })
  await peer.close()
  await guest.closed
  t.false(guest.said.some(({ type }) => type === 'failed'))
})

test.serial('a connect request says when it was asked for', async t => {
  await using gateway = await HandMadeGateway.open()
  const { guest, peer } = await gateway.join('ann')
  const beforeMs = nowMs()
  const connecting = peer.connect({ name: 'bob' })
  const { request, atMs = 0 } = await guest.heard('connect')
  t.true(atMs >= beforeMs && atMs <= nowMs())
  guest.say({ type: 'refused', code: 'peer-offline', reason: 'gone', request })
  await t.throwsAsync(connecting, { message: 'gone' })
})

test('a report without a datagram names no times and no sources', t => {
  const report = new Diary().report()
  t.deepEqual(Object.keys(report).sort(), ['flows', 'received', 'sent', 'startedMs', 'steps'])
})

test('a report names the sources heard first, each once, and counts all of them', t => {
  const diary = new Diary()
  const source = (port: number) => ({ address: '192.0.2.1', port })
  for (let port = 1; port <= 20; port++) for (let time = 0; time < 2; time++) diary.hears(source(port))
  const report = diary.report()
  t.is(report.received, 40)
  t.deepEqual(
    report.heard,
    Array.from({ length: HEARD }, (_, at) => source(at + 1))
  )
  const failed = { type: 'failed', session, plan: 0, code: 'io', reason: '', report }
  t.deepEqual(parseFromPeer(JSON.stringify(failed)), failed as ReturnType<typeof parseFromPeer>)
})

const never = [Number.NaN, Number.NaN] as const

function order(guest: Guest, far: Far): number {
  return guest.order(0, { kind: 'punch', targets: [far.endpoint] }, { role: 'passive', fingerprint })
}

async function inSession(gateway: HandMadeGateway) {
  const joined = await gateway.join('bob')
  joined.guest.begin({ fingerprint })
  return joined
}
