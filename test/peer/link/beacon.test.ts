// On loopback, which takes multicast like any link once it is told to. What passes from host to host is in hidden.test.ts.

import { createHash, randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import test from 'ava'
import { hearBeacon, sendBeacon } from '../../../src/peer/link/beacon.ts'

const session = '0123456789abcdef'
const never = new AbortController().signal
const links = [{ address: '127.0.0.1' }, { address: '192.0.2.55' }]

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0)
  await once(socket, 'listening')
  const { port } = socket.address()
  await new Promise<void>(resolve => socket.close(() => resolve()))
  return port
}

test('a token is heard by who has its digest alone, past links that are gone and tokens of others', async t => {
  const port = await freePort()
  const [token, other] = [randomBytes(16), randomBytes(16)]
  const digest = createHash('sha256').update(token).digest('base64')
  const hearing = hearBeacon({ type: 'watch', session, port, ms: 5000, digest }, links, never)
  const send = (what: Buffer) =>
    sendBeacon({ type: 'beacon', session, port, afterMs: 20, token: what.toString('base64') }, links, never)
  await send(other)
  await send(token)
  t.is(await hearing, token.toString('base64'))
})

test('nothing is sent or heard when the session is over, or its time', async t => {
  const port = await freePort()
  const watch = { type: 'watch', session, port, digest: 'AA==' } as const
  t.is(await hearBeacon({ ...watch, ms: 1 }, links, never), undefined)
  t.is(await hearBeacon({ ...watch, ms: 60_000 }, links, AbortSignal.abort()), undefined)
  await sendBeacon({ type: 'beacon', session, port, afterMs: 60_000, token: 'AA==' }, links, AbortSignal.abort())
})
