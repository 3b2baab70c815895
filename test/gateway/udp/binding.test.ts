import { randomBytes } from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import { LocalRelay } from '../../../src/gateway/relay/relay.ts'
import { Binding } from '../../../src/gateway/udp/binding.ts'
import type { Credential } from '../../../src/gateway/udp/desk.ts'
import { UdpObserver } from '../../../src/gateway/udp/observe.ts'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import { decode, encode } from '../../../src/wire/stun.ts'
import { FakeTime } from '../relay/fake-time.ts'
import { fakePorts, question, type Sent, sourceOf } from './fake-ports.ts'

const ann: Endpoint = { address: '203.0.113.10', port: 40000 }
const bob: Endpoint = { address: '198.51.100.20', port: 50000 }
const eve: Endpoint = { address: '192.0.2.66', port: 40000 }
const limits = { perSession: 4_000_000, perPeer: 8_000_000, total: 100_000_000 }
const session = '00112233445566aa'

/** Kept until all tests are over: what is armed there ends by a timer. */
const relays = new DisposableStack()
test.after.always(() => relays.dispose())

/** What the gateway knows: peer `0a` with a key, and one armed session with a key for each side. */
function desk({ perSecond = 1000, discovery = true } = {}) {
  const sent: Sent[] = []
  const ports = fakePorts(sent)
  const keys = { peer: randomBytes(20), caller: randomBytes(20), callee: randomBytes(20) }
  const time = new FakeTime()
  const observer = new UdpObserver({ ports: () => ports, public: () => [], now: () => time.now() })
  const relay = relays.use(new LocalRelay({ maxSessions: 10 }))
  observer.admit('0a', keys.peer)
  void relay.arm(session, { caller: 'a', callee: 'b' }, limits)
  let forwarded = 0
  const claim = (username: string): Credential | undefined => {
    const [kind = '', id = '', rest = ''] = username.split(':')
    if (kind !== 's') return observer.credentialOf(kind, id, rest)
    if (id !== session || (rest !== 'caller' && rest !== 'callee')) return undefined
    return { kind: 'latch', key: keys[rest], session: id, side: rest }
  }
  const binding = new Binding(
    {
      ports: () => ports,
      publicOf: port => observer.publicOf(port),
      credentialOf: claim,
      sample: (claimed, port, mapped, echo) => observer.sees(claimed, port, mapped, echo),
      repeats: (port, mapped) => observer.repeats(port, mapped)
    },
    {
      latch: (...latching) => relay.latch(...latching),
      forward: (...datagram) => relay.forward(...datagram) && ++forwarded > 0
    },
    { perSecond, discovery }
  )
  /** Puts a question and gives the answers to it. */
  const ask = (datagram: Buffer, from: Endpoint, port = ports[0]): Sent[] => {
    const before = sent.length
    binding.receive(port, sourceOf(from), datagram)
    return sent.slice(before)
  }
  /** The nonce that an address is given. */
  const nonceOf = (username: string, key: Buffer, from: Endpoint) =>
    decode(ask(question({ username }, { key }), from)[0]?.datagram as Buffer)?.nonce as Buffer
  return { binding, observer, time, relay, ports, keys, sent, ask, nonceOf, forwarded: () => forwarded }
}

test("a peer's request without the nonce is given one and leaves no sample; with it, it does", async t => {
  const { ask, observer, keys, ports, binding } = desk()
  const username = 'p:0a:3'
  const first = decode(ask(question({ username }, { key: keys.peer }), ann)[0]?.datagram as Buffer)
  t.true(first?.verify(keys.peer))
  t.is(first?.mapped, undefined, 'nothing is said of a mapping that is not proved')
  t.deepEqual(await observer.samples('0a', 3), [])
  t.is(binding.counters.unproved, 1)

  const nonce = first?.nonce as Buffer
  const second = decode(ask(question({ username, nonce }, { key: keys.peer }), ann, ports[1])[0]?.datagram as Buffer)
  t.is(second?.nonce, undefined)
  t.deepEqual(second?.mapped, ann)
  const seen = (await observer.samples('0a', 3)).map(({ mapped, via, primary }) => ({ mapped, via, primary }))
  t.deepEqual(
    seen,
    [true, false].map((primary, index) => ({ mapped: ann, via: ports[index]?.local, primary })),
    'both, for the address is proved by one of them'
  )
})

