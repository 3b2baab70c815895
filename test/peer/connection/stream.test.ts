import { once } from 'node:events'
import { mock } from 'node:test'
import test from 'ava'
import type { DataChannel } from 'node-datachannel'
import { Stream } from '../../../src/peer/connection/stream.ts'

test('the opener lets the far side send before it sends itself, whatever event comes first', async t => {
  const { channel, sent, arrives } = fakeChannel()
  const stream = new Stream(channel, 'pipe', 'bob')
  stream.write(Buffer.alloc(1_000))
  arrives({ v: 1, type: 'credit', bytes: 100_000 })
  await stream.accepted
  t.like(JSON.parse(String(sent[0])), { type: 'credit' })
  t.is(sent.length, 2)
})

test('who has accepted a stream is not granted to twice', async t => {
  const { channel, sent, arrives } = fakeChannel()
  const stream = new Stream(channel, 'pipe', 'bob')
  stream.grant()
  arrives({ v: 1, type: 'credit', bytes: 100_000 })
  await stream.accepted
  t.is(sent.length, 1)
  stream.on('error', () => {}).destroy()
  await once(stream, 'close')
})

test.serial('an end has a minute to get through a slow relay, an abort five seconds', async t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const ended = fakeChannel()
  const done = new Stream(ended.channel, 'pipe', 'bob').resume()
  ended.arrives({ v: 1, type: 'end' })
  done.end()
  const aborted = fakeChannel()
  new Stream(aborted.channel, 'pipe', 'bob').on('error', () => {}).destroy(new Error('no more'))
  await once(done, 'close')
  mock.timers.tick(5_000)
  t.deepEqual([ended.isClosed(), aborted.isClosed()], [false, true])
  mock.timers.tick(54_000)
  t.false(ended.isClosed())
  ended.arrives({ v: 1, type: 'ended' })
  t.true(ended.isClosed())
})

/** A channel whose far side is the test. */
function fakeChannel() {
  const sent: (string | Uint8Array)[] = []
  let heard: (message: string) => void = () => {}
  let closed = false
  const channel = {
    onError() {},
    onClosed() {},
    onBufferedAmountLow() {},
    onMessage: (hear: typeof heard) => {
      heard = hear
    },
    setBufferedAmountLowThreshold() {},
    bufferedAmount: () => 0,
    sendMessage: (text: string) => sent.push(text),
    sendMessageBinary: (bytes: Uint8Array) => sent.push(bytes),
    close() {
      closed = true
    }
  }
  const arrives = (message: object) => heard(JSON.stringify(message))
  return { channel: channel as unknown as DataChannel, sent, arrives, isClosed: () => closed }
}
