// One WebSocket of one peer: challenge, hello, welcome, then messages until it closes. What a peer sends is parsed, rate
// limited and handed on; what is wrong is answered with one sentence and a code.

import { randomBytes, X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { WebSocket } from 'ws'
import { nowMs } from '../../clock.ts'
import { asPosternError, PosternError } from '../../errors.ts'
import { fingerprintOf, verifySignature } from '../../wire/certificate.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import { checkName } from '../../wire/name.ts'
import {
  type FromGateway,
  type FromPeer,
  helloProof,
  type Message,
  PROTOCOL,
  parseFromPeer,
  REFRESH_MS
} from '../../wire/signal.ts'
import type { Directory } from '../peers/directory.ts'
import { Full } from '../peers/full.ts'
import { Joined } from '../peers/joined.ts'
import type { Names } from '../peers/names.ts'
import type { Observer } from '../peers/observer.ts'
import { sameToken } from '../peers/tokens.ts'
import type { Refusal, Refusals } from '../recording/refusals.ts'
import type { Sessions } from '../session/sessions.ts'
import type { NatDesk } from '../survey/nat-desk.ts'

export interface Reception {
  readonly directory: Directory
  readonly names: Names
  readonly observer: Observer
  readonly sessions: Sessions
  /** Judges a peer's network. */
  readonly nat: NatDesk
  readonly joinToken: string
  readonly limits: { readonly peers: number; readonly messagesPerSecond: number }
  readonly log: { info(fields: object, message: string): void }
  readonly counters: SignallingCounters
  /** Records what is turned away. */
  readonly refusals: Refusals
  /** Those that have not joined yet, with the address each came from: no more of them than of peers. */
  readonly strangers: Map<WebSocket, string>
  /** How long a hello is waited for, in milliseconds: 10 s unless told. */
  readonly helloMs?: number
}

export interface SignallingCounters {
  joined: number
  refused: number
  malformed: number
  /** Times a peer that said too much was not read from for a while. */
  slowed: number
  /** Refused joins that are in no trace, for there were too many. */
  unrecorded: number
}

/** A stranger that opens a WebSocket and says nothing is shown out. */
const HELLO_MS = 10_000

/** Strangers of one address. A hello is there after a round trip, so many peers behind one NAT fit; a few idlers do not. */
const STRANGERS_PER_ADDRESS = 32

/** Links of one certificate: a handful of commands at once, and the dead links of a peer whose network changed. */
const LINKS_PER_CERTIFICATE = 8

/** A link that did not answer a ping by the next one is dead: a NAT may have forgotten the TCP connection without a word. */
const PING_MS = 20_000

/** Backlog of a peer that reads too slowly, in bytes. */
const BACKLOG_BYTES = 256 * 1024

/** Serves one WebSocket until it closes. Never throws. */
export function receive(ws: WebSocket, request: IncomingMessage, reception: Reception): void {
  const link = new Link(ws)
  const nonce = randomBytes(32).toString('base64')
  const from = addressOf(request)
  const cameMs = nowMs()
  const budget = new Budget(reception.limits.messagesPerSecond)
  let peer: Joined | undefined
  let name: string | undefined
  const handle = (text: string) => {
    const message = parseFromPeer(text)
    if (peer) return serve(peer, message, reception)
    if (message.type !== 'hello') throw new PosternError('bad-message', 'the first message must be a hello')
    name = message.name
    peer = join(message, nonce, link, { reachedAt: request.socket.localAddress ?? '', cameMs, reception })
    met()
  }
  const refuse = (error: PosternError) => {
    clearTimeout(silent)
    if (error.code === 'bad-message') reception.counters.malformed++
    reception.counters.refused++
    reception.log.info({ code: error.code, from, peer: peer?.name }, `refused: ${error.message}`)
    link.refuse(error, peer ? undefined : reception.refusals.join({ from, cameMs, ...(name ? { name } : {}) }, error))
  }
  // Who may have come only to hold a place gets no time to answer the close.
  const turnAway = (error: PosternError) => {
    refuse(error)
    ws.terminate()
  }
  const { helloMs = HELLO_MS, strangers, limits } = reception
  const silent = setTimeout(() => turnAway(new PosternError('timeout', 'no hello came')), helloMs)
  const met = () => {
    clearTimeout(silent)
    strangers.delete(ws)
  }
  ws.on('close', met)
  ws.on('message', (data, binary) => {
    // What still comes after a refusal is not heard: nobody gets a second try on the same link.
    if (ws.readyState !== ws.OPEN) return
    try {
      const restMs = budget.take()
      if (restMs > 0) slowDown(ws, restMs, reception.counters)
      if (binary) throw new PosternError('bad-message', 'a message is binary; expected JSON text')
      handle(String(data))
    } catch (thrown) {
      refuse(asPosternError(thrown))
    }
  })
  // A frame too large or malformed: a close follows, which is where it is dealt with.
  ws.on('error', () => reception.counters.malformed++)
  if (strangers.size >= limits.peers || strangersFrom(from, strangers) >= STRANGERS_PER_ADDRESS)
    return turnAway(new Full('strangers', 'too many others are just joining'))
  strangers.set(ws, from)
  link.send({ type: 'challenge', v: PROTOCOL, nonce })
}

/** Proves who it is and admits it. Throws what it is refused with. */
function join(
  hello: Message<FromPeer, 'hello'>,
  nonce: string,
  link: Link,
  { reachedAt, cameMs, reception }: { reachedAt: string; cameMs: number; reception: Reception }
): Joined {
  const { directory, names, observer, joinToken, limits } = reception
  if (hello.v !== PROTOCOL)
    throw new PosternError(
      'bad-message',
      `this gateway speaks version ${PROTOCOL} of the protocol, the peer version ${hello.v}`
    )
  if (!sameToken(hello.token, joinToken)) throw new PosternError('bad-token', 'the join token is wrong')
  const fingerprint = prove(hello, nonce)
  if (directory.size >= limits.peers) throw new Full('peers', `the gateway is full: ${limits.peers} peers are joined`)
  if (directory.count(fingerprint) >= LINKS_PER_CERTIFICATE)
    throw new Full('links', `this certificate is joined ${LINKS_PER_CERTIFICATE} times already`)
  if (hello.name !== undefined) names.claim(checkName(hello.name), fingerprint)
  const id = randomBytes(6).toString('hex')
  const endpoints = observer.endpoints(hello.reached ?? reachedAt)
  const peer = new Joined(
    {
      id,
      name: hello.name ?? `guest-${id}`,
      named: hello.name !== undefined,
      accepts: hello.accepts && hello.name !== undefined,
      fingerprint,
      key: randomBytes(20),
      cameMs,
      endpoints: endpoints as [Endpoint, ...Endpoint[]]
    },
    { send: message => link.send(message), gone: link.gone }
  )
  observer.admit(id, peer.key)
  peer.gone.addEventListener('abort', () => observer.dismiss(id))
  directory.add(peer)
  reception.counters.joined++
  reception.log.info({ peer: peer.name, id }, 'joined')
  peer.send({
    type: 'welcome',
    peer: id,
    name: peer.name,
    key: peer.key.toString('base64'),
    endpoints,
    refreshMs: REFRESH_MS
  })
  return peer
}

/** A fingerprint is public: only the signature over our nonce shows that the certificate is the peer's own. */
function prove({ certificate, signature }: Message<FromPeer, 'hello'>, nonce: string): string {
  try {
    new X509Certificate(certificate)
  } catch (cause) {
    throw new PosternError('bad-message', 'the certificate cannot be read', { cause })
  }
  if (!verifySignature(certificate, helloProof(nonce), Buffer.from(signature, 'base64')))
    throw new PosternError('fingerprint-mismatch', 'the signature was not made with the key of the certificate')
  return fingerprintOf(certificate)
}

function serve(peer: Joined, message: FromPeer, reception: Reception): void {
  const { sessions, nat } = reception
  switch (message.type) {
    case 'hello':
      throw new PosternError('bad-message', 'a second hello')
    case 'warm':
      return peer.warmed({
        number: message.socket,
        port: message.port,
        addresses: message.addresses,
        rttMs: message.rttMs
      })
    case 'cold':
      return peer.cooled(message.socket, message.reason)
    case 'filtering':
      return peer.filters(message)
    case 'clock':
      return peer.keepsTime(message)
    case 'connect':
      return connect(peer, message, reception)
    case 'fresh':
    case 'progress':
    case 'opened':
    case 'failed':
    case 'leave':
      return sessions.receive(peer, message)
    case 'nat':
      return void nat.answer(peer, message)
    case 'ping':
      return peer.send({ type: 'pong', at: message.at, timeMs: nowMs() })
  }
}

/** A request that cannot even begin is refused by itself; the peer stays joined. */
function connect(
  caller: Joined,
  asked: Message<FromPeer, 'connect'>,
  { sessions, directory, refusals }: Pick<Reception, 'sessions' | 'directory' | 'refusals'>
): void {
  const { request, to, fingerprint, traceparent, atMs } = asked
  try {
    const callee = directory.find(to)
    if (fingerprint !== undefined && fingerprint !== callee.fingerprint)
      throw new PosternError(
        'fingerprint-mismatch',
        `${to} has joined with the certificate ${callee.fingerprint}, not ${fingerprint}`
      )
    sessions.connect({ caller, callee, request, traceparent, atMs })
  } catch (thrown) {
    const { code, message } = asPosternError(thrown)
    caller.send({ type: 'refused', code, reason: message, request, ...refusals.request(caller, asked, thrown) })
  }
}

/** Where a request came from: a reverse proxy on this host is believed, and adds the address it saw at the end. */
function addressOf({ socket, headers }: IncomingMessage): string {
  const remote = socket.remoteAddress ?? ''
  const seen = String(headers['x-forwarded-for'] ?? '')
    .split(',')
    .at(-1)
    ?.trim()
  return seen && /^(::ffff:)?127\.|^::1$/.test(remote) ? seen : remote
}

function strangersFrom(address: string, strangers: Reception['strangers']): number {
  return [...strangers.values()].filter(other => other === address).length
}

/** A peer that says too much is read from later: TCP holds it back, and nothing it said is lost. */
function slowDown(ws: WebSocket, restMs: number, counters: SignallingCounters): void {
  if (ws.isPaused) return
  counters.slowed++
  ws.pause()
  setTimeout(() => ws.resume(), restMs)
}

/** The WebSocket as messages go out on it; `gone` aborts when it closes. */
class Link {
  readonly gone: AbortSignal
  readonly #ws: WebSocket

  constructor(ws: WebSocket) {
    const gone = new AbortController()
    this.gone = gone.signal
    this.#ws = ws
    let alive = true
    const ping = setInterval(() => {
      if (!alive) return ws.terminate()
      alive = false
      ws.ping()
    }, PING_MS)
    ws.on('pong', () => {
      alive = true
    })
    ws.on('close', () => {
      clearInterval(ping)
      gone.abort(new PosternError('peer-offline', 'a peer lost its connection to the gateway'))
    })
  }

  send(message: FromGateway): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    if (this.#ws.bufferedAmount > BACKLOG_BYTES) return this.#ws.terminate()
    this.#ws.send(JSON.stringify(message))
  }

  /** Says why and closes: RFC 6455 section 7.4.1, 1008 for a policy violation. */
  refuse({ code, message }: PosternError, refusal: Refusal | undefined): void {
    this.send({ type: 'refused', code, reason: message.slice(0, 1000), ...refusal })
    this.#ws.close(1008)
  }
}

/** Messages per second, with one second's worth of them saved up at most. */
class Budget {
  readonly #perSecond: number
  #tokens: number
  #atMs = performance.now()

  constructor(perSecond: number) {
    this.#perSecond = perSecond
    this.#tokens = perSecond
  }

  /** Takes one message's worth. Milliseconds until the next may come; 0 while the budget lasts. */
  take(): number {
    const now = performance.now()
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((now - this.#atMs) / 1000) * this.#perSecond)
    this.#atMs = now
    this.#tokens--
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.#perSecond) * 1000
  }
}
