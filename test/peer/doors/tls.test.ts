// A gateway behind something that speaks TLS for it, for peers whose UDP is blocked: directly, and through an HTTP proxy. By itself,
// since the environment is that of the whole process.

import test, { type ExecutionContext } from 'ava'
import { ping } from '../../../src/peer/services/ping.ts'
import { endNative } from '../../end-native.ts'
import { World } from '../../world.ts'
import { authority } from '../tls.ts'
import { httpProxy, tlsFront } from './fronts.ts'

test.after.always(endNative)

const variables = ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy', 'NO_PROXY', 'no_proxy']
const before = Object.fromEntries(variables.map(name => [name, process.env[name]]))

test.beforeEach(() => {
  for (const name of variables) delete process.env[name]
})
test.after.always(() => Object.assign(process.env, JSON.parse(JSON.stringify(before))))

test.serial('through TLS the door is a WebSocket, since no frames pass there', async t => {
  await using world = await World.open({ addresses: ['127.0.0.1'], told: ['127.0.0.9'] })
  await using front = await tlsFront(world.gateway.http.port)
  await connects(t, world, front.port)
})

test.serial('HTTPS_PROXY is used for joining and for the door, and NO_PROXY keeps what is near from it', async t => {
  await using world = await World.open({ addresses: ['127.0.0.1'], told: ['127.0.0.9'] })
  await using front = await tlsFront(world.gateway.http.port)
  await using proxy = await httpProxy('user:secret')
  process.env.HTTPS_PROXY = `http://user:secret@127.0.0.1:${proxy.port}`
  await connects(t, world, front.port)
  t.deepEqual(new Set(proxy.asked), new Set([`127.0.0.1:${front.port}`]))
  t.true(proxy.asked.length >= 4, 'two joins and two doors')
  const asked = proxy.asked.length
  process.env.NO_PROXY = 'localhost,127.0.0.1'
  await world.join('carol', { gateway: `https://127.0.0.1:${front.port}`, ca: authority })
  t.is(proxy.asked.length, asked)
})

test.serial('a proxy that asks for a login is told of, and one that is not there', async t => {
  await using world = await World.open()
  await using front = await tlsFront(world.gateway.http.port)
  await using proxy = await httpProxy('user:secret')
  const options = { gateway: `https://127.0.0.1:${front.port}`, ca: authority }
  process.env.HTTPS_PROXY = `127.0.0.1:${proxy.port}`
  const refused = await t.throwsAsync(world.join('ann', options), { code: 'gateway-unreachable' })
  t.regex(refused?.message ?? '', /the proxy 127\.0\.0\.1:\d+ asks for a login.*HTTP 407/)
  process.env.HTTPS_PROXY = 'http://127.0.0.1:9'
  const absent = await t.throwsAsync(world.join('ann', options), { code: 'gateway-unreachable' })
  t.regex(absent?.message ?? '', /the proxy 127\.0\.0\.1:9 that HTTPS_PROXY names is not there/)
})

// Helpers.

async function connects(t: ExecutionContext, world: World, port: number): Promise<void> {
  const options = { gateway: `https://127.0.0.1:${port}`, ca: authority }
  await world.join('bob', options)
  const ann = await world.join('ann', options)
  const startMs = performance.now()
  const connection = await ann.connect({ name: 'bob' })
  t.log(`${Math.round(performance.now() - startMs)} ms`)
  t.like(connection.path, { kind: 'relay', door: 'websocket', remote: `wss://127.0.0.1:${port}/relay` })
  t.true((await ping(connection, { count: 5, intervalMs: 1 })).avgMs > 0)
  t.deepEqual((await world.gateway.status()).doors.latched, { udp: 0, tcp: 0, websocket: 2 })
}
