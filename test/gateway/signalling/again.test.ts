// A connection that goes on, as its peers ask for it over signalling, in a whole gateway.

import test from 'ava'
import { openLog } from '../../../src/gateway/log.ts'
import type { TraceRecord } from '../../../src/trace/record/record.ts'
import type { News } from '../../../src/wire/news.ts'
import type { Continues } from '../../../src/wire/signal.ts'
import { HandMade, nothingDone } from '../../hand-made.ts'
import { until } from '../../until.ts'
import type { World } from '../../world.ts'
import { handMade } from './room.ts'

const at = { address: '127.0.0.1', port: 9 }

/** A guest: it has no name to be called by. */
const guestOf = async (world: World) =>
  HandMade.join(world.url, {
    ...{ identity: await world.identity('guest'), token: world.gateway.joinToken, accepts: false }
  })

/** Both sides open what they are ordered to. */
async function open(...peers: readonly HandMade[]): Promise<void> {
  for (const peer of peers) {
    const { session, plan } = await peer.hears('order')
    peer.say({ type: 'opened', session, plan, local: at, remote: at, report: nothingDone })
  }
  for (const peer of peers) await peer.hears('path')
}

/** A guest is connected with bob; each can ask for another path then. */
async function connected(spec: Parameters<typeof handMade>[1] = {}) {
  const room = await handMade(['bob'], { strategies: '[direct, relay]', ...spec })
  const [bob] = room.peers
  const guest = await guestOf(room.world)
  guest.say({ type: 'filtering', port: true, address: true })
  for (const peer of [guest, bob]) await peer.warm(0)
  guest.say({ type: 'connect', request: 0, to: 'bob' })
  const { session, trace, peer } = await guest.hears('session')
  const { peer: far } = await bob.hears('session')
  await open(guest, bob)
  let number = 0
  /** Asks for another path; the members are whom the introductions named. */
  const again = async (who: HandMade, only: Continues['only'], more: object = {}) => {
    for (const one of [guest, bob]) await one.warm(++number)
    const continues = { session, peer: who === guest ? peer.id : far.id, only }
    who.say({ type: 'connect', request: number, to: 'whoever', continues, ...more })
  }
  return {
    ...{ ...room, bob, guest, session, trace, again, members: { bob: peer, guest: far } },
    tell: (who: HandMade, news: Partial<News>) => who.say({ type: 'news', session, what: 'lost', ...news }),
    record: () => room.world.gateway.traces.get(trace)[0] as TraceRecord,
    async [Symbol.asyncDispose]() {
      await guest.close()
      await room[Symbol.asyncDispose]()
    }
  }
}

const metric = async (world: World, series: string): Promise<number> => {
  const text = await (await world.api('/metrics')).text()
  const line = text.split('\n').find(one => one.startsWith(`${series} `))
  return Number(line?.split(' ').at(-1))
}

const namesOf = ({ spans }: TraceRecord) => spans.map(({ name }) => name)

test('each side is told the id of the other, and by that id also a guest is found, whatever name is said', async t => {
  await using world = await connected()
  const { bob, guest, members, again, session } = world
  t.deepEqual([members.bob.id, members.guest.id], [bob.welcome.peer, guest.welcome.peer])
  await again(bob, 'relay')
  const introduced = await guest.hears('session')
  t.like(introduced, { role: 'callee', continues: session, peer: { id: bob.welcome.peer, name: 'bob', named: true } })
  t.like(await bob.hears('session'), { role: 'caller', continues: session, peer: { named: false } })
  await open(bob, guest)
})

test('a far side that is not joined is told as such, in a sentence, and no record is made of it', async t => {
  await using world = await connected()
  const { bob, again, world: made } = world
  const traces = made.gateway.traces.counters.kept
  await again(bob, 'relay', { continues: { session: world.session, peer: 'nobody', only: 'relay' } })
  const { code, reason, trace } = await bob.hears('refused')
  t.deepEqual([code, trace], ['peer-offline', undefined])
  t.regex(reason, /^the other side of this connection is not joined now$/)
  t.is(made.gateway.traces.counters.kept, traces)
  t.is((await made.gateway.status()).sessions.again.refused, 1)
})

test('a far side with another certificate than the connection had is refused', async t => {
  await using world = await connected()
  await world.again(world.bob, 'relay', { fingerprint: Array(32).fill('AB').join(':') })
  t.is((await world.bob.hears('refused')).code, 'fingerprint-mismatch')
})

test('while one side looks, the other is told so, and may ask again when that is over', async t => {
  await using world = await connected()
  const { bob, guest, again } = world
  await again(guest, 'direct')
  const { session } = await bob.hears('session')
  await bob.hears('order')
  await again(bob, 'direct')
  const { code, reason } = await bob.hears('refused')
  t.is(code, 'io')
  t.regex(reason, /has asked for another path of this connection already/)
  bob.say({ type: 'leave', session, code: 'io', reason: 'it is enough' })
  await bob.hearsOf(session, 'over')
  await again(bob, 'relay')
  await bob.hears('session')
})

