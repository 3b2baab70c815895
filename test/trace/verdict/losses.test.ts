// Each verdict on a lost path, from records that are made up of what would be recorded; and what is not claimed where it does not
// show.

import test from 'ava'
import fc from 'fast-check'
import { forCaller } from '../../../src/trace/record/for-caller.ts'
import type { SpanRecord, TraceRecord } from '../../../src/trace/record/record.ts'
import { judgeLosses } from '../../../src/trace/verdict/losses/judge.ts'
import { lossesIn } from '../../../src/trace/verdict/losses/reading.ts'
import { type LossCode, lossVerdicts, type Verdict } from '../../../src/verdict.ts'
import { type SideName, sideNames } from '../../../src/wire/side.ts'

type Attributes = Record<string, unknown>

const prefixed = (attributes: Attributes) =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name.startsWith('network.') ? name : `postern.${name}`, value])
  )

const home: Record<SideName, Attributes> = {
  caller: { mapped: '198.51.100.1:40000', links: ['192.168.1.5/24'] },
  callee: { mapped: '198.51.100.2:40000', links: ['10.0.0.7/24'] }
}

/** A connection of alice's to bob, and what becomes of its path. Times are in milliseconds since there was a path. */
class Life {
  readonly spans: SpanRecord[] = []
  readonly path: 'direct' | 'relay'

  constructor(path: 'direct' | 'relay' = 'direct', root = 'connect', attributes: Attributes = {}) {
    this.path = path
    this.#add(root, -100, attributes)
    if (root === 'connect') this.profiles(-90)
  }

  /** What a side tells; `seconds` since there was a path. */
  told(side: SideName, change: string, seconds: number, more: Attributes = {}): this {
    return this.#add('change', seconds * 1000, { change, told_by: side, side, ...more })
  }

  /** Both heard nothing for 1.2 s, and asked for an answer 0.8 s ago. */
  lostByBoth(seconds: number, more: Attributes = {}): this {
    const quiet = { path: this.path, silence: 1200, unanswered: 800, ...more }
    return this.told('caller', 'lost', seconds, quiet).told('callee', 'lost', seconds + 0.05, quiet)
  }

  resumedByBoth(seconds: number, path = 'relay', more: Attributes = {}): this {
    const how = { path, pause: 1300, ...more }
    return this.told('caller', 'resumed', seconds, how).told('callee', 'resumed', seconds + 0.01, how)
  }

  profiles(atMs: number, different: Partial<Record<SideName, Attributes>> = {}): this {
    for (const side of sideNames) this.#add('profile', atMs, { side, ...home[side], ...different[side] })
    return this
  }

  /** A search that lasts 100 ms, with what it found out of both sides. */
  search(
    seconds: number,
    only: string,
    more: Attributes = {},
    different?: Partial<Record<SideName, Attributes>>
  ): this {
    const atMs = seconds * 1000
    const long = { 'caller.joined': 60_000, 'callee.joined': 60_000, 'gateway.up': 90_000 }
    this.#add('again', atMs, { only, outcome: 'path', ...long, ...more }, { endMs: atMs + 100 })
    return different ? this.profiles(atMs + 1, different) : this
  }

  /** A direct search of which no plan met. */
  vain(seconds: number, received: Partial<Record<SideName, number>> = {}): this {
    const atMs = seconds * 1000 + 10
    this.search(seconds, 'direct', { outcome: 'failed', code: 'no-path' }, {})
    this.#add('plan', atMs, { plugin: 'stun', outcome: 'failed', cause: 'unheard' })
    const parent = this.spans.at(-1)?.id ?? ''
    for (const side of sideNames) this.#add('probe', atMs, { side, sent: 9, received: received[side] ?? 0 }, { parent })
    return this
  }

  /** Where the relay sees the caller. */
  latched(endpoint: string): this {
    return this.#add('relay', -50, { plugin: 'relay', outcome: 'path', 'caller.latched': endpoint })
  }

  relatched(seconds: number, address: string, port: number): this {
    const source = { 'network.peer.address': address, 'network.peer.port': port }
    return this.#add('change', seconds * 1000, { change: 'relatched', side: 'caller', ...source })
  }

