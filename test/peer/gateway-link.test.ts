import { lookup } from 'node:dns/promises'
import { EventEmitter, once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import test from 'ava'
import { type WebSocket, WebSocketServer } from 'ws'
import { PosternError } from '../../src/errors.ts'
import { GatewayLink, type LinkOptions } from '../../src/peer/gateway-link.ts'
import { refusePublic } from '../../src/peer/gateway-url.ts'
import type { Identity } from '../../src/peer/identity/identity.ts'
import type { FromGateway } from '../../src/wire/signal.ts'
import { until } from '../until.ts'
import { World } from '../world.ts'
import { identity } from './paper-identity.ts'

const optionsFor = (gateway: string): LinkOptions => ({
  gateway,
  token: 'token',
  name: 'ann',
  accepts: true,
  identity,
  insecure: false
})

const welcome = {
  type: 'welcome',
  peer: '0a',
  name: 'ann',
  key: '',
  endpoints: [{ address: '127.0.0.1', port: 3478 }],
  refreshMs: 15000
}

/** A gateway that does with each link what the test says. */
async function fakeGateway(
  serve: (ws: WebSocket, say: (...messages: object[]) => void, request: IncomingMessage) => void,
  host = '127.0.0.1'
) {
  const server = new WebSocketServer({ port: 0, host })
  await once(server, 'listening')
  server.on('connection', (ws, request) =>
    serve(
      ws,
      (...messages) => {
        for (const message of messages) ws.send(JSON.stringify(message))
      },
      request
    )
  )
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    async [Symbol.asyncDispose]() {
      for (const ws of server.clients) ws.terminate()
      server.close()
      await once(server, 'close')
    }
  }
}

test('a link proves itself over the nonce of the challenge, at the path that peers join at', async t => {
  const heard: string[] = []
  await using gateway = await fakeGateway((ws, say, { url }) => {
    heard.push(url ?? '')
    ws.on('message', data => {
      heard.push(String(data))
      say(welcome)
    })
    say({ type: 'challenge', v: 3, nonce: 'bm9uY2U=' })
  })
  const { link, welcome: told } = await GatewayLink.join(optionsFor(gateway.url.replace('ws:', 'http:')))
  t.is(told.peer, '0a')
  t.is(heard[0], '/join')
  const signature = Buffer.from('signature').toString('base64')
  const hello = {
    type: 'hello',
    v: 3,
    place: gateway.url.replace('ws:', 'http:'),
    name: 'ann',
    token: 'token',
    certificate: 'certificate',
    signature,
    accepts: true
  }
  t.like(JSON.parse(heard[1] ?? ''), hello)
  await link.close()
})

test('what comes right behind the welcome is heard', async t => {
  await using gateway = await fakeGateway((ws, say) => {
    ws.on('message', () => say(welcome, { type: 'pong', at: 1, timeMs: 2 }, { type: 'pong', at: 2, timeMs: 2 }))
    say({ type: 'challenge', v: 3, nonce: '' })
  })
  const { link } = await GatewayLink.join(optionsFor(gateway.url))
  const heard: FromGateway[] = []
  link.onMessage = message => heard.push(message)
  await until(() => heard.length === 2)
  t.pass()
  await link.close()
})

test('what the gateway refuses with is what joining throws, and an unknown code is a bad message', async t => {
  for (const [code, expected] of [
    ['name-taken', 'name-taken'],
    ['constructor', 'bad-message']
  ] as const) {
    await using gateway = await fakeGateway((ws, say) => {
      say({ type: 'refused', code, reason: 'no' })
      ws.close(1008)
    })
    await t.throwsAsync(GatewayLink.join(optionsFor(gateway.url)), {
      instanceOf: PosternError,
      code: expected,
      message: 'no'
    })
  }
})

