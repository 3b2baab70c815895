// A whole gateway behind proxies: whom it believes, and what that changes.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import test from 'ava'
import { pino } from 'pino'
import { WebSocket } from 'ws'
import { LOCAL_HEADER } from '../../../src/gateway/proxy/header.ts'
import { Proxies } from '../../../src/gateway/proxy/proxies.ts'
import { HandMade } from '../../hand-made.ts'
import { authority, certified } from '../../peer/tls.ts'
import { until } from '../../until.ts'
import { World, type WorldSpec } from '../../world.ts'
import { End } from '../doors/house.ts'
import { headerOf, SIGNATURE } from './made.ts'

/** The proxy is at 127.0.0.1, and whoever is at 127.0.0.5 is none. */
const trustProxy = ['127.0.0.1']
const STRANGER = '127.0.0.5'

const from = (address: string, port = 4711) =>
  headerOf({
    source: { address, port },
    reached: { address: address.includes(':') ? '2001:db8::1' : '198.51.100.1', port: 443 }
  })

const request = (path: string, ...headers: string[]) =>
  [`GET ${path} HTTP/1.1`, 'host: a', 'connection: close', ...headers, '', ''].join('\r\n')

interface Dialled {
  readonly localAddress?: string
  readonly port?: number
}

function dial(world: World, { localAddress = '127.0.0.1', port = world.gateway.http.port }: Dialled = {}): Socket {
  return connect({ port, host: '127.0.0.1', localAddress, noDelay: true }).on('error', () => {})
}

/** What is answered to these bytes, which are sent one after the other. */
async function answered(world: World, pieces: readonly (Buffer | string)[], dialled?: Dialled): Promise<string> {
  const socket = dial(world, dialled)
  const over = closed(socket)
  let said = ''
  socket.on('data', data => {
    said += data
  })
  await once(socket, 'connect')
  for (const piece of pieces) await new Promise(done => socket.write(piece, done))
  await over
  return said
}

/** Whoever is turned away while he still speaks finds the connection reset. */
const closed = (socket: Socket) => new Promise(resolve => socket.once('close', resolve))

const counted = async (world: World) => (await world.gateway.status()).proxies

/** How many wrong tokens are taken of somebody before he is told to wait. */
async function guesses(ask: () => Promise<number | undefined>): Promise<number> {
  for (let taken = 0; taken < 30; taken++) if ((await ask()) === 429) return taken
  return 30
}

test('headers of whoever is not trusted are ignored and counted, and of a trusted one they say who asks', async t => {
  await using world = await World.open({ trustProxy: ['10.0.0.1'] })
  const ask = (client: string) => async () =>
    (await fetch(`${world.url}/api/names`, { headers: { authorization: 'Bearer wrong', 'x-forwarded-for': client } }))
      .status
  let turn = 0
  t.is(await guesses(() => ask(`203.0.${turn++}.7`)()), 20, 'nobody changes his network by a header')
  t.like(await counted(world), { ignored: 21, unclear: 0 })
  await using behind = await World.open({ trustProxy })
  const through = (client: string) => () =>
    fetch(`${behind.url}/api/names`, { headers: { authorization: 'Bearer wrong', 'x-forwarded-for': client } }).then(
      ({ status }) => status
    )
  t.is(await guesses(through('203.0.113.7')), 20)
  t.is(await through('203.0.113.99')(), 429, 'of the same network')
  t.is(await through('198.51.100.7')(), 401, 'of another one')
  t.is((await counted(behind)).ignored, 0)
})

test('the log names a proxy that is not trusted once, and a warning stays for an hour', async t => {
  const lines: string[] = []
  const log = pino({ level: 'info' }, { write: line => void lines.push(line) })
  await using world = await World.open({ log })
  const health = async () =>
    (await (await fetch(`${world.url}/healthz`)).json()) as { warnings?: { code: string; sentence: string }[] }
  t.is((await health()).warnings, undefined)
  for (let turn = 0; turn < 20; turn++)
    await fetch(`${world.url}/healthz`, { headers: { forwarded: 'for=203.0.113.7' } })
  const warnings = (await health()).warnings ?? []
  t.deepEqual(
    warnings.map(({ code }) => code),
    ['unnamed-proxy']
  )
  t.notRegex(JSON.stringify(warnings), /127\.0\.0\.1/, 'anybody may read it')
  const told = lines.filter(line => line.includes('unnamed-proxy'))
  t.is(told.length, 1)
  t.regex(told[0] ?? '', /trustProxy: \['127\.0\.0\.1'\]/)
})

