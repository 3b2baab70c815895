// What a peer makes of the doors of a gateway, on real connections of loopback.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { type Door, doorsOf } from '../../../src/peer/doors/door.ts'
import { enter } from '../../../src/peer/doors/enter.ts'
import { Shim } from '../../../src/peer/doors/shim.ts'
import { BINDING, encode, transactionId } from '../../../src/wire/stun.ts'
import { House, key } from '../../gateway/doors/house.ts'
import { until } from '../../until.ts'

const proof = { username: 's:s:caller', key }
const never = new AbortController().signal
const primary = { address: '203.0.113.1', port: 3478 }
const features = { type: 'features', features: ['doors'] } as const

const tcpOf = ({ tcpPort }: House): Door => ({ kind: 'tcp', host: '127.0.0.1', port: tcpPort })
const webSocketOf = ({ webSocketUrl }: House): Door => ({ kind: 'websocket', url: webSocketUrl })

test('doors are TCP ports of the relay, the HTTP port where no TLS is in front of it, and a WebSocket last', t => {
  const found = (place: string, tcp?: number[]) =>
    doorsOf({ ...features, features: ['doors'], ...(tcp ? { tcp } : {}) }, { place, primary }).map(door =>
      door.kind === 'tcp' ? `${door.host} ${door.port}` : door.url
    )
  t.deepEqual(found('http://gate:8080'), ['gate 8080', 'ws://gate:8080/relay'])
  t.deepEqual(found('http://[::1]'), ['::1 80', 'ws://[::1]/relay'])
  t.deepEqual(found('https://gate/below', [443]), ['203.0.113.1 443', 'wss://gate/below/relay'])
  t.deepEqual(doorsOf({ type: 'features', features: ['proofs'] }, { place: 'http://gate', primary }), [])
})

test('the first door that takes the proof is it, and TCP comes first', async t => {
  await using house = await House.open()
  const { line, rttMs } = await enter([tcpOf(house), webSocketOf(house)], proof, never)
  t.is(line.door.kind, 'tcp')
  t.true(rttMs > 0)
  t.is((await house.relay.latched('s')).caller?.door, 'tcp')
  t.is(house.doors.counters.websocket.opened, 0)
  line.close()
})

test('a door that is closed, and one that says nothing, give way to the next; the relay takes the winner', async t => {
  await using house = await House.open()
  const mute = createServer(socket => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
  await once(mute, 'listening')
  const { port } = mute.address() as AddressInfo
  const closed: Door = { kind: 'tcp', host: '127.0.0.1', port: 9 }
  const { line } = await enter([closed, { ...closed, port }, webSocketOf(house)], proof, never)
  t.is(line.door.kind, 'websocket')
  t.is((await house.relay.latched('s')).caller?.door, 'websocket')
  line.close()
  await new Promise(done => mute.close(done))
})

test('where no door opens the error names each, and why', async t => {
  const closed: Door = { kind: 'tcp', host: '127.0.0.1', port: 9 }
  const error = await t.throwsAsync(
    enter([closed, { kind: 'websocket', url: 'ws://127.0.0.1:9/relay' }], proof, never),
    {
      code: 'udp-blocked'
    }
  )
  t.regex(error?.message ?? '', /TCP 127\.0\.0\.1:9 \(ECONNREFUSED\), ws:\/\/127\.0\.0\.1:9\/relay \(ECONNREFUSED\)/)
  await t.throwsAsync(enter([], proof, never), { code: 'udp-blocked' })
})

test('a proof that the gateway does not accept opens no door, and is given up with the order', async t => {
  await using house = await House.open()
  const over = new AbortController()
  const entering = enter([tcpOf(house)], { ...proof, key: Buffer.alloc(20, 1) }, over.signal)
  await until(() => house.binding.counters.refused === 1)
  over.abort(new Error('called off'))
  await t.throwsAsync(entering, { message: 'called off' })
  await until(() => house.doors.counters.tcp.open === 0)
})

for (const doorOf of [tcpOf, webSocketOf]) {
  const name = doorOf === tcpOf ? 'tcp' : 'websocket'

  test(`${name}: what the agent sends to the shim goes through the door and back, and nobody else is heard`, async t => {
    await using house = await House.open()
    const bob = await house.tcp()
    await bob.latch('callee')
    await using made = await shimmed([doorOf(house)])
    const { agent, shim } = made
    agent.send('hello', shim.endpoint.port, '127.0.0.1')
    t.is(String(await bob.next()), 'hello')
    await using stranger = await agentOf()
    stranger.socket.send('let me in', shim.endpoint.port, '127.0.0.1')
    bob.send(Buffer.from('hello back'))
    const [datagram, source] = await once(agent, 'message')
    t.is(String(datagram), 'hello back')
    t.is(source.port, shim.endpoint.port)
    t.deepEqual(bob.came, [])
  })

  test(`${name}: a connection that is cut is made again, and the last check of the agent goes first`, async t => {
    await using house = await House.open()
    const bob = await house.tcp()
    await bob.latch('callee')
    await using made = await shimmed([doorOf(house)])
    const { agent, shim } = made
    const check = encode({ class: 'request', method: BINDING, transaction: transactionId(), username: 'far:near' })
    agent.send(check, shim.endpoint.port, '127.0.0.1')
    t.deepEqual(await bob.next(), check)
    agent.send('data', shim.endpoint.port, '127.0.0.1')
    await bob.next()
    house.cut(name)
    t.deepEqual(await bob.next(), check)
    agent.send('more', shim.endpoint.port, '127.0.0.1')
    t.is(String(await bob.next()), 'more')
    bob.send(Buffer.from('and back'))
    t.is(String((await once(agent, 'message'))[0]), 'and back')
  })
}

test('a connection that is cut while the agent says its last words is not made again', async t => {
  await using house = await House.open()
  await using made = await shimmed([tcpOf(house)])
  const { opened } = house.doors.counters.tcp
  house.cut('tcp')
  await until(() => house.doors.counters.tcp.open === 0)
  made.shim.closeSoon()
  // Longer than it would wait before it tries.
  await sleep(200)
  t.is(house.doors.counters.tcp.opened, opened)
})

test('where the door is closed for good the next one is taken', async t => {
  await using house = await House.open()
  const bob = await house.tcp()
  await bob.latch('callee')
  await using made = await shimmed([tcpOf(house), webSocketOf(house)])
  house.closeTcp()
  house.cut('tcp')
  await until(() => made.shim.door.kind === 'websocket')
  made.agent.send('by another door', made.shim.endpoint.port, '127.0.0.1')
  t.is(String(await bob.next()), 'by another door')
})

// Helpers.

async function agentOf() {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return { socket, [Symbol.asyncDispose]: async () => void socket.close() }
}

/** An agent with a shim before the first of these doors that opens. */
async function shimmed(doors: Door[]): Promise<{ agent: Socket; shim: Shim } & AsyncDisposable> {
  const { socket: agent } = await agentOf()
  const entered = await enter(doors, proof, never)
  const shim = await Shim.open(entered, { address: '127.0.0.1', agentPort: agent.address().port, doors, proof })
  const close = async () => {
    shim.close()
    agent.close()
  }
  return { agent, shim, [Symbol.asyncDispose]: close }
}
