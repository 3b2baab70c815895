import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { Full } from '../../../src/gateway/peers/full.ts'
import { type SpliceOptions, SpliceTable } from '../../../src/gateway/relay/splice.ts'
import type { Exit } from '../../../src/gateway/udp/listen.ts'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import { FakeTime } from './fake-time.ts'

const ann: Endpoint = { address: '203.0.113.10', port: 40000 }
const bob: Endpoint = { address: '198.51.100.20', port: 50000 }
const eve: Endpoint = { address: '192.0.2.66', port: 40000 }
const peers = { caller: 'ann', callee: 'bob' }
const limits = { perSession: 4_000_000, perPeer: 8_000_000, total: 100_000_000 }

test('what comes from one latched source goes to the other, out of the port that one latched at', t => {
  const { table, sent, port, otherPort } = spliced()
  t.true(table.forward(port, ann, Buffer.from('hello bob')))
  t.true(table.forward(otherPort, bob, Buffer.from('hello ann')))
  t.deepEqual(sent, [
    { from: 'other', to: bob, text: 'hello bob' },
    { from: 'one', to: ann, text: 'hello ann' }
  ])
})

test('a datagram from anybody else is left to the caller and goes nowhere', t => {
  const { table, sent, port, otherPort } = spliced()
  t.false(table.forward(port, eve, Buffer.from('x')))
  t.false(table.forward(port, { ...ann, port: ann.port + 1 }, Buffer.from('x')))
  t.false(table.forward(port, { ...ann, address: eve.address }, Buffer.from('x')))
  t.false(table.forward(otherPort, ann, Buffer.from('x')))
  t.deepEqual(sent, [])
})

test('a side that latches again is heard and reached at its new source alone', t => {
  const { table, sent, port, otherPort } = spliced()
  const moved = { address: '203.0.113.99', port: 41000 }
  t.true(table.latch('s', 'caller', otherPort, moved))
  t.false(table.forward(port, ann, Buffer.from('old')))
  t.true(table.forward(otherPort, moved, Buffer.from('new')))
  t.true(table.forward(otherPort, bob, Buffer.from('to you')))
  t.deepEqual(sent, [
    { from: 'other', to: bob, text: 'new' },
    { from: 'other', to: moved, text: 'to you' }
  ])
})

test('a side that latches from another source is told of, once; one that only repeats itself is not', t => {
  const moves: unknown[] = []
  const { table, otherPort } = spliced({ onRelatch: (...move) => moves.push(move) })
  const moved = { address: '203.0.113.99', port: 41000 }
  table.latch('s', 'caller', otherPort, moved)
  table.latch('s', 'caller', otherPort, moved)
  table.latch('s', 'callee', otherPort, moved)
  t.deepEqual(moves, [['s', 'caller', { ...moved, door: 'udp' }]])
})

test('what waits in the queue when a side moves goes to its new source', t => {
  const { table, sent, port, otherPort, time } = spliced()
  for (let index = 0; index < 8; index++) table.forward(port, ann, Buffer.alloc(1000))
  const before = sent.length
  const moved = { address: '198.51.100.99', port: 1 }
  table.latch('s', 'callee', otherPort, moved)
  time.advance(60)
  t.true(before < 8)
  t.true(sent.slice(before).every(({ to }) => to.address === moved.address))
  t.is(sent.length, 8)
})

test('latching the same source again changes nothing', t => {
  const { table, sent, port } = spliced()
  t.true(table.latch('s', 'caller', port, ann))
  t.true(table.forward(port, ann, Buffer.from('x')))
  t.is(sent.length, 1)
})

test('a source latched by one side is refused to every other side', t => {
  const { table, sent, port } = spliced()
  table.arm('s2', { caller: 'eve', callee: 'bob' }, limits)
  t.false(table.latch('s2', 'caller', port, ann))
  t.false(table.latch('s', 'callee', port, ann))
  table.forward(port, ann, Buffer.from('still ours'))
  t.deepEqual(sent, [{ from: 'other', to: bob, text: 'still ours' }])
  table.disarm('s')
  t.true(table.latch('s2', 'caller', port, ann))
})

