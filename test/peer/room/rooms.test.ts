import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import test from 'ava'
import type { Connection } from '../../../src/peer/connection/connection.ts'
import type { GuestRoom, Peer, PeerOptions, Roster } from '../../../src/peer/peer.ts'
import { newSecret, parseRoomLink } from '../../../src/wire/room/link.ts'
import { endNative } from '../../end-native.ts'
import { until } from '../../until.ts'
import { World } from '../../world.ts'

test.after.always(endNative)

const open = (strategies = () => '[direct, stun, relay]') => World.open({ more: 'call: { enabled: true }', strategies })

const roomOf = ({ room }: Peer): GuestRoom => {
  if (!room) throw new Error('it is no guest')
  return room
}

/** The roster once it is so. */
async function rosterOf(peer: Peer, isIt: (roster: Roster) => boolean): Promise<Roster> {
  const room = roomOf(peer)
  while (!isIt(room)) await once(room, 'roster', { signal: AbortSignal.timeout(10_000) })
  return room
}

const isIn = ({ isIn }: Roster) => isIn

/** Lets in whoever waits. */
async function letIn(by: Peer, guest: Peer): Promise<void> {
  const { members } = await rosterOf(by, ({ members }) => members.some(({ name }) => name === guest.name))
  roomOf(by).admit(members.find(({ name }) => name === guest.name)?.id ?? '')
  await rosterOf(guest, isIn)
}

test.serial('two guests meet by a link alone: one is let in by the other, and bytes pass', async t => {
  await using world = await open()
  const ann = await world.join('ann')
  const { link, expiresMs } = await ann.makeRoom('standup', { hours: 2 })
  t.like(parseRoomLink(link), { gateway: world.url, name: 'standup' })
  t.true(Math.abs(expiresMs - Date.now() - 7_200_000) < 5000)
  const arrived = Promise.withResolvers<Connection>()
  const bob = await world.enter(link, 'bob', { onConnection: arrived.resolve })
  await rosterOf(bob, isIn)
  const carol = await world.enter(link, 'carol')
  t.like(await rosterOf(carol, ({ inside }) => inside === 1), { isIn: false, members: [] })
  await t.throwsAsync(carol.connect({ name: bob.name }), { code: 'unknown-peer' })
  await letIn(bob, carol)
  const connection = await carol.connect({ name: bob.name })
  t.like(connection.peer, { name: bob.name, fingerprint: bob.identity.fingerprint })
  const other = await arrived.promise
  t.is(other.peer.name, carol.name)
  t.is(connection.words?.length, 4)
  t.deepEqual(other.words, connection.words)
  await t.throwsAsync(carol.connect({ name: bob.name, pin: ann.identity.fingerprint }), {
    code: 'fingerprint-mismatch'
  })
  for (const name of ['ann', 'nobody']) await t.throwsAsync(carol.connect({ name }), { code: 'unknown-peer' })
  await t.throwsAsync(ann.connect({ name: bob.name }), { code: 'unknown-peer' })
  await t.throwsAsync(carol.nat({ sockets: 2 }), { code: 'no-room' })
  await t.throwsAsync(carol.makeRoom('mine'), { code: 'no-room' })
  await connection.close()
})

test.serial('a connection of two guests that goes on over another path keeps its words', async t => {
  let strategies = '[relay]'
  await using world = await open(() => strategies)
  const { link } = await (await world.join('ann')).makeRoom('standup')
  const arrived = Promise.withResolvers<Connection>()
  const bob = await world.enter(link, 'bob', { onConnection: arrived.resolve })
  await rosterOf(bob, isIn)
  const carol = await world.enter(link, 'carol')
  await letIn(bob, carol)
  const connection = await carol.connect({ name: bob.name })
  const { words, path } = connection
  t.is(path.kind, 'relay')
  strategies = '[direct, relay]'
  await world.gateway.close()
  await world.start()
  await until(() => connection.path.kind === 'direct', 20_000)
  const other = await arrived.promise
  t.deepEqual([connection.words, other.words], [words, words])
  t.true((await connection.ping()) > 0)
})

