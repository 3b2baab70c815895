// The HTTP side: health, the WebSocket that peers join by, and behind the door (access.ts) pages, API and metrics. Handlers
// throw errors, and one place answers them: with a page for people, with JSON for programs. The relay takes datagrams on the same
// port (doors/doors.ts): in frames, which the first byte tells apart from HTTP, and over a WebSocket of their own. With `listen.tls`
// all of it is over TLS (secure.ts), and there are no frames.
//
//   request ─► errors ─► headers ─► open: /healthz, /readyz, /login, /logout, /assets, /test, a trace to who has its key
//                                └─► door ─► pages, /api, /metrics ─► 404

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import Router from '@koa/router'
import Koa from 'koa'
import { type WebSocket, WebSocketServer } from 'ws'
import { asPosternError, type Code, PosternError } from '../../errors.ts'
import { RELAY_PATH } from '../../wire/doors/door.ts'
import { beginsFrame, FRAME_BYTES } from '../../wire/doors/framing.ts'
import { type Endpoint, formatEndpoint } from '../../wire/endpoint.ts'
import { SHOWN_BYTES } from '../../wire/nettest/messages.ts'
import { RUN_PATH } from '../../wire/nettest/path.ts'
import { JOIN_PATH } from '../../wire/place.ts'
import { MESSAGE_BYTES } from '../../wire/signal.ts'
import type { Doors, Guest } from '../doors/doors.ts'
import type { Proxies } from '../proxy/proxies.ts'
import { refuse, refuseUpgrade } from '../proxy/unclear.ts'
import type { Newcomer } from '../signalling/reception.ts'
import { type Access, isForeign } from './access.ts'
import { Answers } from './answers.ts'
import { type ApiSide, apiRoutes, ownTraceRoutes } from './api.ts'
import { callRoutes } from './built/call.ts'
import { moduleRoutes } from './built/module.ts'
import { type TestSide, testRoutes } from './built/nettest.ts'
import type { Certificate } from './certificate.ts'
import { Connections } from './connections.ts'
import { Descriptors, type DescriptorsOptions } from './descriptors.ts'
import { byFirstByte } from './first-byte.ts'
import { inPieces } from './in-pieces.ts'
import { type Doorway, loginPath, loginRoutes, visitOf } from './login.ts'
import { assetRoutes } from './pages/assets.ts'
import { errorPage, type Way } from './pages/error.ts'
import { type PageSide, pageRoutes, wantsPage } from './pages/routes.ts'
import { createSecureServer, securely } from './secure.ts'
import type { GatewayStatus } from './status.ts'
import { relative, takesOff } from './under-path.ts'

export interface HttpSide extends ApiSide, Pick<PageSide, 'present' | 'warnings'> {
  readonly access: Access
  readonly metrics: { readonly contentType: string; text(status: GatewayStatus): Promise<string> }
  /** How many peers may be joined at once. */
  readonly peers: () => number
  /** Whether nothing new is taken any more. */
  readonly isDraining: () => boolean
  /** Whether rooms have pages here. */
  readonly calls: boolean
  /** Left out, networks of visitors are not tested. */
  readonly tests?: (TestSide & { receive(ws: WebSocket, newcomer: Newcomer): void }) | undefined
  /** `listen.url`. */
  readonly urls: readonly string[]
  /** Who is believed when it says for whom it asks. */
  readonly proxies: Proxies
  /** Left out, HTTP is served in clear. */
  readonly certificate?: Certificate | undefined
  /** Is told of faults of our own, but not of what is wrong with a request. */
  readonly log: { error(fields: object, text: string): void } & DescriptorsOptions['log']
  /** Serves one WebSocket of a peer. */
  join(ws: WebSocket, newcomer: Newcomer): void
  /** Takes connections that bring datagrams. */
  readonly doors: Pick<Doors, 'tcp' | 'webSocket'>
}

export interface HttpListening {
  readonly local: Endpoint
  readonly counters: GatewayStatus['http']
  /** Takes a TCP connection of another port, which brings datagrams; it counts among the others. */
  bringsDatagrams(socket: Socket): void
  close(): Promise<void>
}

/** TCP connections for health checks, pages and the API, besides those of as many as may be joined, and are just joining. */
const OTHERS = 64

/** A peer that was refused, and does not close its WebSocket, is disconnected after this time, in milliseconds. */
const CLOSING_MS = 2000

/** Time for a whole request, in milliseconds: none has a body worth waiting for, and a silent client holds a connection. */
const REQUEST_MS = 10_000

const WEBSOCKETS = {
  maxPayload: MESSAGE_BYTES,
  perMessageDeflate: false,
  closeTimeout: CLOSING_MS,
  // Of a segment full of messages one is heard in a turn of the event loop, so that nobody else waits for all of them.
  allowSynchronousEvents: false
}

/** Datagrams are taken as they come: they are bounded behind it. */
const DATAGRAMS = { maxPayload: FRAME_BYTES, perMessageDeflate: false, closeTimeout: CLOSING_MS }

