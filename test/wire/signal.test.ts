import test from 'ava'
import fc from 'fast-check'
import { PosternError } from '../../src/errors.ts'
import { helloProof } from '../../src/wire/identity/proof.ts'
import { checkOrder } from '../../src/wire/order.ts'
import type { Report } from '../../src/wire/report.ts'
import { type FromPeer, parseFromGateway, parseFromPeer } from '../../src/wire/signal.ts'

const session = '00112233445566aa'
const report = { steps: [['found', 1.5]], sent: 1, received: 0 } as const
const dtls = Array(32).fill('AB').join(':')
const endpoint = { address: '203.0.113.7', port: 4242 }

/** All that a report may hold. */
const fullReport: Report = {
  startedMs: 1_795_000_000_000.25,
  steps: [['found', 1.5]],
  sent: 3,
  received: 2,
  flows: 1,
  sentMs: [0.5, 20],
  receivedMs: [10, 10],
  heard: [endpoint]
}

/** One of each kind of message. */
const messages: readonly FromPeer[] = [
  {
    type: 'hello',
    v: 3,
    name: 'ann',
    token: 't',
    certificate: 'c',
    place: 'https://a/gate',
    dtls,
    signature: 'c2ln',
    accepts: true
  },
  { type: 'warm', socket: 0, port: 12345, addresses: [{ address: '10.0.0.2', prefix: 24 }], rttMs: 1.5 },
  { type: 'cold', socket: 0, reason: 'silence' },
  { type: 'filtering', port: true, remaps: false },
  { type: 'connect', request: 0, to: 'bob', fingerprint: 'AA', traceparent: '00-…', atMs: 1_795_000_000_000.25 },
  { type: 'progress', session, plan: 1, step: 'found' },
  {
    type: 'opened',
    session,
    plan: 1,
    local: endpoint,
    remote: endpoint,
    report: fullReport
  },
  { type: 'failed', session, plan: 1, code: 'io', reason: 'no', report: { ...report, steps: [] } },
  { type: 'leave', session, code: 'io', reason: 'no' },
  { type: 'ping', at: 1.5 },
  { type: 'clock', offsetMs: -3_600_000.5, uncertaintyMs: 0.75 },
  { type: 'claim', socket: 0, port: 4000, endpoint, by: 'given' },
  { type: 'proof', port: 4000, nonce: 'AAAAAAAAAAA=' },
  { type: 'unclaim', port: 4000 },
  { type: 'router', answer: 'carrier', outside: '100.64.0.2' },
  { type: 'connect', request: 0, to: 'bob', continues: { session, peer: '0a1b2c3d4e5f', only: 'relay' } },
  {
    ...{ type: 'news', session, what: 'resumed', reason: 'nothing was heard', kind: 'relay', door: 'udp' },
    ...{ seen: 'there', ms: 140.5, resentBytes: 65_536, atMs: 1_795_000_000_000 },
    ...{ quietMs: 900, back: true }
  },
  { type: 'news', session, what: 'lost', ms: 1200, askedMs: 800 },
  { type: 'news', session, what: 'slept', ms: 45_000 },
  { type: 'news', session, what: 'ended', code: 'path-lost' },
  { type: 'cold', socket: 0, reason: 'silence', doors: ['tcp', 'websocket'] },
  { type: 'cold', socket: 0, reason: 'silence', ice: { ufrag: 'Xy7+', pwd: 'x'.repeat(22) } },
  {
    type: 'hello',
    v: 3,
    room: { name: 'standup', proof: 'c2ln' },
    key: 'c3BraQ==',
    place: 'https://a',
    dtls,
    signature: 'c2ln',
    accepts: true
  },
  { type: 'room', request: 0, name: 'standup', entry: 'A'.repeat(43), hours: 0.5 },
  { type: 'close-room', request: 0, name: 'standup' },
  { type: 'admit', id: '0a1b2c3d4e5f' },
  { type: 'turn-away', id: '0a1b2c3d4e5f' }
]

const isRefused = (text: string): boolean => {
  try {
    parseFromPeer(text)
    return false
  } catch (error) {
    if (error instanceof PosternError && error.code === 'bad-message' && error.message.length < 2000) return true
    throw error
  }
}

test('each kind of message comes out as it went in', t => {
  for (const message of messages) t.deepEqual(parseFromPeer(JSON.stringify(message)), message)
})

