// The whole gateway below a path of a reverse proxy, which takes the path off or leaves it.

import { once } from 'node:events'
import { request } from 'node:http'
import test from 'ava'
import { ask } from '../../../src/cli/api.ts'
import { GatewayLink } from '../../../src/peer/gateway-link.ts'
import { HandMade } from '../../hand-made.ts'
import { World } from '../../world.ts'
import { type ReverseProxy, reverseProxy } from './reverse-proxy.ts'

interface Behind extends AsyncDisposable {
  readonly proxy: ReverseProxy
  readonly world: World
}

/** A gateway that knows its URL, with a trace in its store: that of a join that was refused. */
async function behind(strips: boolean, path = '/gate'): Promise<Behind> {
  const proxy = await reverseProxy(path, strips)
  const world = await World.open({ publicUrls: [proxy.url] })
  proxy.target = world.url
  await using refused = new HandMade(world.url)
  await refused.hello({ identity: await world.identity('eve'), token: 'wrong' })
  await refused.hears('refused')
  return {
    proxy,
    world,
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await proxy[Symbol.asyncDispose]()
    }
  }
}

/** Follows every link from the root on, and gives what each page answered. */
async function walk({ proxy, world }: Behind): Promise<Map<string, number>> {
  const headers = { authorization: `Bearer ${world.gateway.adminToken}`, accept: 'text/html' }
  const found = new Map<string, number>()
  const next = [`${proxy.url}/`]
  for (let url = next.pop(); url !== undefined; url = next.pop()) {
    if (found.has(url)) continue
    const answer = await fetch(url, { headers, redirect: 'manual' })
    found.set(url, answer.status)
    if (!answer.headers.get('content-type')?.startsWith('text/html')) continue
    const links = (await answer.text()).matchAll(/ (?:href|src|action)="([^"#]+)/g)
    for (const [, link = ''] of links) next.push(new URL(link.replaceAll('&#38;', '&'), url).href)
  }
  return found
}

for (const strips of [true, false]) {
  const kind = strips ? 'takes off' : 'leaves'

  test(`every link leads below a path that a proxy ${kind}`, async t => {
    await using all = await behind(strips)
    const found = await walk(all)
    const below = `${all.proxy.url}/`
    for (const [url, status] of found) {
      t.true(url.startsWith(below), url)
      t.is(status, 200, url)
    }
    const pages = [...found.keys()].map(url => url.slice(below.length).replace(/[0-9a-f]{12,}/, 'ID'))
    for (const page of [
      '',
      'traces',
      'traces/ID',
      'api/traces/ID?download',
      'assets/ID/style.css',
      'assets/ID/live.js'
    ])
      t.true(pages.includes(page), `${page} among ${pages}`)
  })

  test(`a browser logs in and out below a path that a proxy ${kind}, and is led back to where it wanted to go`, async t => {
    await using all = await behind(strips)
    const { proxy, world } = all
    const browse = async (url: string, init: RequestInit = {}) => {
      const answer = await fetch(url, {
        redirect: 'manual',
        ...init,
        headers: { accept: 'text/html', ...init.headers }
      })
      return { answer, leads: new URL(answer.headers.get('location') ?? '', url).href }
    }
    const form = (await browse(`${proxy.url}/traces?outcome=failed`)).leads
    t.is(form, `${proxy.url}/login?to=%2Ftraces%3Foutcome%3Dfailed`)
    const body = new URLSearchParams({ token: world.gateway.adminToken, to: '/traces?outcome=failed' })
    const { answer, leads } = await browse(`${proxy.url}/login`, { method: 'POST', body })
    t.is(leads, `${proxy.url}/traces?outcome=failed`)
    const cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    t.is((await browse(leads, { headers: { cookie } })).answer.status, 200)
    const left = await browse(`${proxy.url}/logout`, { method: 'POST', headers: { cookie } })
    t.is(left.leads, `${proxy.url}/login`)
    t.is((await browse(leads, { headers: { cookie } })).answer.status, 303)
  })

  test(`a peer joins below a path that a proxy ${kind}, however it is written, and the gateway knows it by that`, async t => {
    await using all = await behind(strips)
    const { proxy, world } = all
    const options = { token: world.gateway.joinToken, accepts: false, insecure: false }
    for (const gateway of [proxy.url, `${proxy.url}/`, proxy.url.replace('http', 'ws')]) {
      const { link } = await GatewayLink.join({ ...options, gateway, identity: await world.identity('ann') })
      await link.close()
    }
    t.is((await world.gateway.status()).signalling.joined, 3)
    t.deepEqual(await (await fetch(`${proxy.url}/healthz`)).json(), { ok: true })
    const admin = { gateway: proxy.url, adminToken: world.gateway.adminToken }
    t.deepEqual(await ask(admin, '/api/names', { signal: AbortSignal.timeout(5000) }), [])
  })
}

test('the root without its slash, which no link would be right from, leads to the one with it', async t => {
  await using all = await behind(false, '/deep/gate')
  const answer = await fetch(all.proxy.url, { redirect: 'manual' })
  t.is(answer.status, 308)
  t.is(new URL(answer.headers.get('location') ?? '', all.proxy.url).href, `${all.proxy.url}/`)
  t.is((await fetch(`${all.proxy.url}/join`)).status, 426)
})

test('a peer that leaves the path out is told that there is no gateway', async t => {
  await using all = await behind(true)
  const gateway = new URL(all.proxy.url).origin
  const identity = await all.world.identity('ann')
  const joining = GatewayLink.join({ gateway, token: 'x', accepts: false, insecure: false, identity })
  await t.throwsAsync(joining, { code: 'gateway-unreachable', message: /HTTP 404/ })
})

test('a request for the server as a whole, which names no path, is for nothing here', async t => {
  await using world = await World.open()
  const { port } = new URL(world.url)
  const headers = { authorization: `Bearer ${world.gateway.adminToken}` }
  const [answer] = await once(request({ port, path: '*', headers }).end(), 'response')
  t.is(answer.statusCode, 404)
  answer.resume()
})
