// The page and its results at a real gateway on loopback: what is served, and what a visitor reaches that is no browser.

import { fileURLToPath } from 'node:url'
import test from 'ava'
import { WebSocket } from 'ws'
import { bundlePages, writeBundles } from '../../../tools/bundle.ts'
import { World } from '../../world.ts'
import { shown, Visitor } from './desk.ts'

const enabled = { more: 'test: { enabled: true }' }

test.before(() => writeBundles(fileURLToPath(new URL('../../../dist', import.meta.url))))

const come = (world: World, headers = {}) => new Visitor(`${world.url.replace('http', 'ws')}/test/run`, headers)

/** What a refused upgrade is answered with. */
const refusedWith = (url: string, headers: Readonly<Record<string, string>> = {}) =>
  new Promise<number>((resolve, reject) => {
    const ws = new WebSocket(url.replace('http', 'ws'), { headers })
    ws.on('unexpected-response', (_request, { statusCode = 0 }) => resolve(statusCode))
    ws.on('open', () => reject(new Error('it was let in')))
    ws.on('error', () => {})
  })

test('where networks are not tested there is a sentence and nothing else', async t => {
  await using world = await World.open()
  for (const path of ['/test', '/test/xNQz3mf0vshpG0J6HttfOw']) {
    const answer = await fetch(world.url + path)
    t.is(answer.status, 404)
    t.regex(await answer.text(), /test: \{ enabled: true \}/)
  }
  t.is(await refusedWith(`${world.url}/test/run`), 400)
  const { tests } = await world.gateway.status()
  t.like(tests, { now: 0, kept: 0, limited: 0 })
})

test('the page is a shell of the gateway, which nobody keeps or indexes and which takes no script from elsewhere', async t => {
  await using world = await World.open(enabled)
  const answer = await fetch(`${world.url}/test`, { headers: { accept: 'text/html' } })
  t.is(answer.status, 200)
  t.like(Object.fromEntries(answer.headers), {
    'cache-control': 'no-store',
    'x-robots-tag': 'noindex',
    'referrer-policy': 'no-referrer'
  })
  t.regex(answer.headers.get('content-security-policy') ?? '', /default-src 'none'; script-src 'self'/)
  const text = await answer.text()
  t.regex(text, /<meta name="robots" content="noindex">/)
  for (const [, path = ''] of text.matchAll(/(?:src|href)="\.\/(assets\/\w+\/nettest\.\w+)"/g))
    t.is((await fetch(`${world.url}/${path}`)).status, 200, path)
})

test('a result is a page without a script of its own, and one that there is not is told so', async t => {
  await using world = await World.open(enabled)
  const visitor = come(world)
  await visitor.hears('begin')
  visitor.say(shown([]))
  const { result } = await visitor.hears('done')
  const answer = await fetch(`${world.url}/test/${result}`, { headers: { accept: 'text/html' } })
  t.is(answer.status, 200)
  t.is(answer.headers.get('x-robots-tag'), 'noindex')
  t.is(answer.headers.get('cache-control'), 'no-store')
  t.regex(await answer.text(), /<h1>Calls will not work here: UDP is blocked<\/h1>/)
  const other = await fetch(`${world.url}/test/${'A'.repeat(22)}`, { headers: { accept: 'text/html' } })
  t.is(other.status, 404)
  t.regex(await other.text(), /no such result/)
  t.like((await world.gateway.status()).tests, { kept: 1, done: { 'cut-off': 1 } })
  t.regex(await (await world.api('/metrics')).text(), /postern_tests_total\{verdict="cut-off"\} 1/)
})

test('no page of another site opens a test, and none is opened by too long a message', async t => {
  await using world = await World.open(enabled)
  const { host } = new URL(world.url)
  const url = `${world.url}/test/run`
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: `http://${host.replace(/\d$/, n => String((Number(n) + 1) % 10))}` },
    { origin: 'null' },
    { origin: `http://${host}`, 'sec-fetch-site': 'cross-site' }
  ])
    t.is(await refusedWith(url, headers), 403, JSON.stringify(headers))
  const visitor = come(world, { origin: `http://${host}` })
  await visitor.hears('begin')
  visitor.say('x'.repeat(1025))
  t.is(await visitor.closed, 1009)
})

test('nobody finds a visitor, and by its name nobody joins', async t => {
  await using world = await World.open(enabled)
  const visitor = come(world)
  const { visit, key } = await visitor.hears('begin')
  t.regex(key, /=$/)
  const ann = await world.join('ann')
  await t.throwsAsync(ann.connect({ name: visit }), { code: 'unknown-peer' })
  t.is((await world.gateway.status()).peers, 1)
  await visitor.leaves()
})

test('the first load is small', async t => {
  const files = await bundlePages()
  const text = files['nettest.js'] ?? ''
  t.true(text.length > 1000)
  t.deepEqual(text.match(/\b(?:require\(|Buffer\b|setImmediate|process\.)/g), null)
  t.log(`${text.length} bytes, ${files['nettest.css']?.length} of style`)
  t.true(text.length < 60_000, `${text.length} bytes`)
})
