import test, { type ExecutionContext } from 'ava'
import { pino } from 'pino'
import { parseConfig } from '../../../src/config/config.ts'
import type { TestResult } from '../../../src/gateway/nettest/result.ts'
import { KEPT_MS, Results } from '../../../src/gateway/nettest/results.ts'
import type { Judging } from '../../../src/gateway/shares/judging.ts'
import type { Port } from '../../../src/gateway/udp/listen.ts'
import { startPlugins } from '../../../src/plugins/built-in.ts'
import { encode, transactionId } from '../../../src/wire/stun.ts'
import { agent, type OpenDesk, openDesk, sees, shown, type Visitor } from './desk.ts'

const { strategies } = await startPlugins(parseConfig('{}', '/postern.yaml', {}).strategies, pino({ level: 'silent' }))

/** One run whose sockets were seen at these ports, one socket after the other. */
async function result(desk: OpenDesk, seen: readonly (readonly number[])[], from?: string): Promise<TestResult> {
  const visitor = desk.come(from)
  const begin = await visitor.hears('begin')
  for (const [socket, mapped] of seen.entries()) sees(desk, begin, socket, mapped)
  visitor.say(shown(seen.map((_, socket) => ({ socket, port: 40_001 + socket }))))
  const found = desk.visits.results.read((await visitor.hears('done')).result)
  if (!found) throw new Error('nothing is kept')
  await visitor.closed
  return found
}

const networks: Readonly<Record<string, { seen: readonly (readonly number[])[]; like: object }>> = {
  'one port for all destinations': {
    seen: [1, 2, 3, 4].map(n => Array(4).fill(40_000 + n)),
    like: { udp: 'open', mapping: 'endpoint-independent', verdict: 'most' }
  },
  'ports that count': {
    seen: [0, 1, 2, 3].map(n => [0, 1, 2, 3].map(m => 51_234 + 4 * n + m)),
    like: {
      mapping: 'address-and-port-dependent',
      ports: { kind: 'stepping', confidence: 1, step: 1 },
      verdict: 'most'
    }
  },
  'ports at random': {
    seen: [
      [31_337, 9173, 60_021, 22_222],
      [12_007, 47_911, 1999, 35_353],
      [58_585, 27_183, 14_142, 63_001],
      [5555, 41_421, 17_320, 50_099]
    ],
    like: { mapping: 'address-and-port-dependent', ports: { kind: 'random', confidence: 1 }, verdict: 'some' }
  },
  'one address of the gateway': {
    seen: [1, 2, 3, 4].map(n => Array(2).fill(40_000 + n)),
    like: { mapping: 'unknown', verdict: 'probably' }
  },
  'nothing over UDP': {
    seen: [[], []],
    like: { udp: 'blocked', isUnbound: false, hasDoor: false, verdict: 'cut-off' }
  },
  'a browser that binds no socket': { seen: [], like: { udp: 'blocked', isUnbound: true, verdict: 'cut-off' } }
}

for (const [what, { seen, like }] of Object.entries(networks))
  test(`${what}: a verdict, and nothing by which anybody could be found`, async t => {
    await using desk = await openDesk({ strategies })
    const found = await result(desk, seen)
    t.like(found, like)
    nothingOf(t, found, seen.flat())
  })

/** No address, none of these ports, no local port, and no name of a host. */
function nothingOf(t: ExecutionContext, found: TestResult, ports: readonly number[]): void {
  const text = JSON.stringify({ ...found, atMs: 0 })
  t.notRegex(text, /\d+\.\d+\.\d+\.\d+|\.local|192\.0\.2|198\.51/)
  for (const port of [...ports, 40_001, 40_002, 40_003, 40_004]) t.false(text.includes(String(port)), `${port}`)
}

test('web traffic that leaves by another address than UDP is a finding, without either address', async t => {
  await using desk = await openDesk({ strategies })
  const seen = [Array(4).fill(40_000)]
  t.like(await result(desk, seen, '203.0.113.200'), { isSplit: true })
  t.like(await result(desk, seen, '192.0.2.77'), { isSplit: false })
  t.like(await result(desk, seen, '2001:db8::1'), { isSplit: false }, 'by IPv6 it is not known')
})

