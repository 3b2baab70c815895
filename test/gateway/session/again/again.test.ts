import test from 'ava'
import { Sessions } from '../../../../src/gateway/session/sessions.ts'
import type { Strategy } from '../../../../src/strategy/turn.ts'
import { otherSide, type SideName } from '../../../../src/wire/side.ts'
import type { Continues, FromGateway, Message } from '../../../../src/wire/signal.ts'
import { nothingDone } from '../../../hand-made.ts'
import { until } from '../../../until.ts'
import { Hand, Home, pair, planOf, socket } from '../made.ts'

const at = { address: '192.0.2.9', port: 9 }
const splice = { kind: 'splice', target: at } as const
const relayed = planOf({ caller: splice, callee: splice, limits: { perSession: 8000, perPeer: 8000, total: 8000 } })

const straight: Strategy = { name: 'straight', planner: { plan: () => [planOf()] }, lastResort: false }
const relay: Strategy = { name: 'relay', planner: { plan: () => [relayed] }, lastResort: true }

/** What the two peers do with an order of a strategy. */
type Answer = 'opened' | 'failed' | 'silence'

/** Two peers that are connected, over the relay unless another is said, and can be told how to answer from then on. */
async function connected(home: Home, { first = relay, strategies = [straight, relay], peers = 10 } = {}) {
  const sessions = new Sessions(home, { sessions: 100, sessionsPerPeer: 100, peers })
  const { caller, callee } = pair(home)
  const answers: Record<string, Answer> = { [first.name]: 'opened' }
  home.onTold = ({ peer, message }) => {
    if (message.type !== 'order') return
    const { session, plan, by } = message
    const answer = answers[by] ?? 'failed'
    const report = nothingDone
    if (answer === 'opened') sessions.receive(peer, { type: 'opened', session, plan, local: at, remote: at, report })
    if (answer === 'failed')
      sessions.receive(peer, { type: 'failed', session, plan, code: 'timeout', reason: 'in vain', report })
  }
  home.strategies = [first]
  sessions.connect({ caller, callee, request: 0 })
  const { session } = await until(() => home.heard('path')[0])
  await until(() => sessions.counters.won[first.name] === 1)
  home.strategies = strategies
  let number = 0
  /** Asks for another path; each side has a warm socket again. */
  const again = (only: Continues['only'], by: SideName = 'caller', more: Partial<Continues> = {}) => {
    const members = { caller, callee }
    number++
    for (const [index, peer] of [caller, callee].entries()) {
      peer.warmed(socket(number))
      home.observer.sees(peer, number, `192.0.2.${index + 1}`)
    }
    const [from, to] = [members[by], members[otherSide(by)]]
    const continues = { session, peer: to.id, only, ...more }
    sessions.connect({ caller: from, callee: to, request: number, continues })
    return home.heard('session').at(-1)?.session ?? ''
  }
  const over = () => {
    const { relay, direct } = sessions.counters.again
    return relay.moved + relay.failed + direct.moved + direct.failed
  }
  /** The caller leaves all of them: an order that nobody answers would be waited for. */
  const end = () => {
    for (const { session } of home.heard('session'))
      sessions.receive(caller.id, { type: 'leave', session, code: 'io', reason: 'that was all' })
  }
  return { sessions, caller, callee, session, answers, again, over, end }
}

const orders = (home: Home, session: string) =>
  home.heard('order').filter((message: Message<FromGateway, 'order'>) => message.session === session)

const spansNamed = ({ spans }: Home, name: string) => spans.filter(span => span.name === name)

test('a lost path is followed by the relay alone, and a relayed one by all but the relay', async t => {
  using home = new Home()
  const { again, answers, over, sessions } = await connected(home)
  const down = again('relay')
  await until(() => over() === 1)
  t.deepEqual([...new Set(orders(home, down).map(({ by }) => by))], ['relay'])
  answers.straight = 'opened'
  const up = again('direct', 'callee')
  await until(() => over() === 2)
  t.deepEqual([...new Set(orders(home, up).map(({ by }) => by))], ['straight'])
  t.deepEqual(
    home.heard('path').map(({ kind, by }) => [kind, by]),
    [
      ['relay', 'relay'],
      ['relay', 'relay'],
      ['relay', 'relay'],
      ['relay', 'relay'],
      ['direct', 'straight'],
      ['direct', 'straight']
    ]
  )
  t.like(sessions.counters.again, {
    relay: { started: 1, moved: 1, failed: 0 },
    direct: { started: 1, moved: 1, failed: 0 }
  })
})

test('both sides are told which connection another path is for', async t => {
  using home = new Home()
  const { again, over, session, caller, callee } = await connected(home)
  const search = again('relay', 'callee')
  await until(() => over() === 1)
  const told = home.told.filter(({ message }) => message.type === 'session' && message.session === search)
  t.deepEqual(
    told.map(
      ({ peer, message }) => message.type === 'session' && [peer, message.role, message.peer.id, message.continues]
    ),
    [
      [callee.id, 'caller', caller.id, session],
      [caller.id, 'callee', callee.id, session]
    ]
  )
  t.false('continues' in (home.heard('session')[0] ?? {}))
})