  cold(seconds: number, side: SideName, code = 'udp-blocked'): this {
    const attributes = prefixed({ side, code, reason: 'no UDP datagram of it reached the gateway' })
    const atMs = seconds * 1000
    return this.#add('observe', atMs, { sides: side }, { events: [{ name: 'cold', atMs, attributes }] })
  }

  get record(): TraceRecord {
    return {
      ...{ id: '0'.repeat(32), startMs: -100, ms: 100, caller: 'alice', callee: 'bob', outcome: 'path', by: 'stun' },
      ...{ reason: '', path: this.path, spans: this.spans.toSorted((a, b) => a.startMs - b.startMs) },
      verdict: { code: 'direct', sentence: '', side: 'none', evidence: [], advice: '', also: [] }
    }
  }

  #add(name: string, startMs: number, attributes: Attributes, more: Partial<SpanRecord> = {}): this {
    const id = `span-${this.spans.length}`
    const span = { id, name: `postern.${name}`, startMs, endMs: startMs, events: [], ...more }
    this.spans.push({ ...span, attributes: prefixed(attributes) })
    return this
  }
}

interface Expected {
  readonly side: Verdict['side']
  readonly sentence: RegExp
  /** Of one of its lines. */
  readonly evidence?: RegExp
}

const cases: (Expected & { readonly what: string; readonly code: LossCode; readonly life: Life })[] = []

function when(what: string, code: LossCode, life: Life, expected: Expected): void {
  cases.push({ what, code, life, ...expected })
}

const sample = (mapped: string) => ({ name: 'sample', atMs: 0, attributes: { 'postern.mapped': mapped } })
const lost = (path?: 'direct' | 'relay') => new Life(path).lostByBoth(12)
const elsewhere = { caller: { mapped: '203.0.113.9:5000', links: ['192.168.1.5/24'] } }

