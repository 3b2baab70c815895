// What the gateway answers to STUN clients without a key, and that it serves nobody as an amplifier.

import { randomBytes } from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import { Binding } from '../../../src/gateway/udp/binding.ts'
import type { Port } from '../../../src/gateway/udp/listen.ts'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import { decode, decodeClassic, encode, type StunMessage } from '../../../src/wire/stun.ts'
import { fakePorts, question, type Sent, sourceOf } from './fake-ports.ts'

const ann: Endpoint = { address: '203.0.113.10', port: 40000 }
const bob: Endpoint = { address: '192.0.2.20', port: 50000 }

interface Setup {
  perSecond?: number
  discovery?: boolean
  /** How many of the ports there are: 4, or 2 of one address. */
  count?: number
  publicOf?: (port: Port) => Endpoint
}

/** A gateway that knows no peers. */
function gateway({ perSecond = 1e9, discovery = true, count = 4, publicOf = port => port.local }: Setup = {}) {
  const sent: Sent[] = []
  const ports = fakePorts(sent)
  const binding = new Binding(
    {
      ports: () => ports.slice(0, count),
      publicOf,
      credentialOf: () => undefined,
      sample: () => {},
      repeats: () => {}
    },
    { latch: async () => false, forward: () => false },
    { perSecond, discovery }
  )
  const ask = (datagram: Buffer, from = ann, port: Port = ports[0]): Sent[] => {
    const before = sent.length
    binding.receive(port, sourceOf(from), datagram)
    return sent.slice(before)
  }
  return { ask, ports, counters: binding.counters }
}

/** A Binding request without the magic cookie, as RFC 3489 has it. */
function classicQuestion(message: Partial<StunMessage> = {}): Buffer {
  return encode({ class: 'request', method: 1, transaction: randomBytes(16), ...message })
}

/** A question with one more attribute at its end. */
function withAttributes(datagram: Buffer, ...types: number[]): Buffer {
  const longer = Buffer.concat([datagram, ...types.map(type => Buffer.from([type >> 8, type & 255, 0, 0]))])
  longer.writeUInt16BE(longer.length - 20, 2)
  return longer
}

const read = (answers: readonly Sent[]) => {
  const datagram = answers[0]?.datagram as Buffer
  return decode(datagram) ?? decodeClassic(datagram)
}

test('any STUN client is told its mapping and the two endpoints, from the port it asked, for 20 bytes of question', t => {
  const { ask, ports, counters } = gateway()
  const bare = question()
  t.is(bare.length, 20)
  for (const [index, port] of ports.entries()) {
    const answers = ask(bare, ann, port)
    t.is(answers.length, 1)
    t.is(answers[0]?.from, port)
    t.deepEqual(answers[0]?.to, ann)
    const message = read(answers)
    t.is(message?.class, 'success')
    t.deepEqual(message?.mapped, ann)
    t.deepEqual(message?.transaction, decode(bare)?.transaction)
    t.deepEqual(message?.origin, port.local)
    t.deepEqual(message?.other, ports[3 - index]?.local, 'the other address with the other port')
  }
  t.is(counters.discovery, 4)
})

test('an IPv6 client is told its mapping too', t => {
  const six = { address: '2001:db8::7', port: 4242 }
  t.deepEqual(read(gateway().ask(question(), six))?.mapped, six)
})

test('an ICE check of a stranger is answered as a plain question, without any key', t => {
  const check = question({ username: 'ab12cd34ef56:cd34ab12ef56', priority: 1, controlling: 1n }, { key: 'pwd' })
  const answer = read(gateway().ask(check))
  t.deepEqual(answer?.mapped, ann)
  t.false(answer?.hasIntegrity)
})

const changes = [
  [{ address: false, port: false }, 0],
  [{ address: false, port: true }, 1],
  [{ address: true, port: false }, 2],
  [{ address: true, port: true }, 3]
] as const

