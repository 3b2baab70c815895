// What the log of a gateway does not have, at its chattiest: secrets, and a line for whatever a stranger sends.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import test from 'ava'
import type { PosternError } from '../../src/errors.ts'
import { openLog } from '../../src/gateway/log.ts'
import { endNative } from '../end-native.ts'
import { HandMade } from '../hand-made.ts'
import { World } from '../world.ts'
import { message } from './stun-by-hand.ts'

test.after.always(endNative)

/** A gateway that logs whatever it has to say, and what that was. */
async function opened(more = '') {
  const written: string[] = []
  const log = openLog({ level: 'trace', to: { write: text => void written.push(text) } })
  return { world: await World.open({ log, more }), written }
}

test('no token, login link, key of a room or of a trace, and no cookie is in the log', async t => {
  const { world, written } = await opened('call: { enabled: true }')
  const { joinToken, adminToken } = world.gateway
  const ann = await world.join('ann')
  await world.join('bob')
  const connection = await ann.connect({ name: 'bob' })
  const refused = (await t.throwsAsync(ann.connect({ name: 'nobody' }))) as PosternError
  const key = refused.traceKey ?? ''
  const { link: room } = await ann.makeRoom('standup')
  await world.enter(room, 'guest')
  const link = new URL(world.gateway.loginLink(), world.url)
  const logIn = { method: 'POST', redirect: 'manual', body: new URLSearchParams(link.search) } as const
  const cookie = (await fetch(new URL('/login', world.url), logIn)).headers.get('set-cookie') ?? ''
  const wrong = 'a-wrong-token-that-somebody-else-has'
  // In places where secrets do not belong as well: a log of requests would have them.
  for (const path of ['/nowhere', '/api/traces', `/api/traces/${connection.path.trace}`, link.pathname + link.search])
    for (const token of [adminToken, joinToken, wrong])
      await fetch(`${world.url}${path}?token=${token}&key=${key}`, {
        headers: { authorization: `Bearer ${token}`, cookie }
      })
  await using stranger = new HandMade(world.url)
  await stranger.hello({ identity: await world.identity('carol'), token: wrong })
  await stranger.hears('refused')
  await connection.close()
  await world.trace(connection.path.trace)
  await world[Symbol.asyncDispose]()
  const secrets = {
    ...{ joinToken, adminToken, wrong, key },
    link: link.search,
    room: new URL(room).hash,
    cookie: cookie.split(';')[0] ?? ''
  }
  for (const [name, secret] of Object.entries(secrets)) {
    // The name of a room, and of a cookie, is none.
    const long = secret.split(/[^\w-]/).filter(({ length }: string) => length >= 16)
    t.is(long.length, 1, `${name}: ${secret}`)
    t.false(written.join('').includes(long[0] ?? ''), name)
  }
  t.true(written.some(text => /session ended/.test(text)))
})

test('ten thousand datagrams of strangers and a thousand bad requests have a handful of lines', async t => {
  const { world, written } = await opened()
  await using _ = world
  const before = written.length
  const socket = createSocket('udp4')
  const [endpoint] = world.gateway.endpoints
  const transaction = Buffer.alloc(12, 7)
  const datagrams = [
    Buffer.from('garbage'),
    Buffer.alloc(1200, 0xff),
    // A Binding request of an unknown user, with a key of its own; a TURN Allocate; a data message of nobody's session.
    message(0x0001, transaction, [[0x0006, 'p:nobody:1']], 'key'),
    message(0x0003, transaction, [[0x0019, Buffer.from([17, 0, 0, 0])]]),
    Buffer.concat([Buffer.from([0x40, 0, 0, 4]), Buffer.alloc(8)])
  ]
  for (let sent = 0; sent < 10_000; sent += datagrams.length)
    await Promise.all(
      datagrams.map(
        datagram => new Promise(resolve => socket.send(datagram, endpoint?.port ?? 0, endpoint?.address ?? '', resolve))
      )
    )
  socket.close()
  const agent = new Agent({ keepAlive: true, maxSockets: 10 })
  const asks = async (path: string, headers: Record<string, string>) => {
    const sent = request(`${world.url}${path}`, { agent, headers }).end()
    const [answer] = await once(sent, 'response')
    await once(answer.resume(), 'end')
    return answer.statusCode
  }
  const statuses = new Set<number>()
  const bad = [
    () => asks('/api/status', { authorization: 'Bearer wrong' }),
    () => asks('/../../etc/passwd', {}),
    () => asks('/api/traces/%ff%fe', {}),
    () => asks('/join', {})
  ]
  for (let asked = 0; asked < 800; asked += bad.length)
    for (const status of await Promise.all(bad.map(ask => ask()))) statuses.add(status)
  agent.destroy()
  const { address, port } = world.gateway.http
  for (let asked = 0; asked < 200; asked++) {
    const raw = connect(port, address).resume()
    raw.on('error', () => {})
    raw.end(asked % 2 ? 'GET / HTTP/9.9\r\n\r\n' : '\u0016\u0003\u0001 no HTTP at all\n\n')
    await once(raw, 'close')
  }
  t.true(
    [...statuses].every(status => status >= 400 && status < 500),
    [...statuses].join()
  )
  t.is((await fetch(`${world.url}/healthz`)).status, 200)
  const lines = written.slice(before)
  t.true(lines.length <= 12, `${lines.length} lines: ${lines.slice(0, 20).join('')}`)
})