test('a message with one field missing, of another type or too many is malformed', t => {
  const ofMost = [
    'certificate',
    'key',
    'token',
    'room',
    'hours',
    'fingerprint',
    'traceparent',
    'atMs',
    'remaps',
    'outside',
    'continues',
    'doors',
    'ice'
  ]
  const ofNews = ['reason', 'kind', 'door', 'seen', 'ms', 'askedMs', 'quietMs', 'back', 'code', 'resentBytes', 'atMs']
  for (const message of messages) {
    const optional = message.type === 'news' ? ofNews : message.type === 'hello' ? [...ofMost, 'name'] : ofMost
    for (const field of Object.keys(message)) {
      const { [field]: _, ...rest } = message as Record<string, unknown>
      t.is(isRefused(JSON.stringify(rest)), !optional.includes(field), `${message.type} without ${field}`)
      t.true(isRefused(JSON.stringify({ ...message, [field]: { odd: true } })), `${message.type} with an odd ${field}`)
    }
    t.true(isRefused(JSON.stringify({ ...message, more: 1 })))
  }
})

test('what a peer tells of a path is bounded in each of its parts', t => {
  const news = { type: 'news', session, what: 'lost' }
  t.false(isRefused(JSON.stringify(news)))
  for (const odd of [
    { session: 'x' },
    { what: 'found' },
    { reason: 'x'.repeat(513) },
    { kind: 'carrier pigeon' },
    { door: 'x'.repeat(17) },
    { door: '\u001b[2J' },
    { seen: 'callee' },
    { ms: -1 },
    { ms: 86_400_001 },
    { resentBytes: -1 },
    { resentBytes: 0.5 }
  ])
    t.true(isRefused(JSON.stringify({ ...news, ...odd })), JSON.stringify(odd).slice(0, 60))
  const shown = parseFromPeer(JSON.stringify({ ...news, reason: 'gone\u001b[2J' }))
  t.notRegex(JSON.stringify(shown), /\\u001b/)
})

test('a request that continues a connection says which one, with whom, and what it asks for', t => {
  const continues = { session, peer: '0a1b2c3d4e5f', only: 'relay' }
  const connect = (of: object) => JSON.stringify({ type: 'connect', request: 0, to: 'bob', continues: of })
  t.false(isRefused(connect(continues)))
  for (const odd of [{ session: 'x' }, { peer: 'a:b' }, { only: 'both' }, { more: 1 }])
    t.true(isRefused(connect({ ...continues, ...odd })), JSON.stringify(odd))
})

test('whatever text arrives is a message or a bad-message, never anything else', t => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), fc.constantFrom('', '{', 'null', '[]', '"x"', '1e999')), text => {
      isRefused(text)
    }),
    { numRuns: 1000 }
  )
  t.pass()
})

test('a message with any of its parts replaced by anything is still one or the other', t => {
  const anything = fc.anything({ withDate: false, withBigInt: false, withNullPrototype: true, maxDepth: 3 })
  fc.assert(
    fc.property(fc.constantFrom(...messages), fc.string(), fc.nat(), anything, (message, key, index, value) => {
      const keys = Object.keys(message)
      const changed = { ...message, [index % 2 === 0 ? (keys[index % keys.length] ?? key) : key]: value }
      isRefused(JSON.stringify(changed))
    }),
    { numRuns: 2000 }
  )
  t.pass()
})

test('names of the prototype are no messages and no fields', t => {
  t.true(isRefused('{"type":"constructor"}'))
  t.true(isRefused('{"type":"__proto__"}'))
  t.true(isRefused('{"__proto__":{"type":"ping","at":1}}'))
  t.true(
    isRefused('{"type":"ping","at":1,"__proto__":{}}') ||
      Object.getPrototypeOf(parseFromPeer('{"type":"ping","at":1,"__proto__":{}}')) === Object.prototype
  )
})

test('every text and list has an end', t => {
  const long = 'x'.repeat(300)
  const steps = Array.from({ length: 33 }, () => ['x', 1])
  const addresses = Array.from({ length: 17 }, () => ({ address: '10.0.0.1', prefix: 8 }))
  for (const odd of [
    { ...messages[0], token: long },
    { ...messages[0], certificate: 'x'.repeat(8193) },
    { ...messages[1], addresses },
    { ...messages[4], to: long },
    { ...messages[6], report: { ...report, steps } },
    { ...messages[6], report: { ...report, heard: Array(9).fill(endpoint) } },
    { ...messages[7], reason: 'x'.repeat(513) }
  ])
    t.true(isRefused(JSON.stringify(odd)))
})