test('a refused latch leaves a side where it was', t => {
  const { table, port, otherPort } = spliced()
  t.false(table.latch('s', 'callee', port, ann))
  t.true(table.forward(otherPort, bob, Buffer.from('x')))
})

test('one source may be latched at two ports by two sessions, which stay apart', t => {
  const { table, sent, port, otherPort } = spliced()
  const carol = { address: '192.0.2.3', port: 3 }
  table.arm('s2', { caller: 'ann', callee: 'carol' }, limits)
  t.true(table.latch('s2', 'caller', otherPort, ann))
  t.true(table.latch('s2', 'callee', port, carol))
  table.forward(port, ann, Buffer.from('for bob'))
  table.forward(otherPort, ann, Buffer.from('for carol'))
  t.deepEqual(
    sent.map(({ to }) => to),
    [bob, carol]
  )
})

test('a session that is not armed cannot latch', t => {
  const { table, port } = spliced()
  t.false(table.latch('unknown', 'caller', port, eve))
  t.false(table.forward(port, eve, Buffer.from('x')))
})

test('the table remembers a source by value, not by the object it was given', t => {
  const { table, sent, port } = spliced()
  const source = { ...eve }
  table.latch('s', 'caller', port, source)
  source.address = '8.8.8.8'
  table.disarm('s')
  t.false(table.forward(port, eve, Buffer.from('x')))
  t.is(sent.length, 0)
})

test('before the other side has latched, the last eight datagrams are held, and older ones are dropped and counted', t => {
  const { table, sent, port, otherPort, time } = armed()
  table.latch('s', 'caller', port, ann)
  for (let number = 1; number <= 10; number++) t.true(table.forward(port, ann, Buffer.from(`${number}`)))
  t.is(sent.length, 0)
  t.is(table.counters('s')?.caller.dropped.unlatched, 2)
  table.latch('s', 'callee', otherPort, bob)
  time.advance(1)
  t.deepEqual(
    sent.map(({ text }) => text),
    ['3', '4', '5', '6', '7', '8', '9', '10']
  )
  t.is(table.disarm('s')?.caller.dropped.unlatched, 2)
})

test('what was held for a side that never came is dropped and counted', t => {
  const { table, port } = armed()
  table.latch('s', 'caller', port, ann)
  t.true(table.forward(port, ann, Buffer.alloc(100)))
  const counters = table.disarm('s')
  t.is(counters?.caller.dropped.unlatched, 1)
  t.is(counters?.caller.droppedBytes, 100)
  t.is(counters?.callee.dropped.unlatched, 0)
})

test('beyond maxSessions arming fails with relay-full, until one is disarmed', t => {
  const { table } = armed({ maxSessions: 1 })
  const error = t.throws(() => table.arm('s2', peers, limits), { instanceOf: PosternError })
  t.is(error?.code, 'relay-full')
  t.is(table.size, 1)
  table.disarm('s')
  t.notThrows(() => table.arm('s2', peers, limits))
})

test('one network leaves others places at the relay, and nobody who has one loses it', t => {
  const { table } = armed({ maxSessions: 100 })
  const arms = (network: string, at: number): { code?: string; retryMs?: number | undefined } => {
    const holder = { network, certificate: `${network} ${at}` }
    try {
      table.arm(`${network} ${at}`, peers, limits, holder)
      return {}
    } catch (thrown) {
      return thrown instanceof Full ? thrown : {}
    }
  }
  const refused = Array.from({ length: 100 }, (_, at) => arms('a', at)).filter(({ code }) => code === 'relay-full')
  t.is(refused.length, 26, 'three quarters are taken, since another one is there')
  t.true((refused[0]?.retryMs ?? 0) > 0)
  t.deepEqual(arms('b', 0), {})
  t.is(table.size, 76)
  table.disarm('a 0')
  t.deepEqual(arms('b', 1), {})
})

