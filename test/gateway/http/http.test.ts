import { once } from 'node:events'
import { connect } from 'node:net'
import test from 'ava'
import { WebSocket } from 'ws'
import type { TraceRecord } from '../../../src/trace/record/record.ts'
import { HandMade } from '../../hand-made.ts'
import { World } from '../../world.ts'
import { failedRecord } from './pages/records.ts'
import { servePages } from './pages/serve.ts'

const never = `export default {
  name: 'never',
  defaults: {},
  start: () => ({ plan: () => [{ kind: 'pass', reason: 'not today' }] })
}`

test('health and the login are for everybody', async t => {
  await using world = await World.open({ more: 'admin: { open: never }' })
  for (const path of ['/healthz', '/login']) {
    const answer = await fetch(world.url + path)
    t.is(answer.status, 200, path)
    const text = await answer.text()
    t.false([world.gateway.joinToken, world.gateway.adminToken].some(token => text.includes(token)))
  }
})

test('a link of a room leads to a sentence where the gateway has no rooms', async t => {
  await using world = await World.open({ more: 'admin: { open: never }' })
  const answer = await fetch(`${world.url}/call/standup`)
  t.is(answer.status, 404)
  t.regex(
    ((await answer.json()) as { reason: string }).reason,
    /^this gateway has no rooms; .*call: \{ enabled: true \}$/
  )
})

test('the API and the metrics take the admin token, and the join token does not do', async t => {
  await using world = await World.open({ more: 'admin: { open: never }' })
  const { joinToken } = world.gateway
  const requests = [
    ['GET', '/api/status'],
    ['GET', '/api/traces'],
    ['GET', '/api/traces/x'],
    ['GET', '/api/names'],
    ['GET', '/metrics'],
    ['GET', '/'],
    ['GET', '/nothing'],
    ['DELETE', '/api/names/ann']
  ] as const
  for (const [method, path] of requests) {
    for (const headers of [
      {},
      { authorization: joinToken },
      { authorization: `Bearer ${joinToken}` },
      { authorization: `Basic ${world.gateway.adminToken}` }
    ]) {
      const answer = await fetch(world.url + path, { method, headers })
      t.is(answer.status, 401, `${method} ${path}`)
      t.is(answer.headers.get('www-authenticate'), 'Bearer')
      t.is(((await answer.json()) as { code: string }).code, 'bad-token')
    }
    t.not((await world.api(path, { method })).status, 401)
  }
})

