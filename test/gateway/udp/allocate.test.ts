// A browser's part is made here byte by byte, as Chromium and Firefox send it.

import { createHash, randomBytes } from 'node:crypto'
import test from 'ava'
import { Binding } from '../../../src/gateway/udp/binding.ts'
import { UdpObserver } from '../../../src/gateway/udp/observe.ts'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import { type Attribute, isSealed, message, read } from '../stun-by-hand.ts'
import { fakePorts, question, type Sent, sourceOf } from './fake-ports.ts'

const ann: Endpoint = { address: '203.0.113.10', port: 40000 }
const eve: Endpoint = { address: '192.0.2.66', port: 40000 }

const ALLOCATE = 0x0003
const ALLOCATE_ERROR = 0x0113
const [USERNAME, MESSAGE_INTEGRITY, ERROR_CODE, LIFETIME, REALM, NONCE] = [0x06, 0x08, 0x09, 0x0d, 0x14, 0x15]
/** REQUESTED-TRANSPORT: UDP. */
const transport = [0x19, Buffer.from([17, 0, 0, 0])] as const

const codeOf = (answer: Buffer): number => {
  const [, , hundreds = 0, rest = 0] = read(answer).attributes.get(ERROR_CODE) ?? []
  return hundreds * 100 + rest
}

/** A gateway that knows peer `0a`, and what is asked of it. */
function gateway({ perSecond = 1000 } = {}) {
  const sent: Sent[] = []
  const ports = fakePorts(sent)
  const time = { nowMs: 1_000_000 }
  const observer = new UdpObserver({ ports: () => ports, public: () => [], now: () => time.nowMs })
  const key = randomBytes(20)
  observer.admit('0a', key)
  const binding = new Binding(
    {
      ports: () => ports,
      publicOf: port => observer.publicOf(port),
      credentialOf: username => observer.credentialOf(...(username.split(':') as [string, string, string])),
      sample: (claim, port, mapped, echo) => observer.sees(claim, port, mapped, echo),
      repeats: (port, mapped) => observer.repeats(port, mapped)
    },
    { latch: async () => false, forward: () => false },
    { perSecond, discovery: true }
  )
  const ask = (datagram: Buffer, from = ann, port = ports[0]): Buffer | undefined => {
    const before = sent.length
    binding.receive(port, sourceOf(from), datagram)
    const answers = sent.slice(before)
    for (const answer of answers) if (answer.from !== port || answer.to.port !== from.port) throw new Error('elsewhere')
    return answers[0]?.datagram
  }
  /** Asks without credentials, and gives what the 401 says. */
  const challenge = (from = ann) => {
    const { attributes } = read(ask(message(ALLOCATE, randomBytes(12), [transport]), from) as Buffer)
    return { realm: String(attributes.get(REALM)), nonce: attributes.get(NONCE) as Buffer }
  }
  const password = key.toString('base64')
  const keyOf = (username: string, realm = 'gate', secret = password) =>
    createHash('md5').update(`${username}:${realm}:${secret}`).digest()
  const signed = (said: { realm: string; nonce: Buffer; username?: string; password?: string }) => {
    const { realm, nonce, username = 'p:0a:3' } = said
    const long = createHash('md5')
      .update(`${username}:${realm}:${said.password ?? password}`)
      .digest()
    const named: Attribute[] = [transport, [USERNAME, username], [REALM, realm], [NONCE, nonce]]
    return message(ALLOCATE, randomBytes(12), named, long)
  }
  const mappedOf = async (socket: number) => (await observer.samples('0a', socket)).map(({ mapped }) => mapped)
  return { binding, observer, ports, time, ask, challenge, signed, mappedOf, keyOf }
}

test('an Allocate request is asked for credentials, in at most twice its bytes, by characters that any client takes', t => {
  const { ask, binding } = gateway()
  const transaction = randomBytes(12)
  const asked = message(ALLOCATE, transaction, [transport])
  const answer = ask(asked) as Buffer
  t.is(asked.length, 28)
  t.is(answer.length, 52)
  t.is(codeOf(answer), 401)
  const said = read(answer)
  t.is(said.type, ALLOCATE_ERROR)
  t.deepEqual(said.transaction, transaction)
  t.deepEqual([...said.attributes.keys()].toSorted(), [ERROR_CODE, REALM, NONCE].toSorted())
  t.regex(String(said.attributes.get(NONCE)), /^[\w-]{12}$/)
  t.is(binding.counters.challenged, 1)
})

test('no question is answered with more than twice its bytes', t => {
  const { ask, binding } = gateway()
  for (const attributes of [
    [],
    [[LIFETIME, '']],
    [transport],
    [transport, [LIFETIME, Buffer.alloc(4)]]
  ] as Attribute[][]) {
    const asked = message(ALLOCATE, randomBytes(12), attributes)
    const answer = ask(asked)
    t.is(answer === undefined, asked.length < 26, `${asked.length} bytes`)
    t.true((answer?.length ?? 0) <= 2 * asked.length)
  }
  t.is(binding.counters.foreign, 2)
})

test('credentials and the nonce of its source make a sample of a socket, which is refused an allocation', async t => {
  const { ask, challenge, signed, mappedOf, binding, ports, observer, keyOf } = gateway()
  const asked = signed(challenge())
  const answer = ask(asked) as Buffer
  t.is(codeOf(answer), 486)
  t.true(answer.length <= asked.length)
  // Firefox believes no answer without it, and asks for twelve seconds.
  t.deepEqual([...read(answer).attributes.keys()], [ERROR_CODE, MESSAGE_INTEGRITY])
  t.true(isSealed(answer, keyOf('p:0a:3')))
  t.deepEqual(await mappedOf(3), [ann])
  t.is(binding.counters.authenticated, 1)
  t.is(binding.counters.unproved, 0)
  t.is(codeOf(ask(signed(challenge()), ann, ports[1]) as Buffer), 486)
  t.is((await observer.samples('0a', 3)).length, 2)
})

