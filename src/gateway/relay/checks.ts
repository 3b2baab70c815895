// Latches a side that speaks ICE alone, as a browser does. It has no words for the gateway, but its connectivity checks (RFC 8445
// section 7) say whose they are: by USERNAME, and by a MESSAGE-INTEGRITY whose key the gateway has chosen, or was told. The far side
// knows that key too, so a check does not prove where it is from. Therefore the gateway asks there, as an agent would, and the source
// is latched once it has answered: only who gets what is sent there knows the transaction id.
//
//   check, MAC is right        -> Binding request to its source, by another random transaction id each
//   answer to that, from there -> latched; the check goes on to the far side, as all that follows does
//
// To an address that has not answered go three such requests, and to so many addresses of a side as may be its own: nobody can have
// more sent to somebody else. While a side is heard where it is latched, it is not asked elsewhere: it may have several addresses.

import { randomBytes } from 'node:crypto'
import { type Endpoint, sameEndpoint } from '../../wire/endpoint.ts'
import type { IceCredentials } from '../../wire/order.ts'
import type { SideName } from '../../wire/side.ts'
import { BINDING, type DecodedStun, decode, encode, looksLikeStun, transactionId, usernameOf } from '../../wire/stun.ts'
import type { Exit } from '../udp/listen.ts'
import { endpointOf } from '../udp/strangers.ts'
import type { SpliceTable } from './splice.ts'

/** The credentials of an ICE agent, and of the far one that it believes to be behind the relay. */
export interface Agent {
  readonly local: IceCredentials
  readonly remote: IceCredentials
}

export interface CheckCounters {
  /** Requests that were sent to where a check came from. */
  asked: number
  /** Sources that answered and were latched. */
  latched: number
  /** Checks and answers with a wrong MAC. */
  refused: number
  /** Checks whose source was asked nothing, since it, or too many others, had not answered. */
  limited: number
}

/** Requests to an address that has not answered. A browser repeats its check within 100 ms, which repeats a lost one. */
const REQUESTS = 3

/** Addresses of one side that have not answered: those of its interfaces and NATs. */
const ADDRESSES = 8

/** A side that was heard within this time is where it is latched, in milliseconds: it says something each second. */
const HEARD_MS = 1500

/** No check is as long: USERNAME takes up to 129 bytes, and everything else fewer. */
const CHECK_BYTES = 548

/** RFC 8445 section 5.1.2: of a peer-reflexive candidate, with the least preference of its kind. */
const PRIORITY = 110 * 2 ** 24 + 255

const [REQUEST, SUCCESS, ERROR] = [0x0001, 0x0101, 0x0111]

interface Expected {
  readonly session: string
  readonly side: SideName
  readonly agent: Agent
  /** The USERNAME of its checks. */
  readonly username: string
  /** How many requests went to each address that has not answered. */
  readonly unanswered: Map<string, number>
  /** Transaction ids of these. */
  readonly asked: Set<string>
}

/** A request that is on its way. */
interface Asked {
  readonly expected: Expected
  readonly port: Exit
  readonly source: Endpoint
  /** What it is about. */
  readonly check: Buffer
}

export class Checks {
  readonly counters: CheckCounters = { asked: 0, latched: 0, refused: 0, limited: 0 }
  readonly #splices: SpliceTable
  /** By the USERNAME of their checks. */
  readonly #expected = new Map<string, Expected>()
  readonly #sessions = new Map<string, Partial<Record<SideName, Expected>>>()
  /** By transaction id. */
  readonly #asked = new Map<string, Asked>()

  constructor(splices: SpliceTable) {
    this.#splices = splices
  }

  /** From now on the checks of this agent latch that side, and no others do. */
  expect(session: string, side: SideName, agent: Agent): void {
    const sides = this.#sessions.get(session) ?? {}
    this.#drop(sides[side])
    const username = `${agent.remote.ufrag}:${agent.local.ufrag}`
    const expected = { session, side, agent, username, unanswered: new Map<string, number>(), asked: new Set<string>() }
    this.#expected.set(username, expected)
    this.#sessions.set(session, { ...sides, [side]: expected })
  }

