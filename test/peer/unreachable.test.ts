// Whatever stands in a gateway's place is told apart, each in a sentence that says what to do.

import { once } from 'node:events'
import { createServer as createHttp, type RequestListener } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import test from 'ava'
import { WebSocketServer } from 'ws'
import { GatewayLink, type LinkOptions } from '../../src/peer/gateway-link.ts'
import { createCertificate } from '../../src/peer/identity/self-signed.ts'
import { unreachable } from '../../src/peer/unreachable.ts'
import { authority, certified } from './tls.ts'

const identity = { path: '', certificatePem: '', keyPem: '', fingerprint: '', sign: () => Buffer.alloc(0) }

/** What joining is told. */
async function told(gateway: string, options: Partial<LinkOptions> = {}): Promise<string> {
  const joining = GatewayLink.join({ gateway, token: 't', accepts: false, identity, insecure: false, ...options })
  return await joining.then(
    () => 'joined',
    error => `${error.code}: ${error.message}`
  )
}

/** Something else in the place of a gateway; `host` as it stands in URLs. */
async function stranger(server: Server): Promise<{ host: string } & AsyncDisposable> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      await once(server, 'close')
    }
  }
}

/** It takes the request for a WebSocket as any other. */
const web = (listener: RequestListener) => stranger(createHttp({ keepAliveTimeout: 1 }, listener))

const answers = (status: number, body = '', headers = {}) =>
  web((_, response) => response.writeHead(status, { connection: 'close', ...headers }).end(body))

test('a page, or whatever else is no WebSocket, is told with what a proxy needs', async t => {
  for (const status of [200, 400, 405, 426, 501]) {
    await using server = await answers(status, '<h1>Welcome</h1>')
    t.regex(await told(`http://${server.host}/gate`), /makes no WebSocket: the path of its URL is wrong, or/)
    const sentence = await told(`http://${server.host}`)
    t.regex(sentence, /^gateway-unreachable: .*makes no WebSocket.*proxy_set_header for Upgrade/)
    t.true(sentence.endsWith(`(HTTP ${status})`), sentence)
  }
})

test('a gateway behind a proxy that drops Upgrade is known by its answer, also the one of a former release', async t => {
  for (const status of [426, 401]) {
    await using server = await answers(status, JSON.stringify({ code: 'bad-token', reason: 'the token is missing' }))
    t.regex(await told(`http://${server.host}`), /something in between does not let .* WebSocket through .*Upgrade/)
  }
})

test('a redirect is told with where it leads, and what to write', async t => {
  for (const [status, location, expected] of [
    [301, 'https://new.example/gate/join', /write https:\/\/new\.example\/gate in its stead \(HTTP 301\)$/],
    [308, '/gate/join', /write http:\/\/127\.0\.0\.1:\d+\/gate in its stead \(HTTP 308\)$/],
    [302, 'https://sso.example/login?to=x', /leads on to https:\/\/sso\.example\/login, where no peers join/],
    [301, 'http://', /leads on to http:\/\/, where no peers join/],
    [302, 'https://a.example/\u0085\u009b2J', /leads on to https:\/\/a\.example\/[!-~]*,/]
  ] as const) {
    await using server = await answers(status, '', { location })
    t.regex(await told(`http://${server.host}`), expected)
  }
})

test('a login in front, a wrong path and a gateway that is down behind its proxy are told apart', async t => {
  for (const [status, expected] of [
    [401, /asks for a login.*HTTP 401/],
    [407, /asks for a login.*HTTP 407/],
    [403, /lets nobody through.*HTTP 403/],
    [404, /no gateway below http:\/\/127\.0\.0\.1:\d+\/gate; is the path of its URL right\?.*HTTP 404/],
    [502, /proxy in front of it does not reach it; is the gateway running.*HTTP 502/]
  ] as const) {
    await using server = await answers(status, 'no')
    t.regex(await told(`http://${server.host}/gate`), expected)
  }
})

test('an answer without an end keeps nobody waiting', async t => {
  await using endless = await web((_, response) => {
    response.writeHead(404)
    const more = setInterval(() => response.write('x'.repeat(1000)), 1)
    response.on('close', () => clearInterval(more))
  })
  await using silent = await web((_, response) => void response.writeHead(404).flushHeaders())
  for (const { host } of [endless, silent]) t.regex(await told(`http://${host}`, { connectMs: 60_000 }), /HTTP 404/)
})

