// The connect requests under way and the relayed connections. Their number is bounded in all, per peer and per pair of peers.
// A peer is identified by its certificate here: if it joins twice, or again, it may have no more sessions than before.

import { PosternError } from '../../errors.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import { Full } from '../peers/full.ts'
import type { Member } from '../peers/member.ts'
import type { RelayListener } from '../relay/relay.ts'
import type { SpliceCounters } from '../relay/splice.ts'
import type { House } from './house.ts'
import type { Relayed } from './relayed.ts'
import { type Connect, type Ended, Session } from './session.ts'

export interface SessionCounters {
  started: number
  failed: number
  /** Paths by the strategy that won. */
  readonly won: Record<string, number>
}

/** The share of a peer's sessions that one other peer may have, so that no caller alone makes it unreachable for the rest. */
const PAIR_SHARE = 1 / 4

export class Sessions implements RelayListener {
  readonly counters: SessionCounters = { started: 0, failed: 0, won: {} }
  readonly #all = new Map<string, Session>()
  readonly #house: House
  readonly #limits: { sessions: number; sessionsPerPeer: number }

  constructor(house: House, limits: { sessions: number; sessionsPerPeer: number }) {
    this.#house = house
    this.#limits = limits
    house.relay.listener = this
  }

  get size(): number {
    return this.#all.size
  }

  /** The relayed connections, the oldest first. */
  get relayed(): { readonly session: Session; readonly path: Relayed }[] {
    return [...this.#all.values()].flatMap(session => (session.relayed ? [{ session, path: session.relayed }] : []))
  }

  get(id: string): Session | undefined {
    return this.#all.get(id)
  }

  /** Opens a session and runs it. Throws `self-connect`, or `relay-full` when the table, or a share of it, is full. */
  connect(request: Connect): void {
    const { caller, callee } = request
    if (caller.fingerprint === callee.fingerprint)
      throw new PosternError('self-connect', `${callee.name} is this peer itself`)
    this.#checkRoom(caller, callee)
    const session = new Session(this.#house, request)
    this.#all.set(session.id, session)
    this.counters.started++
    void session.run().then(ended => this.#ended(session, ended))
  }

  /**
   * Takes what a peer says of a session it takes part in; what it says of any other session is ignored.
   * @param peer its id
   */
  receive(
    peer: string,
    message: Message<FromPeer, 'fresh' | 'beacon' | 'progress' | 'opened' | 'failed' | 'leave'>
  ): void {
    const session = this.#all.get(message.session)
    const side = session?.sideOf(peer)
    if (!session || !side) return
    if (message.type !== 'leave') return session.receive(side, message)
    session.leave(side, message.code, message.reason)
    if (session.isDecided) this.drop(session.id)
  }

  /** A side of a relayed connection comes from another source now. */
  relatched(id: string, side: SideName, source: Endpoint): void {
    this.#all.get(id)?.changed({ kind: 'relatched', side, source })
  }

  /** Nothing came over a relayed connection for long, and the relay has forgotten it. */
  idle(id: string, counters: SpliceCounters): void {
    this.#all.get(id)?.changed({ kind: 'idle', counters })
    this.#all.delete(id)
  }

  /** Forgets a session and its relay. */
  drop(id: string): void {
    const session = this.#all.get(id)
    this.#all.delete(id)
    this.#house.relay.disarm(id).then(
      counters => counters && session?.ended(counters),
      () => {} // A relay that cannot be asked any more relays nothing.
    )
  }

  /** A direct path needs the gateway no more. A relayed one stays until a side leaves, or nothing has come through for long. */
  #ended(session: Session, ended: Ended): void {
    if (ended.kind === 'failed') this.counters.failed++
    else this.counters.won[ended.by] = (this.counters.won[ended.by] ?? 0) + 1
    if (ended.kind !== 'relay' || session.isLeft) this.drop(session.id)
  }

  #checkRoom(caller: Member, callee: Member): void {
    const { sessions, sessionsPerPeer } = this.#limits
    if (this.#all.size >= sessions) throw new Full('sessions', `the gateway is busy with ${sessions} sessions`)
    const pair = { caller, callee }
    const side = sideNames.find(which => this.#count(pair[which]) >= sessionsPerPeer)
    if (side)
      throw new Full('sessionsPerPeer', `${pair[side].name} takes part in ${sessionsPerPeer} sessions already`, {
        side
      })
    const perPair = Math.max(1, Math.floor(sessionsPerPeer * PAIR_SHARE))
    if (this.#count(caller, callee) >= perPair)
      throw new Full('sessionsPerPair', `${caller.name} and ${callee.name} have ${perPair} sessions already`)
  }

  /** Sessions that all of these peers take part in. */
  #count(...peers: readonly Member[]): number {
    let count = 0
    for (const { caller, callee } of this.#all.values()) {
      const sides = [caller.fingerprint, callee.fingerprint]
      if (peers.every(({ fingerprint }) => sides.includes(fingerprint))) count++
    }
    return count
  }
}