test('a session cannot be armed twice', t => {
  const { table } = armed()
  t.throws(() => table.arm('s', peers, limits), { instanceOf: PosternError })
})

test('disarming ends forwarding at once, tells the counts, and does so once', t => {
  const { table, sent, port, otherPort } = spliced()
  table.forward(port, ann, Buffer.alloc(300))
  table.forward(otherPort, bob, Buffer.alloc(200))
  table.forward(otherPort, bob, Buffer.alloc(200))
  const { caller, callee } = table.disarm('s') ?? {}
  t.deepEqual([caller?.sentDatagrams, caller?.sentBytes], [1, 300])
  t.deepEqual([callee?.sentDatagrams, callee?.sentBytes], [2, 400])
  t.false(table.forward(port, ann, Buffer.alloc(1)))
  t.is(table.disarm('s'), undefined)
  t.deepEqual(table.latched('s'), {})
  t.is(sent.length, 3)
})

test('the totals keep what ended sessions counted, and take in those that go on', t => {
  const { table, port, otherPort } = spliced()
  table.forward(port, ann, Buffer.alloc(100))
  table.disarm('s')
  table.arm('t', peers, limits)
  table.latch('t', 'caller', port, ann)
  for (let count = 0; count < 9; count++) table.forward(port, ann, Buffer.alloc(5))
  table.latch('t', 'callee', otherPort, bob)
  table.forward(otherPort, bob, Buffer.alloc(7))
  const { caller, callee } = table.totals()
  t.deepEqual([caller.sentBytes, caller.dropped.unlatched, callee.sentBytes], [100, 1, 7])
})

test('what still waits when a session is disarmed is not sent, but counted', t => {
  const { table, sent, port, time } = spliced()
  for (let index = 0; index < 10; index++) table.forward(port, ann, Buffer.alloc(1000))
  const counters = table.disarm('s')
  const before = sent.length
  time.advance(100)
  t.is(sent.length, before)
  t.is(counters?.caller.sentDatagrams, before)
  t.is(counters?.caller.dropped.session, 10 - before)
})

test('a session silent for idleMs is disarmed and reported with its counts', t => {
  const idle: [string, number][] = []
  const { table, time, port, otherPort } = spliced({
    onIdle: (session, { callee }) => idle.push([session, callee.sentBytes])
  })
  time.advance(20_000)
  table.forward(otherPort, bob, Buffer.alloc(10))
  time.advance(29_999)
  t.deepEqual(idle, [])
  time.advance(1)
  t.deepEqual(idle, [['s', 10]])
  t.false(table.forward(port, ann, Buffer.from('x')))
  t.is(table.size, 0)
  t.is(time.alarms, 0)
})

test('datagrams of strangers and refused latches keep no session alive', t => {
  const { table, time, port } = spliced()
  for (let second = 0; second < 30; second++) {
    table.forward(port, eve, Buffer.from('x'))
    table.latch('s', 'callee', port, ann)
    time.advance(1000)
  }
  t.is(table.size, 0)
})

test('each direction has the limit for itself', t => {
  const { table, time, port, otherPort } = spliced()
  for (let ms = 0; ms < 2000; ms++) {
    table.forward(port, ann, Buffer.alloc(1000))
    table.forward(otherPort, bob, Buffer.alloc(1000))
    time.advance(1)
  }
  for (const { sentBytes, dropped } of Object.values(table.counters('s') ?? {})) {
    const share = (sentBytes * 8) / 2 / limits.perSession
    t.true(share >= 0.97 && share <= 1, `${share}`)
    t.true(dropped.session > 0)
  }
})

test('all that a peer sends in its sessions together stays within its own limit', t => {
  const { table, time, port, sentBytes } = spliced()
  const third = { address: '203.0.113.10', port: 40001 }
  table.arm('s2', { caller: 'ann', callee: 'carol' }, { ...limits, perPeer: 4_000_000 })
  table.latch('s2', 'caller', port, third)
  table.latch('s2', 'callee', port, { address: '192.0.2.3', port: 3 })
  for (let ms = 0; ms < 1000; ms++) {
    for (const source of [ann, third]) table.forward(port, source, Buffer.alloc(1000))
    time.advance(1)
  }
  t.true(sentBytes() * 8 <= 4_000_000 && sentBytes() * 8 >= 3_880_000)
  t.true((table.disarm('s2')?.caller.dropped.peer ?? 0) > 0)
})