test('what is wrong with the set-up is told by the health check and on the first page', async t => {
  const warning = { code: 'hidden-sources', sentence: 'sources are hidden', advice: 'keep them & wait' } as const
  await using served = await servePages([], 'loopback', [warning])
  const health = await fetch(`${served.url}/healthz`)
  t.is(health.status, 200, 'the gateway itself is well')
  t.deepEqual(await health.json(), { ok: true, warnings: [warning] })
  const page = await (await fetch(served.url, { headers: { accept: 'text/html' } })).text()
  t.regex(page, /hidden-sources.* sources are hidden.*keep them &#38; wait/)
  await using well = await servePages([])
  t.deepEqual(await (await fetch(`${well.url}/healthz`)).json(), { ok: true })
  t.notRegex(await (await fetch(well.url, { headers: { accept: 'text/html' } })).text(), /class="card warning"/)
})

test('a fault is logged and not shown; a connection that breaks midway is neither', async t => {
  const broken = { ...failedRecord(), verdict: undefined } as unknown as TraceRecord
  await using served = await servePages([broken])
  const said: unknown[] = []
  const { error } = console
  console.error = (...words: unknown[]) => void said.push(words)
  try {
    const { port } = new URL(served.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.write('POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ntoken')
    await once(socket, 'connect')
    socket.end()
    await once(socket.resume(), 'close')
    t.deepEqual(served.faults, [])
    const answer = await fetch(`${served.url}/traces/${broken.id}`, { headers: { accept: 'text/html' } })
    t.is(answer.status, 500)
    t.notRegex(await answer.text(), /TypeError|undefined|\.ts/)
    t.is(served.faults.length, 1)
    t.true((served.faults[0] as { err: unknown }).err instanceof TypeError)
  } finally {
    console.error = error
  }
  t.deepEqual(said, [])
})

test('what is not there is a 404, however it is written', async t => {
  await using world = await World.open()
  for (const path of ['/nothing', '/api', '/api/nothing', '/api/traces/none'])
    t.is((await world.api(path)).status, 404, path)
  t.is((await world.api('/api/names/nobody', { method: 'DELETE' })).status, 404)
  t.is((await world.api('/api/traces/%zz')).status, 404)
  t.deepEqual(await (await world.api('/api/traces/none')).json(), {
    code: 'not-found',
    reason: 'no trace of this id is kept'
  })
})

test('a request that is no HTTP harms nothing', async t => {
  await using world = await World.open()
  for (const text of [
    '\0\0\0\r\n\r\n',
    'GET /api/traces/% HTTP/1.1\r\nHost: x\r\n\r\n',
    `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n`
  ]) {
    const socket = connect(world.gateway.http.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.end(text)
    socket.resume()
    await once(socket, 'close')
  }
  t.is((await fetch(`${world.url}/healthz`)).status, 200)
})

test('a WebSocket is served at the path that peers join at, and nowhere else', async t => {
  await using world = await World.open()
  const ws = new WebSocket(`${world.url.replace('http', 'ws')}/elsewhere`)
  const [error] = (await once(ws, 'error')) as [Error]
  t.regex(error.message, /400/)
})

test('a request to join that is no WebSocket any more is told so by whoever asks, without a token', async t => {
  await using world = await World.open()
  const answer = await fetch(`${world.url}/join`)
  t.is(answer.status, 426)
  t.is(answer.headers.get('upgrade'), 'websocket')
  t.is(((await answer.json()) as { code: string }).code, 'bad-message')
})

test('traces are listed without their spans, one is shown with them, and the failed ones can be asked for', async t => {
  await using world = await World.open({ strategies: '[./never.mjs]', files: { 'never.mjs': never } })
  const [ann, bob] = await Promise.all(
    ['ann', 'bob'].map(async name =>
      HandMade.join(world.url, { identity: await world.identity(name), token: world.gateway.joinToken, name })
    )
  )
  if (!ann || !bob) return t.fail()
  for (const peer of [ann, bob]) {
    peer.say({ type: 'filtering', port: true, address: true })
    await peer.warm(0)
  }
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { trace: id } = await ann.hears('over')
  await world.trace(id)
  for (const path of ['/api/traces', '/api/traces?failed']) {
    const list = (await (await world.api(path)).json()) as Record<string, unknown>[]
    t.is(list.length, 1)
    t.like(list[0], { id, caller: 'ann', callee: 'bob', outcome: 'failed', by: 'no-path' })
    t.false('spans' in (list[0] ?? {}))
  }
  const [one, ...more] = (await (await world.api(`/api/traces/${id}`)).json()) as { spans: { name: string }[] }[]
  t.is(one?.spans[0]?.name, 'postern.connect')
  t.is(more.length, 0)
  await Promise.all([ann.close(), bob.close()])
})

test('a gateway that closes lets a request under way be answered, and waits half a second for one that never ends', async t => {
  const world = await World.open()
  // A request, and all but the last line of another one in the same write: both have arrived when the first is answered.
  const request = () => {
    const socket = connect(world.gateway.http.port, '127.0.0.1').on('error', () => {})
    const lines = 'GET /healthz HTTP/1.1\r\nHost: x\r\n'
    socket.write(`${lines}\r\n${lines}`)
    return socket
  }
  const [ends, hangs] = [request(), request()]
  await Promise.all([once(ends, 'data'), once(hangs, 'data')])
  const startMs = performance.now()
  const closing = world.gateway.close()
  ends.write('\r\n')
  const [answer] = (await once(ends, 'data')) as [Buffer]
  t.regex(String(answer), /^HTTP\/1.1 200 /)
  await Promise.all([once(hangs, 'close'), closing])
  const closedMs = performance.now() - startMs
  t.true(closedMs > 400 && closedMs < 5000, `${closedMs} ms`)
  await world[Symbol.asyncDispose]()
})

test('the status counts, and names nobody', async t => {
  await using world = await World.open()
  const ann = await HandMade.join(world.url, {
    identity: await world.identity('ann'),
    token: world.gateway.joinToken,
    name: 'ann-who-is-secret'
  })
  const text = await (await world.api('/api/status')).text()
  t.is((JSON.parse(text) as { peers: number }).peers, 1)
  t.false(text.includes('secret'))
  await ann.close()
})

test('no answer may be framed, guessed at, kept, or run anything from elsewhere', async t => {
  await using world = await World.open({ more: 'admin: { open: loopback }' })
  for (const path of ['/', '/traces', '/traces/none', '/login', '/api/status', '/metrics', '/nothing', '/healthz']) {
    const { headers } = await fetch(world.url + path, { headers: { accept: 'text/html' } })
    const policy = headers.get('content-security-policy') ?? ''
    t.regex(policy, /^default-src 'none';/, path)
    t.regex(policy, /frame-ancestors 'none'/, path)
    t.notRegex(policy, /unsafe|\*|http/, path)
    t.is(headers.get('x-content-type-options'), 'nosniff', path)
    t.is(headers.get('referrer-policy'), 'same-origin', path)
    t.is(headers.get('cache-control'), 'no-store', path)
  }
})

test('a page has nothing inline that the policy would stop', async t => {
  await using world = await World.open({ more: 'admin: { open: loopback }' })
  for (const path of ['/', '/traces', '/traces/none', '/login']) {
    const text = await (await fetch(world.url + path, { headers: { accept: 'text/html' } })).text()
    t.notRegex(
      text,
      /<style|<script(?! src="\.{1,2}\/assets\/[0-9a-f]{12}\/live\.js" defer><\/script>)| style=| on[a-z]+=/,
      path
    )
    t.notRegex(text, /(href|src|action)="(?!\.\.?\/|#)/, path)
  }
})

test('a browser is told of a mistake by a page, a program by JSON', async t => {
  await using world = await World.open({ more: 'admin: { open: loopback }' })
  for (const [path, status] of [
    ['/nothing', 404],
    ['/traces/none', 404],
    ['/traces?verdict=none', 400],
    ['/traces?since=x', 400]
  ] as const) {
    const page = await fetch(world.url + path, { headers: { accept: 'text/html,*/*;q=0.8' } })
    t.is(page.status, status, path)
    t.regex(await page.text(), /^<!doctype html>/, path)
  }
  const answer = await fetch(`${world.url}/traces?verdict=none`)
  t.is(((await answer.json()) as { code: string }).code, 'bad-config')
})

test('the metrics are text for Prometheus', async t => {
  await using world = await World.open()
  const answer = await world.api('/metrics')
  t.regex(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  t.regex(await answer.text(), /^postern_peers 0$/m)
})
