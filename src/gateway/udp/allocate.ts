// Where a browser's ICE socket is seen. A browser sends nothing of ours from there; but with a TURN server among its ICE servers, it
// asks that one for an allocation (RFC 8656) from that very socket, and says who it is when it is asked: by long-term credentials
// (RFC 8489 section 9.2). That shows the mapping, and proves it by a nonce. There is nothing to be allocated here, nor any other TURN.
//
//   without credentials                                -> 401: realm and nonce
//   USERNAME p:PEER:SOCKET, MAC, and a nonce of ours   -> a sample of the mapping; 486, signed: Firefox takes no other for an answer
//   the same with another nonce                        -> a sample that is not proved; 438: realm and another nonce
//
// Until the nonce has come back an answer may be aimed at somebody else: it has at most twice the bytes of its question.

import type { Endpoint } from '../../wire/endpoint.ts'
import { ALLOCATE, type DecodedStun, encode, longTermKey, type StunMessage } from '../../wire/stun.ts'
import type { Counters, Credential, Desk } from './desk.ts'
import type { Port } from './listen.ts'
import type { Nonces } from './nonce.ts'
import { endpointOf } from './strangers.ts'

/** With it, and a nonce of 12 characters, an answer has 52 bytes. The least that a question has is 28 (RFC 8656 section 7.1). */
export const REALM = 'gate'

const MOST_BYTES_FOR_ONE = 2

/** RFC 8489 section 14.8, and RFC 8656 section 19. */
const UNAUTHENTICATED = 401
const STALE_NONCE = 438
const QUOTA_REACHED = 486

interface Options {
  readonly desk: Pick<Desk, 'credentialOf' | 'sample'>
  readonly nonces: Nonces
  readonly counters: Counters
  /** Whether somebody who has not shown who he is may be answered. */
  readonly admitsStranger: (source: Endpoint) => boolean
  /** Whether somebody who says who he is may be heard. */
  readonly admitsClaim: (address: string) => boolean
}

/** A question, and where it came from. */
interface Asked {
  readonly port: Port
  readonly source: Endpoint
  readonly message: DecodedStun
  readonly bytes: number
}

/** Whom a request is from, and the key that signs it. */
interface Known {
  readonly credential: Extract<Credential, { kind: 'sample' }>
  readonly key: Buffer
}

type Said = Pick<StunMessage, 'error' | 'realm' | 'nonce'>

export class Allocations {
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  /** Answers an Allocate request, or does not. Returns whether it came from whom it names. */
  answer(asked: Asked): boolean {
    const { counters, admitsStranger, admitsClaim } = this.#options
    const { source, message } = asked
    if (!message.hasIntegrity) {
      if (!admitsStranger(source)) return false
      if (this.#challenge(asked, UNAUTHENTICATED)) counters.challenged++
      else counters.foreign++
      return false
    }
    if (!admitsClaim(source.address)) counters.limited++
    else return this.#show(asked)
    return false
  }

  #show(asked: Asked): boolean {
    const { desk, nonces, counters, admitsStranger } = this.#options
    const { port, source, message } = asked
    const known = this.#credentialOf(message)
    if (!known) {
      counters.refused++
      // Otherwise the browser asks again for ten seconds.
      if (admitsStranger(source)) this.#challenge(asked, UNAUTHENTICATED)
      return false
    }
    counters.authenticated++
    const from = endpointOf(source)
    const ageMs = nonces.ageMs(from, message.nonce)
    desk.sample(known.credential, port, from, { proved: ageMs !== undefined, rttMs: ageMs })
    if (ageMs !== undefined) this.#refuse(asked, { error: { code: QUOTA_REACHED, reason: '' } }, known.key)
    else {
      counters.unproved++
      this.#challenge(asked, STALE_NONCE)
    }
    return true
  }

  /** The password is the peer's key, as the welcome has it. */
  #credentialOf(message: DecodedStun): Known | undefined {
    const { username = '', realm } = message
    const credential = realm === REALM ? this.#options.desk.credentialOf(username) : undefined
    if (credential?.kind !== 'sample') return undefined
    const key = longTermKey({ username, realm: REALM, password: credential.key.toString('base64') })
    return message.verify(key) ? { credential, key } : undefined
  }

  #challenge(asked: Asked, code: number): boolean {
    const nonce = Buffer.from(this.#options.nonces.issueTimed(endpointOf(asked.source)))
    return this.#refuse(asked, { error: { code, reason: '' }, realm: REALM, nonce })
  }

  /** Returns false where the question is too short for that. */
  #refuse({ port, source, message, bytes }: Asked, said: Said, key?: Buffer): boolean {
    const { transaction } = message
    const answer = encode({ class: 'error', method: ALLOCATE, transaction, ...said }, key ? { key } : {})
    if (answer.length > bytes * MOST_BYTES_FOR_ONE) return false
    port.send(answer, source)
    return true
  }
}
