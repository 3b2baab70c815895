import { once } from 'node:events'
import { mock } from 'node:test'
import test from 'ava'
import { Budget, CONNECTION_BYTES, STREAM_BYTES } from '../../../src/peer/connection/streams/budget.ts'
import { Incoming } from '../../../src/peer/connection/streams/incoming.ts'
import { Kept, MESSAGE_BYTES } from '../../../src/peer/connection/streams/kept.ts'
import { Stream } from '../../../src/peer/connection/streams/stream.ts'
import { Turns } from '../../../src/peer/connection/streams/turns.ts'
import type { Channel } from '../../../src/peer/transport/transport.ts'

test('the opener lets the far side send before it sends itself, whatever event comes first', async t => {
  const { channel, sent, says } = fakeChannel()
  const stream = opened(channel)
  stream.write(Buffer.alloc(1_000))
  says({ type: 'at', received: 0, limit: 100_000 })
  await stream.accepted
  t.like(JSON.parse(String(sent[0])), { type: 'at', received: 0 })
  t.is(sent[1]?.length, 1_000)
  t.is(sent.length, 2)
  stream.destroy()
})

test('no more is sent than the far side allows, and the rest when it allows more', async t => {
  const { channel, sent, says } = fakeChannel()
  const stream = opened(channel)
  stream.write(Buffer.alloc(1_000))
  says({ type: 'at', received: 0, limit: 300 })
  says({ type: 'mark', received: 200, limit: 500 })
  t.deepEqual(lengths(sent), [300, 200])
  says({ type: 'mark', received: 500, limit: 2 ** 50 })
  t.deepEqual(lengths(sent), [300, 200, 500])
  stream.destroy()
})

test('a stream is allowed more where it reads fast all that it was allowed, and no more where it does not', t => {
  let nowMs = 10_000
  const clock = mock.method(performance, 'now', () => nowMs)
  const allowedAfter = (bytesPerSecond: number) => {
    const incoming = new Incoming(new Budget(4))
    let { limit } = incoming.standing()
    for (let ms = 0; ms < 10_000; ms += 5, nowMs += 5) {
      incoming.deliver(incoming.take(incoming.received, Buffer.alloc(bytesPerSecond / 200)), true, () => true)
      if (incoming.markWithinMs !== undefined) limit = incoming.standing().limit
    }
    return limit - incoming.received
  }
  t.true(allowedAfter(5_000_000) > 3_000_000, 'by small steps, as a path brings them')
  t.true(allowedAfter(100_000) <= 262_144)
  clock.mock.restore()
})

test('on another channel the bytes go on from where the far side stands, and say from where', async t => {
  const first = fakeChannel()
  const stream = opened(first.channel)
  stream.write(Buffer.from('abcdefghij'))
  first.says({ type: 'at', received: 0, limit: 1_000 })
  first.says({ type: 'mark', received: 2, limit: 1_000 })
  t.deepEqual(texts(first.sent), ['abcdefghij'])
  const second = fakeChannel()
  stream.attach(second.channel, new Turns(), false)
  stream.write(Buffer.from('kl'))
  t.deepEqual(texts(first.sent), ['abcdefghij', 'kl'], 'the first one is used until the other one is there')
  second.says({ type: 'at', received: 4, limit: 1_000 })
  t.deepEqual(texts(second.sent), ['efghijkl'])
  t.deepEqual(JSON.parse(String(second.sent[1])), { v: 2, type: 'from', offset: 4 })
  t.is(stream.flyingBytes, 8)
  stream.destroy()
})

test('what arrives twice, over two channels, is read once', async t => {
  const [first, second] = [fakeChannel(), fakeChannel()]
  const stream = opened(first.channel)
  first.says({ type: 'at', received: 0, limit: 1_000 })
  first.arrives('abcd')
  stream.attach(second.channel, new Turns(), false)
  second.says({ type: 'at', received: 0, limit: 1_000 })
  first.arrives('ef')
  second.says({ type: 'from', offset: 3 })
  second.arrives('de')
  second.arrives('fgh')
  first.arrives('gh')
  second.says({ type: 'end', total: 8 })
  stream.end()
  t.is(String(Buffer.concat(await stream.toArray())), 'abcdefgh')
})

for (const [what, lie] of [
  ['bytes that were never sent', { type: 'mark', received: 11, limit: 100 }],
  ['an end that was never said', { type: 'mark', received: 10, limit: 100, ended: true }],
  ['an end elsewhere', { type: 'end', total: 5 }],
  ['bytes left out', { type: 'from', offset: 1 }]
] as const)
  test(`a far side that claims ${what} is cut off, and that is counted`, async t => {
    const { channel, says, isClosed } = fakeChannel()
    let lies = 0
    const stream = opened(channel, new Turns(), () => lies++)
    const failed = once(stream, 'error')
    stream.write(Buffer.alloc(10))
    says({ type: 'at', received: 0, limit: 100 })
    says(lie)
    t.is((await failed)[0].code, 'bad-message')
    t.is(lies, 1)
    says({ type: 'abort', reason: 'so be it' })
    t.true(isClosed())
  })

test('a far side that takes back what it had is cut off', async t => {
  const [first, second] = [fakeChannel(), fakeChannel()]
  const stream = opened(first.channel)
  const failed = once(stream, 'error')
  stream.write(Buffer.alloc(10))
  first.says({ type: 'at', received: 0, limit: 100 })
  first.says({ type: 'mark', received: 6, limit: 100 })
  stream.attach(second.channel, new Turns(), false)
  second.says({ type: 'at', received: 5, limit: 100 })
  t.is((await failed)[0].code, 'bad-message')
})