test('https where there is no TLS, and http where there is, are told with what to write', async t => {
  await using plain = await answers(200)
  t.regex(await told(`https://${plain.host}`), /speaks no TLS; .*or http:\/\/127\.0\.0\.1:\d+ within/)
  await using tls = await stranger(createHttps(certified))
  t.regex(await told(`http://${tls.host}`), /write https:\/\/127\.0\.0\.1:\d+/)
  await using nginx = await answers(400, '<h1>The plain HTTP request was sent to HTTPS port</h1>')
  t.regex(await told(`http://${nginx.host}`), /it speaks TLS there; write https:\/\//)
  await using go = await answers(400, 'Client sent an HTTP request to an HTTPS server.\n')
  t.regex(await told(`http://${go.host}`), /it speaks TLS there; write https:\/\//)
})

test('a private authority is trusted where it is given, and told to be given where it is not', async t => {
  const https = createHttps(certified)
  const sockets = new WebSocketServer({ server: https })
  sockets.on('connection', ws => {
    ws.send('{"type":"refused","code":"bad-token","reason":"reached"}')
    ws.close()
  })
  await using server = await stranger(https)
  t.regex(
    await told(`https://${server.host}`),
    /authority that is not trusted here; .*--ca FILE, or in NODE_EXTRA_CA_CERTS/
  )
  t.is(await told(`https://${server.host}`, { ca: authority }), 'bad-token: reached')
  const { certificatePem: other } = createCertificate()
  t.is(await told(`https://${server.host}`, { ca: `# two\n${other}\n${authority}` }), 'bad-token: reached')
  t.is(
    await told(`https://${server.host}`, { ca: 'none' }),
    'bad-config: ca: it holds no certificate; expected certificates in PEM'
  )
  t.regex(
    await told(`https://${server.host.replace('127.0.0.1', 'localhost')}`, { ca: authority }),
    /its certificate is for 127\.0\.0\.1, and not for localhost; dial it by a name/
  )
})

test('a certificate that has expired is told with what the clock here says', async t => {
  const { certificatePem: cert, keyPem: key } = createCertificate(new Date('1901-01-01'))
  await using server = await stranger(createHttps({ cert, key }))
  const today = new Date().toISOString().slice(0, 10)
  t.regex(await told(`https://${server.host}`, { ca: cert }), new RegExp(`has expired; have it renewed, .*${today}`))
})

const errorOf = (code: string) => Object.assign(new Error(`connect ${code}`), { code })

test('a name that nobody knows, no network, a closed port and silence are told apart', t => {
  const sentence = (code: string) => unreachable('https://a.example:8443/gate', errorOf(code)).message
  t.regex(sentence('ENOTFOUND'), /nobody knows the name a\.example; is it spelled right/)
  t.regex(sentence('EAI_AGAIN'), /no name server says where a\.example is; is this computer online/)
  t.regex(sentence('ENETUNREACH'), /no way leads there; is this computer online/)
  t.regex(sentence('ECONNREFUSED'), /nothing listens at a\.example:8443; is the gateway running/)
  t.regex(sentence('ETIMEDOUT'), /does not answer; .*firewall/)
  t.regex(unreachable('https://a.example', new DOMException('late', 'TimeoutError')).message, /does not answer/)
  t.regex(sentence('E_UNHEARD_OF'), /connect E_UNHEARD_OF \(E_UNHEARD_OF\)/)
})

test('every sentence names the gateway without its login, and its code', t => {
  for (const why of [errorOf('ECONNREFUSED'), undefined, { status: 200, body: '' }]) {
    const error = unreachable('https://a.example', why)
    t.is(error.code, 'gateway-unreachable')
    t.regex(error.message, /^the gateway at https:\/\/a\.example cannot be reached: /)
  }
})

test('through a proxy the sentence says which, and what it does', t => {
  const proxy = { host: 'proxy.example:3128', variable: 'HTTPS_PROXY' }
  const sentence = (why: Error | { status: number; body: string }) =>
    unreachable('https://a.example', why, proxy).message
  t.regex(sentence(errorOf('ECONNREFUSED')), /: the proxy proxy\.example:3128 that HTTPS_PROXY names is not there/)
  t.regex(sentence(errorOf('CERT_HAS_EXPIRED')), /has expired.*; it was dialled through the proxy proxy\.example:3128/)
  t.regex(sentence({ status: 407, body: '' }), /asks for a login; write it as http:\/\/USER:PASSWORD@proxy/)
  t.regex(sentence({ status: 502, body: '' }), /; it was dialled through the proxy/)
})

test.serial('a proxy that is not used is told where a network lets nobody out', t => {
  const before = process.env.ALL_PROXY
  t.teardown(() => {
    delete process.env.ALL_PROXY
    if (before !== undefined) process.env.ALL_PROXY = before
  })
  process.env.ALL_PROXY = 'socks5://proxy.example:1080'
  const sentence = (code: string) => unreachable('https://a.example', errorOf(code)).message
  t.regex(sentence('ETIMEDOUT'), /; ALL_PROXY is set, and postern takes an HTTP proxy of HTTPS_PROXY, for https/)
  t.notRegex(sentence('CERT_HAS_EXPIRED'), /ALL_PROXY/)
})
