// What a peer does not believe its gateway: the gateway's word on who the other side is. A gateway that lies is made of
// the real one and a wire in front of it that changes what passes.

import { once } from 'node:events'
import test from 'ava'
import { WebSocket, WebSocketServer } from 'ws'
import { PosternError } from '../../src/errors.ts'
import type { Connection } from '../../src/peer/connection/connection.ts'
import { JOIN_PATH } from '../../src/wire/place.ts'
import type { FromGateway, FromPeer } from '../../src/wire/signal.ts'
import { endNative } from '../end-native.ts'
import { World } from '../world.ts'

test.after.always(endNative)

type Lie = (message: FromGateway) => unknown

test.serial('a gateway cannot put another peer in the place of the pinned one', async t => {
  await using world = await World.open()
  const { fingerprint: pin } = await world.identity('bob')
  // Eve's certificate is what the order says, and Bob's what the introduction says.
  const { ann, served } = await between(world, message =>
    message.type === 'session' ? { ...message, peer: { ...message.peer, name: 'bob', fingerprint: pin } } : message
  )
  await t.throwsAsync(ann.connect({ name: 'bob', pin }), { instanceOf: PosternError, code: 'fingerprint-mismatch' })
  t.is(served.length, 0)
})

test.serial('a gateway cannot introduce another peer than the one asked for', async t => {
  await using world = await World.open()
  const { ann, served } = await between(world, message => message)
  const error = await t.throwsAsync(ann.connect({ name: 'bob' }), { instanceOf: PosternError, code: 'bad-message' })
  t.regex(error?.message ?? '', /asked for bob and introduced eve/)
  t.is(served.length, 0)
})

test.serial('a gateway cannot call a peer a guest so that it is not held against those met before', async t => {
  await using world = await World.open()
  const { ann, served } = await between(world, message =>
    message.type === 'session' ? { ...message, peer: { ...message.peer, name: 'bob', named: false } } : message
  )
  await t.throwsAsync(ann.connect({ name: 'bob' }), { instanceOf: PosternError, code: 'bad-message' })
  t.is(served.length, 0)
})

/** Ann behind a gateway that lies to her: when she asks for Bob it asks for Eve. */
async function between(world: World, lie: Lie) {
  const served: Connection[] = []
  await world.join('eve', { onConnection: connection => served.push(connection) })
  const wire = new WebSocketServer({ host: '127.0.0.1', port: 0, path: JOIN_PATH })
  await once(wire, 'listening')
  wire.on('connection', near => {
    const far = new WebSocket(world.url.replace('http', 'ws') + JOIN_PATH)
    far.on('message', data => near.send(JSON.stringify(lie(JSON.parse(String(data)) as FromGateway))))
    near.on('message', data => far.send(JSON.stringify(elsewhere(JSON.parse(String(data)) as FromPeer))))
    near.on('close', () => {
      far.close()
      wire.close()
    })
    far.on('close', () => near.close())
  })
  const { port } = wire.address() as { port: number }
  const ann = await world.join('ann', { gateway: `http://127.0.0.1:${port}` })
  return { ann, served }
}

const elsewhere = (message: FromPeer): FromPeer =>
  message.type === 'connect' ? { type: 'connect', request: message.request, to: 'eve' } : message
