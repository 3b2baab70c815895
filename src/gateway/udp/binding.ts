// What arrives on the gateway's UDP ports, one datagram at a time: who is it from, and what does it want?
//
//   USERNAME p:PEER:SOCKET   a peer's idle socket shows its mapping           -> a sample
//   USERNAME f:PEER:0        a peer's throwaway socket tests its NAT's filter -> answered from the port it asks for
//   USERNAME s:SESSION:SIDE  a side of a relayed session latches its source   -> the splice
//   from a latched source    anything else                                    -> through the splice
//   any other Binding        any STUN client                                  -> strangers.ts
//
// A request counts only with a valid MESSAGE-INTEGRITY and the nonce that was sent to its source: the MAC proves who
// sends, the nonce proves where from. An answer that carries a nonce instead of the mapping says: not yet, echo this first.
// Every such answer is at most as long as its question.

import type { RemoteInfo } from 'node:dgram'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { SideName } from '../../wire/side.ts'
import { BINDING, type DecodedStun, decode, decodeClassic, encode, looksLikeStun } from '../../wire/stun.ts'
import { Rate } from '../shares/rate.ts'
import { changedPort, type Port } from './listen.ts'
import { Nonces } from './nonce.ts'
import { endpointOf, type Front, type StrangerCounters, type StrangerLimits, Strangers } from './strangers.ts'

/** Whom a USERNAME names, and the key that its MAC is made with. */
export type Credential =
  | { kind: 'sample'; key: Buffer; peer: string; socket: number }
  | { kind: 'filter'; key: Buffer }
  | { kind: 'latch'; key: Buffer; session: string; side: SideName }

/** The ports are those of the gateway: an answer may have to leave from another one. */
export interface Desk extends Front {
  credentialOf(username: string): Credential | undefined
  /** @param proved whether the nonce came back from there */
  sample(credential: Extract<Credential, { kind: 'sample' }>, port: Port, mapped: Endpoint, proved: boolean): void
}

/** What becomes of datagrams that are not for the gateway itself: its relay, as the UDP ports know it. */
export interface Forwarder {
  /** Latches a side to a source that proved itself at a port. Resolves with false if that is not to be. */
  latch(session: string, side: SideName, port: Port, source: Endpoint): Promise<boolean>
  /**
   * Returns false if the source is not latched to this port, and leaves the datagram to somebody else then. It is told at
   * once, so a relay that runs elsewhere has to know here which sources it has latched.
   */
  forward(port: Port, source: Endpoint, datagram: Buffer): boolean
}

export interface Counters extends StrangerCounters {
  authenticated: number
  unproved: number
  refused: number
  foreign: number
}

export class Binding {
  readonly counters: Counters = {
    ...{ plain: 0, discovery: 0, unhonoured: 0, discoveryLimited: 0, limited: 0 },
    ...{ authenticated: 0, unproved: 0, refused: 0, foreign: 0 }
  }
  readonly #desk: Desk
  readonly #forwarder: Forwarder
  readonly #nonces = new Nonces()
  readonly #claims: Rate
  readonly #strangers: Strangers

  /** @param limits `perSecond` requests are answered over all ports: of peers for one address, of strangers for one network. */
  constructor(desk: Desk, forwarder: Forwarder, limits: StrangerLimits) {
    this.#desk = desk
    this.#forwarder = forwarder
    this.#claims = new Rate(limits.perSecond)
    this.#strangers = new Strangers(desk, this.counters, limits)
  }

  /** Takes one datagram; never throws, whatever it holds. */
  receive(port: Port, source: RemoteInfo, datagram: Buffer): void {
    const claimed = claimedUsername(datagram)
    if (claimed === undefined && this.#forwarder.forward(port, source, datagram)) return
    const message = decode(datagram) ?? decodeClassic(datagram)
    if (message?.class !== 'request' || message.method !== BINDING) return void this.counters.foreign++
    if (claimed === undefined) return this.#strangers.answer(port, source, message, datagram.length)
    if (!this.#claims.admits(source.address)) return void this.counters.limited++
    this.#answerClaim(port, source, message, claimed)
  }

  #answerClaim(port: Port, source: RemoteInfo, message: DecodedStun, username: string): void {
    const credential = this.#desk.credentialOf(username)
    if (!credential || !message.verify(credential.key)) return void this.counters.refused++
    this.counters.authenticated++
    const from = endpointOf(source)
    const proved = this.#nonces.proves(from, message.nonce)
    if (credential.kind === 'sample') this.#desk.sample(credential, port, from, proved)
    const answer = (said: { mapped: Endpoint } | { nonce: Buffer }, out: Port | undefined = port) =>
      out?.send(
        encode(
          { class: 'success', method: BINDING, transaction: message.transaction, ...said },
          { key: credential.key }
        ),
        source
      )
    if (!proved) {
      this.counters.unproved++
      answer({ nonce: this.#nonces.issue(from) })
    } else if (credential.kind === 'latch') {
      const { session, side } = credential
      // A refused latch gets no answer; the deadline of its session says what happened.
      this.#forwarder.latch(session, side, port, from).then(
        latched => latched && answer({ mapped: from }),
        () => {}
      )
    } else
      answer(
        { mapped: from },
        credential.kind === 'filter' ? changedPort(this.#desk.ports(), port, message.change) : port
      )
  }
}

/** The USERNAME of a STUN request meant for the gateway itself, without decoding the rest. */
function claimedUsername(datagram: Buffer): string | undefined {
  if (!looksLikeStun(datagram) || datagram.length < 28) return undefined
  // Peers put USERNAME first: type 6, then its length. Anything else is plain STUN or passes through the splice.
  if (datagram.readUInt16BE(0) !== 0x0001 || datagram.readUInt16BE(20) !== 0x0006) return undefined
  const length = datagram.readUInt16BE(22)
  if (datagram[25] !== 0x3a || length > 64 || 24 + length > datagram.length) return undefined
  const kind = datagram[24]
  // p: f: s: and nothing else; an ICE username fragment has at least four characters before its colon (RFC 8445 5.3).
  return kind === 0x70 || kind === 0x66 || kind === 0x73 ? datagram.toString('latin1', 24, 24 + length) : undefined
}
