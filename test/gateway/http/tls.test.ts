// A gateway that speaks TLS itself: on its one HTTP port, for all that is served there.

import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect as connectTls, getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls'
import test from 'ava'
import nodeDataChannel from 'node-datachannel'
import { createCertificate } from '../../../src/peer/identity/self-signed.ts'
import { ping } from '../../../src/peer/services/ping.ts'
import { HandMade } from '../../hand-made.ts'
import { authority, certified, renewed } from '../../peer/tls.ts'
import { until } from '../../until.ts'
import { World, type WorldSpec } from '../../world.ts'

test.before(() => setDefaultCACertificates([...getCACertificates(), authority]))
test.after.always(() => nodeDataChannel.cleanup())

const open = (spec: WorldSpec = {}) => World.open({ ...spec, tls: certified })

test('pages, API and health are served over TLS, peers join over it, and know the place', async t => {
  await using world = await open()
  t.deepEqual(await (await fetch(`${world.url}/healthz`)).json(), { ok: true })
  t.is((await world.api('/api/status')).status, 200)
  const page = await fetch(`${world.url}/traces`, { headers: { accept: 'text/html' }, redirect: 'manual' })
  t.is(page.headers.get('location'), './login?to=%2Ftraces')
  await world.join('bob')
  const ann = await world.join('ann')
  t.like((await ann.connect({ name: 'bob' })).path, { kind: 'direct' })
  t.deepEqual(
    await (await fetch(`${world.url}/healthz`)).json(),
    { ok: true },
    'the place is its own: nothing is unchecked'
  )
})

test('peers whose UDP is blocked reach the relay by a WebSocket over the same TLS', async t => {
  await using world = await open({ addresses: ['127.0.0.1'], told: ['127.0.0.9'] })
  await world.join('bob')
  const connection = await (await world.join('ann')).connect({ name: 'bob' })
  const { port } = world.gateway.http
  t.like(connection.path, { kind: 'relay', door: 'websocket', remote: `wss://127.0.0.1:${port}/relay` })
  t.true((await ping(connection, { count: 3, intervalMs: 1 })).avgMs > 0)
})

test('a peer that does not trust its authority is told so, and one that dials in clear, and a hello for another place is refused', async t => {
  const { certificatePem: cert, keyPem: key } = createCertificate()
  await using strange = await World.open({ tls: { cert, key } })
  const distrust = await t.throwsAsync(strange.join('ann'), { code: 'gateway-unreachable' })
  t.regex(distrust?.message ?? '', /not trusted here; .*--ca FILE/)
  await using world = await open()
  const clear = await t.throwsAsync(world.join('ann', { gateway: world.url.replace('https', 'http') }))
  t.regex(clear?.message ?? '', /it speaks TLS there; write https:\/\/127\.0\.0\.1/)
  const made = new HandMade(world.url)
  const place = 'https://127.0.0.9'
  await made.hello({ identity: await world.identity('eve'), token: world.gateway.joinToken, place })
  t.is((await made.hears('refused')).code, 'wrong-gateway')
  await made.close()
})

test('what is no TLS is answered with what to write, and closed', async t => {
  await using world = await open()
  const requests = [
    'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
    '\0\u0014'.padEnd(22, '\0'),
    `POST / HTTP/1.1\r\n${'x'.repeat(100_000)}`
  ]
  for (const request of requests) {
    const socket = connect(world.gateway.http.port, '127.0.0.1')
    socket.write(request)
    const said = await text(socket)
    t.regex(said, /^HTTP\/1\.1 400 Bad Request\r\n/)
    t.regex(said, /Write https:\/\/ where its URL has http:\/\//)
  }
  await until(async () => (await world.gateway.status()).http.open === 0)
})

test('a handshake that does not end is cut after ten seconds, however slowly it goes on', async t => {
  await using world = await open()
  const beginning = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252])
  const startMs = performance.now()
  const silent = await opened(world)
  silent.write(beginning)
  const slow = await opened(world)
  const drop = setInterval(() => slow.write(Buffer.from([0])), 500)
  slow.write(beginning)
  await Promise.all([silent, slow].map(socket => once(socket, 'close')))
  clearInterval(drop)
  t.true(performance.now() - startMs > 9000)
  await until(async () => (await world.gateway.status()).http.open === 0)
})

test('handshakes that are never made count as strangers, of which the oldest goes for a new one', async t => {
  await using world = await open({ more: 'limits: { peers: 1 }' })
  const idle: Socket[] = []
  for (let index = 0; index < 58; index++) {
    const socket = await opened(world)
    socket.write(Buffer.from([22]))
    idle.push(socket)
  }
  await opened(world)
  await until(() => idle[0]?.closed)
  t.true(idle.slice(1).every(socket => !socket.destroyed))
  t.is((await fetch(`${world.url}/healthz`)).status, 200)
  for (const socket of idle) socket.destroy()
})