when('a side is seen at another public address', 'address-changed', lost().search(12.1, 'relay', {}, elsewhere), {
  side: 'caller',
  sentence: /^alice changed its network/,
  evidence: /^alice: seen at 198\.51\.100\.1 before, and at 203\.0\.113\.9 after$/
})
when(
  'a side has another address of its own behind the same NAT, whose port is another one too',
  'address-changed',
  lost().search(
    12.1,
    'relay',
    {},
    {
      callee: { links: ['10.0.0.201/24'], remapped: '198.51.100.2:40000 198.51.100.2:41000 300' }
    }
  ),
  { side: 'callee', sentence: /^bob changed/, evidence: /^bob: its own address was 10\.0\.0\.7, and is 10\.0\.0\.201$/ }
)
when(
  'both are elsewhere',
  'address-changed',
  lost().search(12.1, 'relay', {}, { ...elsewhere, callee: { mapped: '203.0.113.77:1' } }),
  { side: 'both', sentence: /^alice and bob changed their networks/ }
)
when(
  'a side tells that its network changed, and nobody has seen it since',
  'address-changed',
  lost().told('caller', 'network', 11.5),
  { side: 'caller', sentence: /^alice told of other addresses/, evidence: /^alice: told/ }
)
when(
  'a socket of a side has another port at the same address',
  'nat-forgot',
  lost().search(12.1, 'relay', {}, { caller: { remapped: '198.51.100.1:40000 198.51.100.1:23456 500' } }),
  { side: 'caller', sentence: /^the NAT of alice forgot/, evidence: /seen at 198\.51\.100\.1:23456 then$/ }
)
when(
  'the relay saw a side at another port',
  'nat-forgot',
  new Life('relay').latched('198.51.100.1:40000').relatched(11.5, '198.51.100.1', 23_456).lostByBoth(12),
  { side: 'caller', sentence: /^the NAT of alice forgot/, evidence: /was seen at 198\.51\.100\.1:23456 then$/ }
)
when(
  'one side lost its link to the gateway too, and is at the same address',
  'nat-forgot',
  lost().search(12.5, 'relay', { 'callee.joined': 300 }, {}),
  { side: 'callee', sentence: /^bob lost the path and its link/, evidence: /^bob: joined anew/ }
)
when(
  'one side asks in vain, and the other one heard it ask',
  'one-way',
  new Life()
    .told('callee', 'lost', 12, { path: 'direct', silence: 1200, unanswered: 800 })
    .told('caller', 'lost', 12.4, { path: 'direct', silence: 1000, unanswered: 600 })
    .resumedByBoth(12.6)
    .vain(12.7),
  {
    side: 'path',
    sentence: /^bob heard nothing of alice any more, which still heard bob$/,
    evidence: /alice heard it ask/
  }
)
when(
  'both heard nothing, and in the search for a direct path one side hears the other',
  'one-way',
  lost().resumedByBoth(12.2).vain(12.3, { callee: 7 }),
  { side: 'path', sentence: /^alice heard nothing of bob/, evidence: /in vain: bob heard alice, and alice nothing$/ }
)
when(
  'one side alone lost it, and the other one had heard it when it left the path',
  'one-way',
  new Life()
    .told('callee', 'lost', 12, { path: 'direct', silence: 1200, unanswered: 800 })
    .told('callee', 'resumed', 12.6, { path: 'relay' })
    .told('caller', 'moved', 12.6, { path: 'relay', silence: 600 }),
  { side: 'path', sentence: /^bob heard nothing/ }
)
when(
  'both heard nothing, are where they were, and no direct path is found',
  'path-cut',
  lost().resumedByBoth(12.2).vain(12.3),
  {
    side: 'path',
    sentence: /although both are where they were/,
    evidence: /^a search for a direct path, 300 ms later, was in vain$/
  }
)
when(
  'no UDP of a side reaches the gateway then',
  'udp-blocked',
  lost().search(12.1, 'relay', { outcome: 'failed' }, {}).cold(12.2, 'callee'),
  {
    side: 'callee',
    sentence: /^no UDP of bob/,
    evidence: /^bob: no UDP datagram/
  }
)
when(
  'the relay is lost, and both sides join anew',
  'gateway-away',
  lost('relay').search(14, 'relay', { 'caller.joined': 900, 'callee.joined': 700 }, {}),
  { side: 'gateway', sentence: /^both sides lost the gateway/, evidence: /^bob: joined anew$/ }
)
when(
  'the gateway has begun since the relay was lost',
  'gateway-away',
  lost('relay').search(14, 'relay', { 'gateway.up': 1500 }),
  { side: 'gateway', sentence: /^the gateway was started anew/ }
)
when(
  'a gateway that has just begun is asked for a path of a connection that it does not know',
  'gateway-away',
  new Life('relay', 'again', { only: 'relay', outcome: 'path', 'gateway.up': 2000 }),
  { side: 'gateway', sentence: /^the gateway was started anew/ }
)
when(
  'a side slept, and tells it when it wakes',
  'slept',
  new Life()
    .told('caller', 'lost', 12, { path: 'direct', silence: 1200 })
    .told('callee', 'slept', 56, { slept: 45_000 }),
  { side: 'callee', sentence: /^bob did not run for 45 s/, evidence: /^alice: heard nothing for 1\.2 s$/ }
)
when(
  'a side waits until the end, and the other one tells nothing',
  'vanished',
  new Life()
    .told('caller', 'lost', 12, { path: 'direct', silence: 1200 })
    .search(12.3, 'relay', { outcome: 'failed', code: 'silent-peer' })
    .told('caller', 'ended', 72, { code: 'path-lost' }),
  { side: 'callee', sentence: /^bob was not heard of any more/, evidence: /^bob: not there, or silent, for 1 of 1/ }
)
when(
  'a side finds that full packets do not pass, while it hears the other one',
  'too-narrow',
  new Life()
    .told('callee', 'lost', 12, { path: 'direct', mtu: 1280 })
    .search(12.1, 'direct', { mtu: 1200 })
    .told('callee', 'resumed', 12.4, { path: 'direct', mtu: 1200 })
    .told('caller', 'moved', 12.4, { path: 'direct', mtu: 1200 }),
  {
    side: 'path',
    sentence: /^packets of 1280 bytes did not pass on the direct path/,
    evidence: /^bob: packets of 1280 bytes/
  }
)
when(
  'the same path is heard again',
  'interrupted',
  lost().told('caller', 'resumed', 14, { path: 'direct', back: true }),
  { side: 'path', sentence: /was heard again 2 s after/ }
)