test.serial('whoever is turned away, or whose room is closed, is told why and does not knock again', async t => {
  await using world = await open()
  const ann = await world.join('ann')
  const { link } = await ann.makeRoom('standup')
  const told: unknown[] = []
  const onState: PeerOptions['onState'] = state => {
    if (!state.joined) told.push([state.error.code, state.final])
  }
  const bob = await world.enter(link, 'bob', { onState })
  await rosterOf(bob, isIn)
  const carol = await world.enter(link, 'carol', { onState })
  const { members } = await rosterOf(bob, ({ members }) => members.length === 2)
  roomOf(bob).turnAway(members[1]?.id ?? '')
  await until(() => told.length === 1)
  t.deepEqual(told[0], ['turned-away', true])
  t.is(roomOf(carol).inside, 0)
  await ann.closeRoom('standup')
  await until(() => told.length === 2)
  t.deepEqual(told[1], ['no-room', true])
  await t.throwsAsync(world.enter(link, 'bob'), { code: 'no-room' })
  await t.throwsAsync(ann.closeRoom('standup'), { code: 'no-room' })
  t.is((await world.gateway.status()).rooms.open, 0)
})

test.serial('a guest whose link breaks comes back under its name, and is inside without being asked again', async t => {
  await using world = await open()
  const { link } = await (await world.join('ann')).makeRoom('standup')
  const bob = await world.enter(link, 'bob')
  await rosterOf(bob, isIn)
  await using wire = await Wire.to(world)
  const carol = await world.enter(link, 'carol', { gateway: wire.url })
  await letIn(bob, carol)
  const { name } = carol
  const gone = rosterOf(bob, ({ inside }) => inside === 1)
  wire.cut()
  await gone
  await rosterOf(carol, ({ isIn, members }) => isIn && members.length === 2)
  t.is(carol.name, name)
  await t.notThrowsAsync(bob.connect({ name }))
})

test.serial('while all inside are lost, whoever waits is not let in by that', async t => {
  await using world = await open()
  const { link } = await (await world.join('ann')).makeRoom('standup')
  await using wire = await Wire.to(world)
  const bob = await world.enter(link, 'bob', { gateway: wire.url })
  await rosterOf(bob, isIn)
  const eve = await world.enter(link, 'eve')
  await rosterOf(eve, ({ inside }) => inside === 1)
  wire.cut()
  await rosterOf(eve, ({ inside }) => inside === 0)
  await rosterOf(eve, ({ inside }) => inside === 1)
  t.false(roomOf(eve).isIn)
  await rosterOf(bob, isIn)
  await bob.close()
  t.like(await rosterOf(eve, isIn), { inside: 1 }, 'who leaves keeps it for nobody')
})

test.serial(
  'after a restart of the gateway those that were inside are inside again, and whoever waited is not',
  async t => {
    await using world = await open()
    const { link } = await (await world.join('ann')).makeRoom('standup')
    const bob = await world.enter(link, 'bob')
    await rosterOf(bob, isIn)
    const carol = await world.enter(link, 'carol')
    await letIn(bob, carol)
    const eve = await world.enter(link, 'eve')
    await rosterOf(eve, ({ inside }) => inside === 2)
    const lost = [bob, carol, eve].map(peer => once(roomOf(peer), 'roster'))
    await world.gateway.close()
    await Promise.all(lost)
    t.false(roomOf(bob).isIn)
    await world.start()
    t.like(await rosterOf(bob, ({ inside }) => inside === 2), { isIn: true })
    t.like(await rosterOf(carol, ({ members }) => members.length === 3), { isIn: true })
    t.like(await rosterOf(eve, ({ inside }) => inside === 2), { isIn: false })
    const connection = await carol.connect({ name: bob.name })
    await connection.close()
  }
)

test.serial('by what a peer joins is said once, and what is no link is refused before anybody is asked', async t => {
  await using world = await open()
  const link = `${world.url}/call/standup#${newSecret()}`
  const none = { token: undefined, name: undefined }
  const wrong = [{ room: link, token: 'x' }, { ...none, room: link, name: 'bob' }, none, { ...none, room: 'standup' }]
  for (const more of wrong) await t.throwsAsync(world.join('bob', more as object), { code: 'bad-config' })
  await t.throwsAsync(world.enter(link, 'bob'), { code: 'no-room' })
  const ann = await world.join('ann')
  await t.throwsAsync(ann.makeRoom('a/b'), { code: 'bad-config' })
  for (const hours of [0, -1, Number.NaN, 169])
    await t.throwsAsync(ann.makeRoom('a', { hours }), { code: 'bad-config' })
})

/** A way to the gateway that can be cut, as by a network that goes away. */
class Wire implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  static async to(world: World): Promise<Wire> {
    const server = createServer(near => {
      const far = connect(world.gateway.http.port, '127.0.0.1')
      for (const socket of [near, far]) wire.#sockets.add(socket.on('error', () => {}))
      near.pipe(far).pipe(near)
    })
    const wire = new Wire(server)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return wire
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
    this.#sockets.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.#server.close()
  }
}