test.serial('an end has a minute to get through a slow relay, an abort five seconds', async t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const ended = fakeChannel()
  const done = opened(ended.channel).resume()
  ended.says({ type: 'at', received: 0, limit: 100 })
  ended.says({ type: 'end', total: 0 })
  done.end()
  const aborted = fakeChannel()
  opened(aborted.channel)
    .on('error', () => {})
    .destroy(new Error('no more'))
  await once(done, 'close')
  mock.timers.tick(5_000)
  t.deepEqual([ended.isClosed(), aborted.isClosed()], [false, true])
  mock.timers.tick(54_000)
  t.false(ended.isClosed())
  ended.says({ type: 'mark', received: 0, limit: 100, ended: true })
  t.true(ended.isClosed())
})

test('streams take turns, a message each', t => {
  const turns = new Turns()
  const [bulk, small] = [fakeChannel(200_000), fakeChannel()]
  const streams = [opened(bulk.channel, turns), opened(small.channel, turns)] as const
  streams[0].write(Buffer.alloc(40 * MESSAGE_BYTES))
  bulk.says({ type: 'at', received: 0, limit: 2 ** 40 })
  const before = lengths(bulk.sent).length
  t.true(before < 20, `${before} messages wait below`)
  bulk.drains()
  t.is(lengths(bulk.sent).length, before, 'what has left this side has not arrived')
  small.says({ type: 'at', received: 0, limit: 2 ** 40 })
  streams[1].write(Buffer.alloc(100))
  t.deepEqual(lengths(small.sent), [100], 'nothing of it is on its way')
  streams[1].write(Buffer.alloc(200))
  t.deepEqual(lengths(small.sent), [100], 'now something is')
  bulk.says({ type: 'mark', received: 2 * MESSAGE_BYTES, limit: 2 ** 40, ended: false })
  t.deepEqual(lengths(small.sent), [100, 200])
  for (const stream of streams) stream.destroy()
})

test('tiny pieces take no more memory than a large one, and come out in their order', t => {
  const kept = new Kept()
  for (let i = 0; i < 50_000; i++) kept.append(Buffer.from([i & 255]))
  t.is(kept.bytes, 50_000)
  let offset = 0
  for (let piece = kept.at(0); piece.length > 0; piece = kept.at(offset)) {
    t.true(piece.every((byte, index) => byte === ((offset + index) & 255)))
    offset += piece.length
  }
  t.is(offset, 50_000)
  kept.drop(49_999)
  t.deepEqual([kept.bytes, kept.at(49_999).length], [1, 1])
})

test('a message is put together from as many blocks as it takes', t => {
  const kept = new Kept()
  const bytes = Buffer.from(Array.from({ length: 5 * MESSAGE_BYTES }, (_, index) => (index * 7) & 255))
  kept.append(bytes)
  kept.drop(1_000)
  for (const [offset, most] of [
    [1_000, 10],
    [1_000, 3 * MESSAGE_BYTES + 5],
    [2 * MESSAGE_BYTES - 1, 2],
    [2 * MESSAGE_BYTES, MESSAGE_BYTES],
    [4 * MESSAGE_BYTES + 100, 65_536],
    [5 * MESSAGE_BYTES, 65_536],
    [1_000, 0]
  ] as const)
    t.deepEqual(Buffer.from(kept.from(offset, most)), bytes.subarray(offset, offset + most), `${most} from ${offset}`)
})

test('all streams of a connection together keep within its memory, and each one has a part', t => {
  const budget = new Budget(256)
  const streams = Array.from({ length: 256 }, () => ({}))
  const windows = streams.map(stream => budget.window(stream, 0, STREAM_BYTES))
  t.is(windows[0], STREAM_BYTES)
  t.true(windows.every(bytes => bytes >= 32_768))
  t.true(windows.reduce((sum, bytes) => sum + bytes, 0) <= CONNECTION_BYTES)
  for (const stream of streams) budget.release(stream)
  t.is(budget.window({}, 0, STREAM_BYTES), STREAM_BYTES)
})

const lengths = (sent: readonly (string | Uint8Array)[]) =>
  sent.filter(message => typeof message !== 'string').map(({ length }) => length)

const texts = (sent: readonly (string | Uint8Array)[]) =>
  sent.filter(message => typeof message !== 'string').map(bytes => Buffer.from(bytes).toString())

function opened(channel: Channel, turns = new Turns(), onLie = () => {}): Stream {
  const budgets = { sending: new Budget(4), receiving: new Budget(4) }
  const stream = new Stream({ id: 0, label: 'pipe', peer: 'bob', resumeMs: 1_000, budgets, onAdrift: () => {}, onLie })
  stream.attach(channel, turns, false)
  return stream
}

/**
 * A channel whose far side is the test.
 * @param fills after so many bytes, what is sent waits
 */
function fakeChannel(fills = Number.POSITIVE_INFINITY) {
  const sent: (string | Uint8Array)[] = []
  let heard: (message: string | Buffer) => void = () => {}
  let drained = () => {}
  let closed = false
  let bytes = 0
  const channel: Channel = {
    getLabel: () => 'pipe',
    getProtocol: () => '',
    onError() {},
    onClosed() {},
    onBufferedAmountLow: handle => {
      drained = handle
    },
    onMessage: hear => {
      heard = hear
    },
    setBufferedAmountLowThreshold() {},
    bufferedAmount: () => (bytes >= fills ? 2 * bytes : 0),
    sendMessage: text => sent.push(text),
    sendMessageBinary: message => {
      bytes += message.length
      sent.push(Buffer.from(message))
    },
    close() {
      closed = true
    }
  }
  const says = (message: object) => heard(JSON.stringify({ v: 2, ...message }))
  const drains = () => {
    bytes = 0
    drained()
  }
  return { channel, sent, says, arrives: (text: string) => heard(Buffer.from(text)), drains, isClosed: () => closed }
}
