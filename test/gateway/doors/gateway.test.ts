// The doors of a whole gateway: on its HTTP port, on a port of its own, and over WebSocket.

import { once } from 'node:events'
import { connect } from 'node:net'
import { buffer } from 'node:stream/consumers'
import test from 'ava'
import { RELAY_PATH } from '../../../src/wire/doors/door.ts'
import { HandMade } from '../../hand-made.ts'
import { until } from '../../until.ts'
import { World } from '../../world.ts'
import { End } from './house.ts'

test('HTTP, WebSockets and frames are served on one port', async t => {
  await using world = await World.open()
  const { port } = world.gateway.http
  const [frames, messages] = [await End.tcp(port), await End.webSocket(`ws://127.0.0.1:${port}${RELAY_PATH}`)]
  for (const end of [frames, messages]) t.is((await end.ask()).mapped?.port, end.localPort)
  t.is((await fetch(`${world.url}/healthz`)).status, 200)
  await using _peer = await HandMade.join(world.url, {
    identity: await world.identity('ann'),
    token: world.gateway.joinToken
  })
  t.like((await world.gateway.status()).doors, { tcp: { open: 1 }, websocket: { open: 1 } })
  for (const end of [frames, messages]) end.close()
  await until(async () => (await world.gateway.status()).http.open === 1)
})

test('requests that come in pieces, or several in one, are read whole', async t => {
  await using world = await World.open()
  const request = `GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`
  for (const pieces of [[request], [...request]]) {
    const socket = connect(world.gateway.http.port, '127.0.0.1').setNoDelay(true)
    await once(socket, 'connect')
    for (const piece of pieces) await new Promise(done => socket.write(piece, done))
    t.is(String(await buffer(socket)).split('HTTP/1.1 200 OK').length, 3)
  }
})

test('what speaks TLS to the HTTP port is told so', async t => {
  await using world = await World.open()
  const socket = connect(world.gateway.http.port, '127.0.0.1')
  socket.write(Buffer.from([22, 3, 1, 2, 0, 1, 0]))
  t.regex(String(await buffer(socket)), /^HTTP\/1.1 400/)
})

test('a connection that is reset before it has said anything does no harm', async t => {
  await using world = await World.open()
  const socket = connect(world.gateway.http.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.resetAndDestroy()
  t.is((await fetch(`${world.url}/healthz`)).status, 200)
})

test('TCP ports of the relay alone are told to peers, take frames, and count among the connections', async t => {
  await using world = await World.open({ addresses: ['127.0.0.1'], tcp: [0] })
  await using peer = await HandMade.join(world.url, {
    identity: await world.identity('ann'),
    token: world.gateway.joinToken
  })
  await peer.settled()
  const { features = [], tcp = [] } = peer.features ?? {}
  t.true(features.includes('doors'))
  t.is(tcp.length, 1)
  const end = await End.tcp(tcp[0] ?? 0)
  t.is((await end.ask()).mapped?.port, end.localPort)
  t.is((await world.gateway.status()).http.open, 2)
  end.raw(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  await end.closed
  t.is((await world.gateway.status()).doors.tcp.broken, 1)
})
