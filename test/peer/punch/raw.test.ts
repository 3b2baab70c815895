import { execFile } from 'node:child_process'
import { createSocket, Socket } from 'node:dgram'
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import test from 'ava'
import { RawSocket } from '../../../src/peer/punch/raw.ts'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import { BINDING, decode, encode } from '../../../src/wire/stun.ts'

const key = Buffer.from('key')

test('a round trip longer than the first retransmission is measured as it is', async t => {
  const far = await answering(t)
  const raw = await RawSocket.bind()
  const { rttMs } = await raw.request(far, { username: 'p:ann:0' }, key, AbortSignal.timeout(5000))
  t.true(rttMs >= 99, `${rttMs} ms, though the second request leaves after 100`)
  await raw.close()
})

test('an error of the system at a socket that is in use ends nothing', async t => {
  const raw = await RawSocket.bind()
  const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles()
  const socket = handles.find(handle => handle instanceof Socket && handle.address().port === raw.port) as Socket
  t.truthy(socket)
  socket.emit('error', new Error('recvmsg ENETDOWN'))
  // An unhandled rejection would have ended the test by then.
  await turn()
  await t.notThrowsAsync(raw.close())
})

test('at the limit of open files a search has as many sockets as there are files for, says so, and leaves some', async t => {
  const src = new URL('../../../src/peer/punch/', import.meta.url)
  const script = `
    import { openSync, readdirSync } from 'node:fs'
    import { Allowance } from '${src}allowance.ts'
    import { Diary } from '${src}diary.ts'
    import { findPath } from '${src}probe.ts'
    import { RawSocket } from '${src}raw.ts'
    const files = () => readdirSync('/proc/self/fd').length
    const diary = new Diary()
    const effort = { targets: [{ address: '127.0.0.1', port: 9 }], sockets: 256, probes: 300 }
    const raw = await RawSocket.bind()
    const before = files()
    const signal = new AbortController().signal
    const allowance = new Allowance().order()
    void findPath(raw, { effort, probeKey: Buffer.alloc(20), handover: { role: 'passive' }, allowance, signal }, diary)
    while (!diary.sockets) await new Promise(setImmediate)
    const { sockets } = diary.report()
    const isOpen = files() - before === sockets - 1
    for (let index = 0; index < 12; index++) openSync('/dev/null')
    console.log(JSON.stringify({ isOpen, unused: 100 - before - sockets }))
    process.exit()`
  const args = ['-c', 'ulimit -n 100 && exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script]
  const { stdout } = await promisify(execFile)('sh', args)
  const { isOpen, unused } = JSON.parse(stdout)
  t.true(isOpen)
  t.true(unused > 12 && unused < 24, `${unused} of 100 files are unused`)
})

test('what may not leave now is sent again later, as what was lost is', async t => {
  const far = await answering(t)
  const raw = await RawSocket.bind()
  let asked = 0
  const may = () => ++asked > 1
  // It answers the first request when the second one comes: the third that was to leave.
  await raw.request(far, { username: 'p:ann:0' }, key, AbortSignal.timeout(5000), may)
  t.is(asked, 3)
  await raw.close()
})

test('256 sockets are bound while an order waits', async t => {
  const timesMs: number[] = []
  for (let times = 0; times < 3; times++) {
    const startMs = performance.now()
    const bound = await RawSocket.bindMany(256)
    timesMs.push(performance.now() - startMs)
    t.is(new Set(bound.map(({ port }) => port)).size, 256)
    await Promise.all(bound.map(raw => raw.close()))
  }
  // The others tell how busy this computer is.
  t.true(Math.min(...timesMs) < 500, `${timesMs} ms`)
})

/** A STUN server that answers the first request when the second one comes. */
async function answering(t: { teardown(undo: () => void): void }): Promise<Endpoint> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(() => socket.close())
  socket.once('message', first => {
    const transaction = decode(Buffer.from(first))?.transaction ?? Buffer.alloc(12)
    socket.once('message', (_, { address, port }) => {
      const answer = { class: 'success', method: BINDING, transaction, mapped: { address, port } } as const
      socket.send(encode(answer, { key }), port, address)
    })
  })
  return { address: '127.0.0.1', port: socket.address().port }
}
