// What may go wrong while a connection moves from one path to another: paths in memory, so that each test says what arrives when.

import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import test from 'ava'
import type { PosternError } from '../../../src/errors.ts'
import { Connection } from '../../../src/peer/connection/connection.ts'
import { Offers } from '../../../src/peer/connection/offers.ts'
import type { Stream } from '../../../src/peer/connection/streams/stream.ts'
import { protocolText } from '../../../src/peer/connection/streams/stream-message.ts'
import { until } from '../../until.ts'
import { memoryPaths } from '../memory-path.ts'

interface Pair {
  readonly alice: Connection
  readonly bob: Connection
  readonly paths: ReturnType<typeof memoryPaths>
}

/** Two connections of which each knows the other's nonce. */
async function pair({ resumeMs = 60_000 } = {}): Promise<Pair> {
  const paths = memoryPaths('first')
  const farOf = (name: string) => ({ name, fingerprint: name })
  const alice = new Connection({ ...paths.alice, peer: farOf('bob'), role: 'caller', resumeMs })
  const bob = new Connection({ ...paths.bob, peer: farOf('alice'), role: 'callee', resumeMs })
  await Promise.all([alice.ping(), bob.ping()])
  return { alice, bob, paths }
}

const close = async ({ alice, bob }: Pair): Promise<void> => void (await Promise.all([alice.close(), bob.close()]))

test('streams that overtake each other on a lossy path are all served, and none twice', async t => {
  const offers = new Offers(0)
  for (const id of [4, 0, 2, 8]) {
    t.true(offers.isNew(id))
    offers.take(id)
    t.false(offers.isNew(id))
  }
  t.is(offers.below, 6)
  t.true(offers.isNew(6) && offers.isNew(10))
})

test('numbers that are jumped over are remembered within a bound', t => {
  const offers = new Offers(1)
  offers.take(2 ** 40 + 1)
  t.false(offers.isNew(1))
  t.true(offers.isNew(2 ** 40 - 1))
  t.is(offers.below, 2 ** 40 + 1 - 512)
})

test('a channel that overtakes the one before is served, and so is the one before', async t => {
  const both = await pair()
  const { alice, bob, paths } = both
  bob.serve('echo', stream => void stream.pipe(stream))
  paths.wire.stop()
  const opening = Promise.all([alice.open('echo'), alice.open('echo')])
  while (paths.wire.waiting > 0) paths.wire.step(choices => choices - 1)
  paths.wire.flow()
  const streams = await opening
  for (const stream of streams) stream.end('hello')
  t.deepEqual(await Promise.all(streams.map(async one => String(await buffer(one)))), ['hello', 'hello'])
  await close(both)
})

test('a stream that is over is refused, also where its channel is closed by then', async t => {
  const both = await pair()
  const { alice, bob, paths } = both
  bob.serve('hold', () => {})
  const stream = await alice.open('hold')
  stream.destroy()
  await stream.settled
  const channel = paths.alice.transport.createDataChannel('hold', {
    protocol: protocolText({ stream: 0, resumeMs: 0 })
  })
  // What the callback of node-datachannel is handed may be closed by the time that it runs.
  channel.far.sendMessage = () => {
    throw new Error('DataChannel is closed')
  }
  await bob.ping()
  t.true((await alice.ping()) > 0)
  await close(both)
})

test('what comes over the path before, after it was to be sent again, is not waited for', async t => {
  const both = await pair()
  const { alice, bob, paths } = both
  const served = Promise.withResolvers<Stream>()
  bob.serve('pour', served.resolve)
  const stream = await alice.open('pour')
  const far = await served.promise
  await bob.ping()
  paths.wire.stop()
  stream.write(Buffer.alloc(100_000, 1))
  // Bob says on the new path that nothing has come. Alice has to wait there, and then it comes over the one before.
  const next = memoryPaths('next')
  await Promise.all([alice.carry(next.alice), bob.carry(next.bob)])
  const channel = [...next.alice.transport.channels].find(one => one.getLabel() === 'pour')
  t.truthy(channel)
  if (channel) channel.bufferedAmount = () => 2 ** 30
  await alice.ping()
  let read = 0
  far.on('data', bytes => (read += bytes.length))
  paths.wire.flow()
  await until(() => read === 100_000)
  await alice.ping()
  if (channel) channel.bufferedAmount = () => 0
  stream.end(Buffer.alloc(200_000, 2))
  await once(far, 'end')
  t.is(read, 300_000)
  stream.resume()
  far.end()
  await stream.settled
  await close(both)
})

test('an acceptor whose stream is over on both sides does not wait for the word that says so', async t => {
  const both = await pair()
  const { alice, bob } = both
  const served = Promise.withResolvers<Stream>()
  bob.serve('hold', served.resolve)
  const stream = await alice.open('hold')
  const far = await served.promise
  const next = memoryPaths('next')
  await Promise.all([alice.carry(next.alice), bob.carry(next.bob)])
  stream.resume()
  far.resume()
  stream.end()
  await until(() => far.readableEnded)
  far.end()
  // The last word is dropped with the channel, as node-datachannel does with what is on its way into JavaScript.
  await stream.settled
  await far.settled
  t.pass()
  await close(both)
})

test('a bye that comes while this side waits for its own streams is answered, and ends it', async t => {
  const both = await pair()
  const { alice, bob, paths } = both
  bob.serve('hold', () => {})
  const stream = await alice.open('hold')
  paths.bob.transport.channels.forEach(channel => {
    if (channel.getLabel() === 'hold') channel.sendMessage = () => {}
  })
  // Nobody ever says that this has come.
  stream.end('something')
  await once(stream, 'finish')
  const leaving = alice.close()
  await bob.close()
  await leaving
  t.is((alice.closed.reason as PosternError).message, 'peer bob closed the connection')
})