test('searches are no records in the list, and no connections in any share, and have counters of their own', async t => {
  await using world = await connected()
  const { bob, guest, again, world: made, record } = world
  await again(guest, 'relay')
  await open(guest, bob)
  await until(() => namesOf(record()).includes('postern.again'))
  t.is(made.gateway.traces.list({ limit: 10 }).length, 1)
  const status = await made.gateway.status()
  t.like(status.sessions, { started: 1, failed: 0, won: { direct: 1 } })
  t.deepEqual(status.sessions.again.relay, { started: 1, moved: 1, failed: 0 })
  t.is(await metric(made, 'postern_paths_total{kind="direct"}'), 1)
  t.is(await metric(made, 'postern_paths_total{kind="relay"}'), 0)
  t.is(await metric(made, 'postern_attempts_total{strategy="relay",outcome="path"}'), 0)
  t.is(await metric(made, 'postern_again_total{only="relay",outcome="moved"}'), 1)
})

test('the trace goes on: what became of a direct path, and the search for another one, stand in the record', async t => {
  await using world = await connected()
  const { bob, guest, again, tell, record, trace } = world
  const before = namesOf(record()).length
  tell(guest, { what: 'lost', kind: 'direct', reason: 'nothing was heard', ms: 1200 })
  await guest.settled()
  await again(bob, 'relay')
  const introduced = await guest.hears('session')
  t.is(introduced.trace, trace, 'both sides are told the same trace')
  await bob.hears('session')
  await open(bob, guest)
  tell(bob, { what: 'resumed', kind: 'relay', door: 'udp', ms: 140, resentBytes: 9 })
  await bob.settled()
  await until(() => namesOf(record()).includes('postern.again'))
  const later = record().spans.filter(({ name }) => name === 'postern.change' || name === 'postern.again')
  t.true(namesOf(record()).length > before + 3, 'with its steps')
  t.true(later.every(({ parent }) => parent === record().spans[0]?.id))
  t.is(record().path, 'direct', 'the request is what it was')
  const page = await (await world.world.api(`/traces/${trace}`, { headers: { accept: 'text/html' } })).text()
  t.regex(page, /lost after [^<]+: nothing was heard, seen by the caller; relayed after /)
})

test('after a restart of the gateway a search is a record of its own in the same trace, where its peer says which', async t => {
  const world = await connected({ more: 'traces: { file: state/traces.jsonl }' })
  const { trace, session } = world
  const made = world.world
  const ports = made.gateway.endpoints.map(({ port }) => port)
  t.is(ports.length, 4)
  await Promise.all([world.bob.close(), world.guest.close()])
  await made.gateway.close()
  await made.start()
  const joins = async (name: string) =>
    HandMade.join(made.url, { identity: await made.identity(name), token: made.gateway.joinToken, name })
  const [ann, bob] = [await joins('ann'), await joins('bob')]
  for (const peer of [ann, bob]) {
    peer.say({ type: 'filtering', port: true, address: true })
    await peer.warm(0)
  }
  ann.say({ type: 'news', session, what: 'lost' })
  const continues = { session, peer: ann.welcome.peer, only: 'relay' }
  const traceparent = `00-${trace}-${'1'.repeat(16)}-01`
  bob.say({ type: 'connect', request: 0, to: 'ann', traceparent, continues })
  await open(bob, ann)
  const records = await until(() => {
    const found = made.gateway.traces.get(trace)
    return found.length === 2 && found
  })
  t.deepEqual(
    records.map(({ spans }) => spans[0]?.name),
    ['postern.connect', 'postern.again']
  )
  t.is(records[1]?.continues, session)
  t.regex(await (await made.api(`/traces/${trace}`)).text(), /bob[^(]*ann[^(]*\(again\)/)
  t.is((await made.gateway.status()).sessions.again.news.foreign, 1)
  t.is(await metric(made, 'postern_paths_total{kind="relay"}'), 0, 'it is no new connection')
  await Promise.all([ann.close(), bob.close()])
  await made[Symbol.asyncDispose]()
})

test('news of a connection that is not theirs is ignored and counted', async t => {
  await using world = await connected()
  await using eve = await guestOf(world.world)
  world.tell(eve, { what: 'ended' })
  eve.say({ type: 'news', session: '0'.repeat(16), what: 'lost' })
  await eve.settled()
  t.like((await world.world.gateway.status()).sessions.again.news, { told: 0, foreign: 2 })
  t.false(namesOf(world.record()).includes('postern.change'))
})

test('the log has a line for each search: of which connection, what was asked for, and how it ended', async t => {
  const lines: Record<string, unknown>[] = []
  const log = openLog({ level: 'info', to: { write: text => void lines.push(JSON.parse(text)) } })
  await using world = await connected({ log })
  await world.again(world.guest, 'relay')
  await open(world.guest, world.bob)
  const line = await until(() => lines.find(({ msg }) => msg === 'search for another path ended'))
  t.like(line, {
    trace: world.trace,
    continues: world.session,
    only: 'relay',
    outcome: 'relayed',
    by: 'relay',
    callee: 'bob'
  })
  t.is(lines.filter(({ msg }) => msg === 'session ended').length, 1)
})
