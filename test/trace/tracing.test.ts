// docs/tracing.md is true: what is recorded is listed, and what is listed is recorded. Everything by hand here; what real
// peers have recorded of them is in connect.test.ts.

import { setTimeout as sleep } from 'node:timers/promises'
import { ROOT_CONTEXT } from '@opentelemetry/api'
import test from 'ava'
import { nowMs } from '../../src/clock.ts'
import { counterAttributes } from '../../src/gateway/recording/change-span.ts'
import { recordProfile } from '../../src/gateway/recording/profile-span.ts'
import { beneath, recordShowing } from '../../src/gateway/recording/step.ts'
import { nothing } from '../../src/gateway/relay/counters.ts'
import { Evidence, type Pair } from '../../src/gateway/session/evidence.ts'
import { aimAttributes } from '../../src/gateway/session/own-targets.ts'
import type { Assignment } from '../../src/nat/assignment.ts'
import type { RawSocket } from '../../src/peer/punch/raw.ts'
import type { Plan } from '../../src/strategy/plan.ts'
import type { SpanRecord } from '../../src/trace/record/record.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import type { Order } from '../../src/wire/order.ts'
import type { Report } from '../../src/wire/report.ts'
import { sideNames } from '../../src/wire/side.ts'
import { tracingDocument, upToDate } from '../../tools/tracing-tables.ts'
import { endNative } from '../end-native.ts'
import { Hand, Home, socket } from '../gateway/session/made.ts'
import { handMade } from '../gateway/signalling/room.ts'
import { FAR_MS, HandMade, nothingDone } from '../hand-made.ts'
import { sceneOf, sideOf } from '../scenes.ts'
import { until } from '../until.ts'
import { World } from '../world.ts'
import { listed, misplaced, recorded, unlisted } from './listed.ts'
import { recorder } from './recorder.ts'

test.after.always(endNative)

/** Passes, and says what its plan would have been worth. */
const careful = `export default {
  name: 'careful',
  defaults: {},
  start: () => ({ plan: () => [{ kind: 'pass', reason: 'worth too little', cause: 'unlikely', expected: 0.01 }] })
}`

/** Asks for fresh samples, and guesses ports of both sides then. */
const guesser = `export default {
  name: 'guesser',
  defaults: {},
  start: () => ({
    *plan({ caller, callee }) {
      yield { kind: 'sample', sides: ['caller'] }
      const at = ({ mapped }) => ({
        kind: 'punch',
        targets: [],
        guesses: [{ address: mapped.address, ports: [40000, 40002] }],
        probes: 50
      })
      const fixed = { expected: 0.5, label: 'twice', waitMs: 2000, why: 'it is a guess' }
      yield { kind: 'plan', caller: at(callee), callee: at(caller), ...fixed }
    }
  })
}`

const files = { 'careful.mjs': careful, 'guesser.mjs': guesser }

const report: Report = {
  steps: [
    'heard',
    'answered',
    'checked',
    'latched',
    'beside',
    'walked',
    'spent',
    'bound',
    'refused',
    'ice',
    'dtls',
    'open'
  ].map(name => [name, 1]),
  ...{
    sent: 9,
    received: 3,
    flows: 2,
    held: 1,
    sockets: 2,
    sentMs: [1, 5],
    receivedMs: [2, 4],
    heard: [{ address: '127.0.0.1', port: 9 }]
  }
}

const failed = { type: 'failed', code: 'io', reason: 'it did not work', report }

/** What is recorded of a join, a request, and its session, by the id of the trace. */
const spansOf = async (world: World, trace: string | undefined): Promise<readonly SpanRecord[]> =>
  (await until(() => world.gateway.traces.get(trace ?? '')[0])).spans

/** Guesses that fail, then a relayed path that changes and ends; another request beside it has no room. */
async function longStory(): Promise<readonly SpanRecord[]> {
  await using room = await handMade(['ann', 'bob'], {
    ...{ files, strategies: '[./careful.mjs, ./guesser.mjs, relay]' },
    more: 'limits: { sessionsPerPeer: 1 }'
  })
  const [ann, bob] = room.peers
  for (const peer of room.peers) {
    peer.say({ type: 'filtering', port: true, address: true, remaps: false })
    peer.say({ type: 'clock', offsetMs: 0, uncertaintyMs: 1 })
  }
  const raws = [await ann.warm(0, { rttMs: FAR_MS }), await bob.warm(0)] as const
  ann.say({ type: 'connect', request: 0, to: 'bob', atMs: Date.now() - 20 })
  const { session, trace } = await ann.hears('session')
  ann.say({ type: 'connect', request: 1, to: 'bob' })
  const refused = await ann.hears('refused')
  await ann.fresh(await ann.hears('sample'), 5)
  for (const peer of [ann, bob]) peer.say({ ...failed, session, plan: (await peer.hears('order')).plan })

  const { plan } = await ann.hears('order')
  const { key } = await bob.hears('session')
  const [relay] = bob.welcome.endpoints as [Endpoint]
  const latch = (raw: RawSocket) => bob.show(raw, relay, `s:${session}:callee`, Buffer.from(key, 'base64'))
  await latch(raws[1])
  for (const peer of [ann, bob]) peer.say({ type: 'opened', session, plan, local: relay, remote: relay, report })
  await bob.hears('path')
  await latch(await bob.warm(7))
  ann.say({ type: 'leave', session, code: 'io', reason: 'that was all' })
  const changes = (spans: readonly SpanRecord[]) => spans.filter(({ name }) => name === 'postern.change')
  const whole = await until(() => {
    const [record] = room.world.gateway.traces.get(trace)
    return record && changes(record.spans).length === 2 && record.spans
  })
  return [...whole, ...(await spansOf(room.world, refused.trace))]
}

