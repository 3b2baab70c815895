// Peers that show their address to no other. On loopback there is a direct path always, so whoever is relayed wished it so.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { WebSocket, WebSocketServer } from 'ws'
import type { PosternError } from '../../src/errors.ts'
import type { Connection } from '../../src/peer/connection/connection.ts'
import type { Verdict } from '../../src/verdict.ts'
import type { Order } from '../../src/wire/order.ts'
import { JOIN_PATH } from '../../src/wire/place.ts'
import type { FromGateway, FromPeer, Message } from '../../src/wire/signal.ts'
import { endNative } from '../end-native.ts'
import { HandMade, nothingDone } from '../hand-made.ts'
import { until } from '../until.ts'
import { World } from '../world.ts'
import { HandMadeGateway } from './hand-made-gateway.ts'

test.after.always(endNative)

for (const who of ['caller', 'callee', 'both'] as const)
  test.serial(
    `where ${who === 'both' ? 'both show their addresses' : `the ${who} shows its address`} to nobody, the relay alone is taken`,
    async t => {
      await using world = await World.open()
      const isFor = (side: string) => who === side || who === 'both'
      await using bobs = await Line.open(world)
      await using anns = await Line.open(world)
      const arrived = Promise.withResolvers<Connection>()
      const served = { gateway: bobs.url, relayOnly: isFor('callee'), onConnection: arrived.resolve }
      await world.join('bob', served)
      const ann = await world.join('ann', { gateway: anns.url, relayOnly: isFor('caller') })
      const verdict = Promise.withResolvers<Verdict | undefined>()
      const connection = await ann.connect({ name: 'bob' }, { onPath: path => verdict.resolve(path.verdict) })
      const other = await arrived.promise
      t.deepEqual([connection.path.kind, other.path.kind], ['relay', 'relay'])
      t.like(await verdict.promise, { code: 'relay-only', side: who, also: [] })
      const { verdict: judged, spans } = await world.trace(connection.path.trace)
      t.like(judged, { code: 'relay-only', side: who })
      t.is(spans.filter(({ name }) => name === 'postern.plan').length, 0, 'no direct path was tried')
      await until(() => bobs.told.some(({ type }) => type === 'path'))
      for (const [near, far] of [
        [anns, bobs],
        [bobs, anns]
      ] as const) {
        const all = JSON.stringify(far.told.filter(({ type }) => !own.includes(type)))
        for (const secret of near.whereabouts) t.false(all.includes(secret), `${secret} in ${all}`)
        t.deepEqual(
          new Set(far.told.flatMap(message => (message.type === 'order' ? message.order.kind : []))),
          new Set(['splice'])
        )
        t.false(far.told.some(({ type }) => type === 'beacon' || type === 'watch' || type === 'sample'))
      }
    }
  )

test.serial(
  'where a side shows its address to nobody, neither side looks for a direct path later, and none that is asked for is looked for',
  async t => {
    await using world = await World.open()
    await using anns = await Line.open(world)
    await using bobs = await Line.open(world)
    await world.join('bob', { gateway: bobs.url, relayOnly: true })
    const ann = await world.join('ann', { gateway: anns.url })
    const connection = await ann.connect({ name: 'bob' })
    await until(() => bobs.told.some(({ type }) => type === 'path'))
    // Whoever is there again asks for a direct path, at once.
    anns.cut()
    await until(() => anns.said.filter(({ type }) => type === 'warm').length > 1)
    await sleep(1500)
    await connection.ping()
    const { session, peer } = anns.told.find(message => message.type === 'session') as Message<FromGateway, 'session'>
    anns.say({ type: 'connect', request: 99, to: 'bob', continues: { session, peer: peer.id, only: 'direct' } })
    const refused = await until(() => anns.told.find(message => message.type === 'refused'))
    t.like(refused, {
      code: 'no-path',
      reason: 'bob shows its address to no other peer, so no direct path is looked for'
    })
    const asked = [...anns.said, ...bobs.said].filter(message => message.type === 'connect' && message.continues)
    t.is(asked.length, 0)
    t.like((await world.gateway.status()).sessions.again, { direct: { started: 0, failed: 0 } })
  }
)

test.serial('without a relay among the strategies such a pair fails at once, and is told why', async t => {
  await using world = await World.open({ strategies: '[direct, stun]' })
  await world.join('bob', { relayOnly: true })
  const ann = await world.join('ann')
  const error = await t.throwsAsync<PosternError>(ann.connect({ name: 'bob' }), { code: 'no-path' })
  t.is(error?.message, 'no path to bob: bob shows its address to no other peer, and this gateway has no relay')
  t.like(error?.verdict, { code: 'relay-off', also: ['relay-only'] })
  t.regex(error?.verdict?.advice ?? '', /^add relay as the last of strategies; .*bob asked for it/)
})

test.serial('what such a peer says in its own words reaches nobody with an address in it', async t => {
  await using world = await World.open({ strategies: '[relay]' })
  const { joinToken: token } = world.gateway
  const identity = await world.identity('bob')
  await using bob = await HandMade.join(world.url, { identity, token, name: 'bob', lie: { relayOnly: true } })
  await bob.warm(0)
  const ann = await world.join('ann')
  const connecting = ann.connect({ name: 'bob' })
  const { session, plan } = await bob.hears('order')
  const reason = 'nothing comes back to 192.0.2.7:4000, nor to 2001:db8::7'
  bob.say({ type: 'failed', session, plan, code: 'io', reason, report: nothingDone })
  const error = await t.throwsAsync<PosternError>(connecting)
  const told = `${error?.message} ${JSON.stringify(error?.verdict)}`
  t.regex(told, /nothing comes back to ADDRESS:4000, nor to ADDRESS/)
  t.notRegex(told, /192\.0\.2|2001:db8/)
  const record = await world.trace(error?.trace ?? '')
  t.true(JSON.stringify(record).includes('192.0.2.7'), 'the operator sees it')
})