test('a gateway of another version is left, and told apart', async t => {
  const closed = Promise.withResolvers<number>()
  await using gateway = await fakeGateway((ws, say) => {
    ws.on('close', code => closed.resolve(code))
    say({ type: 'challenge', v: 1, nonce: '' })
  })
  const error = await t.throwsAsync(GatewayLink.join(optionsFor(gateway.url)), {
    instanceOf: PosternError,
    code: 'bad-message'
  })
  t.is(
    error?.message,
    'the gateway speaks version 1 of the protocol, and this peer version 3; install a newer postern on the gateway'
  )
  t.is(await closed.promise, 1002)
})

test('nobody there, a gateway that says nothing, and one that hangs up are all gateway-unreachable', async t => {
  const silent = createServer(() => {})
  await listening(silent)
  const mute = await fakeGateway(() => {})
  const rude = await fakeGateway(ws => ws.terminate())
  const cases = [
    ['ws://127.0.0.1:1', /ECONNREFUSED/],
    [`ws://127.0.0.1:${(silent.address() as AddressInfo).port}`, /does not answer; .*ETIMEDOUT/],
    [mute.url, /does not answer; .*ETIMEDOUT/],
    // What is answered is heard in time, however busy the computer is.
    [rude.url, /closed the connection/, 5_000]
  ] as const
  t.teardown(async () => {
    silent.close()
    await Promise.all([mute[Symbol.asyncDispose](), rude[Symbol.asyncDispose]()])
  })
  for (const [url, reason, connectMs = 200] of cases) {
    const expected = { instanceOf: PosternError, code: 'gateway-unreachable', message: reason }
    await t.throwsAsync(GatewayLink.join({ ...optionsFor(url), connectMs }), expected, url)
  }
})

test('joining can be given up', async t => {
  await using gateway = await fakeGateway(() => {})
  const reason = new PosternError('io', 'enough')
  const controller = new AbortController()
  gateway.server.on('connection', () => controller.abort(reason))
  t.is(await t.throwsAsync(GatewayLink.join(optionsFor(gateway.url), controller.signal)), reason)
  t.is(await t.throwsAsync(GatewayLink.join(optionsFor(gateway.url), AbortSignal.abort(reason))), reason)
})

test('a token goes in clear to private addresses only', async t => {
  for (const gateway of ['http://203.0.113.1', 'ws://[2001:db8::1]:8080'])
    await t.throwsAsync(GatewayLink.join(optionsFor(gateway)), {
      code: 'bad-config',
      message: /use https, or --insecure/
    })
  for (const host of ['127.0.0.1', '10.1.2.3', '192.168.0.1', '[::1]', '[fd00::1]'])
    await t.notThrowsAsync(refusePublic(new URL(`ws://${host}:8080`)), host)
})

test('what is no address of a gateway is told as such', async t => {
  for (const gateway of ['', 'gateway', 'ftp://127.0.0.1', '127.0.0.1:8080'])
    await t.throwsAsync(
      GatewayLink.join(optionsFor(gateway)),
      { instanceOf: PosternError, code: 'bad-config' },
      gateway
    )
})

test('a first join that keeps trying is in as soon as there is a gateway, and says each time what is in the way', async t => {
  const world = await World.open()
  const options = { ...optionsFor(world.url), token: world.gateway.joinToken, identity: await world.identity('ann') }
  await world.gateway.close()
  const waiting: string[] = []
  const first = Promise.withResolvers<void>()
  const onWaiting = ({ code }: PosternError) => {
    waiting.push(code)
    first.resolve()
  }
  const joining = GatewayLink.join({ ...options, keepsTrying: true, onWaiting })
  await first.promise
  await world.start()
  const { link } = await joining
  t.true(waiting.length >= 1 && waiting.every(code => code === 'gateway-unreachable'))
  await link.close()
  await world[Symbol.asyncDispose]()
})

