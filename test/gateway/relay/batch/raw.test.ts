// The kernel's sockets, their memory, and the names of endpoints in it.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import test from 'ava'
import { wordsOf } from '../../../../src/gateway/relay/batch/flows.ts'
import {
  Event,
  endpointOf,
  Inbox,
  Memory,
  MOST_SEGMENTS,
  NAME_WORDS,
  nameOf,
  Outbox,
  Raw,
  RUNS,
  Waiting
} from '../../../../src/gateway/relay/batch/raw.ts'
import { until } from '../../../until.ts'

const BUFFER_BYTES = 512 * 1024

function open(): Raw {
  const raw = Raw.open()
  if (typeof raw === 'string') throw new Error(raw)
  return raw
}

const raw = open()

/** Two sockets, what comes to the second, and memory whose bytes tell where they are. */
function pair(address: string) {
  const [one, other] = [0, 1].map(() => raw.bind({ address, port: 0 }, BUFFER_BYTES)) as [
    ReturnType<Raw['bind']>,
    ReturnType<Raw['bind']>
  ]
  const memory = new Memory(2 ** 20, raw.foreign)
  for (let at = 0; at < memory.bytes.length; at++) memory.bytes[at] = at % 251
  const inbox = new Inbox(raw)
  const runs = (count: number) =>
    Array.from({ length: count }, (_, run) => ({
      bytes: inbox.bytes(run),
      segment: inbox.segment(run),
      first: inbox.data[inbox.offset(run)],
      from: endpointOf(inbox.names, run * NAME_WORDS)
    }))
  return {
    ...{ one, other, memory, inbox, runs },
    outbox: (capacity?: number) => new Outbox(raw, one, capacity),
    to: wordsOf(nameOf(other.local)),
    [Symbol.dispose]() {
      raw.close(one.fd)
      raw.close(other.fd)
    }
  }
}

for (const address of ['127.0.0.1', '::1']) {
  test(`${address}: datagrams come as they were sent, with where they are from`, t => {
    using made = pair(address)
    const { memory, to, one } = made
    const outbox = made.outbox()
    outbox.put(memory, 7, 100, 100, to, 0)
    outbox.put(memory, 300, 0, 0, to, 0)
    t.false(outbox.isEmpty)
    outbox.flush()
    t.true(outbox.isEmpty)
    t.deepEqual(made.runs(made.inbox.receive(made.other)), [
      { bytes: 100, segment: 100, first: 7, from: one.local },
      { bytes: 0, segment: 0, first: 0, from: one.local }
    ])
    t.is(made.inbox.receive(made.other), 0)
    t.is(outbox.refused, 0)
  })

  test(`${address}: datagrams of one size are one run, of which the last may be shorter`, t => {
    using made = pair(address)
    const outbox = made.outbox()
    outbox.put(made.memory, 5, 2500, 1000, made.to, 0)
    outbox.flush()
    t.like(made.runs(made.inbox.receive(made.other)), [{ bytes: 2500, segment: 1000, first: 5 }])
  })

  test(`${address}: whoever receives them one by one gets each whole`, async t => {
    using made = pair(address)
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const sizes: [number, number | undefined][] = []
    socket.on('message', datagram => sizes.push([datagram.length, datagram[0]]))
    socket.bind(0, address)
    await once(socket, 'listening')
    const outbox = made.outbox()
    outbox.put(made.memory, 0, 2500, 1000, wordsOf(nameOf(socket.address())), 0)
    outbox.flush()
    await until(() => sizes.length === 3)
    t.deepEqual(sizes, [
      [1000, 0],
      [1000, 1000 % 251],
      [500, 2000 % 251]
    ])
    socket.close()
  })

  test(`${address}: a run that is too long for one send goes in several, all of whole datagrams`, t => {
    using made = pair(address)
    const outbox = made.outbox()
    outbox.put(made.memory, 0, 100 * 20, 20, made.to, 0)
    outbox.put(made.memory, 0, 90_000, 30_000, made.to, 0)
    outbox.flush()
    const runs = made.runs(made.inbox.receive(made.other))
    t.is(
      runs.reduce((sum, { bytes }) => sum + bytes, 0),
      2000 + 90_000
    )
    for (const { bytes, segment } of runs) t.true(bytes % segment === 0 && bytes <= MOST_SEGMENTS * segment)
    t.is(outbox.refused, 0)
  })
}

