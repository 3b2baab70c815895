// What a trace tells of real connects, and what it must never tell.

import { Socket } from 'node:dgram'
import test, { type ExecutionContext } from 'ava'
import { WebSocket } from 'ws'
import type { PosternError } from '../../../src/errors.ts'
import type { SpanRecord, TraceRecord } from '../../../src/trace/record/record.ts'
import { decode } from '../../../src/wire/stun.ts'
import { endNative } from '../../end-native.ts'
import { HandMade } from '../../hand-made.ts'
import { unlisted } from '../../trace/listed.ts'
import { until } from '../../until.ts'
import { World, type WorldSpec } from '../../world.ts'

test.after.always(endNative)

const never = `export default {
  name: 'never',
  defaults: {},
  start: () => ({ plan: () => [{ kind: 'pass', reason: 'not today' }] })
}`

/** A plan that cannot work: both sides wait for the other. */
const vain = `const nowhere = { kind: 'punch', targets: [] }
export default {
  name: 'vain',
  defaults: {},
  start: () => ({ plan: () => [{ kind: 'plan', caller: nowhere, callee: nowhere, waitMs: 50, why: 'in vain' }] })
}`

const files = { 'never.mjs': never, 'vain.mjs': vain }

/** Connects ann to bob, and gives the trace. */
async function traced(spec: WorldSpec, { traceparent }: { traceparent?: string } = {}): Promise<TraceRecord> {
  await using world = await World.open({ files, ...spec })
  return await connects(world, traceparent === undefined ? {} : { traceparent })
}

async function connects(world: World, options: { traceparent?: string } = {}): Promise<TraceRecord> {
  await world.join('bob')
  const ann = await world.join('ann')
  try {
    const connection = await ann.connect({ name: 'bob' }, options)
    await connection.ping()
    const trace = await world.trace(connection.path.trace)
    await connection.close()
    return trace
  } catch (error) {
    return await world.trace((error as PosternError).trace ?? '')
  }
}

/** The spans as a tree of names, those beneath one in the order of the alphabet. Tests of filters may be over by then. */
function tree({ spans }: Pick<TraceRecord, 'spans'>, { id, name } = spans[0] as SpanRecord): string {
  const here = spans.filter(span => span.parent === id && span.attributes['postern.test'] === undefined)
  const below = here.map(span => tree({ spans }, span))
  const own = name.replace('postern.', '')
  return below.length > 0 ? `${own}(${below.sort().join(' ')})` : own
}

function checkWhole(t: ExecutionContext, { id, spans, startMs, ms }: TraceRecord): void {
  t.regex(id, /^[0-9a-f]{32}$/)
  t.deepEqual(unlisted(spans), [])
  for (const span of spans) {
    t.true(span.endMs >= span.startMs, span.name)
    const isBefore = span.name === 'postern.join'
    t.true(isBefore || span.startMs >= startMs, `${span.name} begins within the connect`)
    // What peers tell of the path may come after there is one.
    const isLater = span.name === 'postern.change'
    t.true(isLater || span.endMs <= startMs + ms + 1, `${span.name} ends within the connect`)
  }
}

const named = ({ spans }: TraceRecord, name: string): SpanRecord[] =>
  spans.filter(span => span.name === `postern.${name}`)
const said = (spans: SpanRecord[], ...names: string[]) =>
  spans.map(span => names.map(name => span.attributes[`postern.${name}`]))