  forget(session: string): void {
    const { caller, callee } = this.#sessions.get(session) ?? {}
    this.#drop(caller)
    this.#drop(callee)
    this.#sessions.delete(session)
  }

  /** Takes what is from no latched source. Returns false if it is no check of an expected side, nor an answer to a request from here. */
  take(port: Exit, source: Endpoint, datagram: Buffer): boolean {
    if (this.#expected.size === 0 || datagram.length > CHECK_BYTES || !looksLikeStun(datagram)) return false
    switch (datagram.readUInt16BE(0)) {
      case REQUEST:
        return this.#check(port, source, datagram)
      case SUCCESS:
      case ERROR:
        return this.#answer(port, source, datagram)
      default:
        return false
    }
  }

  #check(port: Exit, source: Endpoint, datagram: Buffer): boolean {
    const expected = this.#expected.get(usernameOf(datagram) ?? '')
    const message = expected && this.#proved(datagram, expected.agent.remote)
    if (!message) return false
    if (this.#isElsewhere(expected)) return true
    const { unanswered } = expected
    const sent = unanswered.get(source.address) ?? 0
    if (sent >= REQUESTS || (sent === 0 && unanswered.size >= ADDRESSES)) this.counters.limited++
    else {
      unanswered.set(source.address, sent + 1)
      this.#ask({ expected, port, source: endpointOf(source), check: Buffer.from(datagram) }, message)
    }
    return true
  }

  /** A check as the far agent would send it, by the role that it has (RFC 8445 section 7.2.2). */
  #ask(asked: Asked, { controlling }: DecodedStun): void {
    const { expected, port, source } = asked
    const { local, remote } = expected.agent
    const transaction = transactionId()
    const id = transaction.toString('latin1')
    this.#asked.set(id, asked)
    expected.asked.add(id)
    this.counters.asked++
    const tieBreaker = randomBytes(8).readBigUInt64BE()
    const role = controlling === undefined ? { controlling: tieBreaker } : { controlled: tieBreaker }
    const username = `${local.ufrag}:${remote.ufrag}`
    const request = { class: 'request', method: BINDING, transaction, username, priority: PRIORITY, ...role } as const
    port.send(encode(request, { key: local.pwd, fingerprint: true }), source)
  }

  /** An error is as good an answer: of a conflict of roles, say. */
  #answer(port: Exit, source: Endpoint, datagram: Buffer): boolean {
    const asked = this.#asked.get(datagram.toString('latin1', 8, 20))
    if (asked?.port !== port || !sameEndpoint(asked.source, source)) return false
    const { expected, check } = asked
    if (!this.#proved(datagram, expected.agent.local)) return false
    this.#lives(expected, source.address)
    if (this.#isElsewhere(expected)) return true
    if (!this.#splices.latch(expected.session, expected.side, port, source)) return true
    this.counters.latched++
    this.#splices.forward(port, source, check)
    return true
  }

  #proved(datagram: Buffer, { pwd }: IceCredentials): DecodedStun | undefined {
    const message = decode(datagram)
    if (message?.verify(pwd)) return message
    this.counters.refused++
    return undefined
  }

  #isElsewhere({ session, side }: Expected): boolean {
    return (this.#splices.silentMs(session, side) ?? Number.POSITIVE_INFINITY) < HEARD_MS
  }

  /** An address has answered: what is sent there is sent to nobody else. */
  #lives({ unanswered, asked }: Expected, address: string): void {
    unanswered.delete(address)
    for (const id of asked)
      if (this.#asked.get(id)?.source.address === address) {
        this.#asked.delete(id)
        asked.delete(id)
      }
  }

  #drop(expected: Expected | undefined): void {
    if (!expected) return
    for (const id of expected.asked) this.#asked.delete(id)
    if (this.#expected.get(expected.username) === expected) this.#expected.delete(expected.username)
  }
}