// What is not claimed.

when(
  'nothing shows why, and a direct path is found at the same addresses',
  'unexplained',
  lost().resumedByBoth(12.2).search(12.3, 'direct', {}, {}),
  {
    side: 'none',
    sentence:
      /^nothing shows why; alice and bob heard nothing any more; both are where they were; the relay was found 200 ms/
  }
)
when(
  'addresses are recorded up to their subnet alone: who seems to be where he was may be elsewhere',
  'unexplained',
  (() => {
    const masked = { caller: { mapped: '198.51.100.0:1', links: [] }, callee: { mapped: '203.0.113.0:1', links: [] } }
    return new Life().profiles(-80, masked).lostByBoth(12).vain(12.3).profiles(12_310, masked)
  })(),
  { side: 'none', sentence: /^nothing shows why; alice and bob heard nothing any more$/ }
)
when(
  'one side alone lost it, and the other one had heard nothing for as long',
  'unexplained',
  new Life()
    .told('callee', 'lost', 12, { path: 'direct', silence: 1200, unanswered: 800 })
    .told('caller', 'moved', 12.2, { path: 'relay', silence: 1400 }),
  { side: 'none', sentence: /^nothing shows why; bob heard nothing any more/ }
)
when(
  'a side moves long after the path was lost and found',
  'unexplained',
  lost().resumedByBoth(12.2).search(90, 'direct', {}, elsewhere),
  { side: 'none', sentence: /^nothing shows why/ }
)
when(
  'a side joined in order to call, a moment before the path was lost',
  'unexplained',
  new Life().lostByBoth(1).search(1.1, 'relay', { 'caller.joined': 1900 }, {}),
  { side: 'none', sentence: /^nothing shows why/ }
)
when(
  'both hear each other in a search for a direct path that is in vain',
  'unexplained',
  lost().resumedByBoth(12.2).vain(12.3, { callee: 7, caller: 7 }),
  { side: 'none', sentence: /^nothing shows why/ }
)
when(
  'a NAT that has several public addresses shows another one of them',
  'unexplained',
  (() => {
    const life = lost().search(12.1, 'relay', {}, elsewhere)
    for (const span of life.spans)
      if (span.attributes['postern.side'] === 'caller' && span.name === 'postern.profile')
        Object.assign(span, { events: [sample('198.51.100.1:40000'), sample('203.0.113.9:40001')] })
    return life
  })(),
  { side: 'none', sentence: /^nothing shows why/ }
)
when(
  'a socket of a side has another port, as it had all the time before',
  'unexplained',
  new Life()
    .profiles(11_000, { caller: { remapped: '198.51.100.1:1 198.51.100.1:2 900' } })
    .lostByBoth(12)
    .search(12.1, 'relay', {}, { caller: { remapped: '198.51.100.1:2 198.51.100.1:3 300' } }),
  { side: 'none', sentence: /^nothing shows why/ }
)
when(
  'both sides of a relayed path join anew, since both are elsewhere',
  'address-changed',
  lost('relay').search(
    14,
    'relay',
    { 'caller.joined': 900, 'callee.joined': 700 },
    {
      ...elsewhere,
      callee: { mapped: '203.0.113.77:1' }
    }
  ),
  { side: 'both', sentence: /^alice and bob changed/ }
)
when(
  'one side joined anew long after the path was lost, and it is not known why',
  'unexplained',
  lost().search(56, 'relay', { 'callee.joined': 300 }, {}),
  { side: 'none', sentence: /^nothing shows why/ }
)
when(
  'a side slept an hour before',
  'unexplained',
  new Life().told('callee', 'slept', 1, { slept: 9000 }).lostByBoth(3600),
  { side: 'none', sentence: /^nothing shows why/ }
)
when(
  'both sides join anew when a direct path is lost: what the gateway did does not end that',
  'unexplained',
  lost().search(14, 'relay', { 'caller.joined': 900, 'callee.joined': 700 }, {}),
  { side: 'none', sentence: /^nothing shows why/ }
)
when('a side gives it up while it is lost', 'unexplained', lost().told('caller', 'ended', 13), {
  side: 'none',
  sentence: /it was closed then$/
})