/** Listens. Throws `port-in-use` or `io`. */
export async function serveHttp(at: Endpoint, side: HttpSide): Promise<HttpListening> {
  const timeouts = {
    headersTimeout: REQUEST_MS,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: REQUEST_MS / 4
  }
  const { certificate, proxies } = side
  const server = certificate ? createSecureServer(certificate, timeouts) : createServer(timeouts)
  for (const event of ['request', 'upgrade']) server.on(event, takesOff(side.urls))
  const connections = new Connections(() => side.peers() + OTHERS, new Descriptors({ log: side.log }), proxies)
  const answers = new Answers(server)
  const serve = application(side, at.address, connections).callback()
  const bringsDatagrams = (socket: Socket) => side.doors.tcp(socket, guestOf(socket, connections))
  const receive = (socket: Socket, speaks: (byte: number) => void) =>
    byFirstByte(socket, byte =>
      proxies.receive(socket, { from: connections.arrivalOf(socket).source.address, byte }, introduced => {
        if (introduced === undefined) return speaks(byte)
        connections.introduce(socket, introduced)
        byFirstByte(socket, speaks)
      })
    )
  tellApart(server, connections, { receive, speaking: certificate ? securely : inClear(bringsDatagrams) })
  server.on('request', (request, response) => {
    if (answers.isOver(request.socket)) return
    const network = refuse(response, () => connections.asks(request))
    if (network !== undefined && answers.begin(request, response, network)) void serve(request, response)
  })
  const sockets = new WebSocketServer({ noServer: true, path: JOIN_PATH, ...WEBSOCKETS })
  sockets.on('connection', (ws, request) => side.join(ws, connections.newcomer(request)))
  const relayed = new WebSocketServer({ noServer: true, path: RELAY_PATH, ...DATAGRAMS })
  relayed.on('connection', (ws, request) => side.doors.webSocket(ws, guestOf(request.socket, connections, request)))
  const tests = testSockets(side)
  tests.on('connection', (ws, request) => side.tests?.receive(ws, connections.newcomer(request)))
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (refuseUpgrade(socket, () => connections.asks(request)) === undefined) return
    const into = [relayed, ...(side.tests ? [tests] : [])].find(one => one.shouldHandle(request)) ?? sockets
    into.handleUpgrade(request, socket, head, ws => into.emit('connection', ws, request))
  })
  await bind(server, at)
  const { address, port } = server.address() as { address: string; port: number }
  return {
    local: { address, port },
    get counters() {
      return { ...connections.counters, ...answers.counters }
    },
    bringsDatagrams(socket) {
      connections.accept(socket)
      receive(socket, () => bringsDatagrams(socket))
    },
    close: () => close(server, [sockets, tests], connections)
  }
}

/** Those of visitors. No page of another site has the network of whoever looks at it tested. */
function testSockets({ certificate }: HttpSide): WebSocketServer {
  const isSecure = certificate !== undefined
  return new WebSocketServer({
    ...{ noServer: true, path: RUN_PATH, ...WEBSOCKETS, maxPayload: SHOWN_BYTES },
    verifyClient: ({ req: { headers } }, done) => done(!isForeign({ headers, isSecure }), 403, 'of another site')
  })
}

/** What is done with a connection, by its first byte. `own` is what the server itself would do with each. */
type Speaking = (
  server: Server,
  connections: Connections,
  own: (socket: Socket) => void
) => (socket: Socket, byte: number) => void

interface Telling {
  /** Calls `speaks` with the first byte that is the client's own. */
  receive(socket: Socket, speaks: (byte: number) => void): void
  readonly speaking: Speaking
}

/** The server's own listener gets a connection with all that it has said. */
function tellApart(server: Server, connections: Connections, { receive, speaking }: Telling): void {
  const [own] = server.listeners('connection') as [(this: Server, socket: Socket) => void]
  server.removeAllListeners('connection')
  const speaks = speaking(server, connections, socket => own.call(server, socket))
  server.on('connection', (socket: Socket) => {
    connections.accept(socket)
    receive(socket, byte => speaks(socket, byte))
  })
}

/** Connections that begin with a frame are no requests. HTTP gets the others, and says what is wrong with them. */
const inClear =
  (bringsDatagrams: (socket: Socket) => void): Speaking =>
  (_server, _connections, serve) =>
  (socket, byte) =>
    beginsFrame(byte) ? bringsDatagrams(socket) : serve(socket)

/** @param request the one that a WebSocket began with: it may have come for somebody else than made the connection */
function guestOf(socket: Socket, connections: Connections, request?: IncomingMessage): Guest {
  const { source, reached: local } = connections.arrivalOf(socket)
  const address = request ? connections.clientOf(request) : source.address
  return { source: { ...source, address }, local, prove: () => connections.prove(socket) }
}

/** A peer that does not answer the close, or a request that does not end, must not keep the gateway from stopping. */
async function close(server: Server, served: readonly WebSocketServer[], connections: Connections): Promise<void> {
  for (const sockets of served) {
    for (const ws of sockets.clients) ws.close(1001)
    sockets.close()
  }
  const closed = once(server, 'close')
  server.close()
  const patience = setTimeout(() => connections.closeAll(), 500)
  await closed
  clearTimeout(patience)
}

