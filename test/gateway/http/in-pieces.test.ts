// What is answered piece by piece over TLS is what would have been answered at once.

import { once } from 'node:events'
import { createServer, get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import test from 'ava'
import Koa from 'koa'
import { inPieces } from '../../../src/gateway/http/in-pieces.ts'
import { authority, certified } from '../../peer/tls.ts'

const text = 'ä€'.repeat(100_000)

for (const [what, body, type] of [
  ['text', text, 'text/plain; charset=utf-8'],
  ['JSON', { list: text }, 'application/json; charset=utf-8'],
  ['bytes', Buffer.from(text), 'application/octet-stream'],
  ['a few words', 'so be it', 'text/plain; charset=utf-8']
] as const)
  test(`${what} is whole, with its length and type`, async t => {
    const koa = new Koa().use(inPieces).use(ctx => {
      ctx.body = body
    })
    const server = createServer(certified, koa.callback()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const [response] = await once(get({ port, host: '127.0.0.1', ca: authority, agent: false }), 'response')
    const expected =
      typeof body === 'string' || Buffer.isBuffer(body) ? Buffer.from(body) : Buffer.from(JSON.stringify(body))
    t.true((await buffer(response)).equals(expected))
    t.is(response.headers['content-type'], type)
    t.is(response.headers['content-length'], String(expected.length))
    server.close()
  })
