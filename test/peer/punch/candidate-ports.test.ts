import test from 'ava'
import { candidatePort, outside, restPort } from '../../../src/peer/punch/candidate-ports.ts'
import { RawSocket } from '../../../src/peer/punch/raw.ts'

test('ports are chosen outside the range that the system gives to anybody', t => {
  t.deepEqual(outside({ first: 32_768, last: 60_999 }), { first: 10_000, last: 32_767 })
  t.deepEqual(outside({ first: 49_152, last: 65_535 }), { first: 10_000, last: 49_151 })
  t.deepEqual(outside({ first: 1024, last: 40_000 }), { first: 40_001, last: 65_535 })
})

test('a system that gives nearly all ports to anybody still leaves some to choose from', t => {
  const all = { first: 10_000, last: 65_535 }
  t.deepEqual(outside({ first: 1024, last: 65_535 }), all)
  t.deepEqual(outside({ first: 10_500, last: 65_535 }), all)
})

test('a port is not chosen again soon', t => {
  const ports = Array.from({ length: 500 }, candidatePort)
  t.is(new Set(ports).size, 500)
  t.true(ports.every(port => port >= 10_000 && port <= 65_535))
})

test('a port that is let go rests from then on, however long it was held', t => {
  const chosen = (count: number) => Array.from({ length: count }, candidatePort)
  const held = chosen(50)
  chosen(20_000)
  for (const port of held) restPort(port)
  const again = new Set(chosen(2000))
  t.false(held.some(port => again.has(port)))
})

test('sockets get ports of their own, and a closed one is free at once', async t => {
  const sockets = await Promise.all(Array.from({ length: 50 }, () => RawSocket.bind()))
  t.is(new Set(sockets.map(({ port }) => port)).size, 50)
  await Promise.all(sockets.map(socket => socket.close()))
  await t.notThrowsAsync(sockets[0]?.close() ?? Promise.reject(), 'closing twice is no error')
})

test('what is sent to port 0 or from a closed socket is lost without an error', async t => {
  const socket = await RawSocket.bind()
  t.notThrows(() => socket.send(Buffer.from('x'), { address: '127.0.0.1', port: 0 }))
  await socket.close()
  t.notThrows(() => socket.send(Buffer.from('x'), { address: '127.0.0.1', port: 9 }))
})
