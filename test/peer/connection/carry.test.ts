// A connection that goes on over another path: real transports on loopback, and no gateway.

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import test from 'ava'
import type { PosternError } from '../../../src/errors.ts'
import { Connection, type PathNews } from '../../../src/peer/connection/connection.ts'
import type { Stream } from '../../../src/peer/connection/streams/stream.ts'
import { endNative } from '../../end-native.ts'
import { connectedPair, openPair } from '../loopback.ts'

const made: Connection[] = []

test.after.always(async () => {
  await Promise.all(made.map(connection => connection.close()))
  endNative()
})

async function pair(resumeMs = 60_000, farResumeMs = resumeMs): Promise<{ alice: Connection; bob: Connection }> {
  const both = await connectedPair(resumeMs, farResumeMs)
  made.push(both.alice, both.bob)
  // Each has the other's nonce when it has answered.
  await Promise.all([both.alice.ping(), both.bob.ping()])
  return both
}

let sessions = 0

/** Both go on over another path, whose ends are these. */
async function carry(alice: Connection, bob: Connection): ReturnType<typeof openPair> {
  const paths = await openPair(`session ${++sessions}`)
  await Promise.all([alice.carry(paths.alice), bob.carry(paths.bob)])
  return paths
}

function over(connection: Connection): Promise<PosternError> {
  const { promise, resolve } = Promise.withResolvers<PosternError>()
  if (connection.closed.aborted) resolve(connection.closed.reason)
  connection.closed.addEventListener('abort', () => resolve(connection.closed.reason))
  return promise
}