for (const { what, code, life, side, sentence, evidence } of cases)
  test(`${what}: ${code}`, t => {
    const [loss, ...more] = judgeLosses(life.record)
    t.is(more.length, 0)
    t.is(loss?.code, code, loss?.sentence)
    t.is(loss?.side, side)
    t.regex(loss?.sentence ?? '', sentence)
    if (evidence)
      t.true(
        loss?.evidence.some(line => evidence.test(line)),
        loss?.evidence.join('\n')
      )
    t.true((loss?.advice ?? '').length > 0)
  })

test('every code has a record that leads to it', t => {
  t.deepEqual(
    Object.keys(lossVerdicts).filter(code => !cases.some(one => one.code === code)),
    []
  )
})

test('each loss has a verdict of its own, by what happened about it', t => {
  const life = lost()
    .search(12.1, 'relay', {}, elsewhere)
    .resumedByBoth(12.2)
    .lostByBoth(60, { path: 'relay' })
    .search(60.1, 'relay', { 'gateway.up': 500 }, elsewhere)
    .resumedByBoth(60.2)
  t.deepEqual(
    judgeLosses(life.record).map(({ code, path, atMs }) => [code, path, atMs]),
    [
      ['address-changed', 'direct', 12_000],
      ['gateway-away', 'relay', 60_000]
    ]
  )
})

test('a connection that was closed in order, or moved without a loss, has lost nothing', t => {
  t.deepEqual(judgeLosses(new Life().told('caller', 'ended', 9).told('callee', 'lost', 9.1).record), [])
  t.deepEqual(judgeLosses(new Life('relay').told('caller', 'moved', 9, { path: 'direct' }).record), [])
})

test('a loss is settled when the direct path was looked for again, or the connection is over', t => {
  const settled = (life: Life) => judgeLosses(life.record).at(-1)?.settled
  t.false(settled(lost()))
  t.false(settled(lost().resumedByBoth(12.2)))
  t.true(settled(lost().resumedByBoth(12.2).vain(12.3)))
  t.true(settled(lost('relay').resumedByBoth(12.2)))
  t.true(settled(lost().told('caller', 'ended', 72, { code: 'path-lost' })))
})

test('who reads only its own request sees no address of the callee in what shows it, and its own', t => {
  const there = { ...elsewhere, callee: { mapped: '203.0.113.77:1', links: ['10.9.9.9/24'] } }
  const { record } = lost().search(12.1, 'relay', {}, there)
  const [loss] = forCaller({ ...record, losses: judgeLosses(record) }).losses ?? []
  const text = loss?.evidence.join('\n') ?? ''
  t.regex(text, /203\.0\.113\.9/)
  t.notRegex(text, /203\.0\.113\.77|198\.51\.100\.2|10\./)
})

const nonsense = fc.oneof(
  fc.anything(),
  fc.constantFrom('lost', 'resumed', 'ended', 'caller', 'callee', 'relay', 0, -1, true)
)

test('whatever was recorded, losses are bounded, and each has a sentence and a code that there is', t => {
  const mixed = fc.tuple(
    fc.array(fc.constantFrom(...cases.flatMap(({ life }) => life.spans)), { maxLength: 40 }),
    fc.array(fc.tuple(fc.nat(40), fc.nat(20), nonsense), { maxLength: 20 })
  )
  t.notThrows(() =>
    fc.assert(
      fc.property(mixed, ([others, changes]) => {
        const spans = structuredClone([...new Life().spans, ...others]) as SpanRecord[]
        for (const [at, which, value] of changes) {
          const attributes = spans[at % spans.length]?.attributes as Attributes
          const names = Object.keys(attributes)
          const name = names[which % names.length]
          if (name !== undefined) attributes[name] = value
        }
        const record = { ...new Life().record, spans }
        lossesIn(record)
        const losses = judgeLosses(record)
        return (
          losses.length <= 32 &&
          losses.every(
            ({ code, sentence }) => Object.hasOwn(lossVerdicts, code) && sentence !== '' && sentence.length <= 200
          )
        )
      }),
      { numRuns: 300 }
    )
  )
})