test('the answer to CHANGE-REQUEST leaves from the port it asks for and says so (RFC 5780 section 6.1)', t => {
  const { ask, ports } = gateway()
  for (const [change, index] of changes) {
    const answers = ask(question({ change }))
    t.is(answers.length, 1)
    t.is(answers[0]?.from, ports[index])
    const message = read(answers)
    t.deepEqual(message?.origin, ports[index]?.local)
    t.deepEqual(message?.other, ports[3].local)
    t.deepEqual(message?.mapped, ann)
    t.is(answers[0]?.datagram.indexOf(Buffer.from('00010008', 'hex')), 32, 'MAPPED-ADDRESS is there as well')
  }
})

test('a client without the magic cookie is answered as RFC 3489 says', t => {
  const { ask, ports } = gateway()
  for (const [change, index] of changes) {
    const asked = classicQuestion({ change })
    const answers = ask(asked)
    t.is(answers.length, 1)
    t.is(answers[0]?.from, ports[index])
    t.is(answers[0]?.datagram.length, 56)
    t.deepEqual(answers[0]?.datagram.subarray(4, 20), asked.subarray(4, 20), 'all 16 bytes of the transaction id')
    const types = [20, 32, 44].map(at => answers[0]?.datagram.readUInt16BE(at))
    t.deepEqual(types, [0x0001, 0x0004, 0x0005], 'MAPPED-ADDRESS, SOURCE-ADDRESS, CHANGED-ADDRESS')
    const message = read(answers)
    t.deepEqual([message?.mapped, message?.origin, message?.other], [ann, ports[index]?.local, ports[3].local])
  }
  t.is(ask(classicQuestion()).length, 1, 'also without any attribute')
})

test('with one address, or without discovery, there is the mapping alone, and CHANGE-REQUEST gets 420', t => {
  for (const setup of [{ count: 2 }, { discovery: false }, { count: 1 }]) {
    const { ask, ports, counters } = gateway(setup)
    const plain = ask(question())
    t.is(plain[0]?.datagram.length, 32)
    t.deepEqual(read(plain)?.mapped, ann)
    const classic = ask(classicQuestion({ change: { address: false, port: false } }))
    t.is(classic[0]?.datagram.length, 32)
    t.deepEqual(read(classic)?.mapped, ann)
    const refused = [question({ change: { address: false, port: false } }), question({ change: changes[1][0] })]
    for (const asked of [...refused, classicQuestion({ change: changes[3][0] })]) {
      const answers = ask(asked)
      t.is(answers[0]?.from, ports[0])
      t.is(read(answers)?.error?.code, 420)
      t.deepEqual([...new Set(read(answers)?.unknown)], [0x0003])
    }
    t.like(counters, { plain: 2, unhonoured: 3, discovery: 0, discoveryLimited: 0 })
  }
})

test('there is no discovery where the two addresses do not have the same ports', t => {
  const setup = gateway()
  Object.assign(setup.ports[3].local, { port: 40_123 })
  t.is(read(setup.ask(question()))?.other, undefined)
  t.is(read(setup.ask(question({ change: changes[3][0] })))?.error?.code, 420)
})

test('addresses are told as they are configured for peers, and private ones to nobody out there', t => {
  const inside = ({ local, row }: Port) => ({ address: `172.17.0.${row + 2}`, port: local.port })
  const unknown = gateway({ publicOf: inside })
  t.is(read(unknown.ask(question()))?.other, undefined)
  t.is(read(unknown.ask(question({ change: changes[2][0] })))?.error?.code, 420)
  const neighbour = { address: '172.17.0.9', port: 4000 }
  t.deepEqual(read(unknown.ask(question(), neighbour))?.other, { address: '172.17.0.3', port: 3479 })
  const told = gateway({ publicOf: ({ local, row }) => ({ address: `192.0.2.${row + 1}`, port: local.port }) })
  const answer = read(told.ask(question({ change: changes[2][0] })))
  t.deepEqual(answer?.origin, { address: '192.0.2.2', port: 3478 })
  t.deepEqual(answer?.other, { address: '192.0.2.2', port: 3479 })
  const same = gateway({ publicOf: ({ local }) => ({ address: '192.0.2.1', port: local.port }) })
  t.is(read(same.ask(question()))?.other, undefined, 'one public address for both')
})