test('a request of which nobody can tell where it came from is refused with one sentence, whatever it asks for', async t => {
  await using world = await World.open({ trustProxy })
  const odd: Record<string, string>[] = [
    { 'x-forwarded-for': '203.0.113.7', forwarded: 'for=127.0.0.1' },
    { 'x-forwarded-for': 'somebody' },
    { forwarded: 'for="' }
  ]
  for (const headers of odd) {
    const answer = await fetch(`${world.url}/healthz`, { headers })
    t.is(answer.status, 400)
    t.regex(((await answer.json()) as { reason: string }).reason, /; expected /)
    for (const path of ['/join', '/relay']) {
      const ws = new WebSocket(world.url.replace('http', 'ws') + path, { headers })
      const [error] = await once(ws, 'error')
      t.regex(String(error), /400/)
    }
  }
  t.is((await counted(world)).unclear, 9)
  t.is((await fetch(`${world.url}/healthz`)).status, 200)
  await until(async () => (await world.gateway.status()).http.open <= 1)
})

test('a header that comes twice, and one as long as a request may have, are read as what they are', async t => {
  await using world = await World.open({ trustProxy })
  const asked = (...headers: string[]) =>
    answered(world, [request('/api/names', 'authorization: Bearer wrong', ...headers)])
  for (let turn = 0; turn < 20; turn++)
    t.regex(await asked('x-forwarded-for: made up', `x-forwarded-for: 203.0.113.${turn}`), /^HTTP\/1\.1 401/)
  t.regex(await asked('forwarded: for=made_up', 'forwarded: for=203.0.113.7'), /^HTTP\/1\.1 429/)
  t.regex(await asked('x-forwarded-for: 203.0.113.7'), /^HTTP\/1\.1 429/)
  const many = Array.from({ length: 1700 }, () => '1.1.1.1').join(',')
  t.regex(await asked(`x-forwarded-for: ${many},203.0.113.7`), /^HTTP\/1\.1 429/)
  t.regex(await asked(`x-forwarded-for: ${many},${many}`), /^HTTP\/1\.1 431/)
  t.regex(await asked('x-forwarded-for: \u00ff\u00fe'), /^HTTP\/1\.1 400/)
  t.regex(await asked('x-forwarded-for:', 'forwarded:'), /^HTTP\/1\.1 401/)
})

test('a local request that came through a trusted proxy is nobody’s own', async t => {
  await using world = await World.open({ trustProxy, more: 'admin: { open: loopback }' })
  const asked = (...headers: string[]) =>
    answered(world, [request('/api/names', ...headers).replace('host: a', 'host: localhost')])
  t.regex(await asked(), /^HTTP\/1\.1 200/)
  for (const client of ['203.0.113.7', '127.0.0.1', 'unknown'])
    t.regex(await asked(`x-forwarded-for: ${client}`), /^HTTP\/1\.1 401/, client)
  await using behind = await World.open({ trustProxy, proxyProtocol: true, more: 'admin: { open: loopback }' })
  const local = request('/api/names').replace('host: a', 'host: localhost')
  t.regex(await answered(behind, [from('203.0.113.7'), local]), /^HTTP\/1\.1 401/)
  t.regex(await answered(behind, [from('127.0.0.1'), local]), /^HTTP\/1\.1 200/, 'its client is on this computer')
})

const introduced: WorldSpec = { trustProxy, proxyProtocol: true }

test('a header before a connection says who asks, in however many segments it comes, with TLS and without', async t => {
  for (const tls of [undefined, certified]) {
    await using world = await World.open({ ...introduced, ...(tls ? { tls } : {}) })
    const ask = async (pieces: readonly Buffer[]) => {
      const socket = dial(world)
      await once(socket, 'connect')
      for (const piece of pieces) await new Promise(done => socket.write(piece, done))
      const carrier = tls ? connectTls({ socket, ca: authority, checkServerIdentity: () => undefined }) : socket
      carrier.write(request('/api/names', 'authorization: Bearer wrong'))
      return await text(carrier)
    }
    const bytes = from('203.0.113.7')
    const single = [...bytes].map(byte => Buffer.from([byte]))
    t.regex(await ask([bytes]), /^HTTP\/1\.1 401/)
    for (let turn = 0; turn < 18; turn++) await ask([bytes])
    t.regex(await ask(single), /^HTTP\/1\.1 401/)
    t.regex(await ask([from('203.0.113.99')]), /^HTTP\/1\.1 429/)
    t.regex(await ask([from('198.51.100.7')]), /^HTTP\/1\.1 401/)
    t.regex(await ask([from('2001:db8::7')]), /^HTTP\/1\.1 401/)
    t.regex(await ask([LOCAL_HEADER]), /^HTTP\/1\.1 401/, 'the proxy itself')
    t.deepEqual(await counted(world), { ignored: 0, unclear: 0, missing: 0, foreign: 0, malformed: 0, late: 0 })
    await until(async () => (await world.gateway.status()).http.open === 0)
  }
})

test('header and request in one segment are both read', async t => {
  await using world = await World.open(introduced)
  t.regex(
    await answered(world, [Buffer.concat([from('203.0.113.7'), Buffer.from(request('/healthz'))])]),
    /^HTTP\/1\.1 200/
  )
})

