// Runs of the test of a network. A visitor is no peer: it is in no directory, so that nobody finds it and it finds nobody; no session and no
// place at the relay can be had by its key. By that its sockets show their mappings at the gateway's endpoints, as those of a page that is a
// peer do, and where UDP is blocked its ICE agent finds the relay's TCP door by it.
//
//   visitor ─► room, and its network's turn ─► begin ─► shown ─► judged ─► done, closed
//          └─► refused, closed            └───────┴────────┴─► 15 s are over, or anything else was said: refused, closed

import type { WebSocket } from 'ws'
import type { Endpoint } from '../../wire/endpoint.ts'
import { BINDING, decode, encode, looksLikeStun, usernameOf } from '../../wire/stun.ts'
import { type Full, later } from '../peers/full.ts'
import { networkOf } from '../shares/network.ts'
import { Rate } from '../shares/rate.ts'
import { Shares } from '../shares/shares.ts'
import type { Newcomer } from '../signalling/reception.ts'
import type { Port } from '../udp/listen.ts'
import { endpointOf } from '../udp/strangers.ts'
import { noVisits, type VisitsCounters } from './counters.ts'
import { Results } from './results.ts'
import { refusal, send, Visit, type VisitOptions } from './visit.ts'

/** Runs of one network within a minute, and of all at once. */
const PER_MINUTE = 3
const AT_ONCE = 20

const MINUTE_MS = 60_000

/** No check of an agent is longer: USERNAME takes up to 129 bytes, and everything else fewer. */
const CHECK_BYTES = 548

/** RFC 6455 section 7.4.1, and the registry of its codes: to be tried again later. */
const LATER = 1013

export interface VisitsOptions extends VisitOptions {
  readonly results?: Results
}

export class Visits {
  readonly results: Results
  readonly counters: VisitsCounters = noVisits()
  readonly #options: VisitsOptions
  readonly #rate = new Rate(PER_MINUTE, MINUTE_MS)
  readonly #seats = new Shares({ capacity: AT_ONCE })
  /** By the user name fragment of the agent that seems to be behind the door. */
  readonly #visits = new Map<string, Visit>()

  constructor(options: VisitsOptions) {
    this.#options = options
    this.results = options.results ?? new Results()
  }

  /** Runs under way. */
  get size(): number {
    return this.#visits.size
  }

  /** Serves one visitor until its WebSocket closes. Never throws. */
  receive(ws: WebSocket, newcomer: Newcomer): void {
    // A frame was too large or malformed. A close follows.
    ws.on('error', () => this.counters.malformed++)
    const holder = { network: networkOf(newcomer.from) }
    const refused = this.#refusal(holder.network) ?? (this.#seats.take(holder) ? undefined : this.#noSeat())
    if (refused) {
      send(ws, refusal(refused))
      return ws.close(LATER)
    }
    const visit = new Visit(ws, newcomer, { options: this.#options, results: this.results, counters: this.counters })
    this.#visits.set(visit.door.ufrag, visit)
    ws.on('close', () => {
      this.#visits.delete(visit.door.ufrag)
      this.#seats.giveBack(holder)
      visit.over()
    })
    visit.begin()
  }

  /**
   * Takes a connectivity check that came through a TCP door (RFC 8445 section 7.3), and answers it, if it is from the agent of a visitor.
   * Nothing else is taken, and nothing goes on to anybody.
   */
  takes(port: Port, source: Endpoint, datagram: Buffer): boolean {
    if (this.#visits.size === 0 || port.door !== 'tcp') return false
    if (datagram.length > CHECK_BYTES || !looksLikeStun(datagram)) return false
    const [ufrag = ''] = usernameOf(datagram)?.split(':') ?? []
    const visit = this.#visits.get(ufrag)
    const message = decode(datagram)
    if (!visit || message?.class !== 'request' || message.method !== BINDING) return false
    const { pwd } = visit.door
    if (!message.verify(pwd)) return false
    visit.foundDoor()
    const { transaction } = message
    const answer = { class: 'success', method: BINDING, transaction, mapped: endpointOf(source) } as const
    port.send(encode(answer, { key: pwd, fingerprint: true }), source)
    return true
  }

  #refusal(network: string): Full | undefined {
    if (!this.#rate.admits(network)) {
      this.counters.limited++
      return later('tests', `this network has had its ${PER_MINUTE} tests of this minute`, this.#rate.waitMs(network))
    }
    const { judging } = this.#options
    if (judging.hasRoom({ network, certificate: '' })) return undefined
    this.counters.busy++
    return later('judging', 'the gateway judges many networks now', judging.retryMs())
  }

  #noSeat(): Full {
    this.counters.full++
    return later('tests', 'many others test their networks now', this.#seats.retryMs())
  }
}