test('a stream that is offered on a path that was not proved is not served, and nothing is said there', async t => {
  const both = await pair()
  const { bob } = both
  let served = 0
  bob.serve('hold', () => served++)
  const rogue = memoryPaths('next')
  const carried = bob.carry(rogue.bob)
  const channel = rogue.alice.transport.createDataChannel('hold', {
    protocol: protocolText({ stream: 0, resumeMs: 0 })
  })
  let said = 0
  channel.onMessage(() => said++)
  await both.alice.ping()
  rogue.alice.control.sendMessage('{"v":1,"type":"bye"}')
  rogue.alice.control.sendMessage(`{"v":1,"type":"hello","streams":99,"nonce":"${'x'.repeat(32)}","resumeMs":1}`)
  const resume = { v: 1, type: 'resume', mac: 'x'.repeat(44), next: 2, offered: 1, held: [0] }
  rogue.alice.control.sendMessage(JSON.stringify(resume))
  await t.throwsAsync(carried, { code: 'io', message: /did not go on/ })
  t.deepEqual({ served, said, dropped: bob.droppedMessages }, { served: 0, said: 0, dropped: 3 })
  t.false(bob.closed.aborted)
  await close(both)
})

test('a hello that is said again changes nothing, and is counted', async t => {
  const both = await pair({ resumeMs: 1_000 })
  const { alice, bob, paths } = both
  const again = { v: 1, type: 'hello', streams: 2, nonce: 'x'.repeat(32), resumeMs: 2 ** 50 }
  paths.alice.control.sendMessage(JSON.stringify(again))
  await alice.ping()
  t.is(bob.droppedMessages, 1)
  t.is(bob.resumeMs, 1_000)
  const next = memoryPaths('next')
  await Promise.all([alice.carry(next.alice), bob.carry(next.bob)])
  t.true((await bob.ping()) >= 0)
  await close(both)
})

test('a stream that the callee opens while the caller has said what it holds is not lost', async t => {
  const both = await pair()
  const { alice, bob } = both
  alice.serve('echo', stream => void stream.pipe(stream))
  const next = memoryPaths('next')
  next.wire.stop()
  const moving = Promise.all([alice.carry(next.alice), bob.carry(next.bob)])
  const stream = await bob.open('echo')
  next.wire.flow()
  await moving
  stream.end('hello')
  t.is(String(await buffer(stream)), 'hello')
  await close(both)
})

test('a connection that is closed while it moves is closed on both sides', async t => {
  const both = await pair()
  const { alice, bob } = both
  const next = memoryPaths('next')
  next.wire.stop()
  const moving = Promise.allSettled([alice.carry(next.alice), bob.carry(next.bob)])
  // The size is proved first. Then she says that it is to be used, and he follows.
  await until(() => {
    if (bob.path !== next.bob.path) next.wire.step()
    return bob.path === next.bob.path
  })
  t.deepEqual([bob.path === next.bob.path, alice.path === next.alice.path], [true, false])
  next.wire.stop()
  await Promise.all([alice.close(), once(bob.closed, 'abort')])
  t.is((bob.closed.reason as PosternError).message, 'peer alice closed the connection')
  await moving
})

test('who closes a connection that has no path does not wait for what was cut off', async t => {
  const both = await pair()
  const { alice, bob, paths } = both
  bob.serve('hold', () => {})
  const stream = await alice.open('hold')
  const lost = once(alice, 'path')
  paths.alice.transport.close()
  await lost
  stream.destroy()
  const startMs = performance.now()
  await alice.close()
  t.true(performance.now() - startMs < 3_000)
  await bob.close()
})

test('a goodbye whose answer is lost with the path ends the connection, and no path is missed', async t => {
  const both = await pair()
  const { alice, paths } = both
  const told: string[] = []
  alice.on('path', ({ what }) => told.push(what))
  paths.wire.stop()
  const leaving = alice.close()
  // What was written is waited for first, by turns of the queue.
  await until(() => paths.wire.waiting > 0)
  paths.alice.transport.close()
  await leaving
  t.deepEqual(told, [])
  t.is((alice.closed.reason as PosternError).message, 'the connection to peer bob was closed')
  paths.wire.flow()
  await both.bob.close()
})

test('a path has to prove itself before streams move there, and is gone to at once when there is no other', async t => {
  const both = await pair()
  const { alice, bob, paths } = both
  const next = memoryPaths('next')
  const moving = Promise.all([alice.carry(next.alice, { proveMs: 30_000 }), bob.carry(next.bob)])
  await alice.ping()
  t.true(alice.isTrying && bob.isTrying)
  t.is(alice.path, paths.alice.path)
  paths.alice.transport.close()
  await moving
  t.is(alice.path, next.alice.path)
  t.is(bob.path, next.bob.path)
  await close(both)
})

test('a path that goes silent while it has to prove itself is given up', async t => {
  const both = await pair()
  const { alice, bob } = both
  const next = memoryPaths('next')
  const tried = Promise.allSettled([alice.carry(next.alice, { proveMs: 30_000 }), bob.carry(next.bob)])
  next.wire.stop()
  t.deepEqual(
    (await tried).map(({ status }) => status),
    ['rejected', 'rejected']
  )
  t.false(alice.isTrying || alice.isAdrift)
  await close(both)
})

test('no more than so many paths are open at once, however often the far side moves', async t => {
  const both = await pair()
  const { alice, bob, paths } = both
  for (let moves = 0; moves < 5; moves++) {
    const next = memoryPaths(`next ${moves}`)
    await Promise.all([alice.carry(next.alice), bob.carry(next.bob)])
  }
  t.is(paths.alice.transport.state(), 'closed')
  t.true((await alice.ping()) >= 0)
  await close(both)
})
