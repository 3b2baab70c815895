// The connect requests under way and the relayed connections. Their number is bounded in all, per network, per peer and per
// pair of peers (seats.ts).

import type { SideName } from '../../wire/side.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import { Full, later } from '../peers/full.ts'
import type { Member } from '../peers/member.ts'
import type { SpliceCounters } from '../relay/counters.ts'
import type { RelayListener } from '../relay/relay.ts'
import type { LatchedAt } from '../relay/splice.ts'
import { Again, type AgainCounters, type Searched } from './again/again.ts'
import type { House } from './house.ts'
import { TellsPassing } from './relayed/passing.ts'
import type { Relayed } from './relayed/relayed.ts'
import { type Seat, type SeatLimits, Seats } from './seats.ts'
import { type Connect, type Ended, Session } from './session.ts'

export interface SessionCounters {
  started: number
  failed: number
  /** Requests that found no seat. */
  refused: number
  /** How often a side of a relayed session was told what passes now. */
  limits: number
  /** Paths by the strategy that won. */
  readonly won: Record<string, number>
  /** Searches for another path of a connection that stands. None of the others counts them. */
  readonly again: AgainCounters
}

export interface SessionLimits extends SeatLimits {
  /** Peers joined at once. */
  readonly peers: number
}

/** Connections that are remembered, for each peer that may be joined. */
const CONNECTIONS = 4

export class Sessions implements RelayListener {
  readonly counters: SessionCounters
  /** Dispatches `end` when one is forgotten. */
  readonly ends = new EventTarget()
  readonly #all = new Map<string, { readonly session: Session; readonly seat: Seat }>()
  readonly #house: House
  readonly #seats: Seats
  readonly #again: Again
  readonly #passing: TellsPassing
  /** Those that look for a path. */
  readonly #running = new Set<Promise<unknown>>()

  /** @param searched is told of each search for another path of a connection that stands, when it is over */
  constructor(house: House, limits: SessionLimits, searched: (searched: Searched) => void = () => {}) {
    this.#house = house
    this.#seats = new Seats(limits)
    this.#again = new Again(house, CONNECTIONS * limits.peers, searched)
    const sessions = () => this.relayed.flatMap(({ session }) => (session.isDecided ? [session] : []))
    this.#passing = new TellsPassing(house, sessions, () => this.counters.limits++)
    this.counters = { started: 0, failed: 0, refused: 0, won: {}, again: this.#again.counters, limits: 0 }
    house.relay.listener = this
  }

  get size(): number {
    return this.#all.size
  }

  /** The relayed connections, the oldest first. */
  get relayed(): { readonly session: Session; readonly path: Relayed }[] {
    return [...this.#all.values()].flatMap(({ session }) =>
      session.relayed ? [{ session, path: session.relayed }] : []
    )
  }

  get(id: string): Session | undefined {
    return this.#all.get(id)?.session
  }

  /** Whether a side of a session has this id, and another certificate. */
  isOfAnother(id: string, fingerprint: string): boolean {
    return [...this.#all.values()].some(({ session }) => {
      const side = session.sideOf(id)
      return side !== undefined && session[side].fingerprint !== fingerprint
    })
  }

  /**
   * Opens a session and runs it. Throws `self-connect`, or `relay-full` when the table, or a share of it, is full; where it is to
   * continue a connection also `no-path` or `io` (again.ts).
   */
  connect(request: Connect): void {
    const { continues } = request
    if (continues) this.#again.admit(request, continues)
    const seat = this.#seatFor(request)
    const session = new Session(this.#house, request, continues && this.#again.trailOf(request, continues))
    this.#all.set(session.id, { session, seat })
    if (continues) this.#again.begun(session, continues)
    else this.counters.started++
    const begunMs = performance.now()
    const running = session.run().then(ended => this.#ended(session, ended, performance.now() - begunMs))
    this.#running.add(running)
    void running.finally(() => this.#running.delete(running))
  }

  /** Resolves when all are decided that look for a path now. */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
  }

  /**
   * Takes what a peer says of a session it takes part in; what it says of any other session is ignored.
   * @param peer its id
   */
  receive(
    peer: string,
    message: Message<FromPeer, 'fresh' | 'beacon' | 'progress' | 'opened' | 'failed' | 'leave'>
  ): void {
    const session = this.get(message.session)
    const side = session?.sideOf(peer)
    if (!session || !side) return
    if (message.type !== 'leave') return session.receive(side, message)
    session.leave(side, message.code, message.reason)
    if (session.isDecided) this.drop(session.id)
  }

  /** Takes what a peer tells of the path of a connection that stands. */
  news(peer: Member, news: Message<FromPeer, 'news'>): void {
    this.#again.news(peer, news)
  }

  /** A side of a relayed connection comes from another source now. */
  relatched(id: string, side: SideName, source: LatchedAt): void {
    this.get(id)?.changed({ kind: 'relatched', side, source })
  }

  /** What passes of relayed connections may have changed. */
  shared(): void {
    this.#passing.changed()
  }

  /** Nothing came over a relayed connection for long, and the relay has forgotten it. */
  idle(id: string, counters: SpliceCounters): void {
    this.get(id)?.changed({ kind: 'idle', counters })
    this.#forget(id)
  }

  /** Forgets a session and its relay. */
  drop(id: string): void {
    const session = this.get(id)
    this.#forget(id)
    this.#house.relay.disarm(id).then(
      counters => counters && session?.ended(counters),
      () => {} // A relay that cannot be asked any more relays nothing.
    )
  }

  /** A direct path needs the gateway no more. A relayed one stays until a side leaves, or nothing has come through for long. */
  #ended(session: Session, ended: Ended, ms: number): void {
    if (!session.continues) this.#count(ended)
    this.#again.over(session, ended, ms)
    this.#all.get(session.id)?.seat.decided()
    if (ended.kind !== 'relay' || session.isLeft) this.drop(session.id)
    else this.#passing.changed()
  }

  #count(ended: Ended): void {
    if (ended.kind === 'failed') this.counters.failed++
    else this.counters.won[ended.by] = (this.counters.won[ended.by] ?? 0) + 1
  }

  #seatFor(request: Connect): Seat {
    const { judging } = this.#house
    const { name } = request.caller
    try {
      // Where a NAT is hard, a request makes as much work as an answer to `nat`. It is charged once it is done.
      if (!judging.hasRoom(request.caller.account))
        throw later('judging', `the gateway judges many networks now, and that of ${name} waits`, judging.retryMs())
      return this.#seats.take(request)
    } catch (thrown) {
      if (thrown instanceof Full && !request.continues) this.counters.refused++
      throw thrown
    }
  }

  #forget(id: string): void {
    this.#all.get(id)?.seat.over()
    if (this.#all.delete(id)) this.ends.dispatchEvent(new Event('end'))
  }
}