test('where the operator has no strategy of the kind, a search is refused at once and begins nothing', async t => {
  using home = new Home()
  const { again, sessions } = await connected(home)
  home.strategies = [relay]
  t.throws(() => again('direct'), { code: 'no-path', message: /no strategy but the relay/ })
  home.strategies = [straight]
  t.throws(() => again('relay'), { code: 'no-path', message: /has no relay/ })
  t.like(sessions.counters.again, { relay: { started: 0 }, direct: { started: 0 } })
  t.is(sessions.size, 1, 'the relayed connection alone')
})

test('a strategy of any name that plans for the relay finds no direct path', async t => {
  using home = new Home()
  const sly: Strategy = { name: 'sly', planner: { plan: () => [relayed] }, lastResort: false }
  const { again, over, sessions } = await connected(home, { strategies: [sly] })
  const search = again('direct')
  await until(() => over() === 1)
  t.deepEqual(orders(home, search), [])
  t.is(sessions.counters.again.direct.failed, 1)
})

test('a search in the background plans with a tenth of the probes, and what is refused of it is counted apart', async t => {
  using home = new Home()
  const left: number[] = []
  const guess = (ports: number) => ({
    ...{ kind: 'punch' as const, targets: [], probes: ports },
    guesses: [{ address: '192.0.2.2', ports: Array.from({ length: ports }, (_, port) => port + 1) }]
  })
  const greedy: Strategy = {
    name: 'greedy',
    planner: {
      *plan({ caller, callee }) {
        left.push(caller.probes, callee.probes)
        yield planOf({ caller: guess(50), callee: { kind: 'punch', targets: [at] } })
      }
    },
    lastResort: false
  }
  const { again, over, sessions } = await connected(home, { strategies: [greedy, relay] })
  const search = again('direct')
  await until(() => over() === 1)
  t.deepEqual(left, [36, 36], 'of 400 at an address')
  t.deepEqual(orders(home, search), [])
  t.like(home.budget, { refused: 0, refusedInBackground: 1 })
  t.is(sessions.counters.again.direct.failed, 1)
  home.strategies = [greedy]
  again('direct')
  await until(() => over() === 2)
  t.deepEqual(left.slice(2, 4), [100, 100], 'without a relay the path was lost, and that is no background')
})

test('a connection has one search at a time: the other side is told that it has been asked for', async t => {
  using home = new Home()
  const { again, answers, sessions, end } = await connected(home)
  answers.straight = 'silence'
  again('direct')
  t.throws(() => again('direct', 'callee'), {
    code: 'io',
    message: /^ann has asked for another path of this connection already/
  })
  t.throws(() => again('direct'), { code: 'io', message: /^ann has asked/ })
  t.notThrows(() => again('direct', 'caller', { session: 'f'.repeat(16) }), 'another connection of the same two')
  t.is(sessions.counters.again.direct.started, 2)
  end()
})

test('a lost path is more urgent than a better one: the relay takes the place of a search for a direct path', async t => {
  using home = new Home()
  const { again, answers, over, sessions, end } = await connected(home)
  answers.straight = 'silence'
  const up = again('direct')
  await until(() => orders(home, up).length === 2)
  again('relay', 'callee')
  await until(() => over() === 2)
  t.like(sessions.counters.again, { relay: { moved: 1, failed: 0 }, direct: { moved: 0, failed: 1 } })
  const [ended] = home.heard('over').filter(({ session }) => session === up)
  t.like(ended, { code: 'io' })
  t.regex(ended?.reason ?? '', /the relay is asked for/)
  t.notThrows(() => again('direct'), 'nothing is under way any more')
  end()
})

test('searches take seats, and count among no requests', async t => {
  using home = new Home()
  const { again, over, sessions, caller, callee } = await connected(home)
  again('direct')
  await until(() => over() === 1)
  t.like(sessions.counters, { started: 1, failed: 0, refused: 0, won: { relay: 1 } })
  const few = new Sessions(home, { sessions: 1, sessionsPerPeer: 8, peers: 8 })
  few.connect({ caller: new Hand('carol'), callee: new Hand('dave'), request: 0 })
  const continues = { session: 'f'.repeat(16), peer: callee.id, only: 'direct' } as const
  t.throws(() => few.connect({ caller, callee, request: 1, continues }), { code: 'relay-full' })
  t.is(few.counters.refused, 0)
})

test('a connection that was moved ends its old relay only when a side leaves that, and keeps the new one', async t => {
  using home = new Home()
  const { again, over, sessions, session, caller } = await connected(home)
  const moved = again('relay')
  await until(() => over() === 1)
  t.is((await home.relay.totals()).sessions, 2)
  sessions.receive(caller.id, { type: 'leave', session, code: 'io', reason: 'moved' })
  await until(async () => (await home.relay.totals()).sessions === 1)
  t.truthy(sessions.get(moved)?.relayed)
  sessions.receive(caller.id, { type: 'leave', session: moved, code: 'io', reason: 'that was all' })
  await until(async () => (await home.relay.totals()).sessions === 0)
  t.is(sessions.size, 0)
})

