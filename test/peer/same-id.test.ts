// Peers that join again are who they were: to the gateway, to its sessions, and to their callers.

import test from 'ava'
import type { PosternError } from '../../src/errors.ts'
import type { Connection } from '../../src/peer/connection/connection.ts'
import { Network, type Reading } from '../../src/peer/network.ts'
import { persist } from '../../src/peer/patience.ts'
import { endNative } from '../end-native.ts'
import { HandMade } from '../hand-made.ts'
import { until } from '../until.ts'
import { World } from '../world.ts'
import { HandMadeGateway } from './hand-made-gateway.ts'

test.after.always(endNative)

/** A network that a test changes: the address that the link leaves from is gone each time, unless it stays. */
class Moving extends Network {
  stays = false
  readonly #now: { reading: Reading }

  constructor() {
    const now: { reading: Reading } = { reading: { addresses: ['10.0.0.1'], route: undefined } }
    super({ read: () => now.reading, looks: false })
    this.#now = now
  }

  override has(): boolean {
    return this.stays
  }

  move(address: string): void {
    this.#now.reading = { addresses: [address], route: undefined }
    this.look()
    this.look()
  }
}

test.serial('a guest keeps its made-up name when it moves, and when the gateway starts again', async t => {
  await using world = await World.open()
  let joins = 0
  const network = new Moving()
  const guest = await world.join('guest', { name: undefined, network, onState: ({ joined }) => joined && joins++ })
  const { name } = guest
  network.move('10.0.0.2')
  await until(() => joins === 2)
  t.is(guest.name, name)
  await until(async () => (await world.gateway.status()).peers === 1)
  await world.gateway.close()
  await world.start()
  await until(() => joins === 3)
  t.is(guest.name, name)
  await world.join('bob')
  await (await guest.connect({ name: 'bob' })).close()
})

test.serial('a relayed connection outlives the link of a side, which is heard about it when it is back', async t => {
  await using world = await World.open({ strategies: '[relay]' })
  const arrived = Promise.withResolvers<Connection>()
  const network = new Moving()
  let joins = 0
  await world.join('bob', { network, onState: ({ joined }) => joined && joins++, onConnection: arrived.resolve })
  const ann = await world.join('ann')
  const connection = await ann.connect({ name: 'bob' })
  const other = await arrived.promise
  await until(async () => (await world.gateway.status()).sessions.relayed === 1)
  network.move('10.0.0.2')
  await until(() => joins === 2)
  t.true((await connection.ping()) < 1000)
  t.is((await world.gateway.status()).sessions.relayed, 1)
  await other.close()
  await until(async () => (await world.gateway.status()).sessions.relayed === 0)
})

test.serial(
  'where the link stands a change, the idle socket is proved anew at once, and the gateway told where it is',
  async t => {
    await using gateway = await HandMadeGateway.open()
    const network = new Moving()
    network.stays = true
    const { guest, peer, warm } = await gateway.join('ann', { network })
    const { socket, port } = warm
    const proofs = () => gateway.showing(socket).filter(({ proves }) => proves).length
    const before = proofs()
    network.move('10.0.0.2')
    await until(() => proofs() >= before + 3)
    t.false(
      guest.said.some(({ type }) => type === 'warm'),
      'an older gateway would take it for another socket'
    )
    guest.say({ type: 'features', features: ['proofs', 'rejoin'] })
    const again = proofs()
    await until(() => {
      peer.remapWarm()
      return guest.said.some(({ type }) => type === 'warm')
    })
    t.true(proofs() >= again + 3)
    t.like(await guest.heard('warm'), { socket, port })
    t.is(peer.name, 'guest')
  }
)

test.serial('what a peer asked for as it moved fails at once, and it calls again from where it is', async t => {
  await using world = await World.open()
  await world.join('bob')
  const network = new Moving()
  let joins = 0
  const ann = await world.join('ann', { network, onState: ({ joined }) => joined && joins++ })
  const connecting = ann.connect({ name: 'bob' })
  network.move('10.0.0.2')
  await connecting.then(connection => connection.close()).catch(error => t.is(error.code, 'gateway-unreachable'))
  await until(() => joins === 2)
  await (await ann.connect({ name: 'bob' })).close()
  t.pass()
})

test("an id is nobody else's: who asks for it with another certificate, or for what is no id, gets a new one", async t => {
  await using world = await World.open()
  const [token, ann, eve] = [world.gateway.joinToken, await world.identity('ann'), await world.identity('eve')]
  const join = (identity: typeof ann, peer: string) => HandMade.join(world.url, { identity, token, lie: { peer } })
  const first = await HandMade.join(world.url, { identity: ann, token })
  const id = first.welcome.peer
  const foreign = await join(eve, id)
  t.not(foreign.welcome.peer, id)
  t.is(first.ws.readyState, first.ws.OPEN)
  const again = await join(ann, id)
  t.is(again.welcome.peer, id)
  t.is((await first.hears('refused')).code, 'gateway-unreachable')
  t.is(await first.closed, 1008)
  await again.close()
  const later = await join(eve, id)
  t.not(later.welcome.peer, id, 'nor when it has left')
  for (const odd of ['', 'x', '0A0A0A0A0A0A', '0a0a0a0a0a0a0', '../../../..']) {
    const odder = await join(eve, odd)
    t.regex(odder.welcome.peer, /^[0-9a-f]{12}$/)
    t.not(odder.welcome.peer, odd)
    await odder.close()
  }
  const free = await join(eve, '0a0a0a0a0a0a')
  t.is(free.welcome.peer, '0a0a0a0a0a0a', 'as after a restart')
  await Promise.all([foreign, later, free].map(made => made.close()))
})

test('a peer that vanished is silent for its callers, with when to ask again, and its page says so', async t => {
  await using world = await World.open()
  const token = world.gateway.joinToken
  const bob = await HandMade.join(world.url, { identity: await world.identity('bob'), token, name: 'bob' })
  const ann = await HandMade.join(world.url, { identity: await world.identity('ann'), token, name: 'ann' })
  bob.ws.terminate()
  await until(async () => (await world.gateway.status()).peers === 1)
  ann.say({ type: 'connect', request: 1, to: 'bob' })
  const { code, retryMs, verdict } = await ann.hears('refused')
  t.deepEqual([code, verdict?.code, verdict?.side], ['silent-peer', 'silent-peer', 'callee'])
  t.true(retryMs !== undefined && retryMs < 3000)
  t.regex(await (await world.api('/')).text(), /bob[\s\S]*silent, heard last/)
  await ann.close()
})

test.serial('who calls a silent peer is told when to ask again, and reaches it once it is back', async t => {
  await using world = await World.open()
  const token = world.gateway.joinToken
  const bob = await HandMade.join(world.url, { identity: await world.identity('bob'), token, name: 'bob' })
  bob.ws.terminate()
  const ann = await world.join('ann')
  await until(async () => (await world.gateway.status()).peers === 1)
  const told = Promise.withResolvers<PosternError>()
  const waiting = { onWaiting: told.resolve }
  const connecting = persist(() => ann.connect({ name: 'bob' }), waiting)
  t.is((await told.promise).code, 'silent-peer')
  await world.join('bob')
  await (await connecting).close()
})