test('a padded request is answered at its own length once it has proved its source, and no longer before', t => {
  const { ask, keys, nonceOf } = desk()
  const answerTo = (username: string, more: { nonce?: Buffer }) => {
    const asked = question({ username, paddedTo: 1252, ...more }, { key: keys.peer })
    return ask(asked, ann)[0]?.datagram as Buffer
  }
  const unproved = answerTo('p:0a:3', {})
  t.true(unproved.length < 100, `${unproved.length}`)
  const nonce = nonceOf('p:0a:3', keys.peer, ann)
  const padded = answerTo('p:0a:3', { nonce })
  t.is(padded.length, 1252)
  t.like(decode(padded), { paddedTo: 1252, mapped: ann })
  t.true(answerTo('f:0a:0', { nonce }).length < 100, 'a test of the filter may be answered elsewhere, and stays short')
})

test('a port of an address that is proved already counts from its first request on', async t => {
  const { ask, observer, keys, nonceOf } = desk()
  const show = (socket: number, from: typeof ann, nonce?: Buffer) =>
    ask(question({ username: `p:0a:${socket}`, ...(nonce ? { nonce } : {}) }, { key: keys.peer }), from)
  show(3, ann, nonceOf('p:0a:3', keys.peer, ann))
  show(4, { ...ann, port: ann.port + 1 })
  t.deepEqual(
    (await observer.samples('0a', 4)).map(({ mapped }) => mapped),
    [{ ...ann, port: ann.port + 1 }]
  )
  show(5, eve)
  t.deepEqual(await observer.samples('0a', 5), [], 'another address has to prove itself first')
})

test('a mapping that is shown again keeps the time it was first seen at, and a new one has its own', async t => {
  const { ask, observer, keys, nonceOf, time } = desk()
  const username = 'p:0a:3'
  const show = (from: typeof ann) =>
    ask(question({ username, nonce: nonceOf(username, keys.peer, from) }, { key: keys.peer }), from)
  show(ann)
  const [first] = await observer.samples('0a', 3)
  time.advance(15_000)
  show(ann)
  const [again] = await observer.samples('0a', 3)
  t.is(again?.sinceMs, first?.sinceMs)
  t.is(again?.atMs, Number(first?.atMs) + 15_000)
  show({ ...ann, port: ann.port + 1 })
  const [other] = await observer.samples('0a', 3)
  t.is(other?.sinceMs, again?.atMs)
})

test('whoever waits for a socket is told when enough endpoints have seen it, and when time is over', async t => {
  const { ask, observer, keys, ports, nonceOf } = desk()
  const username = 'p:0a:3'
  const nonce = nonceOf(username, keys.peer, ann)
  const over = new AbortController()
  const seen = observer.seen('0a', 3, 2, over.signal).then(async () => (await observer.samples('0a', 3)).length)
  ask(question({ username, nonce }, { key: keys.peer }), ann, ports[0])
  ask(question({ username, nonce }, { key: keys.peer }), ann, ports[1])
  t.is(await seen, 2)
  const late = observer.seen('0a', 3, 4, over.signal)
  over.abort()
  await t.notThrowsAsync(late)
})

test('a sample that two refreshes did not renew is believed no more', async t => {
  const { ask, observer, keys, ports, nonceOf, time } = desk()
  const username = 'p:0a:3'
  const nonce = nonceOf(username, keys.peer, ann)
  const show = (port = ports[0]) => ask(question({ username, nonce }, { key: keys.peer }), ann, port)
  show()
  time.advance(30_000)
  show(ports[1])
  const seen = async () => (await observer.samples('0a', 3)).map(({ via }) => via.port)
  t.deepEqual(await seen(), [3478, 3479])
  time.advance(7_501)
  t.deepEqual(await seen(), [3479])
  time.advance(30_000)
  t.deepEqual(await seen(), [])
})

