import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import test from 'ava'
import { HandMade } from '../../hand-made.ts'
import { until } from '../../until.ts'
import { World } from '../../world.ts'

/** Where each of so many comes from, as a proxy on this host says it. */
const networks = {
  'a /24': (index: number) => `203.0.113.${index % 256}`,
  'a /56': (index: number) => `2001:db8:0:12${(index % 256).toString(16).padStart(2, '0')}::1`
}

for (const [name, addressOf] of Object.entries(networks))
  test(`idle WebSockets from all over ${name} keep nobody else from joining, and who has joined from there stays`, async t => {
    await using world = await World.open({ more: 'limits: { peers: 10 }', trustProxy: ['127.0.0.1'] })
    const from = (address: string) => new HandMade(world.url, { 'x-forwarded-for': `made up, ${address}` })
    const hello = { identity: await world.identity('ann'), token: world.gateway.joinToken }
    const neighbour = from(addressOf(0))
    await neighbour.hello({ ...hello, name: 'ann' })
    await neighbour.hears('welcome')
    const idle: HandMade[] = []
    for (let index = 1; index <= 80; index++) {
      const made = from(addressOf(index))
      idle.push(made)
      await made.hears('challenge')
    }
    const [oldest] = idle
    const { code, retryMs = 0 } = (await oldest?.hears('refused')) ?? {}
    t.is(code, 'relay-full')
    t.true(retryMs >= 1000, 'it may come again')
    const other = from('198.51.100.1')
    await other.hello({ ...hello, identity: await world.identity('bob'), name: 'bob' })
    await other.hears('welcome')
    await neighbour.settled()
    t.is(idle.at(-1)?.ws.readyState, 1, 'the newest is still there')
    const { shed, open } = (await world.gateway.status()).http
    t.is(shed, 13, '67 of 74 places are for one network')
    t.true(open >= 69)
    for (const { ws } of idle) ws.terminate()
    await Promise.all([neighbour.close(), other.close()])
  })

test('of TCP connections that say nothing the oldest goes for a new one', async t => {
  await using world = await World.open({ more: 'limits: { peers: 1 }' })
  const idle: Socket[] = []
  for (let index = 0; index < 58; index++) idle.push(await opened(world))
  const newest = await opened(world)
  await until(() => idle[0]?.closed)
  t.true(idle.slice(1).every(socket => !socket.destroyed))
  t.is((await world.gateway.status()).http.shed, 1)
  t.is((await fetch(`${world.url}/healthz`)).status, 200)
  for (const socket of [...idle, newest]) socket.destroy()
})

test('the connection of whoever has shown the admin token is not closed for strangers', async t => {
  await using world = await World.open({ more: 'limits: { peers: 1 }' })
  const admin = await opened(world)
  const ask = async () => {
    admin.write(`GET /api/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${world.gateway.adminToken}\r\n\r\n`)
    return String((await once(admin, 'data'))[0])
  }
  t.regex(await ask(), /^HTTP\/1.1 200 /)
  const idle: Socket[] = []
  for (let index = 0; index < 65; index++) idle.push(await opened(world))
  t.regex(await ask(), /^HTTP\/1.1 200 /)
  t.true((await world.gateway.status()).http.shed > 0)
  for (const socket of [...idle, admin]) socket.destroy()
})

test('a gateway that closes waits for nobody who came for a WebSocket and stays without one', async t => {
  const world = await World.open()
  const socket = await opened(world)
  socket.write('GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await until(
    async () => socket.bytesRead > 0 || socket.readableLength > 0 || (await world.gateway.status()).http.open > 0
  )
  const startMs = performance.now()
  await world.gateway.close()
  t.true(performance.now() - startMs < 5000)
  socket.destroy()
  await world[Symbol.asyncDispose]()
})

async function opened(world: World): Promise<Socket> {
  const socket = connect({ port: world.gateway.http.port, host: '127.0.0.1' }).on('error', () => {})
  await once(socket, 'connect')
  return socket
}
