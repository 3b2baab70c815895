// The gateway behind a real HAProxy: as README.md has it, and with the PROXY protocol before its own TLS.

import { once } from 'node:events'
import { request } from 'node:https'
import { connect } from 'node:net'
import { ping } from '../../../src/peer/services/ping.ts'
import { authority, certified } from '../../peer/tls.ts'
import { until } from '../../until.ts'
import { World, type WorldSpec } from '../../world.ts'
import { End } from '../doors/house.ts'
import { documented } from './documented.ts'
import { freePorts, startProxy, testsOf } from './servers.ts'

const haproxyTest = testsOf('haproxy')

interface Behind extends AsyncDisposable {
  readonly world: World
  readonly port: number
  /** Where HAProxy's own page is. */
  readonly page: number
}

async function behind(
  spec: (port: number) => WorldSpec,
  config: (port: number, gateway: number, folder: string) => string
): Promise<Behind> {
  await using opened = new AsyncDisposableStack()
  const [port = 0, page = 0] = await freePorts(2)
  const world = opened.use(await World.open({ trustProxy: ['127.0.0.1'], ...spec(port) }))
  opened.use(await startProxy('haproxy', port, folder => config(port, world.gateway.http.port, folder) + stats(page)))
  const closing = opened.move()
  return { world, port, page, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

/** The status of an answer to a wrong token that comes from an address of this host. */
async function wrong(url: string, localAddress: string, headers: Readonly<Record<string, string>> = {}) {
  const given = { authorization: 'Bearer wrong', ...headers }
  const [answer] = await once(
    request(`${url}/api/names`, { localAddress, headers: given, ca: authority }).end(),
    'response'
  )
  answer.resume()
  return answer.statusCode as number
}

/** HAProxy's own page says what became of its health checks. */
const stats = (port: number) => `
listen stats
  mode http
  timeout client 5s
  timeout server 5s
  bind 127.0.0.1:${port}
  stats enable
  stats uri /`

async function checked(port: number): Promise<string | undefined> {
  const [head = '', ...rows] = (await (await fetch(`http://127.0.0.1:${port}/;csv`)).text()).split('\n')
  const at = head.split(',').indexOf('check_status')
  return rows.map(row => row.split(',')).find(([, name]) => name === 'gateway')?.[at]
}

haproxyTest('peers join through it below a path, and each client counts by its own network', async t => {
  const url = (port: number) => `https://127.0.0.1:${port}/postern`
  await using all = await behind(
    port => ({
      publicUrls: [url(port)],
      addresses: ['127.0.0.1'],
      told: ['127.0.0.9'],
      strategies: '[direct, stun, relay: { waitMs: 20s }]'
    }),
    (port, gateway, folder) =>
      documented('haproxy', {
        ':443': `127.0.0.1:${port}`,
        '/etc/haproxy/example.org.pem': `${folder}/both.pem`,
        '127.0.0.1:8080': `127.0.0.1:${gateway}`
      })
  )
  const { world, port, page } = all
  const options = { gateway: url(port), ca: authority }
  await world.join('bob', options)
  const connection = await (await world.join('ann', options)).connect({ name: 'bob' })
  t.like(connection.path, { kind: 'relay', door: 'websocket', remote: `wss://127.0.0.1:${port}/postern/relay` })
  t.true((await ping(connection, { count: 3, intervalMs: 1 })).avgMs > 0)
  for (let turn = 0; turn < 20; turn++) {
    const said = { 'x-forwarded-for': `203.0.${turn}.7`, forwarded: `for=203.0.${turn}.7` }
    t.is(await wrong(url(port), '127.0.5.5', said), 401)
  }
  t.is(await wrong(url(port), '127.0.5.6'), 429)
  t.is(await wrong(url(port), '127.0.6.5'), 401)
  const root = await fetch(url(port), { redirect: 'manual' })
  t.is(new URL(root.headers.get('location') ?? '', url(port)).href, `${url(port)}/`)
  t.deepEqual(await (await fetch(`${url(port)}/healthz`)).json(), { ok: true })
  await until(async () => (await checked(page)) === 'L7OK')
  t.like((await world.gateway.status()).proxies, { ignored: 0, unclear: 0 })
})

const passing = (port: number, gateway: number, more = '') => `
listen postern
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  bind 127.0.0.1:${port}
  server gateway 127.0.0.1:${gateway} send-proxy-v2 ${more}`

haproxyTest(
  'with send-proxy-v2 before the gateway’s own TLS each client counts by its own network, and its checks pass',
  async t => {
    await using all = await behind(
      () => ({ tls: certified, proxyProtocol: true }),
      (port, gateway) => passing(port, gateway, 'check')
    )
    const { world, port, page } = all
    const url = `https://127.0.0.1:${port}`
    await until(async () => (await checked(page)) === 'L4OK')
    await world.join('bob', { gateway: url })
    const ann = await world.join('ann', { gateway: url })
    t.like((await ann.connect({ name: 'bob' })).path, { kind: 'direct' })
    t.deepEqual(await (await fetch(`${url}/healthz`)).json(), { ok: true }, 'it knows where it was reached')
    for (let turn = 0; turn < 20; turn++)
      t.is(await wrong(url, '127.0.5.5', { 'x-forwarded-for': `203.0.${turn}.7` }), 401)
    t.is(await wrong(url, '127.0.5.6'), 429)
    t.is(await wrong(url, '127.0.6.5'), 401)
    t.like((await world.gateway.status()).proxies, { ignored: 20, unclear: 0, missing: 0, foreign: 0, malformed: 0 })
  }
)

haproxyTest('with send-proxy-v2 frames of TCP come through it to the relay, from where their client is', async t => {
  await using all = await behind(
    () => ({ proxyProtocol: true }),
    (port, gateway) => passing(port, gateway)
  )
  const end = await End.tcp(all.port)
  t.deepEqual((await end.ask()).mapped, { address: '127.0.0.1', port: end.localPort })
  end.close()
})

haproxyTest(
  'without send-proxy-v2 a gateway that expects it closes, and a header of a client’s own introduces nobody',
  async t => {
    await using all = await behind(
      () => ({ proxyProtocol: true }),
      (port, gateway) => passing(port, gateway).replace('send-proxy-v2', '')
    )
    const socket = connect(all.port, '127.0.0.1').on('error', () => {})
    socket.write('GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n')
    await new Promise(resolve => socket.once('close', resolve).resume())
    t.is((await all.world.gateway.status()).proxies.missing, 1)
  }
)
