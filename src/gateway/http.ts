// The HTTP side: health, the API that reads traces and keeps names, and the WebSocket that peers join by. Handlers throw, one place
// answers.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import Router from '@koa/router'
import Koa from 'koa'
import { type WebSocket, WebSocketServer } from 'ws'
import { asPosternError, type Code, PosternError } from '../errors.ts'
import { type Endpoint, formatEndpoint } from '../wire/endpoint.ts'
import { JOIN_PATH, MESSAGE_BYTES } from '../wire/signal.ts'
import { type ApiSide, apiRoutes } from './api.ts'
import { sameToken } from './tokens.ts'

export interface HttpSide extends ApiSide {
  readonly adminToken: string
  /** How many peers may be joined at once. */
  readonly peers: number
  /** Serves one WebSocket of a peer. */
  join(ws: WebSocket, request: IncomingMessage): void
}

export interface HttpListening {
  readonly local: Endpoint
  close(): Promise<void>
}

/** TCP connections besides those of peers and of as many that are just joining: for health checks and the API. */
const OTHERS = 64

/** For a whole request, in milliseconds: none has a body worth waiting for, and who is silent holds a connection. */
const REQUEST_MS = 10_000

/** Listens. Throws `port-in-use` or `io`. */
export async function serveHttp(at: Endpoint, side: HttpSide): Promise<HttpListening> {
  const timeouts = {
    headersTimeout: REQUEST_MS,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: REQUEST_MS / 4
  }
  const server = createServer(timeouts, application(side).callback())
  server.maxConnections = side.peers * 2 + OTHERS
  const sockets = new WebSocketServer({ server, path: JOIN_PATH, maxPayload: MESSAGE_BYTES, perMessageDeflate: false })
  sockets.on('connection', (ws, request) => side.join(ws, request))
  sockets.on('error', () => {})
  await bind(server, at)
  const { address, port } = server.address() as { address: string; port: number }
  return {
    local: { address, port },
    close: async () => {
      for (const ws of sockets.clients) ws.close(1001)
      sockets.close()
      const closed = once(server, 'close')
      server.close()
      // A peer that does not answer the close, or a request that does not end, must not keep the gateway from stopping.
      const patience = setTimeout(() => {
        for (const ws of sockets.clients) ws.terminate()
        server.closeAllConnections()
      }, 500)
      await closed
      clearTimeout(patience)
    }
  }
}

function application(side: HttpSide): Koa {
  const open = new Router()
  open.get('/', ctx => {
    ctx.body =
      'This is a postern gateway: it brings two peers behind NATs together. Peers join it with the postern command.\n'
  })
  open.get('/healthz', ctx => {
    ctx.body = { ok: true }
  })
  const koa = new Koa()
  for (const middleware of [answerErrors, open.routes(), admitted(side), apiRoutes(side).routes()])
    koa.use(middleware as Koa.Middleware)
  return koa
}

const admitted =
  ({ adminToken }: HttpSide): Koa.Middleware =>
  async (ctx, next) => {
    if (!ctx.path.startsWith('/api/')) return await next()
    const given = /^Bearer (.+)$/.exec(ctx.get('authorization'))?.[1] ?? ''
    if (!sameToken(given, adminToken)) throw new PosternError('bad-token', 'the admin token is missing or wrong')
    await next()
  }

const statusFor: Readonly<Partial<Record<Code, number>>> = { 'bad-config': 400, 'bad-token': 401, 'unknown-peer': 404 }

const answerErrors: Koa.Middleware = async (ctx, next) => {
  try {
    await next()
  } catch (thrown) {
    const status = (thrown as { status?: number }).status
    const { code, message } = asPosternError(thrown)
    ctx.status = status ?? statusFor[code] ?? 500
    if (ctx.status === 401) ctx.set('www-authenticate', 'Bearer')
    ctx.body = {
      code: status === 404 ? 'not-found' : code,
      reason: ctx.status === 500 ? 'a fault in the gateway' : message
    }
  }
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