test('a search is recorded beneath the request that made the connection, direct or relayed, in its trace', async t => {
  for (const first of [straight, relay]) {
    using home = new Home()
    const { again, over } = await connected(home, { first })
    const search = again('relay')
    await until(() => over() === 1)
    const [root] = spansNamed(home, 'postern.connect')
    const [span] = spansNamed(home, 'postern.again')
    t.is(span?.parent, root?.id ?? 'none')
    t.like(span?.attributes, {
      'postern.only': 'relay',
      'postern.asker': 'caller',
      'postern.outcome': first === relay ? 'path' : 'failed'
    })
    const traces = new Set(home.heard('session').map(({ trace }) => trace))
    t.is(traces.size, 1)
    t.true(orders(home, search).length > 0)
  }
})

test('whoever asks, the sides in the trace are those of the connection', async t => {
  using home = new Home()
  const { again, over } = await connected(home)
  again('direct', 'callee')
  await until(() => over() === 1)
  const [search] = spansNamed(home, 'postern.again')
  t.like(search?.attributes, { 'postern.caller': 'ann', 'postern.callee': 'bob', 'postern.asker': 'callee' })
  const below = home.spans.slice(home.spans.findIndex(({ name }) => name === 'postern.connect') + 1)
  const mapped = below
    .filter(({ name }) => name === 'postern.profile')
    .map(({ attributes }) => [attributes['postern.side'], attributes['postern.mapped']])
  t.deepEqual(mapped.toSorted(), [
    ['callee', '192.0.2.2:4001'],
    ['caller', '192.0.2.1:4001']
  ])
})

test('eight searches are recorded with their steps, more of them in outline, and then they are only counted', async t => {
  using home = new Home()
  const { again, over, sessions } = await connected(home)
  const profiles = () => spansNamed(home, 'postern.profile').length
  const before = profiles()
  for (let count = 1; count <= 70; count++) {
    again('direct', count % 2 ? 'caller' : 'callee')
    await until(() => over() === count)
  }
  t.is(profiles() - before, 16)
  t.is(spansNamed(home, 'postern.again').length, 64)
  t.is(sessions.counters.again.direct.failed, 70)
  const traces = new Set(home.heard('session').map(({ trace }) => trace))
  t.is(traces.size, 1, 'peers are told the trace all the same')
})

test('the search for a connection that is not known is a record of its own, in the trace that its peer names', async t => {
  using home = new Home()
  const sessions = new Sessions(home, { sessions: 10, sessionsPerPeer: 10, peers: 10 })
  const { caller, callee } = pair(home)
  home.strategies = [straight]
  home.onTold = ({ peer, message }) => {
    if (message.type !== 'order') return
    const { session, plan } = message
    sessions.receive(peer, { type: 'opened', session, plan, local: at, remote: at, report: nothingDone })
  }
  const trace = 'a'.repeat(32)
  const continues = { session: 'f'.repeat(16), peer: caller.id, only: 'direct' } as const
  const asked = { caller: callee, callee: caller, request: 0, traceparent: `00-${trace}-${'b'.repeat(16)}-01` }
  sessions.connect({ ...asked, continues })
  await until(() => sessions.counters.again.direct.moved === 1)
  const [search] = spansNamed(home, 'postern.again')
  t.is(search?.attributes['postern.continues'], continues.session)
  t.is(search?.attributes['postern.asker'], undefined, 'nobody knows who had called')
  t.is(home.heard('session')[0]?.trace, trace)
  sessions.news(caller, { type: 'news', session: continues.session, what: 'moved', kind: 'direct' })
  t.is(spansNamed(home, 'postern.change')[0]?.parent, search?.id ?? 'none', 'what comes later stands beneath it')
})

test('nobody gets into the trace of a connection that is not theirs', async t => {
  using home = new Home()
  const { session, sessions, caller } = await connected(home)
  const eve = new Hand('eve')
  eve.warmed(socket(0))
  home.observer.sees(eve, 0, '192.0.2.3')
  caller.warmed(socket(9))
  home.observer.sees(caller, 9, '192.0.2.1')
  sessions.connect({ caller: eve, callee: caller, request: 0, continues: { session, peer: caller.id, only: 'direct' } })
  await until(() => sessions.counters.again.direct.failed === 1)
  t.is(spansNamed(home, 'postern.again')[0]?.parent, undefined)
  sessions.news(eve, { type: 'news', session, what: 'lost' })
  sessions.news(eve, { type: 'news', session: '0'.repeat(16), what: 'lost' })
  t.deepEqual(spansNamed(home, 'postern.change'), [])
  t.is(sessions.counters.again.news.foreign, 2)
})