/** @param listener the address it is bound to. */
function application(side: HttpSide, listener: string, connections: Connections): Koa {
  const doorway: Doorway = { listener, clientOf: request => connections.clientOf(request) }
  const open = new Router()
  const warned = () => {
    const warnings = side.warnings()
    return warnings.length > 0 ? { warnings } : {}
  }
  open.get('/healthz', ctx => {
    ctx.body = { ok: true, ...warned() }
  })
  // Whatever else is wrong, whoever asks here is better served by this gateway than by none, and reads what it warns of.
  open.get('/readyz', ctx => {
    const isReady = !side.isDraining()
    ctx.status = isReady ? 200 : 503
    ctx.body = {
      ready: isReady,
      ...(isReady ? {} : { reason: 'draining' }),
      ...warned()
    }
  })
  open.get(JOIN_PATH, ctx => {
    ctx.set('upgrade', 'websocket')
    ctx.throw(426, 'peers join here by WebSocket, and this request is none')
  })
  const metrics = new Router()
  metrics.get('/metrics', async ctx => {
    ctx.set('content-type', side.metrics.contentType)
    ctx.body = await side.metrics.text(await side.status())
  })
  const koa = new Koa()
  // Koa would report connections that broke or were too slow on standard error, and anybody can cause those.
  koa.silent = true
  for (const middleware of [
    inPieces,
    relative(side.urls),
    answerErrors(side.log),
    guard,
    open.routes(),
    assetRoutes().routes(),
    moduleRoutes().routes(),
    callRoutes(side.calls).routes(),
    testRoutes(side.tests).routes(),
    loginRoutes(side.access, doorway).routes(),
    ownTraceRoutes(side).routes(),
    door(side.access, doorway, connections),
    pageRoutes(side).routes(),
    apiRoutes(side).routes(),
    metrics.routes(),
    nothing
  ])
    koa.use(middleware as Koa.Middleware)
  return koa
}

/**
 * Pages load nothing from elsewhere and nothing inline, stand in no frame, are kept nowhere, and tell no other site their
 * address. Without any referrer browsers would not say either that a form is this gateway's own (its Origin would be `null`).
 */
const guard: Koa.Middleware = async (ctx, next) => {
  ctx.set({
    'content-security-policy':
      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'no-store'
  })
  await next()
}

/** Leads people to the form, and tells programs what is missing. */
const door =
  (access: Access, doorway: Doorway, connections: Connections): Koa.Middleware =>
  async (ctx, next) => {
    const admission = access.admit(visitOf(ctx, doorway))
    if (admission === 'limited') ctx.throw(429, 'too many wrong tokens; wait a minute')
    if (admission !== 'refused') {
      if (admission !== 'local') connections.prove(ctx.req.socket)
      ctx.state.admission = admission
      return await next()
    }
    if (ctx.method === 'GET' && wantsPage(ctx)) {
      ctx.status = 303
      ctx.set('location', loginPath(ctx.url))
      return
    }
    throw new PosternError('bad-token', 'the admin token is missing or wrong')
  }

const nothing: Koa.Middleware = ctx => ctx.throw(404, 'there is nothing here')

const statusFor: Readonly<Partial<Record<Code, number>>> = {
  ...{ 'bad-token': 401, 'unknown-peer': 404, 'bad-config': 400 },
  'gateway-disk': 503
}

const answerErrors =
  (log: HttpSide['log']): Koa.Middleware =>
  async (ctx, next) => {
    try {
      await next()
    } catch (thrown) {
      // The request broke off within its body: the connection has failed, and nobody is there to be answered.
      if (ctx.req.errored) return
      const { status, way } = thrown as { status?: number; way?: Way }
      const { code, message } = asPosternError(thrown)
      ctx.status = status ?? statusFor[code] ?? 500
      const reason = ctx.status === 500 ? 'a fault in the gateway' : message
      if (ctx.status === 500) log.error({ err: thrown }, reason)
      if (ctx.status === 401) ctx.set('www-authenticate', 'Bearer')
      if (ctx.status === 429) ctx.set('retry-after', '60')
      if (wantsPage(ctx)) ctx.body = errorPage(ctx.status, reason, way).toString()
      else ctx.body = { code: codesFor[status ?? 0] ?? code, reason }
    }
  }

/** Codes for what is refused by its status alone. */
const codesFor: Readonly<Record<number, string>> = {
  403: 'bad-token',
  404: 'not-found',
  413: 'bad-token',
  426: 'bad-message',
  429: 'bad-token'
}

async function bind(server: Server, at: Endpoint): Promise<void> {
  try {
    server.listen(at.port, at.address)
    await once(server, 'listening')
  } catch (cause) {
    const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
    const why = taken ? 'is already in use' : `cannot be bound: ${(cause as Error).message}`
    throw new PosternError(taken ? 'port-in-use' : 'io', `TCP ${formatEndpoint(at)} ${why}`, { cause })
  }
}