/** Without a turn of the event loop. */
function holdUpUntil(isSo: () => boolean): void {
  while (!isSo()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
}

const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

test('a stream goes on over one path after the other, and nothing is lost or repeated', async t => {
  const { alice, bob } = await pair()
  bob.serve('echo', stream => void stream.pipe(stream))
  const sent = randomBytes(24 << 20)
  const stream = await alice.open('echo')
  const read = buffer(stream)
  stream.end(sent)
  for (let moves = 0; moves < 6; moves++) await carry(alice, bob)
  t.is(sum(await read), sum(sent))
})

test('what arrived before its path was closed is heard, however busy the process is', async t => {
  const paths = await openPair()
  const [alice, bob] = [paths.alice, paths.bob].map(path => new Connection({ ...path, resumeMs: 60_000 })) as [
    Connection,
    Connection
  ]
  made.push(alice, bob)
  await Promise.all([alice.ping(), bob.ping()])
  const served = Promise.withResolvers<Stream>()
  bob.serve('pour', served.resolve)
  const stream = await alice.open('pour')
  stream.on('error', () => {})
  let bytes = 0
  const far = await served.promise
  far
    .on('error', () => {})
    .on('data', piece => {
      bytes += piece.length
    })
  const { transport } = paths.bob
  const before = transport.bytesReceived()
  stream.write(randomBytes(49_152))
  // The library's threads go on while JavaScript is held up, so that all of it and the end wait to be heard at once.
  holdUpUntil(() => transport.bytesReceived() >= before + 49_152)
  paths.alice.transport.close()
  holdUpUntil(() => transport.state() === 'closed')
  await bob.pathOver(bob.session)
  t.is(bytes, 49_152)
})

test('streams of both sides, small ones and idle ones, are there on the next path', async t => {
  const { alice, bob } = await pair()
  const idle: Stream[] = []
  for (const one of [alice, bob])
    one.serve('idle', stream => {
      idle.push(stream)
    })
  const [hers, his] = await Promise.all([alice.open('idle'), bob.open('idle')])
  await carry(alice, bob)
  hers.end('from alice')
  his.end('from bob')
  const heard = await Promise.all(idle.map(async stream => String(await buffer(stream))))
  t.deepEqual(heard.toSorted(), ['from alice', 'from bob'])
})

test('a path that is gone is waited for, and what was under way is sent again', async t => {
  const { alice, bob } = await pair()
  bob.serve('echo', stream => void stream.pipe(stream))
  const sent = randomBytes(8 << 20)
  const stream = await alice.open('echo')
  const read = buffer(stream)
  stream.end(sent)
  const first = await carry(alice, bob)
  const lost = Promise.all([once(alice, 'path'), once(bob, 'path')])
  first.alice.transport.close()
  t.deepEqual(
    (await lost).map(([news]) => (news as PathNews).what),
    ['lost', 'lost']
  )
  t.true(alice.isAdrift && bob.isAdrift)
  const moved = once(alice, 'path')
  await carry(alice, bob)
  const [news] = (await moved) as [PathNews]
  t.true(news.what === 'moved' && news.ms > 0)
  t.false(alice.isAdrift || bob.isAdrift)
  t.is(sum(await read), sum(sent))
})

test('a stream that is opened while there is no path is there on the next one', async t => {
  const { alice, bob } = await pair()
  bob.serve('echo', stream => void stream.pipe(stream))
  const paths = await carry(alice, bob)
  const lost = once(alice, 'path')
  paths.alice.transport.close()
  await lost
  const opening = alice.open('echo')
  await carry(alice, bob)
  const stream = await opening
  stream.end('hello')
  t.is(String(await buffer(stream)), 'hello')
})

test('a path is refused to who does not hold the connection, and the one before goes on', async t => {
  const { alice, bob } = await pair()
  const stranger = await pair()
  bob.serve('echo', stream => void stream.pipe(stream))
  const paths = await openPair(`session ${++sessions}`)
  const hers = stranger.alice.carry(paths.alice)
  await t.throwsAsync(bob.carry(paths.bob), { code: 'io', message: /did not go on/ })
  await t.throwsAsync(hers, { code: 'io' })
  t.is(bob.droppedMessages, 1)
  const stream = await alice.open('echo')
  stream.end('still here')
  t.is(String(await buffer(stream)), 'still here')
})

test('a proof that was said on one path proves nothing on another', async t => {
  const { alice, bob } = await pair()
  const paths = await openPair('a session')
  const hers = alice.carry({ ...paths.alice, session: 'another session' })
  await t.throwsAsync(bob.carry(paths.bob), { code: 'io' })
  await t.throwsAsync(hers, { code: 'io' })
  t.is(bob.droppedMessages, 1)
  t.true((await alice.ping()) > 0)
})

test('a connection that finds no other path in time ends with a code on both sides, and so do its streams', async t => {
  const { alice, bob } = await pair(1_500)
  const served = Promise.withResolvers<Stream>()
  bob.serve('hold', served.resolve)
  const stream = await alice.open('hold')
  const errors = [stream, await served.promise].map(one => once(one, 'error'))
  const paths = await carry(alice, bob)
  paths.alice.transport.close()
  t.like(await over(alice), { code: 'path-lost', trace: '0'.repeat(32) })
  t.is((await over(bob)).message, 'the path to peer alice was lost, and no other was found within 1.5 s')
  for (const error of errors) t.is(((await error)[0] as PosternError).code, 'path-lost')
})

test('the longer wait of both sides counts for both', async t => {
  const { alice, bob } = await pair(1_000, 90_000)
  t.deepEqual([alice.resumeMs, bob.resumeMs], [90_000, 90_000])
})

for (const [one, other] of [
  [0, 60_000],
  [60_000, 0]
] as const)
  test(`a connection is never resumed where one side never waits: ${one} and ${other}`, async t => {
    const { alice, bob } = await pair(one, other)
    const served = Promise.withResolvers<Stream>()
    bob.serve('hold', served.resolve)
    await Promise.all([alice.open('hold'), served.promise])
    const news: PathNews[] = []
    alice.on('path', what => news.push(what))
    const paths = await openPair(`session ${++sessions}`)
    t.deepEqual([alice.resumeMs, bob.resumeMs], [0, 0])
    await Promise.all([alice.carry(paths.alice), bob.carry(paths.bob)])
    paths.alice.transport.close()
    t.is((await over(alice)).message, 'the path to peer bob was lost, and no other was waited for')
    t.is((await over(bob)).code, 'path-lost')
    t.deepEqual(
      news.map(({ what }) => what),
      ['moved']
    )
  })

test('a wait that is no number of milliseconds up to ten minutes is refused', async t => {
  const { alice, bob } = await pair()
  bob.serve('hold', () => {})
  for (const resumeMs of [-1, Number.NaN, 600_001, Number.POSITIVE_INFINITY])
    await t.throwsAsync(alice.open('hold', { resumeMs }), { code: 'bad-config', message: /from 0, which is never/ })
  t.true((await alice.open('hold', { resumeMs: 600_000 })).isAccepted)
})

test('a stream may wait for less than the connection does', async t => {
  const { alice, bob } = await pair()
  bob.serve('hold', () => {})
  const stream = await alice.open('hold', { resumeMs: 500 })
  const failed = once(stream, 'error')
  const paths = await carry(alice, bob)
  // On the path before, Bob could say that his end has waited long enough, before Alice's has.
  await alice.pathOver(alice.session)
  paths.alice.transport.close()
  t.is(((await failed)[0] as PosternError).code, 'path-lost')
  t.false(alice.closed.aborted)
  await carry(alice, bob)
  t.true((await alice.ping()) > 0)
})

test('what one side has ended meanwhile ends on the other side with the next path', async t => {
  const { alice, bob } = await pair()
  const served = Promise.withResolvers<Stream>()
  bob.serve('hold', served.resolve)
  const stream = await alice.open('hold')
  const failed = once(await served.promise, 'error')
  const paths = await carry(alice, bob)
  const lost = once(alice, 'path')
  paths.alice.transport.close()
  await lost
  stream.destroy()
  await carry(alice, bob)
  t.regex(((await failed)[0] as PosternError).message, /alice/)
})

test('who leaves while there is no path does not wait to say that a stream was broken off', async t => {
  const { alice, bob } = await pair()
  const served = Promise.withResolvers<Stream>()
  bob.serve('hold', served.resolve)
  const stream = await alice.open('hold')
  await served.promise
  const paths = await carry(alice, bob)
  const lost = once(alice, 'path')
  paths.alice.transport.close()
  await lost
  stream.destroy()
  let isSettled = false
  void stream.settled.then(() => {
    isSettled = true
  })
  const left = over(alice)
  void alice.close()
  t.is((await left).message, 'the connection to peer bob was closed')
  t.false(isSettled, 'the stream still had its abort to say')
})

test('a stream that has ended on both sides arrives whole, though its path goes at that moment', async t => {
  const { alice, bob } = await pair()
  const heard = Promise.withResolvers<Buffer>()
  bob.serve('last', async stream => {
    stream.end()
    heard.resolve(await buffer(stream))
  })
  const paths = await carry(alice, bob)
  const stream = await alice.open('last')
  stream.resume()
  const sent = randomBytes(3 << 20)
  await new Promise<void>(resolve => stream.end(sent, resolve))
  paths.alice.transport.close()
  await carry(alice, bob)
  t.is(sum(await heard.promise), sum(sent))
  await stream.settled
})

test('what the gateway tells of a path holds while the connection is on it, and its verdict for good', async t => {
  const { alice, bob } = await pair()
  const heard: unknown[] = []
  alice.on('notice', notice => void heard.push(notice))
  const verdict = { code: 'direct', sentence: '', side: 'none', evidence: [], advice: '', also: [] } as const
  alice.noticed({ session: alice.session, verdict })
  t.like(heard, [{ verdict, bitsPerSecond: undefined }])
  const paths = await openPair('another')
  const coming = [alice.carry(paths.alice), bob.carry(paths.bob)]
  alice.noticed({ session: 'another', bitsPerSecond: 5, incomingBitsPerSecond: 6 })
  t.is(heard.length, 1, 'it is not on that path yet')
  t.is(alice.notice.bitsPerSecond, undefined)
  await Promise.all(coming)
  t.deepEqual(alice.notice, { verdict, bitsPerSecond: 5, incomingBitsPerSecond: 6 })
  t.deepEqual(heard.at(-1), alice.notice)
  alice.noticed({ session: 'unknown', bitsPerSecond: 1 })
  alice.noticed({ session: 'another', bitsPerSecond: 3, incomingBitsPerSecond: 4 })
  t.deepEqual(heard.at(-1), { verdict, bitsPerSecond: 3, incomingBitsPerSecond: 4 })
  t.is(heard.length, 3)
})
