import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import test from 'ava'
import Koa from 'koa'
import { moduleRoutes } from '../../../src/gateway/http/built/module.ts'
import { bundle } from '../../../tools/bundle.ts'

/** The most that a page loads, in bytes. */
const MOST_BYTES = 26_000

async function served(file: string): Promise<{ url: string } & AsyncDisposable> {
  const koa = new Koa()
  koa.silent = true
  koa.use(moduleRoutes(file).routes())
  const server = createServer(koa.callback())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/postern.js`,
    [Symbol.asyncDispose]: () => new Promise(resolve => server.close(() => resolve()))
  }
}

test('the module is one file without imports or names of Node, small enough, and a page of any origin may load it', async t => {
  const text = await bundle()
  t.true(/export\{[^}]*\bas join\b/.test(text))
  t.deepEqual(text.match(/\b(?:require\(|Buffer\b|setImmediate|process\.)|(?:^|;)import[ {*"]/g), null)
  const bytes = brotliCompressSync(text).length
  t.true(bytes < MOST_BYTES, `${bytes} bytes`)
  t.log(`${bytes} bytes`)
  const folder = await mkdtemp(join(tmpdir(), 'postern-module-'))
  const file = join(folder, 'browser.js')
  await using gateway = await served(file)
  const missing = await fetch(gateway.url)
  t.is(missing.status, 404)
  t.regex(await missing.text(), /npm run build/)
  await writeFile(file, text)
  const answer = await fetch(gateway.url)
  t.is(await answer.text(), text)
  t.like(Object.fromEntries(answer.headers), {
    'content-type': 'text/javascript; charset=utf-8',
    'content-encoding': 'gzip',
    'cache-control': 'no-cache',
    'access-control-allow-origin': '*',
    'cross-origin-resource-policy': 'cross-origin'
  })
  const small = await fetch(gateway.url, { headers: { 'accept-encoding': 'gzip, deflate, br, zstd' } })
  t.like(Object.fromEntries(small.headers), { 'content-encoding': 'br', 'content-length': String(bytes) })
  t.is(await small.text(), text)
  const plain = await fetch(gateway.url, { headers: { 'accept-encoding': 'identity' } })
  t.is(plain.headers.get('content-encoding'), null)
  t.is(await plain.text(), text)
  const again = await fetch(gateway.url, { headers: { 'if-none-match': answer.headers.get('etag') ?? '' } })
  t.is(again.status, 304)
  await rm(folder, { recursive: true })
})