test.serial('the trace of a direct path: what was observed, the plan, and both sides of the handover', async t => {
  const trace = await traced({})
  checkWhole(t, trace)
  t.like(trace, { caller: 'ann', callee: 'bob', outcome: 'path', by: 'direct' })
  t.is(tree(trace), 'connect(join join observe plugin(plan(handover handover probe probe)) profile profile)')
  const [root] = named(trace, 'connect')
  t.is(root?.attributes['postern.path'], 'direct')
  t.is(root?.attributes['postern.verdict'], 'direct')
  t.is(root?.events[0]?.name, 'asked')
  t.deepEqual(said(named(trace, 'profile'), 'side', 'mapping', 'filtering', 'translated'), [
    ['caller', 'endpoint-independent', 'endpoint-independent', false],
    ['callee', 'endpoint-independent', 'endpoint-independent', false]
  ])
  for (const { events } of named(trace, 'profile')) t.is(events.length, 4, 'a sample of each endpoint')
  const handovers = named(trace, 'handover')
  t.deepEqual(said(handovers, 'side', 'outcome').toSorted(), [
    ['callee', 'path'],
    ['caller', 'path']
  ])
  for (const { events, attributes } of handovers) {
    t.deepEqual(
      events.map(({ name }) => name),
      ['ice', 'dtls', 'sctp']
    )
    t.is(attributes['network.peer.address'], '127.0.0.1')
  }
})

test.serial('the trace of a relayed path: the strategies before it have passed or failed, in order', async t => {
  const trace = await traced({ strategies: '[./never.mjs, ./vain.mjs, relay]' })
  checkWhole(t, trace)
  t.like(trace, { outcome: 'path', by: 'relay' })
  t.is(named(trace, 'connect')[0]?.attributes['postern.path'], 'relay')
  t.deepEqual(said(named(trace, 'plugin'), 'plugin', 'outcome', 'reason'), [
    ['never', 'passed', 'not today'],
    ['vain', 'failed', 'no answer to any probe within 50 ms'],
    ['relay', 'path', 'every other strategy passed or failed']
  ])
  t.is(named(trace, 'relay').length, 1)
  t.is(named(trace, 'plan').length, 1)
  const [relay] = named(trace, 'relay')
  const below = named(trace, 'probe').filter(({ parent }) => parent === relay?.id)
  t.is(below.length, 2)
  for (const { events } of below) t.true(events.some(({ name }) => name === 'latched'))
  for (const side of ['caller', 'callee'])
    t.regex(`${relay?.attributes[`postern.${side}.latched`]}`, /^127\.0\.0\.1:\d+$/)
})

test.serial('the trace of a failure: every strategy with its reason, and the code', async t => {
  const trace = await traced({ strategies: '[./never.mjs, ./vain.mjs]' })
  checkWhole(t, trace)
  t.like(trace, {
    outcome: 'failed',
    by: 'no-path',
    reason: 'no path to bob: never passed (not today); vain failed (no answer to any probe within 50 ms)'
  })
  t.is(tree(trace), 'connect(join join observe plugin plugin(plan(probe probe)) profile profile)')
  t.deepEqual(said(named(trace, 'probe'), 'side', 'outcome', 'code').toSorted(), [
    ['callee', 'failed', 'called-off'],
    ['caller', 'failed', 'called-off']
  ])
})

test.serial('the relay is used only where every earlier strategy has passed or failed', async t => {
  await using world = await World.open({ files, strategies: '[./never.mjs, direct, relay]' })
  await world.join('bob')
  const ann = await world.join('ann')
  for (let count = 0; count < 3; count++) await (await ann.connect({ name: 'bob' })).close()
  await until(async () => (await world.gateway.status()).sessions.won.direct === 3)
  t.is((await world.gateway.status()).sessions.won.relay, undefined)
  t.is((await world.gateway.status()).sessions.relayed, 0)
})

test.serial("the caller's own trace goes on", async t => {
  const id = '4bf92f3577b34da6a3ce929d0e0e4736'
  const trace = await traced({}, { traceparent: `00-${id}-00f067aa0ba902b7-01` })
  t.is(trace.id, id)
  t.is(trace.spans[0]?.parent, '00f067aa0ba902b7')
  checkWhole(t, trace)
})

