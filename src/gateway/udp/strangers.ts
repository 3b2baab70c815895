// What the gateway answers to any STUN client, without a key: its mapping (RFC 8489), and, where the gateway has two addresses
// with two ports each, what it takes to find out what a NAT does: RFC 5780, and RFC 3489 before it.
//
//   what must be understood and is not                        -> 420, with all the types
//   discovery is to be had, and its budget is not used up     -> mapping, this endpoint and the other one; from the port that
//                                                                CHANGE-REQUEST asks for
//   CHANGE-REQUEST otherwise                                  -> 420: no answer from another port would say "a filter"
//   anything else                                             -> the mapping alone, 32 bytes
//
// Nobody has proved an address here, so all of this may be aimed at somebody else. For one datagram there is one, of at most three
// times its bytes, and only so many a second for one network (rate.ts). RESPONSE-ADDRESS and RESPONSE-PORT, which would name another
// target, are understood by nobody here.

import { type Endpoint, isPrivate } from '../../wire/endpoint.ts'
import { BINDING, type DecodedStun, encode, isClassic, type StunMessage } from '../../wire/stun.ts'
import { networkOf } from '../shares/network.ts'
import { Rate } from '../shares/rate.ts'
import { changedPort, type Port } from './listen.ts'

export interface StrangerCounters {
  /** Answers with the mapping alone. */
  plain: number
  /** Answers that also say where the gateway has other ports, or leave from there. */
  discovery: number
  /** Errors 420. */
  unhonoured: number
  /** Answers without discovery, plain or 420, since the budget of the source's network was used up. */
  discoveryLimited: number
  /** Requests that were not answered. */
  limited: number
}

/** The gateway as strangers see it. */
export interface Front {
  readonly ports: () => readonly Port[]
  /** Where a port is reached: at the address that is configured for peers, where there is one. */
  readonly publicOf: (port: Port) => Endpoint
}

export interface StrangerLimits {
  /** Requests answered for one network. */
  readonly perSecond: number
  /** Whether discovery is offered at all. */
  readonly discovery: boolean
}

/** Discovery answers a second for one network. A client takes about ten for a verdict. */
const DISCOVERY_PER_SECOND = 50

/** An answer has at most so many bytes for each of its question. */
const MOST_BYTES_FOR_ONE = 3

const CHANGE_REQUEST = 0x0003

export class Strangers {
  readonly #front: Front
  readonly #counters: StrangerCounters
  readonly #requests: Rate
  readonly #discoveries: Rate
  /** Read whenever they are needed, since a reload may change them. */
  readonly #limits: StrangerLimits

  constructor(front: Front, counters: StrangerCounters, limits: StrangerLimits) {
    this.#front = front
    this.#counters = counters
    this.#requests = new Rate(() => limits.perSecond)
    this.#discoveries = new Rate(DISCOVERY_PER_SECOND)
    this.#limits = limits
  }

  /** Whether a stranger may be answered: its network has a budget, for all kinds of questions together. Who may not is counted. */
  admits({ address }: Endpoint): boolean {
    const admitted = this.#requests.admits(networkOf(address))
    if (!admitted) this.#counters.limited++
    return admitted
  }

  /** Answers a Binding request, or does not. `bytes` is the request's length. */
  answer(port: Port, source: Endpoint, question: DecodedStun, bytes: number): void {
    if (!this.admits(source)) return
    const network = networkOf(source.address)
    const { unknown = [], change } = question
    if (unknown.length > 0) return this.#refuse(port, source, question, unknown)
    const around = this.#limits.discovery && port.door === 'udp' ? this.#around(port, source, change) : undefined
    if (around && this.#discoveries.admits(network)) return this.#discover(around, source, question, bytes)
    if (around) this.#counters.discoveryLimited++
    // A classic client sends a CHANGE-REQUEST that asks for nothing with each request.
    const nothing = change === undefined || (isClassic(question) && !change.address && !change.port)
    if (!nothing) return this.#refuse(port, source, question, [CHANGE_REQUEST])
    this.#counters.plain++
    port.send(encode({ ...answerTo(question), mapped: endpointOf(source) }), source)
  }

  /** RFC 8489 section 6.3.1.1. */
  #refuse(port: Port, source: Endpoint, question: DecodedStun, unknown: number[]): void {
    this.#counters.unhonoured++
    port.send(encode({ ...answerTo(question), class: 'error', error: { code: 420, reason: '' }, unknown }), source)
  }

  /** RFC 5780 section 6.1; both mappings, as it wants them, where they fit. */
  #discover({ from, origin, other }: Around, source: Endpoint, question: DecodedStun, bytes: number): void {
    this.#counters.discovery++
    const plain = { ...answerTo(question), mapped: endpointOf(source) }
    const answer = { ...plain, origin, other }
    const fitting = (message: StunMessage) => {
      const encoded = encode(message)
      return encoded.length <= bytes * MOST_BYTES_FOR_ONE ? encoded : undefined
    }
    from.send(fitting({ ...answer, mappedTwice: true }) ?? fitting(answer) ?? encode(plain), source)
  }

  /**
   * Where an answer leaves from, and the endpoint across from the one that was asked (RFC 5780 section 6.1, table 1); undefined
   * where the gateway does not have two addresses with the same two ports, or does not know them as this source does: a private
   * address that is bound says nothing to somebody out there.
   */
  #around(port: Port, source: Endpoint, change: DecodedStun['change']): Around | undefined {
    const ports = this.#front.ports()
    const from = changedPort(ports, port, change)
    const across = changedPort(ports, port, { address: true, port: true })
    if (!from || !across || !haveSamePorts(ports)) return undefined
    const [here, origin, other] = [port, from, across].map(this.#front.publicOf) as [Endpoint, Endpoint, Endpoint]
    const isKnown = ({ address }: Endpoint) => !isPrivate(address) || isPrivate(source.address)
    return here.address !== other.address && isKnown(here) && isKnown(other) ? { from, origin, other } : undefined
  }
}

interface Around {
  readonly from: Port
  readonly origin: Endpoint
  readonly other: Endpoint
}

/** Without that there must be no discovery (RFC 5780 section 6). Ports that the system chose differ. */
const haveSamePorts = (ports: readonly Port[]): boolean =>
  ports.every(({ local, column }) => ports.every(other => other.column !== column || other.local.port === local.port))

const answerTo = ({ transaction }: DecodedStun): Pick<StunMessage, 'class' | 'method' | 'transaction'> => ({
  class: 'success',
  method: BINDING,
  transaction
})

export const endpointOf = ({ address, port }: Endpoint): Endpoint => ({ address, port })