test('numbers out of range are malformed: ports, prefixes, times', t => {
  const subnet = (address: string, prefix: number) => ({ ...messages[1], addresses: [{ address, prefix }] })
  for (const odd of [
    { ...messages[1], port: 0 },
    { ...messages[1], port: 65536 },
    { ...messages[1], rttMs: -1 },
    { ...messages[1], socket: 1.5 },
    { ...messages[6], session: 'short' },
    { ...messages[6], report: { ...report, sentMs: [0, -1] } },
    { ...messages[6], report: { ...report, sentMs: [0] } },
    { ...messages[6], report: { ...report, startedMs: 1e16 } },
    { ...messages[6], report: { ...report, heard: [{ ...endpoint, port: 0 }] } },
    { ...messages[10], offsetMs: -1e16 },
    { ...messages[10], uncertaintyMs: -1 },
    subnet('10.0.0.1', 33),
    subnet('2001:db8::1', 129),
    subnet('10.0.0', 8)
  ])
    t.true(isRefused(JSON.stringify(odd)), JSON.stringify(odd))
  t.false(isRefused(JSON.stringify(subnet('2001:db8::1', 64))))
})

test('the first mistake is told with its place, and nothing of what was sent', t => {
  const secret = 'this-is-secret'
  const error = t.throws(() => parseFromPeer(JSON.stringify({ ...messages[0], token: [secret] })), {
    instanceOf: PosternError
  })
  t.regex(error?.message ?? '', /malformed at token/)
  t.false(error?.message.includes(secret))
})

test("a gateway's messages are held to the same", t => {
  t.is(parseFromGateway('{"type":"pong","at":1,"timeMs":2}').type, 'pong')
  fc.assert(
    fc.property(fc.json(), text => {
      t.throws(() => parseFromGateway(text), { instanceOf: PosternError, code: 'bad-message' })
    })
  )
})

test('a gateway that can do more than is known here is understood all the same', t => {
  const told = { type: 'features', features: ['proofs', 'something newer'], and: 'more' }
  t.deepEqual(parseFromGateway(JSON.stringify(told)), { type: 'features', features: ['proofs', 'something newer'] })
})

test('a verdict is held to its limits, and only printable', t => {
  const verdict = { code: 'c', sentence: 's', side: 'both', evidence: ['e'], advice: 'a', also: ['x'] }
  const over = { type: 'over', session, code: 'no-path', reason: 'r', trace: 'a'.repeat(32) }
  const given = (changes: object) => JSON.stringify({ ...over, verdict: { ...verdict, ...changes } })
  t.like(parseFromGateway(given({})), { verdict })
  t.like(parseFromGateway(given({ sentence: 'a\u001b[2Jb' })), { verdict: { sentence: 'a [2Jb' } })
  for (const odd of [{ side: 'us' }, { evidence: Array(9).fill('e') }, { sentence: 'x'.repeat(513) }, { more: 1 }])
    t.throws(() => parseFromGateway(given(odd)), { instanceOf: PosternError, code: 'bad-message' })
})

test('what others will read is one line, without a command to their terminal', t => {
  const evil = 'gone\u001b]0;owned\u0007\n\u202egnp.exe'
  const left = parseFromPeer(JSON.stringify({ type: 'leave', session, code: 'io', reason: evil }))
  t.is(left.type === 'leave' && left.reason, 'gone ]0;owned gnp.exe')
  const failed = parseFromPeer(JSON.stringify({ ...messages[7], report: { ...report, steps: [[evil, 1]] } }))
  t.deepEqual(failed.type === 'failed' && failed.report.steps, [['gone ]0;owned gnp.exe', 1]])
  const over = { type: 'over', session, code: 'io', reason: evil, trace: 'a'.repeat(32) }
  t.like(parseFromGateway(JSON.stringify(over)), { reason: 'gone ]0;owned gnp.exe' })
})

test('nobody is waited for because of the round trip it claims', t => {
  t.like(parseFromPeer(JSON.stringify({ ...messages[1], rttMs: 86_400_000 })), { rttMs: 3000 })
})