test('who has joined over TLS, or shown the admin token, is not closed for strangers; who came from where is known', async t => {
  await using world = await open({ more: 'limits: { peers: 10 }', trustProxy: ['127.0.0.1'] })
  const from = (address: string) => new HandMade(world.url, { 'x-forwarded-for': address })
  const hello = { identity: await world.identity('ann'), token: world.gateway.joinToken }
  const joined = from('203.0.113.1')
  await joined.hello({ ...hello, name: 'ann' })
  await joined.hears('welcome')
  const admin = await handshake(world)
  const bearer = `Authorization: Bearer ${world.gateway.adminToken}`
  const ask = async () => {
    admin.write(`GET /api/status HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.0\r\n${bearer}\r\n\r\n`)
    const [data] = await Promise.race([once(admin, 'data'), once(admin, 'close')])
    return String(data)
  }
  t.regex(await ask(), /^HTTP\/1.1 200 /)
  const idle: HandMade[] = []
  for (let index = 2; index <= 75; index++) {
    const made = from(`203.0.113.${index}`)
    idle.push(made)
    await made.hears('challenge')
    // The server itself closes what asks for nothing for five seconds.
    if (index % 20 === 0) t.regex(await ask(), /^HTTP\/1.1 200 /)
  }
  t.is((await idle[0]?.hears('refused'))?.code, 'relay-full', 'and it is told before it is closed')
  const other = from('198.51.100.1')
  await other.hello({ ...hello, identity: await world.identity('bob'), name: 'bob' })
  await other.hears('welcome')
  await joined.settled()
  t.regex(await ask(), /^HTTP\/1.1 200 /)
  t.true((await world.gateway.status()).http.shed > 0)
  for (const { ws } of idle) ws.terminate()
  admin.destroy()
  await Promise.all([joined.close(), other.close()])
  await until(async () => (await world.gateway.status()).http.open === 0)
})

test('a renewed certificate is for new connections, and those before go on', async t => {
  await using world = await open()
  const put = async (pair: { cert: string; key: string }) => {
    await writeFile(join(world.folder, 'cert.pem'), pair.cert)
    await writeFile(join(world.folder, 'key.pem'), pair.key)
  }
  const before = await handshake(world)
  const peer = await world.join('ann')
  const shown = async () => {
    using socket = Object.assign(await handshake(world), { [Symbol.dispose]: () => void socket.destroy() })
    return socket.getPeerX509Certificate()?.toString()
  }
  t.is(await shown(), certified.cert)
  await put(renewed)
  world.gateway.renewCertificate()
  t.is(await shown(), renewed.cert)
  t.is(world.gateway.certificate?.toString(), renewed.cert)
  await put({ ...renewed, key: certified.key })
  world.gateway.renewCertificate()
  t.is(await shown(), renewed.cert)
  const { warnings } = (await (await fetch(`${world.url}/healthz`)).json()) as { warnings?: { code: string }[] }
  t.deepEqual(
    warnings?.map(({ code }) => code),
    ['certificate-kept']
  )
  before.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
  t.regex(String((await once(before, 'data'))[0]), /^HTTP\/1.1 200 /)
  t.true((await peer.connect({ name: 'nobody' }).catch(error => error)).code === 'unknown-peer')
  before.destroy()
})

test('the cookie of a login is for https alone, and a page in clear of the same host is another site', async t => {
  await using world = await open()
  const login = (headers: Record<string, string>) => {
    const body = new URLSearchParams({ token: world.gateway.adminToken })
    return fetch(`${world.url}/login`, { method: 'POST', body, headers, redirect: 'manual' })
  }
  const answer = await login({ origin: world.url, 'x-forwarded-proto': 'http' })
  t.is(answer.status, 303)
  const [cookie = ''] = answer.headers.getSetCookie()
  t.regex(cookie, /; secure/i)
  const [pair = ''] = cookie.split(';')
  t.is((await fetch(`${world.url}/api/status`, { headers: { cookie: pair } })).status, 200)
  t.is((await login({ origin: world.url.replace('https', 'http') })).status, 403)
  t.is((await fetch(world.url)).headers.get('strict-transport-security'), null)
})

async function opened(world: World): Promise<Socket> {
  const socket = connect(world.gateway.http.port, '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  return socket
}

async function handshake(world: World): Promise<TLSSocket> {
  const socket = connectTls({ port: world.gateway.http.port, host: '127.0.0.1', ca: authority }).on('error', () => {})
  await once(socket, 'secureConnect')
  return socket
}