test('a first join does not keep trying where that does not help, nor where it was not asked for', async t => {
  const onWaiting = () => t.fail('it waits')
  for (const code of [
    'bad-token',
    'wrong-gateway',
    'name-taken',
    'fingerprint-mismatch',
    'bad-message',
    'bad-config'
  ]) {
    await using gateway = await fakeGateway((ws, say) => {
      say({ type: 'refused', code, reason: 'no' })
      ws.close(1008)
    })
    await t.throwsAsync(GatewayLink.join({ ...optionsFor(gateway.url), keepsTrying: true, onWaiting }), { code })
  }
  const public_ = { ...optionsFor('http://203.0.113.1'), keepsTrying: true, onWaiting }
  await t.throwsAsync(GatewayLink.join(public_), { code: 'bad-config' })
  await t.throwsAsync(GatewayLink.join({ ...optionsFor('ws://127.0.0.1:1'), onWaiting }), { message: /ECONNREFUSED/ })
})

test('a gateway that asks to be tried again is, at the first join and at later ones', async t => {
  let turn = 0
  await using gateway = await fakeGateway((ws, say) => {
    if (turn++ % 2 === 0) {
      say({ type: 'refused', code: 'bad-token', reason: 'too many', retryMs: 100 })
      return ws.close(1008)
    }
    ws.on('message', () => say(welcome))
    say({ type: 'challenge', v: 3, nonce: '' })
  })
  const waited: number[] = []
  const onWaiting = (_: PosternError, waitMs: number) => waited.push(waitMs)
  const { link } = await GatewayLink.join({ ...optionsFor(gateway.url), onWaiting })
  t.is(waited.length, 1)
  const again = new Promise<void>(resolve => {
    link.onWelcome = () => resolve()
  })
  for (const ws of gateway.server.clients) ws.terminate()
  await again
  t.is(turn, 4)
  await link.close()
})

test('a hundred first joins at once from one address all get in, and so do twelve jobs of a certificate that has no seat left', async t => {
  await using world = await World.open()
  const first = async (identity: Identity) => {
    const { name: _, ...options } = optionsFor(world.url)
    return (await GatewayLink.join({ ...options, token: world.gateway.joinToken, accepts: false, identity })).link
  }
  const refused = async () => (await world.gateway.status()).signalling.refused
  const identities = await Promise.all(Array.from({ length: 4 }, (_, key) => world.identity(`guest${key}`)))
  const links = await Promise.all(Array.from({ length: 100 }, (_, at) => first(identities[at % 4] as Identity)))
  t.is((await world.gateway.status()).peers, 100)
  const more = await Promise.all(Array.from({ length: 7 }, () => first(identities[0] as Identity)))
  t.is(await refused(), 0)
  const jobs = Array.from({ length: 12 }, async () => (await first(identities[0] as Identity)).close())
  await until(async () => (await refused()) === 12)
  await Promise.all([...links, ...more].map(link => link.close()))
  await t.notThrowsAsync(Promise.all(jobs))
})

test('a lost link that is needed is tried at once, each time it is', async t => {
  let attempts = 0
  const tried = new EventEmitter()
  const server = createServer(socket => {
    attempts++
    socket.destroy()
    tried.emit('again')
  })
  await using gateway = await fakeGateway((ws, say) => {
    ws.on('message', () => say(welcome))
    say({ type: 'challenge', v: 3, nonce: '' })
  })
  const { port } = gateway.server.address() as AddressInfo
  const { link } = await GatewayLink.join(optionsFor(gateway.url))
  await gateway[Symbol.asyncDispose]()
  await listening(server, port)
  // By itself it would wait for 250 ms, then 500, 1000, 2000, 4000 and 8000, less a half at most.
  const startMs = performance.now()
  while (attempts < 6) {
    const again = once(tried, 'again')
    const needed = setInterval(() => link.probeLink(), 50)
    await again
    clearInterval(needed)
  }
  t.true(performance.now() - startMs < 5_000)
  await link.close()
  server.close()
})