test.serial('a relayed connection ends at the gateway when a side closes it', async t => {
  await using world = await World.open({ strategies: '[relay]' })
  await world.join('bob')
  const ann = await world.join('ann')
  const connection = await ann.connect({ name: 'bob' })
  t.is(connection.path.kind, 'relay')
  t.true((await connection.ping()) < 1000)
  t.is((await world.gateway.status()).sessions.relayed, 1)
  await connection.close()
  await until(
    async () =>
      (await world.gateway.status()).sessions.relayed === 0 && (await world.gateway.status()).sessions.now === 0
  )
  t.is((await world.gateway.status()).sessions.won.relay, 1)
})

test.serial('with addresses cut to their subnets no other one is recorded, and ports are', async t => {
  const more = 'traces: { addresses: subnet }'
  for (const strategies of ['[direct]', '[./vain.mjs, relay]', '[./vain.mjs]']) {
    const trace = await traced({ strategies, more })
    const addresses = JSON.stringify(trace).match(/\d+\.\d+\.\d+\.\d+/g) ?? []
    t.deepEqual(
      [...new Set(addresses)].filter(address => !address.endsWith('.0')),
      []
    )
    for (const span of named(trace, 'profile')) t.regex(`${span.attributes['postern.mapped']}`, /^127\.0\.0\.0:\d+$/)
    t.not(trace.verdict.code, 'unexplained')
  }
})

test.serial('no key, token, nonce, certificate or credential is in any trace, list or page', async t => {
  const secrets = new Set<string>()
  const hushed = ['key', 'probeKey', 'nonce', 'token', 'signature', 'certificate', 'ufrag', 'pwd']
  const collect = (value: unknown, name = ''): void => {
    if (typeof value === 'object' && value !== null) for (const [key, part] of Object.entries(value)) collect(part, key)
    else if (typeof value === 'string' && hushed.includes(name)) for (const form of formsOf(value)) secrets.add(form)
  }
  const { send: say } = WebSocket.prototype
  const { send } = Socket.prototype
  WebSocket.prototype.send = function (this: WebSocket, ...given: unknown[]) {
    collect(JSON.parse(String(given[0])))
    return Reflect.apply(say, this, given)
  } as typeof say
  Socket.prototype.send = function (this: Socket, ...given: unknown[]) {
    const nonce = decode(Buffer.from(given[0] as Uint8Array))?.nonce
    if (nonce) for (const form of [nonce.toString('hex'), nonce.toString('base64')]) secrets.add(form)
    return Reflect.apply(send, this, given)
  } as typeof send
  try {
    for (const strategies of ['[direct]', '[./vain.mjs, relay]', '[./vain.mjs]']) {
      await using world = await World.open({ files, strategies })
      const { id } = await connects(world)
      const refused = await turnedAway(world)
      for (const token of [world.gateway.joinToken, world.gateway.adminToken]) secrets.add(token)
      t.true(secrets.size > 20, 'there were secrets to be kept')
      const paths = ['/', '/traces', '/metrics', '/api/traces', '/api/status']
      for (const trace of [id, refused]) paths.push(`/traces/${trace}`, `/api/traces/${trace}`)
      for (const path of paths) {
        const answer = await world.api(path)
        t.is(answer.status, 200, path)
        const text = await answer.text()
        t.deepEqual(
          [...secrets].filter(secret => text.includes(secret)),
          [],
          path
        )
      }
    }
  } finally {
    WebSocket.prototype.send = say
    Socket.prototype.send = send
  }
})

/** A stranger with a token that is wrong, and may be right elsewhere. */
async function turnedAway(world: World): Promise<string> {
  const stranger = new HandMade(world.url)
  await stranger.hello({ identity: await world.identity('eve'), token: 'the-token-of-another-gateway', name: 'eve' })
  const { trace = '' } = await stranger.hears('refused')
  await stranger.closed
  return trace
}

/** As it is written, and as its bytes would be. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, 'base64')
  return [secret, bytes.toString('hex'), bytes.toString('base64url')].filter(form => form.length >= 8)
}