test('names, fingerprints and ICE credentials of a gateway are what they seem', t => {
  const fingerprint = Array(32).fill('AB').join(':')
  const ice = { ufrag: 'abcd', pwd: 'x'.repeat(22) }
  const handover = { role: 'active', local: ice, remote: ice, fingerprint }
  const times = { afterMs: 0, waitMs: 1, handoverMs: 1 }
  const order = {
    type: 'order',
    session,
    plan: 1,
    by: 'stun',
    socket: 0,
    order: { kind: 'punch', targets: [] },
    ...times
  }
  const peer = { id: '0a', name: 'bob', fingerprint, named: true }
  const introduction = { type: 'session', session, role: 'caller', key: '', probeKey: '', trace: 'a'.repeat(32) }
  t.notThrows(() => parseFromGateway(JSON.stringify({ ...order, handover })))
  t.notThrows(() => parseFromGateway(JSON.stringify({ ...introduction, peer })))
  const line = `a=fingerprint:sha-256 ${fingerprint}`
  for (const odd of [
    { ...order, handover: { ...handover, remote: { ...ice, ufrag: `abcd\r\n${line}`.slice(0, 64) } } },
    { ...order, handover: { ...handover, remote: { ...ice, pwd: `${ice.pwd}\r\n${line}`.slice(0, 128) } } },
    { ...order, handover: { ...handover, fingerprint: `${fingerprint}\r\n${line}` } },
    { ...introduction, peer: { ...peer, fingerprint: 'AB' } },
    { ...introduction, peer: { ...peer, name: 'bob\u001b[2J' } }
  ])
    t.throws(() => parseFromGateway(JSON.stringify(odd)), { instanceOf: PosternError, code: 'bad-message' })
})

test('the id that a gateway gives to a peer has room in a USERNAME, and is printable', t => {
  const endpoints = [endpoint]
  const welcome = { type: 'welcome', peer: '0a1b2c3d4e5f', name: 'ann', key: 'AAAA', endpoints, refreshMs: 15_000 }
  t.like(parseFromGateway(JSON.stringify(welcome)), { peer: welcome.peer })
  for (const peer of ['', 'x'.repeat(33), 'a:b', '\u001b[2J', '\u202e'])
    t.throws(
      () => parseFromGateway(JSON.stringify({ ...welcome, peer })),
      { code: 'bad-message' },
      JSON.stringify(peer)
    )
})

test('an order names at most eight targets that are endpoints', t => {
  t.notThrows(() => checkOrder({ kind: 'punch', targets: Array(8).fill(endpoint) }))
  for (const odd of [
    { kind: 'punch', targets: Array(9).fill(endpoint) },
    { kind: 'ice', targets: [{ address: 'example.org', port: 1 }] },
    { kind: 'splice' },
    { kind: 'splice', target: { ...endpoint, port: 0 } },
    { kind: 'other' },
    undefined
  ])
    t.throws(() => checkOrder(odd), { instanceOf: PosternError, code: 'bad-message' })
})

test('what a hello signs holds the place, the nonce and the DTLS fingerprint, and words that mean nothing elsewhere', t => {
  t.is(
    String(Buffer.from(helloProof({ place: 'https://a', nonce: 'abc', dtls }))),
    `postern hello\n3\nhttps://a\nabc\n${dtls}`
  )
})

test('a hello names a place in one way only, and nothing in it ends a line', t => {
  const hello = { ...messages[0], type: 'hello' as const }
  for (const place of ['', 'a', 'https://a/', 'https://A', 'wss://a', 'https://a:443', 'https://a\nb', 'https://a/b\n'])
    t.true(isRefused(JSON.stringify({ ...hello, place })), place)
  for (const wrong of [{ dtls: '' }, { dtls: `${dtls}\n` }, { place: undefined }])
    t.true(isRefused(JSON.stringify({ ...hello, ...wrong })))
})

test('a hello of another version is told which is spoken here and what to do, whatever else it holds', t => {
  const sentence = (text: string) => t.throws(() => parseFromPeer(text), { code: 'bad-message' })?.message
  t.is(
    sentence('{"type":"hello","v":1,"token":"t","certificate":"c","signature":"c2ln","accepts":true}'),
    'the peer speaks version 1 of the protocol, and this gateway version 3; install a newer postern on the peer'
  )
  t.regex(sentence('{"type":"hello","v":4,"surprise":[]}') ?? '', /version 4 .*newer postern on the gateway$/)
})

test('a challenge of another version is read, so that a peer can say which it is', t => {
  t.like(parseFromGateway('{"type":"challenge","v":4,"nonce":"AAAA","more":1}'), { v: 4 })
})
