// The size of packets is proved on a path: real transports on loopback, with a channel for sizes that loses large messages, as a
// path does that is narrower than its transport takes it to be.

import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import test from 'ava'
import { Connection, type PathNews } from '../../../src/peer/connection/connection.ts'
import { filling } from '../../../src/peer/transport/packet.ts'
import type { Channel } from '../../../src/peer/transport/transport.ts'
import { endNative } from '../../end-native.ts'
import { until } from '../../until.ts'
import { type Opened, openPair } from '../loopback.ts'

const made: Connection[] = []

test.after.always(async () => {
  await Promise.all(made.map(connection => connection.close()))
  endNative()
})

/** Loses what fills a larger packet than one of so many bytes; so many times, if not always. */
function narrowed(opened: Opened, packetBytes: number | (() => number), times = Number.POSITIVE_INFINITY): Opened {
  const { sizing } = opened
  let lost = 0
  const send = (bytes: Uint8Array) => {
    const widest = typeof packetBytes === 'number' ? packetBytes : packetBytes()
    if (bytes.length > filling(widest) && lost++ < times) return false
    return sizing.sendMessageBinary(bytes)
  }
  const channel: Pick<Channel, 'sendMessageBinary' | 'onMessage' | 'onError' | 'onClosed'> = {
    sendMessageBinary: send,
    onMessage: handle => sizing.onMessage(handle),
    onError: handle => sizing.onError(handle),
    onClosed: handle => sizing.onClosed(handle)
  }
  return { ...opened, sizing: channel as Channel }
}

interface Narrowness {
  readonly alice?: (opened: Opened) => Opened
  readonly bob?: (opened: Opened) => Opened
  readonly mtu?: number
}

const as = (opened: Opened) => opened
let sessions = 0

async function paths({ alice = as, bob = as, mtu }: Narrowness = {}): Promise<{ alice: Opened; bob: Opened }> {
  const pair = await openPair(`session ${++sessions}`, mtu)
  return { alice: alice(pair.alice), bob: bob(pair.bob) }
}

/** Alice has called, so it is she who judges. */
async function connected(narrowness: Narrowness = {}) {
  const pair = await paths(narrowness)
  const alice = new Connection({ ...pair.alice, resumeMs: 60_000 })
  const bob = new Connection({ ...pair.bob, resumeMs: 60_000 })
  made.push(alice, bob)
  const news: PathNews[] = []
  alice.on('path', one => news.push(one))
  const [first] = (await once(alice, 'path')) as [PathNews]
  return { alice, bob, first, news }
}

test('packets of the size that a path has are proved once, and that is told', async t => {
  const { alice, first, news } = await connected()
  await alice.ping()
  t.is(first.what, 'proved')
  t.is(first.path.mtu, 1280)
  t.is(news.length, 1)
})

for (const side of ['alice', 'bob'] as const)
  test(`a path that is too narrow for what ${side} sends is given up, and it is known what to try next`, async t => {
    const { alice, first } = await connected({ [side]: (opened: Opened) => narrowed(opened, 1200) })
    t.like(first, { what: 'lost', isNarrow: true, reason: 'packets of 1280 bytes do not pass directly' })
    t.is(alice.smaller('direct'), 1200)
    t.true(alice.isAdrift)
    t.true((await alice.ping()) > 0, 'small packets pass, and the path is not taken for found again')
    t.true(alice.isAdrift)
  })

test('three messages that are lost prove nothing', async t => {
  const { first } = await connected({ alice: opened => narrowed(opened, 1200, 3) })
  t.is(first.what, 'proved')
})

test('where something arrives after all, what is lost meanwhile proves nothing', async t => {
  let [widest, lost] = [1280, 0]
  const losing = (opened: Opened) =>
    narrowed(opened, () => {
      lost++
      return widest
    })
  const { alice, bob, news } = await connected({ alice: losing })
  bob.serve('swallow', () => {})
  const stream = await alice.open('swallow')
  widest = 1200
  let arrivedBytes = 0
  Object.defineProperty(stream.core, 'flyingBytes', { value: 2000 })
  Object.defineProperty(stream.core, 'arrivedBytes', { get: () => arrivedBytes })
  lost = 0
  await until(() => lost > 0)
  arrivedBytes = 1000
  // The proof would be over within so long; that it was left shows when it is begun again.
  await until(() => lost > 4)
  t.deepEqual(
    news.map(({ what }) => what),
    ['proved']
  )
})

for (const side of ['alice', 'bob'] as const)
  test(`a path that becomes too narrow later is given up when nothing arrives that ${side} sends`, async t => {
    let widest = 1280
    const shrinking = (opened: Opened) => narrowed(opened, () => widest)
    const { alice, bob } = await connected({ [side]: shrinking })
    const [sender, receiver] = side === 'alice' ? [alice, bob] : [bob, alice]
    receiver.serve('swallow', () => {})
    const stream = await sender.open('swallow')
    widest = 1200
    stream.write(Buffer.alloc(2000))
    // The far side has what was sent, and never says so: to the sender that is as if nothing arrived.
    Object.defineProperty(stream.core, 'flyingBytes', { value: 2000 })
    Object.defineProperty(stream.core, 'arrivedBytes', { value: 0 })
    const [news] = (await once(sender, 'path')) as [PathNews]
    t.like(news, { what: 'lost', isNarrow: true })
    t.is(sender.smaller('direct'), 1200)
  })

test('where the least size does not pass, there is none to try', async t => {
  const { alice, first } = await connected({ bob: opened => narrowed(opened, 1000), mtu: 1100 })
  t.is(first.what, 'lost')
  t.is(alice.smaller('direct'), 0)
})

test('streams go on over another path that is made for smaller packets', async t => {
  const { alice, bob } = await connected({ alice: opened => narrowed(opened, 1100) })
  bob.serve('echo', stream => void stream.pipe(stream))
  const stream = await alice.open('echo')
  const pair = await paths({ mtu: 1100 })
  await Promise.all([alice.carry(pair.alice), bob.carry(pair.bob)])
  t.false(alice.isAdrift || alice.isNarrow)
  t.is(alice.path.mtu, 1100)
  stream.end('hello')
  t.is(String(await buffer(stream)), 'hello')
})

test('a connection does not move to a path that is too narrow, and goes on where it is', async t => {
  const { alice, bob, news } = await connected()
  bob.serve('echo', stream => void stream.pipe(stream))
  const stream = await alice.open('echo')
  const pair = await paths({ bob: opened => narrowed(opened, 1100) })
  const refused = { code: 'too-narrow', message: /^packets of 1280 bytes do not pass directly/ }
  await Promise.all([
    t.throwsAsync(alice.carry(pair.alice), refused),
    t.throwsAsync(bob.carry(pair.bob), { code: 'too-narrow' })
  ])
  t.is(alice.smaller('direct'), 1200)
  t.is(bob.smaller('direct'), 1200)
  t.is(news.at(-1)?.what, 'narrow')
  t.false(alice.isAdrift || bob.isAdrift)
  stream.end('still here')
  t.is(String(await buffer(stream)), 'still here')
})

test('a connection for which nothing is wide enough ends with that code on both sides', async t => {
  const { alice, bob } = await connected({ alice: opened => narrowed(opened, 1000) })
  const ended = once(bob.closed, 'abort')
  alice.endNarrow()
  await ended
  t.like(alice.closed.reason, { code: 'too-narrow' })
  t.like(bob.closed.reason, { code: 'too-narrow' })
})