test('a session gets the part that it can count on, while another one of the same peer floods, whoever asked for that', t => {
  for (const holder of [undefined, { network: 'elsewhere', certificate: 'carol' }]) {
    const { table, time, port } = spliced()
    const third = { address: '203.0.113.10', port: 40001 }
    table.arm('s2', { caller: 'ann', callee: 'carol' }, { ...limits, perPeer: 1_000_000 }, holder)
    table.latch('s2', 'caller', port, third)
    table.latch('s2', 'callee', port, { address: '192.0.2.3', port: 3 })
    t.deepEqual(table.passing('s'), { caller: 500_000, callee: 4_000_000 })
    t.deepEqual(table.passing('s2'), { caller: 500_000, callee: 1_000_000 })
    // 0.96 of the part that a session can count on, beside a flood.
    for (let ms = 0; ms < 10_000; ms++) {
      if (ms % 10 === 0) table.forward(port, ann, Buffer.alloc(600))
      table.forward(port, third, Buffer.alloc(1000))
      time.advance(1)
    }
    t.is(table.counters('s')?.caller.dropped.peer, 0)
    table.disarm('s2')
    t.deepEqual(table.passing('s'), { caller: 1_000_000, callee: 4_000_000 })
    t.is(table.passing('s2'), undefined)
  }
})

test('a short total is shared fairly among sessions', t => {
  const { table, time, port, otherPort } = spliced()
  const [carol, dave] = [
    { address: '192.0.2.3', port: 3 },
    { address: '192.0.2.4', port: 4 }
  ]
  table.arm('s2', { caller: 'carol', callee: 'dave' }, { ...limits, total: 3_000_000 })
  table.latch('s2', 'caller', port, carol)
  table.latch('s2', 'callee', otherPort, dave)
  for (let ms = 0; ms < 2000; ms++) {
    for (let index = 0; index < 3; index++) table.forward(port, ann, Buffer.alloc(1000))
    if (ms % 4 !== 0) table.forward(port, carol, Buffer.alloc(400))
    time.advance(1)
  }
  const [greedy, modest] = ['s', 's2'].map(each => (table.counters(each)?.caller.sentBytes ?? 0) * 4)
  t.true(Math.abs((greedy ?? 0) - 1_500_000) < 75_000, `${greedy}`)
  t.true(Math.abs((modest ?? 0) - 1_500_000) < 75_000, `${modest}`)
})

test('closing disarms every session and leaves no alarm', t => {
  const { table, time, port } = spliced()
  table.arm('s2', peers, limits)
  for (let index = 0; index < 8; index++) table.forward(port, ann, Buffer.alloc(1000))
  table.close()
  t.is(table.size, 0)
  t.is(time.alarms, 0)
})

// Helpers.

function armed(options: Partial<SpliceOptions> = {}) {
  const time = new FakeTime()
  const sent: { from: string; to: Endpoint; text: string }[] = []
  let bytes = 0
  const exit = (from: string): Exit => ({
    door: 'udp',
    send(datagram, to) {
      sent.push({ from, to, text: Buffer.from(datagram).toString() })
      bytes += datagram.length
    }
  })
  const table = new SpliceTable({ maxSessions: 10, time, ...options })
  table.arm('s', peers, limits)
  return { table, time, sent, sentBytes: () => bytes, port: exit('one'), otherPort: exit('other') }
}

/** A session with both sides latched, at different ports. */
function spliced(options: Partial<SpliceOptions> = {}) {
  const all = armed(options)
  all.table.latch('s', 'caller', all.port, ann)
  all.table.latch('s', 'callee', all.otherPort, bob)
  return all
}