test('where something in front of the gateway hides sources nothing is told of the network', async t => {
  await using desk = await openDesk({ strategies })
  const visitor = desk.come()
  sees(desk, await visitor.hears('begin'), 0, [1, 2, 3, 4], '10.88.0.1')
  visitor.say(shown([{ socket: 0, port: 40_000 }]))
  const found = desk.visits.results.read((await visitor.hears('done')).result)
  t.like(found, { udp: 'hidden', verdict: 'hidden' })
  t.deepEqual(Object.keys(found ?? {}).toSorted(), ['atMs', 'rttMs', 'udp', 'verdict'])
})

test('what can be told over UDP has a round trip that the gateway has measured, and the rest one of the WebSocket', async t => {
  await using desk = await openDesk()
  t.is((await result(desk, [Array(4).fill(40_000)])).rttMs, 12.3)
  const visitor = desk.come('203.0.113.5')
  await visitor.hears('begin')
  await new Promise<void>(resolve => visitor.ws.once('ping', () => resolve()))
  visitor.say(shown([]))
  const { rttMs = 0 } = desk.visits.results.read((await visitor.hears('done')).result) ?? {}
  t.true(rttMs >= 0 && rttMs < 5000, `${rttMs} ms`)
})

const others: readonly [what: string, said: unknown][] = [
  ['a connect request', { type: 'connect', request: 1, name: 'bob' }],
  ['a warm socket, as a peer has it', { type: 'warm', socket: 0, port: 1, addresses: [], rttMs: 1 }],
  ['a question of a peer', { type: 'nat', request: 1, sockets: [], addresses: [], rttMs: 1 }],
  ['a hello', { type: 'hello', v: 1 }],
  ['a claim', { type: 'forward', endpoint: { address: '192.0.2.1', port: 1 } }],
  ['a field that there is not', { ...shown([]), name: 'bob' }],
  ['a socket that it has not', shown([{ socket: 4, port: 1 }])],
  ['a pace that no browser has', { ...shown([]), agent: { ...agent, connections: 1000 } }],
  ['no JSON', 'shown'],
  ['bytes', Buffer.from(JSON.stringify(shown([])))]
]
for (const [what, said] of others)
  test(`a visitor that says anything else is refused and sent away: ${what}`, async t => {
    await using desk = await openDesk()
    const visitor = desk.come()
    await visitor.hears('begin')
    visitor.say(said)
    t.is((await visitor.hears('refused')).code, 'bad-message')
    t.is(await visitor.closed, 1008)
    t.like(desk.visits.counters, { malformed: 1 })
  })

test('a second message and a ping end a run', async t => {
  await using desk = await openDesk()
  const [pinging, twice] = [desk.come(), desk.come()]
  await Promise.all([pinging, twice].map(one => one.hears('begin')))
  pinging.ws.ping()
  t.is((await pinging.hears('refused')).code, 'bad-message')
  // Nothing is judged before both were heard.
  desk.observer.samples = () => new Promise(() => {})
  for (const message of Array(2).fill(shown([{ socket: 0, port: 1 }]))) twice.say(message)
  await Promise.all([pinging.closed, twice.closed])
  await gone(desk)
  t.like(desk.visits.counters, { malformed: 2, done: { 'cut-off': 0 } })
})

test('the key of a visitor is good for samples of its own and for nothing once it has gone', async t => {
  await using desk = await openDesk()
  const visitor = desk.come()
  const { visit } = await visitor.hears('begin')
  t.like(desk.observer.credentialOf('p', visit, '0'), { kind: 'sample', peer: visit })
  await visitor.leaves()
  await gone(desk)
  t.is(desk.observer.credentialOf('p', visit, '0'), undefined)
})

const gone = async ({ visits }: OpenDesk) => {
  while (visits.size > 0) await new Promise(setImmediate)
}

test('a network has three runs a minute, and is told when to come again; another one has its own', async t => {
  await using desk = await openDesk()
  for (let run = 0; run < 3; run++) await result(desk, [], `198.51.100.${run}`)
  const fourth = desk.come('198.51.100.99')
  const { code, reason, retryMs = 0 } = await fourth.hears('refused')
  t.is(code, 'relay-full')
  t.regex(reason, /^this network has had its 3 tests of this minute; ask again in \d+ s$/)
  t.true(retryMs > 30_000 && retryMs <= 60_000, `${retryMs} ms`)
  t.is(await fourth.closed, 1013)
  t.like(await result(desk, [], '203.0.113.1'), { udp: 'blocked' })
  t.like(desk.visits.counters, { limited: 1, full: 0, done: { 'cut-off': 4 } })
})

