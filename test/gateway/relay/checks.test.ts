import { randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import { LocalRelay } from '../../../src/gateway/relay/relay.ts'
import { Binding } from '../../../src/gateway/udp/binding.ts'
import type { Exit } from '../../../src/gateway/udp/listen.ts'
import { listen, type Port } from '../../../src/gateway/udp/listen.ts'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import type { SideName } from '../../../src/wire/side.ts'
import { decode, encode, transactionId } from '../../../src/wire/stun.ts'
import { until } from '../../until.ts'
import { read } from '../stun-by-hand.ts'
import { FakeTime } from './fake-time.ts'
import { agents, CONTROLLED, CONTROLLING, type IceAgent, SUCCESS } from './ice-agent.ts'

const limits = { perSession: 100_000_000, perPeer: 100_000_000, total: 1_000_000_000 }
const peers = { caller: 'ann', callee: 'bob' }
const ann: Endpoint = { address: '203.0.113.10', port: 40000 }
const bob: Endpoint = { address: '198.51.100.20', port: 50000 }

interface Sent {
  readonly from: string
  readonly to: Endpoint
  readonly datagram: Buffer
}

/** A relay whose session `s` is armed, and whose sides are agents both. */
async function relayed({ expected = ['caller', 'callee'] as readonly SideName[] } = {}) {
  const time = new FakeTime()
  const relay = new LocalRelay({ maxSessions: 10, time })
  const sent: Sent[] = []
  const exit = (from: string): Exit => ({
    door: 'udp',
    send: (datagram, { address, port }) =>
      void sent.push({ from, to: { address, port }, datagram: Buffer.from(datagram) })
  })
  const [port, other] = [exit('one'), exit('other')]
  const sides = agents()
  await relay.arm('s', peers, limits)
  await relay.expect('s', Object.fromEntries(expected.map(side => [side, sides[side]])))
  /** Puts a datagram and gives what was sent for it. */
  const put = (source: Endpoint, datagram: Buffer, at = port) => {
    const before = sent.length
    const isTaken = relay.forward(at, source, datagram)
    return { isTaken, sent: sent.slice(before) }
  }
  /** A check and the answer to what is asked then. */
  const latch = (agent: IceAgent, source: Endpoint, at = port) => {
    const [asked] = put(source, agent.check(), at).sent
    if (asked) put(source, agent.answer(asked.datagram), at)
  }
  const counters = async () => (await relay.totals()).checks
  return { relay, time, sent, port, other, put, latch, counters, ...sides }
}

test('a side is latched once its source has answered as an agent does, and its check goes to the far side', async t => {
  const { put, caller, callee, latch, relay, time, sent } = await relayed()
  latch(callee, bob)
  const check = caller.check()
  const first = put(ann, check)
  t.true(first.isTaken)
  t.deepEqual(
    first.sent.map(({ to }) => to),
    [ann]
  )
  const [asked] = first.sent as [Sent]
  t.true(caller.accepts(asked.datagram))
  t.deepEqual(await relay.latched('s'), { callee: { ...bob, door: 'udp' } })
  const second = put(ann, caller.answer(asked.datagram))
  t.true(second.isTaken)
  t.deepEqual(second.sent, [{ from: 'one', to: bob, datagram: check }], 'unchanged')
  t.deepEqual(await relay.latched('s'), { caller: { ...ann, door: 'udp' }, callee: { ...bob, door: 'udp' } })
  const before = sent.length
  time.advance(0)
  t.deepEqual(
    sent.slice(before).map(({ to }) => to),
    [ann],
    'what the far side had sent was held, and nothing else'
  )
  t.deepEqual(
    put(ann, Buffer.from('dtls')).sent.map(({ to }) => to),
    [bob]
  )
  t.deepEqual(
    put(bob, callee.answer(check)).sent.map(({ to }) => to),
    [ann]
  )
})

test('what the gateway asks has the role that the agent does not have', async t => {
  const { put, caller } = await relayed()
  const roles = [CONTROLLING, CONTROLLED].map(role => {
    const [asked] = put(ann, caller.check({ role })).sent
    return [...read(asked?.datagram as Buffer).attributes.keys()].filter(
      type => type === CONTROLLED || type === CONTROLLING
    )
  })
  t.deepEqual(roles, [[CONTROLLED], [CONTROLLING]])
})

test('an answer that tells of a conflict of roles proves a source as well', async t => {
  const { put, caller, relay } = await relayed()
  const [asked] = put(ann, caller.check()).sent as [Sent]
  put(ann, caller.answer(asked.datagram, { conflict: true }))
  t.truthy((await relay.latched('s')).caller)
})

test('an answer from elsewhere, at another port, with a wrong key or to another question latches nothing', async t => {
  const { put, caller, relay, other, counters } = await relayed({ expected: ['caller'] })
  const [asked] = put(ann, caller.check()).sent as [Sent]
  const answer = caller.answer(asked.datagram)
  t.false(put({ ...ann, port: ann.port + 1 }, answer).isTaken)
  t.false(put(bob, answer).isTaken)
  t.false(put(ann, answer, other).isTaken)
  t.false(put(ann, caller.answer(asked.datagram, { pwd: caller.remote.pwd })).isTaken)
  t.false(put(ann, caller.answer(caller.check())).isTaken)
  t.false(put(ann, asked.datagram).isTaken, 'an echo')
  t.deepEqual(await relay.latched('s'), {})
  t.deepEqual(await counters(), { asked: 1, latched: 0, refused: 1, limited: 0 })
  t.true(put(ann, answer).isTaken)
  t.truthy((await relay.latched('s')).caller)
})

test('a check with a wrong key, of nobody, or for a side that is not expected is left to others, and nothing is asked', async t => {
  const { put, caller, callee, counters } = await relayed({ expected: ['caller'] })
  const stranger = agents().caller
  for (const check of [caller.check({ pwd: caller.local.pwd }), stranger.check(), callee.check(), randomBytes(60)])
    t.deepEqual(put(ann, check), { isTaken: false, sent: [] })
  const long = caller.check({ more: [[0x8022, Buffer.alloc(600)]] })
  t.deepEqual(put(ann, long), { isTaken: false, sent: [] })
  t.deepEqual(await counters(), { asked: 0, latched: 0, refused: 1, limited: 0 })
})

test('to a source that does not answer go three datagrams, from whichever of its ports and at whichever of ours', async t => {
  const { put, caller, other, counters, sent, time } = await relayed()
  const ids = new Set<string>()
  for (let count = 0; count < 50; count++) {
    const at = put({ ...ann, port: 1024 + count }, caller.check(), count % 2 ? other : undefined)
    t.true(at.isTaken)
    for (const { datagram } of at.sent) ids.add(read(datagram).transaction.toString('hex'))
    time.advance(500)
  }
  t.is(sent.length, 3)
  t.is(ids.size, 3, 'by a random transaction id each')
  t.deepEqual(await counters(), { asked: 3, latched: 0, refused: 0, limited: 47 })
})

test('a far side that signs checks with forged sources has few datagrams sent to few addresses, and latches nothing', async t => {
  const { put, caller, callee, relay, sent, counters } = await relayed()
  // It has the keys of both.
  const victims = Array.from({ length: 200 }, (_, index) => ({ address: `192.0.2.${index}`, port: 443 }))
  for (let round = 0; round < 5; round++)
    for (const victim of victims)
      for (const agent of [caller, callee]) {
        put(victim, agent.check())
        put(victim, agent.answer(callee.check()))
      }
  const to = Map.groupBy(sent, ({ to: { address } }) => address)
  t.true([...to.values()].every(({ length }) => length <= 2 * 3))
  t.is(to.size, 8)
  t.is(sent.length, 2 * 8 * 3)
  t.is((await counters()).limited, 2 * 5 * 200 - 2 * 8 * 3)
  t.deepEqual(await relay.latched('s'), {})
})

test('an answer of its own gives nobody more to forge with', async t => {
  const { put, latch, caller, time, sent } = await relayed()
  for (let round = 0; round < 30; round++) {
    latch(caller, { ...ann, port: 1000 + round })
    time.advance(2000)
    put({ address: `192.0.2.${round}`, port: 443 }, caller.check())
    time.advance(2000)
  }
  t.is(new Set(sent.map(({ to }) => to.address)).size, 1 + 8)
})

test('a side whose source changes is latched anew by the same proof, once it is heard no more where it was', async t => {
  const { relay, put, latch, caller, callee, time } = await relayed()
  const moves: unknown[] = []
  relay.listener = { idle: () => {}, shared: () => {}, relatched: (...move) => void moves.push(move) }
  latch(caller, ann)
  latch(callee, bob)
  time.advance(0)
  const moved = { ...ann, port: 40001 }
  const second = { address: '203.0.113.11', port: 40000 }
  t.deepEqual(
    put(second, caller.check()),
    { isTaken: true, sent: [] },
    'another interface of it, while the first is in use'
  )
  for (let ms = 0; ms < 5000; ms += 1000) {
    put(ann, Buffer.from('ping'))
    time.advance(1000)
    t.deepEqual(put(second, caller.check()).sent, [])
  }
  time.advance(1000)
  t.deepEqual(put(moved, Buffer.from('data')), { isTaken: false, sent: [] }, 'no proof, no path')
  latch(caller, moved)
  t.deepEqual(moves, [['s', 'caller', { ...moved, door: 'udp' }]])
  t.deepEqual(
    put(bob, Buffer.from('x')).sent.map(({ to }) => to),
    [moved]
  )
  t.false(put(ann, Buffer.from('x')).isTaken)
})

test('of two addresses that a side checks from at once, the one that answers first is its own', async t => {
  const { put, relay, caller } = await relayed()
  const second = { address: '203.0.113.11', port: 40000 }
  const [first] = put(ann, caller.check()).sent as [Sent]
  const [later] = put(second, caller.check()).sent as [Sent]
  put(ann, caller.answer(first.datagram))
  t.true(put(second, caller.answer(later.datagram)).isTaken)
  t.like((await relay.latched('s')).caller, ann)
})

test('a new order makes what was said of a side before void', async t => {
  const { put, latch, relay, caller, callee, port } = await relayed()
  latch(caller, ann)
  latch(callee, bob)
  const [asked] = put({ ...ann, port: 1 }, caller.check()).sent
  const again = agents().caller
  await relay.expect('s', { caller: again })
  t.deepEqual(await relay.latched('s'), { callee: { ...bob, door: 'udp' } })
  t.false(put(ann, caller.check()).isTaken, 'the old connection')
  if (asked) t.false(put({ ...ann, port: 1 }, caller.answer(asked.datagram)).isTaken)
  latch(again, ann)
  t.true(relay.forward(port, ann, Buffer.from('x')))
})

test('nothing is remembered of a session that is over, was idle, or never was', async t => {
  const { put, relay, caller, callee, time, sent } = await relayed()
  await relay.expect('none', agents())
  put(ann, caller.check())
  await relay.disarm('s')
  t.false(put(ann, caller.check()).isTaken)
  await relay.arm('s', peers, limits)
  t.false(put(ann, caller.check()).isTaken, 'it was not said again')
  await relay.expect('s', { caller, callee })
  t.true(put(ann, caller.check()).isTaken)
  time.advance(31_000)
  const before = sent.length
  t.false(put(ann, caller.check()).isTaken)
  t.is(sent.length, before)
})

// With sockets.

interface End extends AsyncDisposable {
  readonly socket: Socket
  readonly heard: Buffer[]
  say(datagram: Buffer, to: Port): void
}

async function end(address = '127.0.0.1'): Promise<End> {
  const socket = createSocket('udp4').bind(0, address)
  const heard: Buffer[] = []
  socket.on('message', datagram => heard.push(datagram))
  await once(socket, 'listening')
  const say = (datagram: Buffer, to: Port) => socket.send(datagram, to.local.port, to.local.address)
  return { socket, heard, say, [Symbol.asyncDispose]: () => new Promise<void>(done => socket.close(() => done())) }
}

const keys = { caller: Buffer.alloc(20, 1), callee: Buffer.alloc(20, 2) }

/** A gateway with three ports, as far as UDP and the relay go. */
async function gateway() {
  const relay = new LocalRelay({ maxSessions: 10 })
  const udp = await listen({ addresses: ['127.0.0.1'], ports: [0, 0, 0] })
  const desk = {
    ports: () => udp.ports,
    publicOf: (port: Port) => port.local,
    credentialOf: (username: string) => {
      const [, session = '', side = 'caller'] = username.split(':') as [string, string?, SideName?]
      return { kind: 'latch' as const, key: keys[side], session, side }
    },
    sample: () => {},
    repeats: () => {}
  }
  const binding = new Binding(desk, relay, { perSecond: 1000, discovery: false })
  udp.onDatagram = (port, source, datagram) => binding.receive(port, source, datagram)
  await relay.arm('s', peers, limits)
  return { relay, udp, ports: udp.ports as [Port, Port, Port], [Symbol.asyncDispose]: () => udp.close() }
}

const heardBy = ({ heard }: End, datagram: Buffer) => until(() => heard.some(each => each.equals(datagram)))

/** The agent checks, and answers what it is asked, as it would by itself. */
async function latch(t: ExecutionContext, agent: IceAgent, from: End, port: Port): Promise<Buffer> {
  const check = agent.check()
  from.say(check, port)
  await until(() => from.heard.some(datagram => agent.accepts(datagram)))
  const asked = from.heard.find(datagram => agent.accepts(datagram)) as Buffer
  from.say(agent.answer(asked), port)
  t.pass()
  return check
}

test('over UDP: two sides that speak ICE alone meet at the third port, and what comes first is held for the second', async t => {
  await using house = await gateway()
  const { caller, callee } = agents()
  await house.relay.expect('s', { caller, callee })
  await using one = await end()
  await using two = await end()
  const [, , third] = house.ports
  const first = await latch(t, caller, one, third)
  await until(async () => (await house.relay.latched('s')).caller !== undefined)
  const second = await latch(t, callee, two, third)
  await heardBy(two, first)
  await heardBy(one, second)
  one.say(Buffer.from('dtls'), third)
  await heardBy(two, Buffer.from('dtls'))
})

test('over UDP: a browser at the third port meets a peer that latched by its own proof at the first', async t => {
  await using house = await gateway()
  const { caller, callee } = agents()
  await house.relay.expect('s', { callee })
  await using node = await end()
  await using browser = await end()
  const [first, , third] = house.ports
  const prove = (nonce?: Buffer) => {
    const request = { class: 'request', method: 1, transaction: transactionId(), username: 's:s:caller' } as const
    node.say(encode({ ...request, ...(nonce ? { nonce } : {}) }, { key: keys.caller }), first)
  }
  prove()
  await until(() => node.heard.length === 1)
  prove(decode(node.heard[0] as Buffer)?.nonce)
  await until(() => node.heard.length === 2)
  const early = caller.check({ role: CONTROLLED })
  node.say(early, first)
  const check = await latch(t, callee, browser, third)
  await heardBy(node, check)
  await heardBy(browser, early)
  browser.say(callee.answer(early), third)
  await until(() => node.heard.length === 4)
  t.is(read(node.heard[3] as Buffer).type, SUCCESS)
})

test('over UDP: whoever did not ask hears three datagrams at most', async t => {
  await using house = await gateway()
  const { caller } = agents()
  await house.relay.expect('s', { caller })
  await using victim = await end('127.0.0.9')
  const [, , third] = house.ports
  const { address, port } = victim.socket.address()
  for (let count = 0; count < 20; count++)
    house.udp.onDatagram(third, { address, port, family: 'IPv4', size: 0 }, caller.check())
  await until(() => victim.heard.length === 3)
  await using later = await end()
  await latch(t, caller, later, third)
  await until(async () => (await house.relay.latched('s')).caller !== undefined)
  t.is(victim.heard.length, 3)
  t.is((await house.relay.latched('s')).caller?.address, '127.0.0.1')
})
