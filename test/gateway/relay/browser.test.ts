// What a browser does, by hand, with a whole gateway: it joins, shows its ICE socket, and is relayed to a peer with raw sockets.

import { createHash, randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import test from 'ava'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import type { IceCredentials } from '../../../src/wire/order.ts'
import { pace } from '../../agent-pace.ts'
import { HandMade, nothingDone } from '../../hand-made.ts'
import { until } from '../../until.ts'
import { World } from '../../world.ts'
import { End } from '../doors/house.ts'
import { type Attribute, message, read } from '../stun-by-hand.ts'
import { IceAgent } from './ice-agent.ts'

const ALLOCATE = 0x0003
const [USERNAME, ERROR_CODE, REALM, NONCE] = [0x0006, 0x0009, 0x0014, 0x0015]
const transport: Attribute = [0x0019, Buffer.from([17, 0, 0, 0])]
const ice: IceCredentials = { ufrag: 'Xy7+', pwd: randomBytes(12).toString('hex') }

/** The next datagram that is wanted, from there. */
async function heard(socket: Socket, from: Endpoint, isWanted: (datagram: Buffer) => boolean): Promise<Buffer> {
  for (;;) {
    const [datagram, { port }] = await once(socket, 'message', { signal: AbortSignal.timeout(5000) })
    if (port === from.port && isWanted(datagram)) return datagram
  }
}

async function ask(socket: Socket, endpoint: Endpoint, request: Buffer) {
  const answer = heard(socket, endpoint, datagram => read(datagram).transaction.equals(request.subarray(8, 20)))
  socket.send(request, endpoint.port, endpoint.address)
  return read(await answer).attributes
}

/** As a TURN server of `iceServers` makes the browser do. */
async function allocate(socket: Socket, endpoint: Endpoint, username: string, credential: string) {
  const challenge = await ask(socket, endpoint, message(ALLOCATE, randomBytes(12), [transport]))
  const [realm, nonce] = [challenge.get(REALM) as Buffer, challenge.get(NONCE) as Buffer]
  const key = createHash('md5').update(`${username}:${realm}:${credential}`).digest()
  const named: Attribute[] = [transport, [USERNAME, username], [REALM, realm], [NONCE, nonce]]
  return await ask(socket, endpoint, message(ALLOCATE, randomBytes(12), named, key))
}

/** A world with a peer, and with a browser that has shown a socket. */
async function worldWith(ports: readonly number[]) {
  const world = await World.open({ strategies: '[relay]', ports })
  const join = async (name: string, lie = {}) =>
    HandMade.join(world.url, { identity: await world.identity(name), token: world.gateway.joinToken, name, lie })
  const [ann, browser] = [await join('ann'), await join('browser', { iceOnly: pace })]
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { peer, key, endpoints } = browser.welcome
  for (const endpoint of endpoints) {
    const refused = await allocate(socket, endpoint, `p:${peer}:0`, key)
    if (refused.get(ERROR_CODE)?.toString('hex') !== '00000456') throw new Error('no 486')
  }
  browser.say({ type: 'warm', socket: 0, port: socket.address().port, addresses: [], rttMs: 1, ice })
  const raw = await ann.warm(0)
  ann.say({ type: 'filtering', port: true, address: true })
  return {
    ...{ world, ann, browser, socket, raw, told: endpoints },
    ports: world.gateway.endpoints.map(({ port }) => port),
    async [Symbol.asyncDispose]() {
      socket.close()
      await Promise.all([ann.close(), browser.close()])
      await world[Symbol.asyncDispose]()
    }
  }
}

for (const given of [
  [0, 0, 0],
  [0, 0]
])
  test(`of ${given.length} ports a browser shows its socket to all but the last, and is relayed by that one`, async t => {
    await using room = await worldWith(given)
    const { world, ann, browser, socket, raw, told, ports } = room
    const columns = (most: number) => ports.filter((_, index) => index % given.length < most)
    t.deepEqual(
      told.map(({ port }) => port),
      columns(given.length - 1),
      'of both addresses'
    )
    t.deepEqual(
      ann.welcome.endpoints.map(({ port }) => port),
      columns(2)
    )
    ann.say({ type: 'connect', request: 0, to: 'browser' })
    const { session, key } = await ann.hears('session')
    const [toAnn, toBrowser] = [await ann.hears('order'), await browser.hears('order')]
    t.deepEqual(toBrowser.order, {
      kind: 'splice',
      target: { address: '127.0.0.1', port: ports[given.length - 1] as number }
    })
    t.like(toAnn.order, { kind: 'splice', target: { port: ports[0] }, blind: true })
    const { local, remote } = toBrowser.handover
    t.deepEqual(local, ice)
    t.deepEqual(toAnn.handover.remote, ice)

    const { target: here } = toAnn.order as Extract<typeof toAnn.order, { kind: 'splice' }>
    await ann.show(raw, here, `s:${session}:caller`, Buffer.from(key, 'base64'))
    const { target: there } = toBrowser.order as Extract<typeof toBrowser.order, { kind: 'splice' }>
    const agent = new IceAgent(local, remote)
    const asked = heard(socket, there, datagram => agent.accepts(datagram))
    socket.send(agent.check(), there.port, there.address)
    const answer = agent.answer(await asked)
    const far = new IceAgent(remote, local).check()
    socket.send(answer, there.port, there.address)
    await until(async () => (await world.gateway.status()).doors.latched.udp === 2)
    const arrived = heard(socket, there, datagram => datagram.equals(far))
    raw.send(far, here)
    t.truthy(await arrived)
    const { checks, udp } = await world.gateway.status()
    t.like(checks, { asked: 1, latched: 1, refused: 0 })
    t.is(udp.challenged, told.length)
    for (const [one, plan] of [
      [ann, toAnn.plan],
      [browser, toBrowser.plan]
    ] as const)
      one.say({ type: 'opened', session, plan, local: here, remote: there, report: nothingDone })
    t.is((await ann.hears('path')).kind, 'relay')
  })

test('by a gateway with one port a browser cannot be relayed, and both are told why', async t => {
  await using room = await worldWith([0])
  const { ann, told } = room
  t.is(told.length, 2, 'of two addresses')
  ann.say({ type: 'connect', request: 0, to: 'browser' })
  const { reason } = await ann.hears('over')
  t.regex(
    reason,
    /this gateway has one UDP port, and a browser cannot be relayed by the one that it shows its mapping to/
  )
})

test('a browser whose UDP is blocked has the order for the agent that it named, and is latched where that dials, with one UDP port too', async t => {
  await using room = await worldWith([0])
  const { world, ann, browser, raw } = room
  t.true(browser.features?.features.includes('ice-tcp'))
  const blocked: IceCredentials = { ufrag: 'Tcp0', pwd: randomBytes(12).toString('hex') }
  browser.say({ type: 'cold', socket: 1, reason: 'nothing comes back', doors: ['tcp'], rttMs: 1, ice: blocked })
  browser.say({ type: 'cold', socket: 0, reason: 'another socket has taken its place' })
  await browser.settled()
  ann.say({ type: 'connect', request: 0, to: 'browser' })
  const { session, key } = await ann.hears('session')
  const [toAnn, toBrowser] = [await ann.hears('order'), await browser.hears('order')]
  t.like(toBrowser, { socket: 1, order: { kind: 'splice', doors: ['tcp'] }, handover: { local: blocked } })
  t.like(toAnn, { order: { kind: 'splice', blind: true }, handover: { role: 'passive', remote: blocked } })

  const { target: here } = toAnn.order as Extract<typeof toAnn.order, { kind: 'splice' }>
  await ann.show(raw, here, `s:${session}:caller`, Buffer.from(key, 'base64'))
  const end = await End.tcp(world.gateway.http.port)
  const agent = new IceAgent(toBrowser.handover.local, toBrowser.handover.remote)
  end.send(agent.check())
  const asked = await end.next()
  t.true(agent.accepts(asked))
  end.send(agent.answer(asked))
  await until(async () => (await world.gateway.status()).doors.latched.tcp === 1)
  const far = new IceAgent(agent.remote, agent.local).check()
  raw.send(far, here)
  t.deepEqual(await end.next(), far)
  for (const [one, plan] of [
    [ann, toAnn.plan],
    [browser, toBrowser.plan]
  ] as const)
    one.say({ type: 'opened', session, plan, local: here, remote: here, report: nothingDone })
  const { verdict } = await ann.hears('path')
  t.like(verdict, { code: 'udp-blocked', side: 'callee' })
  end.close()
})
