// The gateway below a path of a real nginx that speaks TLS, as README.md has it.

import { once } from 'node:events'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { ask } from '../../../src/cli/api.ts'
import { KnownPeers } from '../../../src/peer/identity/known-peers.ts'
import { ping } from '../../../src/peer/services/ping.ts'
import { HandMade } from '../../hand-made.ts'
import { authority } from '../../peer/tls.ts'
import { World, type WorldSpec } from '../../world.ts'
import { documented } from './documented.ts'
import { freePorts, startProxy, testsOf } from './servers.ts'

const nginxTest = testsOf('nginx')

interface Behind extends AsyncDisposable {
  readonly world: World
  readonly url: string
}

/** @param also lines of `server`, and what stands in the place of those that README.md has */
async function behind(spec: WorldSpec = {}, change: (server: string) => string = server => server): Promise<Behind> {
  await using opened = new AsyncDisposableStack()
  const [port = 0] = await freePorts(1)
  const url = `https://127.0.0.1:${port}/postern`
  const world = opened.use(await World.open({ trustProxy: ['127.0.0.1'], publicUrls: [url], ...spec }))
  const server = documented('nginx', {
    'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
    '/etc/ssl/example.org.pem': 'cert.pem',
    '/etc/ssl/example.org.key': 'key.pem',
    '127.0.0.1:8080': `127.0.0.1:${world.gateway.http.port}`
  })
  const bodies = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const temp = (folder: string) => bodies.map(body => `${body}_temp_path ${folder}/${body};`).join(' ')
  const config = (folder: string) =>
    `daemon off; master_process off; pid ${folder}/pid; events {}\nhttp { access_log off; ${temp(folder)}\n${change(server)} }`
  opened.use(await startProxy('nginx', port, config))
  const closing = opened.move()
  return { world, url, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

const options = ({ url }: Behind) => ({ gateway: url, ca: authority })

/** What is answered to a request that comes from an address of this host. */
async function asked(url: string, localAddress: string, headers: Readonly<Record<string, string>> = {}) {
  const [answer] = await once(request(url, { localAddress, headers, ca: authority }).end(), 'response')
  return { status: answer.statusCode as number, body: await text(answer) }
}

nginxTest(
  'peers join through nginx, connect, and are relayed by a WebSocket through it where UDP is blocked',
  async t => {
    await using all = await behind({
      addresses: ['127.0.0.1'],
      told: ['127.0.0.9'],
      strategies: '[direct, stun, relay: { waitMs: 20s }]',
      ports: [0, 0]
    })
    const { world, url } = all
    await world.join('bob', options(all))
    const connection = await (await world.join('ann', options(all))).connect({ name: 'bob' })
    t.like(connection.path, { kind: 'relay', door: 'websocket', remote: `${url.replace('https', 'wss')}/relay` })
    t.true((await ping(connection, { count: 3, intervalMs: 1 })).avgMs > 0)
    t.deepEqual(await (await fetch(`${url}/healthz`)).json(), { ok: true }, 'and there is nothing to warn of')
  }
)

nginxTest('each client counts by its own network, whatever it says of itself', async t => {
  await using all = await behind({ more: 'limits: { peers: 10 }' })
  const { world, url } = all
  const wrong = (localAddress: string, headers: Readonly<Record<string, string>> = {}) =>
    asked(`${url}/api/names`, localAddress, { authorization: 'Bearer wrong', ...headers }).then(({ status }) => status)
  for (let turn = 0; turn < 20; turn++)
    t.is(await wrong('127.0.5.5', { 'x-forwarded-for': `203.0.${turn}.7`, forwarded: `for=203.0.${turn}.7` }), 401)
  t.is(await wrong('127.0.5.5'), 429)
  t.is(await wrong('127.0.5.6', { 'x-forwarded-for': '203.0.113.7' }), 429)
  t.is(await wrong('127.0.6.5'), 401)
  const links: HandMade[] = []
  const come = async (name: string, localAddress: string) => {
    const made = new HandMade(url, { forwarded: 'for=192.0.2.1' }, localAddress)
    links.push(made)
    await made.hello({ identity: await world.identity(name), token: world.gateway.joinToken })
    return (await Promise.any([made.hears('welcome'), made.hears('refused')])).type
  }
  for (let index = 0; index < 9; index++) t.is(await come(`ann${index}`, '127.0.5.5'), 'welcome')
  t.is(await come('eve', '127.0.5.6'), 'refused', 'the last seat is for another network')
  t.is(await come('bob', '127.0.6.5'), 'welcome')
  for (const { ws } of links) ws.terminate()
  t.like((await world.gateway.status()).proxies, { ignored: 0, unclear: 0 })
})

nginxTest(
  'where nginx passes on the Forwarded of its clients, whoever says something else than nginx is refused',
  async t => {
    await using all = await behind({}, server => server.replace(/proxy_set_header Forwarded.*\n/, ''))
    const { status, body } = await asked(`${all.url}/healthz`, '127.0.5.5', { forwarded: 'for=203.0.113.7' })
    t.is(status, 400)
    t.regex(body, /Forwarded says that this request comes from 203\.0\.113\.7, and X-Forwarded-For from 127\.0\.5\.5/)
    t.is((await asked(`${all.url}/healthz`, '127.0.5.5', { forwarded: 'for=127.0.5.5' })).status, 200)
    t.is((await asked(`${all.url}/healthz`, '127.0.5.5')).status, 200)
  }
)

nginxTest('where nginx adds to the X-Forwarded-For of its clients, what it has added counts', async t => {
  await using all = await behind({}, server =>
    server.replace('X-Forwarded-For $remote_addr', 'X-Forwarded-For $proxy_add_x_forwarded_for')
  )
  const wrong = async (turn: number) => {
    const headers = { authorization: 'Bearer wrong', 'x-forwarded-for': `"made up, 203.0.${turn}.7` }
    return (await asked(`${all.url}/api/names`, '127.0.5.5', headers)).status
  }
  for (let turn = 0; turn < 20; turn++) t.is(await wrong(turn), 401)
  t.is(await wrong(20), 429)
})

nginxTest('pages, their links, a login and the API are below the path', async t => {
  // Without threads that a busy computer may leave waiting for longer than an answer may stand still.
  await using all = await behind({ more: 'relay: { engine: dgram }' })
  const { world, url } = all
  const form = await fetch(`${url}/traces`, { redirect: 'manual', headers: { accept: 'text/html' } })
  t.is(new URL(form.headers.get('location') ?? '', `${url}/traces`).href, `${url}/login?to=%2Ftraces`)
  const body = new URLSearchParams({ token: world.gateway.adminToken, to: '/traces' })
  const origin = { origin: new URL(url).origin }
  const login = await fetch(`${url}/login`, { method: 'POST', body, redirect: 'manual', headers: origin })
  t.is(new URL(login.headers.get('location') ?? '', `${url}/login`).href, `${url}/traces`)
  const [cookie = ''] = login.headers.getSetCookie()
  t.regex(cookie, /; secure/i)
  const headers = { accept: 'text/html', cookie: cookie.split(';')[0] ?? '' }
  const page = await fetch(`${url}/traces`, { headers })
  t.is(page.status, 200)
  const links = (await page.text()).matchAll(/ (?:href|src)="([^"#]+)/g)
  const found = [...links].map(([, link = '']) => new URL(link.replaceAll('&#38;', '&'), `${url}/traces`).href)
  t.true(found.length > 3)
  for (const link of found) {
    t.true(link.startsWith(`${url}/`), link)
    t.is((await fetch(link, { headers, redirect: 'manual' })).status, 200, link)
  }
  t.is((await fetch(url)).url, `${url}/`, 'the root without its slash leads to the one with it')
  const admin = { gateway: url, adminToken: world.gateway.adminToken, ca: authority }
  t.deepEqual(await ask(admin, '/api/names', { signal: AbortSignal.timeout(5000) }), [])
})

nginxTest('the link of a room leads below the path, and a guest enters by it', async t => {
  await using all = await behind({ more: 'call: { enabled: true }' })
  const ann = await all.world.join('ann', options(all))
  const { link } = await ann.makeRoom('standup')
  t.true(link.startsWith(`${all.url}/call/standup#`), link)
  const guest = await all.world.enter(link, 'bob', { ca: authority, known: new KnownPeers(all.world.folder) })
  t.regex(guest.name, /^guest-/)
})