test('an endpoint is deaf where nobody was heard for a while, whoever it was and whether he is still there', t => {
  const { ask, observer, keys, ports, time } = desk()
  const deaf = () => observer.deaf(60_000).length
  t.is(deaf(), ports.length)
  ask(question({ username: 'p:0a:3' }), ann)
  t.is(deaf(), ports.length, 'a stranger may have said so')
  ask(question({ username: 'p:0a:3' }, { key: keys.peer }), ann)
  observer.dismiss('0a')
  t.is(deaf(), ports.length - 1)
  time.advance(60_001)
  t.is(deaf(), ports.length)
})

test('a nonce proves the address and port it was sent to and no other', async t => {
  const { ask, observer, keys, nonceOf } = desk()
  const username = 'p:0a:3'
  const nonce = nonceOf(username, keys.peer, ann)
  for (const thief of [eve, { ...ann, port: ann.port + 1 }]) {
    const answer = decode(ask(question({ username, nonce }, { key: keys.peer }), thief)[0]?.datagram as Buffer)
    t.truthy(answer?.nonce)
    t.notDeepEqual(answer?.nonce, nonce)
  }
  t.deepEqual(await observer.samples('0a', 3), [])
})

test('a wrong key, no key, an unknown peer or a wrong name is not answered at all, and counted', t => {
  const { ask, keys, binding } = desk()
  const nonce = randomBytes(8)
  const wrong = [
    question({ username: 'p:0a:3', nonce }, { key: randomBytes(20) }),
    question({ username: 'p:0a:3', nonce }),
    question({ username: 'p:0b:3', nonce }, { key: keys.peer }),
    question({ username: 'p:0a:x', nonce }, { key: keys.peer }),
    question({ username: 'p:0a', nonce }, { key: keys.peer }),
    question({ username: 's:none:caller', nonce }, { key: keys.caller }),
    question({ username: `s:${session}:callee`, nonce }, { key: keys.caller }),
    question({ username: `s:${session}:constructor`, nonce }, { key: keys.caller })
  ]
  for (const datagram of wrong) t.deepEqual(ask(datagram, ann), [])
  t.is(binding.counters.refused, wrong.length)
  t.is(binding.counters.authenticated, 0)
})

test('a filtering test is answered from the asked port, but only to a proved address', t => {
  const { ask, keys, ports, nonceOf } = desk()
  const username = 'f:0a:0'
  const changes = [
    [{ address: false, port: false }, ports[0]],
    [{ address: false, port: true }, ports[1]],
    [{ address: true, port: false }, ports[2]],
    [{ address: true, port: true }, ports[3]]
  ] as const
  const nonce = nonceOf(username, keys.peer, ann)
  for (const [change, expected] of changes) {
    t.is(ask(question({ username, change }, { key: keys.peer }), ann)[0]?.from, ports[0], 'not proved yet')
    t.is(ask(question({ username, change, nonce }, { key: keys.peer }), ann)[0]?.from, expected)
  }
})

test("a peer's mapping requests are answered from the port they came to, whatever they ask for", t => {
  const { ask, keys, ports, nonceOf } = desk()
  const nonce = nonceOf('p:0a:1', keys.peer, ann)
  const change = { address: true, port: true }
  t.is(ask(question({ username: 'p:0a:1', nonce, change }, { key: keys.peer }), ann)[0]?.from, ports[0])
})

test('an answer that needs a key is never longer than its question', t => {
  const { ask, keys, nonceOf, sent } = desk({ perSecond: 1e9 })
  const claims = [
    { username: 'p:0a:0', key: keys.peer },
    { username: 'f:0a:0', key: keys.peer },
    { username: `s:${session}:caller`, key: keys.caller },
    { username: `s:${session}:callee`, key: keys.callee }
  ]
  const endpoint = fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6()), port: fc.integer({ min: 1, max: 65535 }) })
  const asked = fc.record({
    claim: fc.constantFrom(...claims),
    from: fc.oneof(fc.constantFrom(ann, bob), endpoint),
    nonce: fc.constantFrom('none', 'right', 'wrong'),
    change: fc.option(fc.record({ address: fc.boolean(), port: fc.boolean() })),
    realm: fc.option(fc.string({ maxLength: 20 }))
  })
  fc.assert(
    fc.property(asked, ({ claim: { username, key }, from, nonce, change, realm }) => {
      const given = { none: undefined, right: nonceOf(username, key, from), wrong: randomBytes(8) }[nonce]
      const datagram = question(
        {
          username,
          ...(given ? { nonce: given } : {}),
          ...(change ? { change } : {}),
          ...(realm === null ? {} : { realm })
        },
        { key }
      )
      const answers = ask(datagram, from)
      return answers.length <= 1 && answers.every(answer => answer.datagram.length <= datagram.length)
    })
  )
  t.true(sent.length > 100)
})