test('a lost link is joined again, ever later, each time a little at random', async t => {
  const attempts: number[] = []
  const server = createServer(socket => {
    attempts.push(performance.now())
    socket.destroy()
  })
  await using gateway = await fakeGateway((ws, say) => {
    ws.on('message', () => say(welcome))
    say({ type: 'challenge', v: 3, nonce: '' })
  })
  const { port } = gateway.server.address() as AddressInfo
  const { link } = await GatewayLink.join(optionsFor(gateway.url))
  t.true(link.send({ type: 'ping', at: 1 }))
  const lost = new Promise<{ error: PosternError; final: boolean; lostMs: number }>(resolve => {
    link.onLost = (error, final) => resolve({ error, final, lostMs: performance.now() })
  })
  await gateway[Symbol.asyncDispose]()
  const { error, final, lostMs } = await lost
  t.deepEqual([error.code, final], ['gateway-unreachable', false])
  t.false(link.send({ type: 'ping', at: 1 }), 'what is said meanwhile is lost')
  await listening(server, port)
  await until(() => attempts.length === 3)
  await link.close()
  const gaps = attempts.map((atMs, index) => atMs - (attempts[index - 1] ?? lostMs))
  // No later than that is for patience.test.ts to say: where others have the processor, attempts come later than they were meant to.
  for (const [index, gapMs] of gaps.entries()) t.true(gapMs > 120 * 2 ** index, `${gapMs} ms before attempt ${index}`)
  server.close()
})

test('a gateway that starts again gets its peers back; one that refuses them for good is not asked again', async t => {
  const world = await World.open()
  const options = { ...optionsFor(world.url), token: world.gateway.joinToken, identity: await world.identity('ann') }
  const { link, welcome: first } = await GatewayLink.join(options)
  const again = new Promise<string>(resolve => {
    link.onWelcome = ({ peer }) => resolve(peer)
  })
  await world.gateway.close()
  await world.start()
  t.is(await again, first.peer, 'under the id that it had')
  await world.api('/api/names/ann', { method: 'DELETE' })
  await (await GatewayLink.join({ ...options, identity: await world.identity('eve') })).link.close()
  const ends: [string, boolean][] = []
  link.onLost = ({ code }, final) => ends.push([code, final])
  await world.gateway.close()
  await world.start()
  await until(() => ends.length === 2)
  t.deepEqual(ends, [
    ['gateway-unreachable', false],
    ['name-taken', true]
  ])
  await link.close()
  await world[Symbol.asyncDispose]()
})

test('what the gateway says in another language is passed over', async t => {
  await using gateway = await fakeGateway((ws, say) => {
    ws.on('message', () => {
      ws.send('no JSON')
      say({ type: 'surprise' }, welcome, { type: 'surprise' }, { type: 'order' })
      ws.send(Buffer.from([1, 2, 3]))
      say({ type: 'pong', at: 1, timeMs: 2 })
    })
    say({ type: 'challenge', v: 3, nonce: '' })
  })
  const { link } = await GatewayLink.join(optionsFor(gateway.url))
  const heard = await new Promise<FromGateway>(resolve => {
    link.onMessage = resolve
  })
  t.is(heard.type, 'pong')
  await link.close()
})

function listening(server: Server, port = 0): Promise<unknown> {
  server.on('connection', (socket: Socket) => socket.on('error', () => {}))
  server.listen(port, '127.0.0.1')
  return once(server, 'listening')
}

test('a gateway that is reached by IPv6 is told the IPv4 address of its name, or where it was reached', async t => {
  const reached: unknown[] = []
  await using gateway = await fakeGateway((ws, say) => {
    ws.on('message', data => {
      reached.push(JSON.parse(String(data)).reached)
      say(welcome)
    })
    say({ type: 'challenge', v: 3, nonce: '' })
  }, '::1')
  const known = await lookup('localhost', { all: true })
  if (!known.some(({ address }) => address === '::1')) t.log('localhost has no IPv6 address here')
  const names = known.some(({ address }) => address === '::1') ? ['localhost', '[::1]'] : ['[::1]']
  for (const name of names) {
    const { link } = await GatewayLink.join(optionsFor(gateway.url.replace('127.0.0.1', name)))
    t.is(link.reachedAt, reached.at(-1) as string)
    await link.close()
  }
  t.deepEqual(reached, names.length > 1 ? ['127.0.0.1', '::1'] : ['::1'])
})