test('a proxy without the header is closed, and so is anybody else with one; without it others are ordinary', async t => {
  const lines: string[] = []
  const log = pino({ level: 'info' }, { write: line => void lines.push(line) })
  await using world = await World.open({ ...introduced, log })
  const stranger = { localAddress: STRANGER }
  t.is(await answered(world, [request('/healthz')]), '')
  t.is(await answered(world, ['PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n', request('/healthz')]), '')
  t.is(await answered(world, ['\r\n\r\n', request('/healthz')]), '', 'an empty line is no header either')
  t.is(await answered(world, [Buffer.from([0, 4, 0, 1])]), '')
  t.is((await counted(world)).missing, 4)
  t.is(await answered(world, [from('203.0.113.7'), request('/healthz')], stranger), '')
  t.is((await counted(world)).foreign, 1)
  t.regex(await answered(world, [request('/healthz')], stranger), /^HTTP\/1\.1 200/)
  t.regex(await answered(world, ['\r\n', request('/healthz')], stranger), /^HTTP\/1\.1 200/)
  t.regex(await answered(world, [SIGNATURE.subarray(0, 4), request('/healthz')], stranger), /^HTTP\/1\.1 200/)
  t.regex(
    lines.join(''),
    /began with version 1 of the PROXY protocol; expected a header of the PROXY protocol, version 2/
  )
  await using plain = await World.open({ addresses: ['127.0.0.1'], tcp: [0] })
  t.is(await answered(plain, [from('203.0.113.7'), request('/healthz')]), '', 'where nobody is expected to send one')
  const end = await End.tcp(plain.gateway.tcp[0]?.port ?? 0)
  end.raw(from('203.0.113.7'))
  await until(async () => (await counted(plain)).foreign === 2)
  end.close()
})

test('a header that cannot be read closes the connection', async t => {
  await using world = await World.open(introduced)
  for (const byte of [0x11, 0x22, 0x31]) {
    const bytes = from('203.0.113.7')
    bytes[12] = byte
    t.is(await answered(world, [bytes, request('/healthz')]), '')
  }
  const long = from('203.0.113.7')
  long.writeUInt16BE(0xffff, 14)
  t.is(await answered(world, [long]), '')
  const left = dial(world)
  const gone = closed(left)
  left.end(SIGNATURE)
  await gone
  t.like(await counted(world), { late: 0, malformed: 4, missing: 0, foreign: 0 })
  await until(async () => (await world.gateway.status()).http.open === 0)
})

test('a header that does not end in time closes the connection, however slowly it goes on', async t => {
  const told: string[] = []
  const proxies = new Proxies({
    ...{ trusted: trustProxy, introduces: true, patienceMs: 200, log: { warn: () => {} } },
    refusalLog: { tell: ({ message }, address) => void told.push(`${address} ${message}`) }
  })
  await using server = createServer(socket =>
    socket.once('readable', () => proxies.receive(socket, { from: '127.0.0.1', byte: 13 }, () => t.fail('it begins')))
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {})
  const bytes = from('203.0.113.7')
  let sent = 0
  const drop = setInterval(() => socket.write(bytes.subarray(sent, ++sent)), 20)
  await closed(socket)
  clearInterval(drop)
  t.true(sent < bytes.length)
  t.is(proxies.counters.late, 1)
  t.deepEqual(told, ['127.0.0.1 the header of a connection did not end'])
})

test('frames come behind a header as well, on the HTTP port and on one of the relay’s own', async t => {
  await using world = await World.open({ ...introduced, addresses: ['127.0.0.1'], tcp: [0] })
  for (const port of [world.gateway.http.port, world.gateway.tcp[0]?.port ?? 0]) {
    const end = await End.tcp(port)
    end.raw(from('203.0.113.7', 999))
    t.deepEqual((await end.ask()).mapped, { address: '203.0.113.7', port: 999 })
    end.close()
  }
})

test('who comes over a WebSocket counts as his proxy says, with his seat, and so does what he sends through the door', async t => {
  await using world = await World.open({ trustProxy, more: 'limits: { peers: 10 }' })
  const links: HandMade[] = []
  const come = async (client: string, name: string) => {
    const made = new HandMade(world.url, { forwarded: `for="[${client}]:1"` })
    links.push(made)
    await made.hello({ identity: await world.identity(name), token: world.gateway.joinToken })
    return (await Promise.any([made.hears('welcome'), made.hears('refused')])).type
  }
  for (let index = 0; index < 9; index++) t.is(await come(`2001:db8:0:1200::${index}`, `ann${index}`), 'welcome')
  t.is(await come('2001:db8:0:12ff::1', 'eve'), 'refused', 'the last seat is for another network')
  t.is(await come('2001:db8:0:1300::1', 'bob'), 'welcome')
  for (const { ws } of links) ws.terminate()
  const door = await End.webSocket(`${world.url.replace('http', 'ws')}/relay`, { 'x-forwarded-for': '203.0.113.7' })
  t.is((await door.ask()).mapped?.address, '203.0.113.7')
  door.close()
})