test('a nonce of another source is stale, and shows nothing; another one comes with the answer', async t => {
  const { ask, challenge, signed, mappedOf, binding } = gateway()
  const asked = signed(challenge(eve))
  const answer = ask(asked) as Buffer
  t.is(codeOf(answer), 438)
  t.true(answer.length <= 2 * asked.length)
  t.deepEqual(await mappedOf(3), [])
  t.is(binding.counters.unproved, 1)
  const { attributes } = read(answer)
  const again = { realm: String(attributes.get(REALM)), nonce: attributes.get(NONCE) as Buffer }
  t.is(codeOf(ask(signed(again)) as Buffer), 486)
  t.deepEqual(await mappedOf(3), [ann])
})

test('a port of an address that is proved already counts before its nonce comes back, as it does for a Binding request', async t => {
  const { ask, challenge, signed, mappedOf } = gateway()
  ask(signed(challenge()))
  const moved = { ...ann, port: ann.port + 1 }
  t.is(codeOf(ask(signed({ ...challenge(), username: 'p:0a:4' }), moved) as Buffer), 438)
  t.deepEqual(await mappedOf(4), [moved])
})

test('a wrong password, name, realm or kind shows nothing, and is asked again', async t => {
  const { ask, challenge, signed, mappedOf, binding } = gateway()
  const given = challenge()
  const wrong = [
    signed({ ...given, password: 'secret' }),
    signed({ ...given, username: 'p:0b:3' }),
    signed({ ...given, username: 'p:0a:x' }),
    signed({ ...given, username: 'f:0a:0' }),
    signed({ ...given, username: 's:0a:caller' }),
    signed({ ...given, realm: 'elsewhere' }),
    message(ALLOCATE, randomBytes(12), [transport, [MESSAGE_INTEGRITY, randomBytes(20)]])
  ]
  for (const asked of wrong) {
    const answer = ask(asked) as Buffer
    t.is(codeOf(answer), 401)
    t.true(answer.length <= 2 * asked.length)
  }
  t.is(binding.counters.refused, wrong.length)
  t.is(binding.counters.authenticated, 0)
  t.deepEqual(await mappedOf(3), [])
})

test('a round trip takes no longer than the nonce was on its way', t => {
  const { ask, challenge, signed, observer } = gateway()
  t.is(observer.rttMs('0a'), 0)
  const atMs = performance.now()
  ask(signed(challenge()))
  const mostMs = performance.now() - atMs + 1
  t.true(observer.rttMs('0a') > 0)
  t.true(observer.rttMs('0a') <= mostMs)
})

test('who asks without credentials has the budget of a stranger, for all kinds of questions together', t => {
  const { ask, challenge, signed, binding } = gateway({ perSecond: 3 })
  const given = challenge()
  const neighbour = { ...ann, address: '203.0.113.77' }
  t.truthy(ask(message(ALLOCATE, randomBytes(12), [transport]), neighbour))
  t.truthy(ask(question(), neighbour), 'a Binding request')
  t.is(ask(message(ALLOCATE, randomBytes(12), [transport])), undefined)
  t.is(ask(signed({ ...given, password: 'secret' })), undefined)
  t.is(binding.counters.limited, 2)
  t.is(codeOf(ask(signed(given)) as Buffer), 486, 'whoever has credentials has another')
  t.truthy(ask(message(ALLOCATE, randomBytes(12), [transport]), eve))
})

test('no other TURN is spoken', t => {
  const { ask, binding } = gateway()
  for (const method of [0x0004, 0x0006, 0x0007, 0x0008, 0x0009]) {
    t.is(ask(message(method, randomBytes(12), [transport])), undefined)
    t.is(ask(message(method | 0x0010, randomBytes(12), [transport])), undefined, 'an indication')
  }
  t.is(ask(Buffer.concat([Buffer.from([0x40, 0, 0, 4]), Buffer.alloc(4)])), undefined, 'ChannelData')
  t.is(binding.counters.foreign, 11)
})

test('the third port of an address observes nothing', async t => {
  const { ask, challenge, signed, mappedOf, ports, observer } = gateway()
  const third = { ...ports[0], column: 2, local: { ...ports[0].local, port: 3480 } }
  third.send = (datagram, to) => ports[0].send(datagram, to)
  const given = challenge()
  t.throws(() => ask(signed(given), ann, third), { message: 'elsewhere' }, 'it is answered all the same')
  t.deepEqual(await mappedOf(3), [])
  t.is(observer.deaf(60_000).length, 4)
})

test('Binding requests without credentials from a mapping that was shown keep it fresh, for four minutes', async t => {
  const { ask, challenge, signed, mappedOf, time } = gateway()
  ask(signed(challenge()))
  const keep = async (ms: number, from = ann) => {
    for (const endMs = time.nowMs + ms; time.nowMs < endMs; time.nowMs += 10_000) ask(question(), from)
    return await mappedOf(3)
  }
  t.deepEqual(await keep(200_000), [ann])
  t.deepEqual(await keep(100_000), [])
  ask(signed(challenge()))
  t.deepEqual(await keep(30_000, { ...ann, port: ann.port + 1 }), [ann])
  t.deepEqual(await keep(10_000, { ...ann, port: ann.port + 1 }), [], 'a neighbour keeps nothing')
})