/** One side fails at the relay, where the other has latched. Neither tells what its NAT lets in. */
async function relayFails(): Promise<readonly SpanRecord[]> {
  await using room = await handMade(['ann', 'bob'], { strategies: '[relay]', filtering: false })
  const [ann, bob] = room.peers
  const raws = [await ann.warm(0), await bob.warm(0)] as const
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { session, key } = await ann.hears('session')
  const { plan } = await ann.hears('order')
  const [relay] = ann.welcome.endpoints as [Endpoint]
  await ann.show(raws[0], relay, `s:${session}:caller`, Buffer.from(key, 'base64'))
  bob.say({ ...failed, report: nothingDone, session, plan })
  return await spansOf(room.world, (await ann.hears('over')).trace)
}

/** A direct path that is lost, and what becomes of it: searches that fail and one that finds the relay, and news. */
async function pathMoves(): Promise<readonly SpanRecord[]> {
  await using room = await handMade(['ann', 'bob'], { strategies: '[direct, relay]' })
  const [ann, bob] = room.peers
  for (const peer of room.peers) await peer.warm(0)
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { session, trace, peer } = await ann.hears('session')
  await bob.hears('session')
  const open = async () => {
    for (const one of [ann, bob]) {
      const { session, plan } = await one.hears('order')
      one.say({ type: 'opened', session, plan, local: at, remote: at, report: nothingDone })
    }
    for (const one of [ann, bob]) await one.hears('path')
  }
  await open()
  const news = { type: 'news', session, kind: 'direct', door: 'udp' } as const
  ann.say({ type: 'clock', offsetMs: 0, uncertaintyMs: 1 })
  await bob.warm(0) // the same socket, from another port
  await sleep(LATE_MS)
  ann.say({ ...news, what: 'lost', reason: 'nothing came', ms: 1200, askedMs: 800, mtu: 1280, atMs: nowMs() - LATE_MS })
  bob.say({ ...news, what: 'slept', ms: 6000 })
  bob.say({ ...news, what: 'resumed', back: true, ms: 100 })
  await ann.settled()
  await bob.settled()
  const again = async (who: HandMade, only: 'relay' | 'direct', number: number) => {
    for (const one of room.peers) await one.warm(number)
    const far = who === ann ? peer.id : ann.welcome.peer
    who.say({ type: 'connect', request: number, to: 'x', continues: { session, peer: far, only, mtu: 1200 } })
    const [introduced] = await Promise.all([who, who === ann ? bob : ann].map(one => one.hears('session')))
    return introduced ?? fail()
  }
  const { session: down } = await again(bob, 'relay', 1)
  await open()
  bob.say({ ...news, what: 'resumed', kind: 'relay', ms: 140, resentBytes: 9 })
  const { session: up } = await again(ann, 'direct', 2)
  await bob.hearsOf(up, 'order')
  bob.say({ type: 'leave', session: up, code: 'io', reason: 'it is enough' })
  await ann.hearsOf(up, 'over')
  ann.say({ type: 'leave', session: down, code: 'io', reason: 'that was all' })
  ann.say({ ...news, what: 'ended', code: 'path-lost' })
  return await until(() => {
    const spans = room.world.gateway.traces.get(trace)[0]?.spans ?? []
    const count = (name: string) => spans.filter(one => one.name === name).length
    return count('postern.again') === 2 && count('postern.change') === 6 && spans
  })
}

/** What is told so long after it happened is told late, in milliseconds. */
const LATE_MS = 1200

const fail = () => {
  throw new Error('nobody was introduced')
}

const at: Endpoint = { address: '127.0.0.1', port: 9 }

async function udpIsBlocked(): Promise<readonly SpanRecord[]> {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  for (const peer of [ann, bob]) peer.say({ type: 'cold', socket: 9, reason: 'dead', code: 'dead-port', port: 9 })
  await ann.warm(0)
  bob.say({ type: 'cold', socket: 0, reason: 'silence' })
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  return await spansOf(room.world, (await ann.hears('over')).trace)
}