test('the limit of a peer counts for its address, over all ports, and leaves other addresses and strangers alone', t => {
  const { ask, ports, keys, binding } = desk({ perSecond: 4 })
  const show = (from: Endpoint, port = ports[0]) =>
    ask(question({ username: 'p:0a:3' }, { key: keys.peer }), from, port)
  const answers = ports.flatMap(port => [...show(ann, port), ...show({ ...ann, port: 1 }, port)])
  t.is(answers.length, 4, 'eight were asked, from two ports of one address')
  t.is(binding.counters.limited, 4)
  t.is(show({ ...ann, address: '203.0.113.11' }).length, 1)
  t.is(ask(question(), ann).length, 1)
})

test('a side latches with its key and the nonce of its source, and with neither alone', async t => {
  const { ask, keys, relay, sent, nonceOf, ports } = desk()
  const armed = () => relay.forward(ports[0], ann, Buffer.from('x'))
  const username = `s:${session}:caller`
  ask(question({ username, nonce: randomBytes(8) }, { key: keys.caller }), ann)
  await turn()
  t.false(armed(), 'the key alone')
  const nonce = nonceOf(username, keys.caller, ann)
  ask(question({ username, nonce }, { key: keys.callee }), ann)
  ask(question({ username, nonce }), ann)
  await turn()
  t.false(armed(), 'the nonce alone')
  const before = sent.length
  ask(question({ username, nonce }, { key: keys.caller }), ann)
  await turn()
  t.is(sent.length, before + 1)
  t.true(armed())
})

test("what a latched source sends goes to the other side, a stranger's datagrams go nowhere", async t => {
  const world = desk()
  await latchBoth(world)
  const { ask, ports, binding } = world
  t.deepEqual(ask(Buffer.from('dtls'), ann), [{ from: ports[0], to: bob, datagram: Buffer.from('dtls') }])
  const check = question({ username: 'ab12cd34ef56:cd34ab12ef56' }, { key: 'pwd' })
  t.deepEqual(ask(check, bob), [{ from: ports[0], to: ann, datagram: check }], 'ICE checks pass as well')
  t.deepEqual(ask(Buffer.from('dtls'), eve), [])
  t.deepEqual(ask(Buffer.from('dtls'), ann, ports[1]), [], 'at a port where it is not latched')
  t.is(binding.counters.foreign, 2)
})

test('a latch that is refused stays without an answer', async t => {
  const { ask, keys, relay, sent, nonceOf } = desk()
  const username = `s:${session}:caller`
  const nonce = nonceOf(username, keys.caller, ann)
  await relay.disarm(session)
  const before = sent.length
  ask(question({ username, nonce }, { key: keys.caller }), ann)
  await turn()
  t.is(sent.length, before)
})