test('twenty are at once, of whom the last two are for networks that have none; a place is free again when one leaves', async t => {
  await using desk = await openDesk()
  const come = async (at: number): Promise<Visitor | undefined> => {
    const visitor = desk.come(`10.${at}.0.1`)
    return visitor.hears('begin').then(
      () => visitor,
      () => undefined
    )
  }
  const inside = []
  for (let at = 0; at < 20; at++) inside.push(await come(at))
  t.is(inside.filter(one => one !== undefined).length, 20)
  t.is(await come(20), undefined)
  t.like(desk.visits.counters, { full: 1 })
  await inside[3]?.leaves()
  while (desk.visits.size > 19) await new Promise(setImmediate)
  t.truthy(await come(21))
})

test('who finds no time for judging waits', async t => {
  const judging = { hasRoom: () => false, retryMs: () => 1500 } as unknown as Judging
  await using desk = await openDesk({ judging })
  t.like(await desk.come().hears('refused'), { retryMs: 1500 })
  t.like(desk.visits.counters, { busy: 1 })
})

test('a run is over after its time, whatever the page does', async t => {
  await using desk = await openDesk({ runMs: 50 })
  const visitor = desk.come()
  await visitor.hears('begin')
  t.like(await visitor.hears('refused'), { code: 'timeout', reason: 'the test took too long' })
  await visitor.closed
  t.like(desk.visits.counters, { late: 1 })
})

test('a visitor that does not answer the close is cut off', async t => {
  await using desk = await openDesk({ runMs: 50 })
  const visitor = desk.come()
  await visitor.hears('begin')
  visitor.ws.pause()
  const beganMs = performance.now()
  while (desk.visits.size > 0) await new Promise(resolve => setTimeout(resolve, 10))
  t.true(performance.now() - beganMs < 4000)
})

/** A check as an ICE agent sends it. */
const check = (username: string, key: string) =>
  encode(
    { class: 'request', method: 1, transaction: transactionId(), username, priority: 1 },
    { key, fingerprint: true }
  )

test('a check that comes through the TCP door is answered if it is of a visitor, and changes its verdict', async t => {
  await using desk = await openDesk()
  const visitor = desk.come()
  const { door } = await visitor.hears('begin')
  const answers: Buffer[] = []
  const port = { door: 'tcp', send: (datagram: Uint8Array) => answers.push(Buffer.from(datagram)) } as unknown as Port
  const source = { address: '192.0.2.77', port: 5000 }
  const took = (at: Port, username: string, key: string) => desk.visits.takes(at, source, check(username, key))
  t.false(took(port, `${door.ufrag}:abcd`, 'a wrong password'))
  t.false(took(port, 'somebody:abcd', door.pwd))
  t.false(took({ ...port, door: 'udp' }, `${door.ufrag}:abcd`, door.pwd), 'nothing is answered over UDP')
  t.is(answers.length, 0)
  t.true(took(port, `${door.ufrag}:abcd`, door.pwd))
  t.is(answers.length, 1)
  visitor.say(shown([{ socket: 0, port: 40_000 }]))
  const found = desk.visits.results.read((await visitor.hears('done')).result)
  t.like(found, { udp: 'blocked', hasDoor: true, verdict: 'blocked' })
  await visitor.closed
  await gone(desk)
  t.false(took(port, `${door.ufrag}:abcd`, door.pwd), 'it has gone')
})

test('a result is read by its id of 128 bits for 24 hours, and nobody reads another', t => {
  let nowMs = 1000
  const results = new Results(() => nowMs)
  const kept = { udp: 'hidden', verdict: 'hidden', rttMs: 1, atMs: 5 } as const
  const [id, other] = [results.keep(kept), results.keep(kept)]
  t.regex(id, /^[\w-]{22}$/)
  t.is(Buffer.from(id, 'base64url').length, 16)
  t.not(id, other)
  t.deepEqual(results.read(id), kept)
  t.is(results.read(`${id.slice(0, -1)}${id.endsWith('A') ? 'B' : 'A'}`), undefined)
  t.is(results.read('__proto__'), undefined)
  nowMs += KEPT_MS - 1
  t.deepEqual(results.read(id), kept)
  nowMs += 2
  t.is(results.read(id), undefined)
  t.is(results.size, 0)
})

test('no more results are kept than there is room for', t => {
  const results = new Results()
  for (let at = 0; at < 10_005; at++) results.keep({ udp: 'hidden', verdict: 'hidden', rttMs: at, atMs: 0 })
  t.is(results.size, 10_000)
})
