// One WebSocket of one peer: challenge, hello, welcome, then messages until it closes. What a peer sends is parsed, rate
// limited and handed on; what is wrong is answered with one sentence and a code.

import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { WebSocket } from 'ws'
import { nowMs } from '../../clock.ts'
import { asPosternError, PosternError } from '../../errors.ts'
import { type FromPeer, type Message, PROTOCOL, parseFromPeer } from '../../wire/signal.ts'
import { Full } from '../peers/full.ts'
import type { Joined } from '../peers/joined.ts'
import { join } from './join.ts'
import { Link } from './link.ts'
import type { Reception, SignallingCounters } from './reception.ts'

/** A stranger that opens a WebSocket and says nothing is shown out. */
const HELLO_MS = 10_000

/** Strangers of one address. A hello is there after a round trip, so many peers behind one NAT fit; a few idlers do not. */
const STRANGERS_PER_ADDRESS = 32

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