test('whatever arrives, from whomever: nothing throws, nothing is answered twice, each datagram is counted', async t => {
  const world = desk({ perSecond: 1e9 })
  await latchBoth(world)
  const { ask, keys, ports, binding, forwarded } = world
  const valid = [
    question(),
    question({ username: 'p:0a:1', nonce: randomBytes(8) }, { key: keys.peer }),
    question({ username: 'f:0a:0', change: { address: true, port: true } }, { key: keys.peer }),
    question({ username: `s:${session}:callee` }, { key: keys.callee, fingerprint: true }),
    encode({ class: 'request', method: 3, transaction: randomBytes(12), priority: 7 }),
    encode(
      { class: 'request', method: 3, transaction: randomBytes(12), username: 'p:0a:1', realm: 'gate' },
      { key: 'x' }
    ),
    question({ username: 'ab12cd34:cd34ab12', priority: 7, useCandidate: true, controlled: 3n }, { fingerprint: true })
  ]
  const mutated = fc
    .tuple(
      fc.constantFrom(...valid),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
      fc.integer({ min: 0, max: 90 })
    )
    .map(([datagram, edits, length]) => {
      const copy = Buffer.from(datagram).subarray(0, length > 80 ? undefined : Math.max(length, 20))
      for (const [at, byte] of edits) copy[at % copy.length] = byte
      // Mostly with a length that fits, or else the header alone would turn it away.
      if (edits.length % 2 === 0) copy.writeUInt16BE(copy.length - 20, 2)
      return copy
    })
  const arbitrary = fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes))
  const source = fc.oneof(fc.constantFrom(ann, bob, eve), fc.record({ address: fc.ipV4(), port: fc.nat(65535) }))
  const total = () => {
    const { plain, discovery, unhonoured, challenged, authenticated, refused, limited, foreign } = binding.counters
    return plain + discovery + unhonoured + challenged + authenticated + refused + limited + foreign + forwarded()
  }
  fc.assert(
    fc.property(fc.oneof(mutated, arbitrary), source, fc.nat(3), (datagram, from, index) => {
      const before = total()
      const answers = ask(datagram, from, ports[index] as (typeof ports)[0])
      return total() === before + 1 && answers.length <= 1
    }),
    { numRuns: 3000 }
  )
  t.true(forwarded() > 100)
})

test('a peer that shows ever more sockets and mappings keeps a bounded number of samples', async t => {
  const { ask, keys, observer, nonceOf } = desk({ perSecond: 1e9 })
  const nonce = nonceOf('p:0a:0', keys.peer, ann)
  for (let socket = 0; socket < 300; socket++)
    ask(question({ username: `p:0a:${socket}`, nonce }, { key: keys.peer }), ann)
  for (let count = 0; count < 100; count++) ask(question({ username: 'p:0a:299', nonce }, { key: keys.peer }), ann)
  const kept = (await Promise.all(Array.from({ length: 300 }, (_, socket) => observer.samples('0a', socket)))).map(
    ({ length }) => length
  )
  t.is(kept.filter(count => count > 0).length, 64)
  t.is(kept[299], 1)
  observer.dismiss('0a')
  t.deepEqual(await observer.samples('0a', 299), [])
})

test('a socket that is asked for again and again outlives all that were shown after it', async t => {
  const { ask, keys, observer, nonceOf } = desk({ perSecond: 1e9 })
  const nonce = nonceOf('p:0a:0', keys.peer, ann)
  for (let socket = 0; socket < 300; socket++) {
    ask(question({ username: `p:0a:${socket}`, nonce }, { key: keys.peer }), ann)
    t.is((await observer.samples('0a', 0)).length, 1)
  }
})

test('a request whose source is not proved leaves the same answer whenever it comes: no state is kept for it', t => {
  const { ask, keys } = desk()
  const datagram = question({ username: 'p:0a:3' }, { key: keys.peer })
  const answers = [1, 2, 3].map(() => ask(datagram, ann)[0]?.datagram)
  t.deepEqual(answers[1], answers[0])
  t.deepEqual(answers[2], answers[0])
})

test('an indication, an answer or another method of STUN is of nobody’s interest', t => {
  const { ask, binding } = desk()
  for (const kind of ['indication', 'success', 'error'] as const)
    t.deepEqual(ask(encode({ class: kind, method: 1, transaction: randomBytes(12) }), ann), [])
  t.deepEqual(ask(encode({ class: 'request', method: 3, transaction: randomBytes(12) }), ann), [], 'TURN Allocate')
  t.is(binding.counters.foreign, 4)
})

/** The relay answers in a turn of its own. */
const turn = () => new Promise(setImmediate)

async function latchBoth({ ask, keys, nonceOf }: ReturnType<typeof desk>): Promise<void> {
  for (const [side, from] of [
    ['caller', ann],
    ['callee', bob]
  ] as const) {
    const username = `s:${session}:${side}`
    const nonce = nonceOf(username, keys[side], from)
    ask(question({ username, nonce }, { key: keys[side] }), from)
  }
  await turn()
}