test('what must be understood and is not gets 420 with all its types (RFC 8489, 6.3.1.1)', t => {
  const { ask, counters, ports } = gateway()
  const responsePort = 0x0027
  const padding = 0x0026
  const answers = ask(withAttributes(question({ change: changes[3][0] }), responsePort, padding, 0x7f01))
  t.is(answers[0]?.from, ports[0])
  t.is(read(answers)?.class, 'error')
  t.is(read(answers)?.error?.code, 420)
  t.deepEqual(read(answers)?.unknown, [responsePort, padding, 0x7f01])
  const responseAddress = 0x0002
  const classic = ask(withAttributes(classicQuestion(), responseAddress))
  t.deepEqual(classic[0]?.to, ann, 'never where RESPONSE-ADDRESS says')
  t.is(read(classic)?.error?.code, 420)
  t.deepEqual(read(classic)?.unknown, [responseAddress, responseAddress], 'a whole word, as RFC 3489 has it')
  t.is(counters.unhonoured, 2)
})

test('an answer to a stranger is one datagram of at most three times the bytes of its question', t => {
  const { ask } = gateway()
  const endpoint = fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6()), port: fc.integer({ min: 1, max: 65535 }) })
  const asked = fc.record({
    from: endpoint,
    classic: fc.boolean(),
    change: fc.option(fc.record({ address: fc.boolean(), port: fc.boolean() })),
    software: fc.option(fc.string({ maxLength: 20 })),
    odd: fc.uniqueArray(fc.integer({ min: 0x0030, max: 0x7fff }), { maxLength: 8 })
  })
  fc.assert(
    fc.property(asked, ({ from, classic, change, software, odd }) => {
      const message = { ...(change ? { change } : {}), ...(software === null ? {} : { software }) }
      const datagram = withAttributes(classic ? classicQuestion(message) : question(message), ...odd)
      const answers = ask(datagram, from)
      return answers.length === 1 && answers.every(({ datagram: answer }) => answer.length <= 3 * datagram.length)
    })
  )
  t.pass()
})

test('past 50 discovery answers a second a network has plain ones, and another network still has its own', t => {
  const { ask, counters } = gateway()
  const hosts = Array.from({ length: 50 }, (_, host) => ({ address: `203.0.113.${host}`, port: 9 }))
  for (const host of hosts) t.truthy(read(ask(question(), host))?.other)
  t.is(ask(question())[0]?.datagram.length, 32)
  t.is(ask(classicQuestion({ change: changes[0][0] }))[0]?.datagram.length, 32)
  t.is(read(ask(question({ change: changes[3][0] })))?.error?.code, 420, 'rather than an answer that reads as a filter')
  t.truthy(read(ask(question(), bob))?.other)
  t.like(counters, { discovery: 51, plain: 2, unhonoured: 1, discoveryLimited: 3 })
})

test('past its limit a network has no answers at all, over all ports and kinds of questions', t => {
  const { ask, ports, counters } = gateway({ perSecond: 4 })
  const questions = [
    question(),
    classicQuestion(),
    question({ change: changes[3][0] }),
    withAttributes(question(), 0x7f01)
  ]
  const answers = ports.flatMap((port, host) =>
    questions.flatMap(asked => ask(asked, { ...ann, address: `203.0.113.${host}` }, port))
  )
  t.is(answers.length, 4, 'sixteen were asked, from four addresses of one network')
  t.is(counters.limited, 12)
  t.is(ask(question(), bob).length, 1)
})

test('a flood from many networks makes the limit forgetful, not the memory large', t => {
  const { ask, counters } = gateway({ perSecond: 1 })
  t.is(ask(question()).length, 1)
  t.is(ask(question()).length, 0)
  const datagram = question()
  for (let count = 0; count < 10_000; count++) ask(datagram, { address: `10.${count >> 8}.${count & 255}.1`, port: 9 })
  t.is(ask(question()).length, 1, 'the oldest source gave way')
  t.is(counters.limited, 1)
})
