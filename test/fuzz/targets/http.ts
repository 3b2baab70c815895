// Requests over plain TCP to a real gateway on loopback, with its admin token and without: each is answered or its connection closed
// within a second, never with a fault of the gateway's own, and no page has what nobody has escaped.

import { ok } from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { failed, relayed } from '../../cli/text/traces-made.ts'
import { relayedRecord } from '../../gateway/http/pages/records.ts'
import { World } from '../../world.ts'
import { mutatedText } from '../mutate.ts'
import type { Odd } from '../odd.ts'
import type { Random } from '../random.ts'
import type { Subject, Target } from '../target.ts'

/** In the texts of strangers that stand in traces, as in odd texts: a page that has it unescaped lets them write the page. */
const unescaped = /q7[<>"'`]x7/
const hostile = `q7<x7>q7"x7q7'x7`

const records = [
  failed,
  { ...relayed, caller: hostile, reason: hostile, verdict: { ...relayed.verdict, sentence: hostile, advice: hostile } },
  relayedRecord({ caller: hostile, callee: hostile })
]

type Header = readonly [name: string, value: string]

interface Request {
  readonly method: string
  readonly path: string
  readonly headers: readonly Header[]
  readonly body: string
}

const get = (path: string): Request => ({ method: 'GET', path, headers: [], body: '' })
const form: Header = ['content-type', 'application/x-www-form-urlencoded']

const routes: readonly Request[] = [
  ...['/', '/healthz', '/metrics', '/api/status', '/api/names', '/login', '/login?to=%2Ftraces', '/login?link=x'].map(
    get
  ),
  ...['/traces', '/traces?outcome=failed&peer=ann&verdict=one-way&since=1h', '/traces?before=1795437627000'].map(get),
  ...['/api/traces?failed&relayed&direct&limit=5', '/api/traces?since=2026-01-31T12:00:00Z'].map(get),
  ...records.flatMap(({ id }) => [`/traces/${id}`, `/api/traces/${id}?download`]).map(get),
  { method: 'POST', path: '/login', headers: [form], body: 'token={TOKEN}&to=%2Ftraces' },
  { method: 'POST', path: '/login', headers: [form], body: 'link=x&to=%2F' },
  { method: 'POST', path: '/logout', headers: [], body: '' },
  { method: 'DELETE', path: '/api/names/ann', headers: [], body: '' },
  {
    ...get('/join'),
    headers: [
      ['upgrade', 'websocket'],
      ['connection', 'upgrade'],
      ['sec-websocket-version', '13'],
      ['sec-websocket-key', 'AAAAAAAAAAAAAAAAAAAAAA==']
    ]
  }
]

const authorised: Header = ['authorization', 'Bearer {TOKEN}']

const headers: readonly Header[] = [
  ['accept', 'text/html'],
  ['accept', 'application/json'],
  authorised,
  ['authorization', 'Bearer wrong'],
  ['cookie', 'postern-{PORT}=x'],
  ['origin', 'http://evil.example'],
  ['sec-fetch-site', 'same-origin'],
  ['x-forwarded-for', '203.0.113.7'],
  ['x-forwarded-for', 'unknown, [2001:db8::7]:4711'],
  ['forwarded', 'for=_hidden, for="[2001:db8::7]:4711";proto=https'],
  ['x-forwarded-proto', 'https'],
  ['expect', '100-continue'],
  ['transfer-encoding', 'chunked'],
  ['content-length', '5'],
  ['connection', 'keep-alive'],
  ['range', 'bytes=0-1'],
  ['if-none-match', '*']
]

class Door implements Subject<string> {
  readonly #world: World
  readonly #odd: Odd

  constructor(world: World, odd: Odd) {
    this.#world = world
    this.#odd = odd
  }

  input(random: Random): string {
    const route = random.pick(routes) as Request
    const added = Array.from({ length: random.below(4) }, () => this.#header(random))
    const { method, path, body, headers } = random.chance(0.7) ? this.#changed(random, route) : route
    const length: Header[] = body === '' ? [] : [['content-length', String(Buffer.byteLength(body))]]
    const head: Header[] = [['host', 'localhost'], ...(random.chance(0.6) ? [authorised] : [])]
    const lines = [...head, ...headers, ...added, ...length].map(([name, value]) => `${name}: ${value}`)
    const text = `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`
    return random.chance(0.15) ? mutatedText(random, text, this.#odd) : text
  }

  #header(random: Random): Header {
    const [name, value] = random.pick(headers) as Header
    return [name, random.chance(0.4) ? legal(this.#odd.text(random)) : value]
  }

  #changed(random: Random, route: Request): Request {
    const odd = () => encodeURIComponent(this.#odd.text(random).toWellFormed())
    switch (random.below(5)) {
      case 0:
        return { ...route, path: `${route.path}${route.path.includes('?') ? '&' : '?'}${odd()}=${odd()}` }
      case 1:
        return { ...route, path: route.path.replace(/=[^&]*/, () => `=${odd()}`) }
      case 2:
        return { ...route, path: `${route.path.replace(/[^/]*$/, '')}${odd()}` }
      case 3:
        return { ...route, method: random.pick(['HEAD', 'PUT', 'OPTIONS', 'POST', 'DELETE', 'PATCH', 'TRACE', 'GET']) }
      default:
        return {
          ...route,
          body: mutatedText(random, route.body, this.#odd),
          path: mutatedText(random, route.path, this.#odd)
        }
    }
  }

  async check(request: string): Promise<void> {
    const { adminToken, http } = this.#world.gateway
    const said = request.replaceAll('{TOKEN}', adminToken).replaceAll('{PORT}', String(http.port))
    const answer = await ask(http.port, said)
    for (const [, status] of answer.matchAll(/^HTTP\/1\.1 (\d{3})/gm)) ok(status !== '500', 'a fault in the gateway')
    const end = answer.indexOf('\r\n\r\n')
    const head = answer.slice(0, Math.max(0, end))
    for (const line of head.split('\r\n').slice(1))
      ok(/^[\w-]+: [\t\x20-\x7e]*$/.test(line), `a header is none: ${line}`)
    if (/^content-type: text\/html/im.test(head))
      ok(!unescaped.test(answer.slice(end)), 'a page has what nobody has escaped')
  }

  async close(): Promise<void> {
    await this.#world[Symbol.asyncDispose]()
  }
}

/** In characters that a header may have. */
const legal = (text: string): string => text.replace(/[^\t\x20-\x7e]/g, '?')

/** Nothing more of an answer comes for so long: what was said is no whole request. Then its end is said as well. */
const QUIET_MS = 20
const WITHIN_MS = 1000

/** What is answered, up to the end of the first answer, or the close. */
async function ask(port: number, request: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  socket.setNoDelay(true)
  await once(socket, 'connect')
  const chunks: Buffer[] = []
  const over = Promise.withResolvers<void>()
  socket.on('close', () => over.resolve())
  socket.on('end', () => over.resolve())
  socket.on('data', chunk => {
    chunks.push(chunk)
    if (isWhole(Buffer.concat(chunks).toString('latin1'), request.startsWith('HEAD'))) over.resolve()
  })
  socket.write(request)
  const quiet = setTimeout(() => socket.end(), QUIET_MS)
  const late = setTimeout(() => over.reject(new Error('neither answered nor closed within a second')), WITHIN_MS)
  try {
    await over.promise
    return Buffer.concat(chunks).toString('latin1')
  } finally {
    clearTimeout(quiet)
    clearTimeout(late)
    leave(socket)
  }
}

/** At once, so that no port waits for packets that may still come. Where the gateway has closed it, Node would not let it go. */
function leave(socket: Socket): void {
  if (socket.readyState === 'open') socket.resetAndDestroy()
  else socket.destroy()
}

/** RFC 9112 section 6.3. */
function isWhole(answer: string, isHead: boolean): boolean {
  const end = answer.indexOf('\r\n\r\n')
  if (end < 0) return false
  const head = answer.slice(0, end)
  const status = Number(head.slice(9, 12))
  if (status === 100) return isWhole(answer.slice(end + 4), isHead)
  if (isHead || status < 200 || status === 204 || status === 304) return true
  const length = /^content-length: (\d+)$/im.exec(head)?.[1]
  if (length !== undefined) return answer.length >= end + 4 + Number(length)
  return /^transfer-encoding: chunked$/im.test(head) && answer.endsWith('0\r\n\r\n')
}

export const http: Target = {
  name: 'http',
  about: 'requests with the token and without: answered within a second, never with a 500, pages escaped',
  async open(odd) {
    const files = { 'traces.jsonl': `${records.map(record => JSON.stringify(record)).join('\n')}\n` }
    return new Door(
      await World.open({ trustProxy: ['127.0.0.1'], files, more: 'traces: { memory: 1 MiB, file: ./traces.jsonl }' }),
      odd
    )
  }
}
