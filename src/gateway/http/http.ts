// The HTTP side: health, the WebSocket that peers join by, and behind the door (access.ts) pages, API and metrics. Handlers
// throw errors, and one place answers them: with a page for people, with JSON for programs.
//
//   request ─► errors ─► headers ─► open: /healthz, /login, /logout, /assets, a trace to who has its key
//                                └─► door ─► pages, /api, /metrics ─► 404

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import Router from '@koa/router'
import Koa from 'koa'
import { type WebSocket, WebSocketServer } from 'ws'
import { asPosternError, type Code, PosternError } from '../../errors.ts'
import { type Endpoint, formatEndpoint } from '../../wire/endpoint.ts'
import { JOIN_PATH, MESSAGE_BYTES } from '../../wire/signal.ts'
import type { Newcomer } from '../signalling/reception.ts'
import type { Access } from './access.ts'
import { Answers } from './answers.ts'
import { type ApiSide, apiRoutes, ownTraceRoutes } from './api.ts'
import { Connections } from './connections.ts'
import { Descriptors, type DescriptorsOptions } from './descriptors.ts'
import { loginPath, loginRoutes, visitOf } from './login.ts'
import { assetRoutes } from './pages/assets.ts'
import { errorPage } from './pages/error.ts'
import { type PageSide, pageRoutes, wantsPage } from './pages/routes.ts'
import type { GatewayStatus } from './status.ts'
import { relative, takesOff } from './under-path.ts'

export interface HttpSide extends ApiSide, Pick<PageSide, 'present' | 'warnings'> {
  readonly access: Access
  readonly metrics: { readonly contentType: string; text(status: GatewayStatus): Promise<string> }
  /** How many peers may be joined at once. */
  readonly peers: number
  /** `listen.url`. */
  readonly urls: readonly string[]
  /** Is told of faults of our own, but not of what is wrong with a request. */
  readonly log: { error(fields: object, text: string): void } & DescriptorsOptions['log']
  /** Serves one WebSocket of a peer. */
  join(ws: WebSocket, newcomer: Newcomer): void
}

export interface HttpListening {
  readonly local: Endpoint
  readonly counters: GatewayStatus['http']
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

/** Listens. Throws `port-in-use` or `io`. */
export async function serveHttp(at: Endpoint, side: HttpSide): Promise<HttpListening> {
  const timeouts = {
    headersTimeout: REQUEST_MS,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: REQUEST_MS / 4
  }
  const server = createServer(timeouts)
  for (const event of ['request', 'upgrade']) server.on(event, takesOff(side.urls))
  const connections = new Connections(side.peers + OTHERS, new Descriptors({ log: side.log }))
  const answers = new Answers(server)
  const serve = application(side, at.address, connections).callback()
  server.on('connection', socket => connections.accept(socket))
  server.on('upgrade', request => connections.asks(request))
  server.on('request', (request, response) => {
    if (answers.isOver(request.socket)) return
    if (answers.begin(request, response, connections.asks(request))) void serve(request, response)
  })
  const sockets = new WebSocketServer({ server, path: JOIN_PATH, ...WEBSOCKETS })
  sockets.on('connection', (ws, request) => side.join(ws, connections.newcomer(request)))
  sockets.on('error', () => {})
  await bind(server, at)
  const { address, port } = server.address() as { address: string; port: number }
  return {
    local: { address, port },
    get counters() {
      return { ...connections.counters, ...answers.counters }
    },
    close: () => close(server, sockets, connections)
  }
}

/** A peer that does not answer the close, or a request that does not end, must not keep the gateway from stopping. */
async function close(server: Server, sockets: WebSocketServer, connections: Connections): Promise<void> {
  for (const ws of sockets.clients) ws.close(1001)
  sockets.close()
  const closed = once(server, 'close')
  server.close()
  const patience = setTimeout(() => connections.closeAll(), 500)
  await closed
  clearTimeout(patience)
}

/** @param listener the address it is bound to. */
function application(side: HttpSide, listener: string, connections: Connections): Koa {
  const open = new Router()
  open.get('/healthz', ctx => {
    const warnings = side.warnings()
    ctx.body = { ok: true, ...(warnings.length > 0 ? { warnings } : {}) }
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
    relative(side.urls),
    answerErrors(side.log),
    guard,
    open.routes(),
    assetRoutes().routes(),
    loginRoutes(side.access, listener).routes(),
    ownTraceRoutes(side).routes(),
    door(side.access, listener, connections),
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
  (access: Access, listener: string, connections: Connections): Koa.Middleware =>
  async (ctx, next) => {
    const admission = access.admit(visitOf(ctx, listener))
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
      const status = (thrown as { status?: number }).status
      const { code, message } = asPosternError(thrown)
      ctx.status = status ?? statusFor[code] ?? 500
      const reason = ctx.status === 500 ? 'a fault in the gateway' : message
      if (ctx.status === 500) log.error({ err: thrown }, reason)
      if (ctx.status === 401) ctx.set('www-authenticate', 'Bearer')
      if (ctx.status === 429) ctx.set('retry-after', '60')
      if (wantsPage(ctx)) ctx.body = errorPage(ctx.status, reason).toString()
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
