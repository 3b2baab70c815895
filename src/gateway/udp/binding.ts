// What arrives on the gateway's UDP ports, or through another door (doors/doors.ts), one datagram at a time: who is it from, and what
// does it want?
//
//   USERNAME p:PEER:SOCKET   a peer's idle socket shows its mapping           -> a sample
//   USERNAME f:PEER:0        a peer's throwaway socket tests its NAT's filter -> answered from the port it asks for
//   USERNAME s:SESSION:SIDE  a side of a relayed session latches its source   -> the splice
//   from a latched source    anything else                                    -> through the splice
//   Allocate                 a browser's ICE socket shows its mapping         -> allocate.ts
//   any other Binding        any STUN client                                  -> strangers.ts
//
// A request counts only with a valid MESSAGE-INTEGRITY and the nonce that was sent to its source: the MAC proves who
// sends, the nonce proves where from. An answer that carries a nonce instead of the mapping says: not yet, echo this first.
// Every such answer to a Binding request is at most as long as its question; one that is padded, and proves its source, is answered
// at its own length, which shows a peer what passes both ways. Through another door there are no mappings to be seen,
// so a sample shows nothing there but that the door leads here.

import type { Endpoint } from '../../wire/endpoint.ts'
import type { SideName } from '../../wire/side.ts'
import { ALLOCATE, BINDING, type DecodedStun, decode, decodeClassic, encode, looksLikeStun } from '../../wire/stun.ts'
import { Rate } from '../shares/rate.ts'
import { Allocations } from './allocate.ts'
import type { Counters, Credential, Desk } from './desk.ts'
import { changedPort, type Port } from './listen.ts'
import { Nonces } from './nonce.ts'
import { endpointOf, type StrangerLimits, Strangers } from './strangers.ts'

/** What becomes of datagrams that are not for the gateway itself: its relay, as the UDP ports know it. */
export interface Forwarder {
  /** Latches a side to a source that proved itself at a port. Resolves with false if that is not to be. */
  latch(session: string, side: SideName, port: Port, source: Endpoint): Promise<boolean>
  /**
   * Returns false if the source is not latched to this port, nor proves itself here as a side that speaks ICE alone, and leaves the
   * datagram to somebody else then. It is told at once, so a relay that runs elsewhere has to know here which sources it has latched,
   * and which sides it expects.
   */
  forward(port: Port, source: Endpoint, datagram: Buffer): boolean
}

export class Binding {
  readonly counters: Counters = {
    ...{ plain: 0, discovery: 0, unhonoured: 0, discoveryLimited: 0, limited: 0 },
    ...{ authenticated: 0, challenged: 0, unproved: 0, refused: 0, foreign: 0 }
  }
  readonly #desk: Desk
  readonly #forwarder: Forwarder
  readonly #nonces = new Nonces()
  readonly #claims: Rate
  readonly #strangers: Strangers
  readonly #allocations: Allocations

  /** @param limits `perSecond` requests are answered over all ports: of peers for one address, of strangers for one network. */
  constructor(desk: Desk, forwarder: Forwarder, limits: StrangerLimits) {
    this.#desk = desk
    this.#forwarder = forwarder
    this.#claims = new Rate(() => limits.perSecond)
    this.#strangers = new Strangers(desk, this.counters, limits)
    this.#allocations = new Allocations({
      ...{ desk, nonces: this.#nonces, counters: this.counters },
      admitsStranger: source => this.#strangers.admits(source),
      admitsClaim: address => this.#claims.admits(address)
    })
  }

  /**
   * Takes one datagram; never throws, whatever it holds. Returns true if it is from a latched source, or from somebody with a key
   * of ours.
   */
  receive(port: Port, source: Endpoint, datagram: Buffer): boolean {
    const claimed = claimedUsername(datagram)
    if (claimed === undefined && this.#forwarder.forward(port, source, datagram)) return true
    const message = decode(datagram) ?? decodeClassic(datagram)
    const asks = message?.class === 'request' ? message.method : undefined
    if (message && asks === ALLOCATE && port.door === 'udp')
      return this.#allocations.answer({ port, source, message, bytes: datagram.length })
    if (!message || asks !== BINDING) this.counters.foreign++
    else if (claimed === undefined) this.#answerStranger(port, source, message, datagram.length)
    else if (!this.#claims.admits(source.address)) this.counters.limited++
    else return this.#answerClaim(port, source, message, claimed)
    return false
  }

  #answerStranger(port: Port, source: Endpoint, message: DecodedStun, bytes: number): void {
    if (port.door === 'udp') this.#desk.repeats(port, endpointOf(source))
    this.#strangers.answer(port, source, message, bytes)
  }

  /** Returns whether it came from whom it names. */
  #answerClaim(port: Port, source: Endpoint, message: DecodedStun, username: string): boolean {
    const credential = this.#desk.credentialOf(username)
    if (!credential || !message.verify(credential.key)) {
      this.counters.refused++
      return false
    }
    this.counters.authenticated++
    this.#answer(port, source, message, credential)
    return true
  }

  #answer(port: Port, source: Endpoint, message: DecodedStun, credential: Credential): void {
    const from = endpointOf(source)
    const proved = this.#nonces.proves(from, message.nonce, port.door)
    if (credential.kind === 'sample' && port.door === 'udp') this.#desk.sample(credential, port, from, { proved })
    const { paddedTo } = message
    const padding = proved && credential.kind === 'sample' && paddedTo !== undefined ? { paddedTo } : {}
    const answer = (said: { mapped: Endpoint } | { nonce: Buffer }, out: Port | undefined = port) =>
      out?.send(
        encode(
          { class: 'success', method: BINDING, transaction: message.transaction, ...said, ...padding },
          { key: credential.key }
        ),
        source
      )
    if (!proved) {
      this.counters.unproved++
      answer({ nonce: this.#nonces.issue(from, port.door) })
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