test.serial('a gateway that orders such a peer to send elsewhere than to its relay is not obeyed', async t => {
  await using gateway = await HandMadeGateway.open()
  const { peer, guest, warm } = await gateway.join('ann', { relayOnly: true })
  const far = await gateway.identity('bob')
  const target = { address: '127.0.0.9', port: 4000 }
  const orders: Order[] = [
    { kind: 'punch', targets: [target] },
    { kind: 'ice', targets: [target] },
    { kind: 'splice', target }
  ]
  let { socket } = warm
  for (const order of orders) {
    guest.begin(far)
    guest.order(socket, order, { role: 'active', fingerprint: far.fingerprint })
    t.like(
      await guest.heard('leave'),
      { code: 'io', reason: 'the order names nobody to whom this peer sends' },
      order.kind
    )
    socket = (await guest.heard('warm')).socket
  }
  t.false(
    guest.said.some(({ type }) => type === 'failed' || type === 'progress'),
    'none of them was begun'
  )
  const asked = peer.connect({ name: 'somebody' })
  const { request } = await guest.heard('connect')
  guest.begin(far, { request })
  guest.order(socket, { kind: 'punch', targets: [target] }, { role: 'active', fingerprint: far.fingerprint })
  await t.throwsAsync(asked, { code: 'io', message: 'the order names nobody to whom this peer sends' })
  socket = (await guest.heard('warm')).socket
  guest.begin(far)
  guest.order(socket, { kind: 'splice', target: gateway.primary }, { role: 'active', fingerprint: far.fingerprint })
  t.pass('and its relay is latched at')
})

test.serial('a gateway that is too old for it is not joined, and the error says so', async t => {
  await using gateway = await HandMadeGateway.open()
  const reason = 'a message is malformed at its top: Unrecognized key: "relayOnly"'
  gateway.refuses = { type: 'refused', code: 'bad-message', reason }
  const error = await t.throwsAsync(gateway.join('ann', { relayOnly: true }), { code: 'bad-message' })
  t.regex(error?.message ?? '', /too old for "relay only": it would show this peer's address to others; update it/)
})

test.serial('a last resort that plans anything but the relay is not tried for such a peer', async t => {
  const astray = `export default {
    name: 'astray',
    defaults: {},
    lastResort: true,
    start: () => ({
      *plan({ caller, callee }) {
        const to = ({ mapped }) => ({ kind: 'punch', targets: [mapped] })
        yield { kind: 'plan', caller: to(callee), callee: to(caller), waitMs: 500, why: 'it is a test' }
      }
    })
  }`
  await using world = await World.open({ strategies: '[./astray.mjs, relay]', files: { 'astray.mjs': astray } })
  await world.join('bob', { relayOnly: true })
  const reasons: string[] = []
  const ann = await world.join('ann')
  const connection = await ann.connect({ name: 'bob' }, { onStrategy: ({ reason }) => reasons.push(reason) })
  t.is(connection.path.by, 'relay')
  await until(() => reasons.length === 2)
  t.is(reasons[0], 'the path is to be through the relay')
})

/** Messages to a peer about itself, or about the gateway. */
const own: readonly FromGateway['type'][] = ['challenge', 'welcome', 'features', 'pong']

/** A wire to the gateway that keeps what passes in both directions. */
class Line implements AsyncDisposable {
  readonly told: FromGateway[] = []
  readonly said: FromPeer[] = []
  readonly #wire: WebSocketServer
  #far: WebSocket | undefined

  private constructor(world: World, wire: WebSocketServer) {
    this.#wire = wire
    wire.on('connection', near => {
      const far = new WebSocket(world.url.replace('http', 'ws') + JOIN_PATH)
      this.#far = far
      far.on('message', data => {
        this.told.push(JSON.parse(String(data)) as FromGateway)
        near.send(String(data))
      })
      near.on('message', data => {
        this.said.push(JSON.parse(String(data)) as FromPeer)
        far.send(String(data))
      })
      near.on('close', () => far.close())
      far.on('close', () => near.close())
    })
  }

  static async open(world: World): Promise<Line> {
    const wire = new WebSocketServer({ host: '127.0.0.1', port: 0, path: JOIN_PATH })
    await once(wire, 'listening')
    return new Line(world, wire)
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#wire.address() as AddressInfo).port}`
  }

  cut(): void {
    this.#far?.terminate()
  }

  say(message: object): void {
    this.#far?.send(JSON.stringify(message))
  }

  /** The addresses and ports that the peer has told the gateway: the loopback address is the gateway's as well. */
  get whereabouts(): string[] {
    const warm = this.said.filter(message => message.type === 'warm')
    const addresses = warm.flatMap(message => message.addresses.map(({ address }) => address))
    return [...new Set([...addresses.filter(address => address !== '127.0.0.1'), ...warm.map(({ port }) => `${port}`)])]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const near of this.#wire.clients) near.close()
    this.#wire.close()
  }
}
