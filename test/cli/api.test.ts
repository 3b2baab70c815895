// What `traces` and `names` ask, by the function that asks it.

import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import test from 'ava'
import { ask } from '../../src/cli/api.ts'
import { authority, certified } from '../peer/tls.ts'

const signal = AbortSignal.timeout(10_000)

test('a gateway whose certificate is from a private authority is asked where that is given, below its path', async t => {
  const server = createServer(certified, ({ url }, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify([url]))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const gateway = `https://127.0.0.1:${(server.address() as AddressInfo).port}/gate`
  await t.throwsAsync(ask({ gateway, adminToken: 't' }, '/api/names', { signal }), {
    code: 'gateway-unreachable',
    message: /authority that is not trusted here; .*--ca FILE/
  })
  t.deepEqual(await ask({ gateway, adminToken: 't', ca: authority }, '/api/names', { signal }), ['/gate/api/names'])
  server.closeAllConnections()
  server.close()
})

test('a gateway that is not there is told as peers are told', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  server.close()
  await once(server, 'close')
  const asking = ask({ gateway: `http://${host}` }, '/api/names', { signal })
  const message = new RegExp(`nothing listens at ${host}; `)
  await t.throwsAsync(asking, { code: 'gateway-unreachable', message })
})