test('more than an outbox has room for leaves before, and more than an inbox has room for comes after', t => {
  using made = pair('127.0.0.1')
  const outbox = made.outbox(4)
  for (let sent = 0; sent < RUNS + 3; sent++) outbox.put(made.memory, sent, 10 + sent, 10 + sent, made.to, 0)
  outbox.flush()
  const first = made.runs(made.inbox.receive(made.other))
  const rest = made.runs(made.inbox.receive(made.other))
  t.is(first.length, RUNS)
  t.deepEqual(
    [...first, ...rest].map(({ bytes }) => bytes),
    Array.from({ length: RUNS + 3 }, (_, sent) => 10 + sent)
  )
})

test('what the kernel refuses is counted, and the rest is sent', t => {
  using made = pair('127.0.0.1')
  const outbox = made.outbox()
  const nowhere = wordsOf(nameOf({ address: '127.0.0.1', port: 0 }))
  outbox.put(made.memory, 0, 10, 10, made.to, 0)
  outbox.put(made.memory, 0, 30, 10, nowhere, 0)
  outbox.put(made.memory, 0, 20, 20, nowhere, 0)
  outbox.put(made.memory, 0, 11, 11, made.to, 0)
  outbox.flush()
  t.is(outbox.refused, 4)
  t.deepEqual(
    made.runs(made.inbox.receive(made.other)).map(({ bytes }) => bytes),
    [10, 11]
  )
})

test('a wait ends when something has come, when an event happens, or when its time is over', t => {
  using made = pair('127.0.0.1')
  const event = new Event(raw)
  const waiting = new Waiting(raw, [made.one, made.other], event.fd)
  waiting.wait(1)
  t.deepEqual([waiting.isReady(0), waiting.isReady(1), waiting.takesEvent()], [false, false, false])
  event.happens()
  event.happens()
  waiting.wait(10_000)
  t.deepEqual([waiting.isReady(0), waiting.isReady(1), waiting.takesEvent()], [false, false, true])
  const outbox = made.outbox()
  outbox.put(made.memory, 0, 10, 10, made.to, 0)
  outbox.flush()
  waiting.wait(10_000)
  t.deepEqual([waiting.isReady(0), waiting.isReady(1), waiting.takesEvent()], [false, true, false])
  raw.close(event.fd)
})

test('a flow stays with one of the sockets that share a port', t => {
  const first = raw.bind({ address: '127.0.0.1', port: 0 }, BUFFER_BYTES, true)
  const shared = [first, ...[1, 2, 3].map(() => raw.bind(first.local, BUFFER_BYTES, true))]
  const inbox = new Inbox(raw)
  const owners = new Map<number, Set<number>>()
  for (let sender = 0; sender < 20; sender++) {
    using made = pair('127.0.0.1')
    const outbox = made.outbox()
    for (let sent = 0; sent < 4; sent++)
      outbox.put(made.memory, 0, 10 + sent, 10 + sent, wordsOf(nameOf(first.local)), 0)
    outbox.flush()
    for (const [at, socket] of shared.entries())
      for (let run = inbox.receive(socket); run > 0; run--)
        owners.set(made.one.local.port, (owners.get(made.one.local.port) ?? new Set()).add(at))
  }
  t.is(owners.size, 20)
  for (const owner of owners.values()) t.is(owner.size, 1)
  t.true(new Set([...owners.values()].flatMap(owner => [...owner])).size > 1)
  for (const { fd } of shared) raw.close(fd)
})

test('a port of somebody else, and an address that is not ours, are told', t => {
  using made = pair('127.0.0.1')
  t.throws(() => raw.bind(made.one.local, BUFFER_BYTES), {
    code: 'port-in-use',
    message: /UDP 127\.0\.0\.1:\d+ is already in use/
  })
  t.throws(() => raw.bind(made.one.local, BUFFER_BYTES, true), { code: 'port-in-use' })
  t.throws(() => raw.bind({ address: '203.0.113.1', port: 0 }, BUFFER_BYTES), {
    code: 'io',
    message: /cannot be bound/
  })
})

test('a name has the address and port of its endpoint, written as the kernel reads and dgram writes them', t => {
  const addresses = {
    '203.0.113.7': '203.0.113.7',
    '0.0.0.0': '0.0.0.0',
    '255.255.255.255': '255.255.255.255',
    '::': '::',
    '::1': '::1',
    '2001:db8::1': '2001:db8::1',
    '2001:DB8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '1:2:3:4:5:6:7:8': '1:2:3:4:5:6:7:8',
    'fe80::1:0:0:2': 'fe80::1:0:0:2',
    '64:ff9b::192.0.2.33': '64:ff9b::c000:221'
  }
  for (const [address, written] of Object.entries(addresses))
    for (const port of [1, 3478, 65_535])
      t.deepEqual(endpointOf(wordsOf(nameOf({ address, port })), 0), { address: written, port }, address)
})
