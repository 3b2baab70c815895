// Lines over TCP connections of loopback.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import test from 'ava'
import { frameOf } from '../../src/wire/doors/framing.ts'
import { isMark, type Line, tcpLine } from '../../src/wire/doors/line.ts'
import { until } from '../until.ts'

interface End {
  readonly socket: Socket
  readonly line: Line
  readonly came: Buffer[]
  dropped: number
}

function endOf(socket: Socket): End {
  const end = { socket, came: [] as Buffer[], dropped: 0, line: undefined as unknown as Line }
  end.line = tcpLine(socket, {
    datagram: datagram => void end.came.push(datagram),
    broken: () => socket.destroy(),
    dropped: () => end.dropped++,
    closed: () => {}
  })
  return end
}

async function connection(): Promise<{ near: Socket; far: Socket } & AsyncDisposable> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const coming = once(server, 'connection')
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [far] = (await coming) as [Socket]
  const close = async () => {
    for (const socket of [near, far]) socket.destroy()
    await new Promise(done => server.close(done))
  }
  return { near, far, [Symbol.asyncDispose]: close }
}

/** Sends a datagram each millisecond until `isEnough`, and says how many were taken. */
async function busy({ line }: End, isEnough: () => boolean): Promise<number> {
  let taken = 0
  while (!isEnough()) {
    if (line.send(Buffer.alloc(1200, 7))) taken++
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  return taken
}

test('marks go to and fro on the line, and nobody else sees them', async t => {
  await using pair = await connection()
  const [near, far] = [endOf(pair.near), endOf(pair.far)]
  let sentMarks = 0
  far.socket.on('data', bytes => {
    if (bytes.includes('line')) sentMarks++
  })
  await busy(near, () => sentMarks > 3)
  await busy(far, () => far.socket.bytesWritten > 10_000)
  await until(() => near.came.length > 5)
  t.false([...near.came, ...far.came].some(isMark))
  t.is(near.dropped + far.dropped, 0)
})

test('where the far end is held up, what would wait is dropped long before the buffers of the system are full', async t => {
  await using pair = await connection()
  const [near, far] = [endOf(pair.near), endOf(pair.far)]
  await busy(near, () => far.came.length > 50)
  t.is(near.dropped, 0)
  far.socket.pause()
  const taken = await busy(near, () => near.dropped > 100)
  t.true(taken < 1000, `${taken} datagrams were taken`)
  t.is(near.socket.writableLength, 0)
  far.socket.resume()
  const before = far.came.length
  await busy(near, () => far.came.length > before + taken)
  t.pass('and it goes on where the far end does')
})

test('who does not know marks gets one, and is not taken for late', async t => {
  await using pair = await connection()
  const near = endOf(pair.near)
  const bytes: Buffer[] = []
  pair.far.on('data', chunk => bytes.push(chunk))
  await busy(near, () => near.socket.bytesWritten > 200_000)
  await until(() => Buffer.concat(bytes).length === near.socket.bytesWritten)
  t.is(near.dropped, 0)
  t.is(Buffer.concat(bytes).toString('latin1').split('line').length, 2)
})

test('a mark of ours that comes back twice, or that was never sent, changes nothing', async t => {
  await using pair = await connection()
  const near = endOf(pair.near)
  const foreign = Buffer.from('0101000821 12a442 000102030405060708090a0b 000600046c696e65'.replaceAll(' ', ''), 'hex')
  t.true(isMark(foreign))
  pair.far.write(Buffer.concat([frameOf(foreign), frameOf(foreign), frameOf(Buffer.from('data'))]))
  await until(() => near.came.length === 1)
  t.is(String(near.came[0]), 'data')
})
