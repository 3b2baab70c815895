// Serves what a joined peer asks for, one message at a time.

import { nowMs } from '../../clock.ts'
import { asPosternError, PosternError } from '../../errors.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import type { Joined } from '../peers/joined.ts'
import { calleeOf } from '../rooms/reach.ts'

import type { Reception } from './reception.ts'
import { serveGuest, serveMaker } from './rooms-desk.ts'

/** Throws `bad-message` for a message that has no place here. */
export function serve(peer: Joined, message: FromPeer, reception: Reception): void {
  const { sessions, sources, twins, nat, forwards } = reception.desk
  if (peer.room && serveGuest(peer, peer.room, message)) return
  switch (message.type) {
    case 'hello':
      throw new PosternError('bad-message', 'a second hello')
    case 'warm': {
      const { socket: number, port, addresses, rttMs, ice, hosts } = message
      void sources.look(peer, { number, addresses })
      twins.shown(peer, addresses)
      return peer.warmed({ number, port, addresses, rttMs, ...(ice ? { ice } : {}), ...(hosts ? { hosts } : {}) })
    }
    case 'cold':
      return peer.cooled(message.socket, message.reason, message)
    case 'filtering':
      return peer.filters(message)
    case 'clock':
      return peer.keepsTime(message)
    case 'claim':
      return void forwards.claim(peer, message).catch(() => {})
    case 'proof':
      return forwards.proof(peer, message)
    case 'router':
      return peer.asksRouter(message)
    case 'unclaim':
      return peer.unclaims(message.port)
    case 'connect':
      connect(peer, message, reception).catch(() =>
        peer.send({
          type: 'refused',
          code: 'internal',
          reason: 'the request was not understood',
          request: message.request
        })
      )
      return
    case 'fresh':
    case 'beacon':
    case 'progress':
    case 'opened':
    case 'failed':
    case 'leave':
      return sessions.receive(peer.id, message)
    case 'news':
      return sessions.news(peer, message)
    case 'nat':
      return void nat.answer(peer, message)
    case 'room':
    case 'close-room':
      return void serveMaker(peer, message, reception.desk)
    case 'admit':
    case 'turn-away':
      throw new PosternError('bad-message', 'only guests of a room say who is let in')
    case 'ping':
      return peer.send({ type: 'pong', at: message.at, timeMs: nowMs() })
  }
}

/** If a request cannot even begin, only the request is refused; the peer stays joined. */
async function connect(caller: Joined, asked: Message<FromPeer, 'connect'>, reception: Reception): Promise<void> {
  const { request, to, fingerprint, traceparent, atMs, continues } = asked
  const { sessions, members } = reception.desk
  try {
    const callee = await calleeOf(caller, asked, members)
    if (fingerprint !== undefined && fingerprint !== callee.fingerprint)
      throw new PosternError(
        'fingerprint-mismatch',
        `${to} has joined with the certificate ${callee.fingerprint}, not ${fingerprint}`
      )
    if (caller.gone.aborted) return
    // A relayed connection may still find a direct path, on which it outlives this gateway.
    if (continues?.only !== 'direct') reception.drain.check()
    sessions.connect({ caller, callee, request, traceparent, atMs, continues })
  } catch (thrown) {
    refuse(caller, asked, thrown, reception)
  }
}

/** A request that was to continue a connection is only counted: its connection has a record, and it may be made often. */
function refuse(
  caller: Joined,
  asked: Message<FromPeer, 'connect'>,
  thrown: unknown,
  { desk: { sessions }, refusals }: Reception
): void {
  const { request, continues } = asked
  const { code, message, retryMs } = asPosternError(thrown)
  if (continues) sessions.counters.again.refused++
  const { refusal, key } = (continues ? undefined : refusals.request(caller, asked, thrown)) ?? {}
  if (refusal && key) caller.send({ type: 'trace', request, trace: refusal.trace, key })
  const again = retryMs === undefined ? {} : { retryMs }
  caller.send({ type: 'refused', code, reason: message, request, ...again, ...refusal })
}