async function joinIsRefused(): Promise<readonly SpanRecord[]> {
  await using room = await handMade(['ann'], { more: 'limits: { names: 1 }' })
  const stranger = new HandMade(room.world.url)
  const identity = await room.world.identity('eve')
  await stranger.hello({ identity, token: room.world.gateway.joinToken, name: 'eve' })
  const { trace, verdict } = await stranger.hears('refused')
  if (verdict === undefined) throw new Error('a refused join has no verdict')
  await stranger.closed
  return await spansOf(room.world, trace)
}

/** Both show their addresses to no other peer. */
async function nobodyIsShown(): Promise<readonly SpanRecord[]> {
  await using world = await World.open()
  const [ann] = await Promise.all(['ann', 'bob'].map(name => world.join(name, { relayOnly: true })))
  const connection = await ann?.connect({ name: 'bob' })
  return (await world.trace(connection?.path.trace ?? '')).spans
}

/** Ports as no NAT on loopback chooses them. */
function hardNat(): readonly SpanRecord[] {
  const { tracer, spans } = recorder()
  const range = { low: 40_000, high: 50_000 }
  const allocation: Assignment = {
    ...{ kind: 'stepping', confidence: 0.9, step: 2, driftPerSecond: 4, block: range, range, evidence: 'it steps' }
  }
  const open = { endpoint: { address: '198.51.100.1', port: 4000 }, by: 'given' } as const
  const router = { answer: 'granted', outside: '198.51.100.1' } as const
  for (const profile of [{ assignment: allocation }, { hidden: true } as const])
    recordProfile(beneath(tracer, ROOT_CONTEXT), 'caller', sideOf('caller', { profile, open, router }))
  return spans
}

/** The gateway sees neither side where it is, and one has heard the other on a link. */
async function onOneLink(): Promise<readonly SpanRecord[]> {
  using home = new Home()
  home.sources.isHidden = () => true
  const [caller, callee] = [new Hand('ann', { beacons: true }), new Hand('bob', { beacons: true })]
  for (const peer of [caller, callee]) {
    peer.warmed(socket(0))
    home.observer.sees(peer, 0, '172.17.0.1')
  }
  const tell: Pair['tell'] = (_, telling) => {
    if (telling.type === 'beacon') evidence.neighbours.heard('caller', telling)
  }
  const evidence: Evidence = new Evidence(home, { caller, callee, gone: new AbortController().signal, ask() {}, tell })
  await home.step(step => evidence.scene(step, []))
  return home.spans
}

/** An address as no gateway on loopback tells it. */
function wrongAddress(): readonly SpanRecord[] {
  const { tracer, spans } = recorder()
  const span = beneath(tracer, ROOT_CONTEXT).begin('postern.observe', {}, 0)
  const told = { code: 'wrong-family', told: '172.17.0.2' } as const
  recordShowing(span, { side: 'callee', isWarm: false, atMs: 0, reason: 'silence', ...told }, 0)
  span.end()
  return spans
}

/** What a plan aims at where both have one public address, or each other's, as no two on loopback do. */
function besideEachOther(): readonly SpanRecord[] {
  const { tracer, spans } = recorder()
  const mapped = { address: '198.51.100.7', port: 40_000 }
  const scene = sceneOf({ mapped }, { mapped })
  const order: Order = { kind: 'punch', targets: [mapped] }
  const plan: Plan = { kind: 'plan', caller: order, callee: order, waitMs: 500, why: 'it is tried' }
  for (const own of [[], sideNames])
    beneath(tracer, ROOT_CONTEXT).begin('postern.plan', aimAttributes({ plan, own }, scene), 1000).end(2000)
  return spans
}

/** A relayed path whose limits were short now and then. */
function shortOfLimits(): readonly SpanRecord[] {
  const { tracer, spans } = recorder()
  const dropped = { ...nothing().dropped, session: 3, total: 1 }
  const short = { ...nothing(), sentBytes: 90_000, delayed: 4, delayedMs: 50, dropped }
  const attributes = counterAttributes({ caller: short, callee: short })
  const step = beneath(tracer, ROOT_CONTEXT)
  step.begin('postern.change', { 'postern.change': 'ended', ...attributes }, 1000).end(1000)
  step.begin('postern.relay', attributes, 1000).end(1000)
  return spans
}

test('the tables of docs/tracing.md are those that the code goes by', t => {
  t.is(upToDate(tracingDocument()), tracingDocument(), 'run: npm run docs')
})

test('docs/tracing.md lists every span, event and attribute that is recorded, and all that it lists is recorded', async t => {
  const blocked = [udpIsBlocked(), joinIsRefused(), onOneLink(), nobodyIsShown()]
  const runs = await Promise.all([longStory(), relayFails(), pathMoves(), ...blocked])
  const spans = [...runs.flat(), ...hardNat(), ...wrongAddress(), ...besideEachOther(), ...shortOfLimits()]
  t.deepEqual(unlisted(spans), [])
  t.deepEqual(misplaced(spans), [])
  const known = recorded(spans)
  t.deepEqual(
    [...listed].filter(one => !known.has(one)),
    []
  )
})
