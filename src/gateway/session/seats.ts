// Who gets a seat among the sessions. All requests under way share one table, and leave it as soon as they are decided: a
// direct path needs the gateway no more, and what is relayed counts at the relay. Besides, each peer has a room of its own.
//
//   connect ─► the table           a share for each network, and each certificate, that calls
//           ─► the callee's room   the same: callers of one network leave room for others
//           ─► the caller's room   its own calls are one holder among those that call it
//           ─► what both can set up at once: a peer turns away what is more
//   path or failure ─► the table is left, and what is set up;  over ─► the rooms are left
//
// A peer is known by its certificate here: if it joins twice, or again, it has no more seats than before. What guests of a room do is
// their maker's (`account` of a member): all of them together have its room.

import { PosternError } from '../../errors.ts'
import { SETTING_UP } from '../../wire/obeying.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import { Full, later } from '../peers/full.ts'
import type { Member } from '../peers/member.ts'
import { type Bound, type Holder, Shares } from '../shares/shares.ts'

export interface SeatLimits {
  /** Requests under way at once. */
  readonly sessions: number
  /** Sessions in which one peer takes part, relayed ones included. */
  readonly sessionsPerPeer: number
}

/** The seats of one session. To free them a second time does nothing. */
export interface Seat {
  /** The request is decided: there is a path, or there will be none. */
  decided(): void
  /** The session is over. */
  over(): void
}

type Pair = Readonly<Record<SideName, Pick<Member, 'name' | 'fingerprint' | 'account'>>>

/** The share of a peer's sessions that one other peer may have, so that no caller alone makes it unreachable for the rest. */
const PAIR_SHARE = 1 / 4

export class Seats {
  readonly #limits: SeatLimits
  readonly #table: Shares
  readonly #rooms: Rooms
  /** What each peer is setting up. */
  readonly #setUps = new Rooms(SETTING_UP)
  readonly #pairs = new Pairs()

  constructor(limits: SeatLimits) {
    this.#limits = limits
    this.#table = new Shares({ capacity: () => limits.sessions })
    this.#rooms = new Rooms(() => limits.sessionsPerPeer)
  }

  /** Takes the seats of a request. Throws `self-connect`, or `relay-full` with the bound that was reached. */
  take(pair: Pair): Seat {
    const { caller, callee } = pair
    if (caller.fingerprint === callee.fingerprint)
      throw new PosternError('self-connect', `${callee.name} is this peer itself`)
    const full = this.#fullTable(pair) ?? this.#fullRoom(pair) ?? this.#fullPair(pair) ?? this.#busy(pair)
    if (full) throw full
    return this.#taken(pair)
  }

  #taken(pair: Pair): Seat {
    const held = pair.caller.account
    this.#table.charge(held)
    for (const rooms of [this.#rooms, this.#setUps, this.#pairs]) rooms.enter(pair)
    const decided = once(() => {
      this.#table.giveBack(held)
      this.#setUps.leave(pair)
    })
    const over = once(() => {
      for (const rooms of [this.#rooms, this.#pairs]) rooms.leave(pair)
    })
    return { decided, over: () => void [decided(), over()] }
  }

  #fullTable(pair: Pair): Full | undefined {
    if (this.#table.hasRoom(pair.caller.account)) return undefined
    const { sessions } = this.#limits
    const whose = this.#table.used < sessions ? `the network of ${pair.caller.name} has its share of them` : 'no more'
    return later('sessions', `the gateway serves ${sessions} requests at once, and ${whose}`, this.#table.retryMs())
  }

  #fullRoom(pair: Pair): Full | undefined {
    const { sessionsPerPeer } = this.#limits
    const side = roomsOf(pair).find(which => !this.#rooms.of(pair, which).hasRoom(guestOf(pair, which)))
    if (!side) return undefined
    const room = this.#rooms.of(pair, side)
    const all = `${pair[side].name} takes part in ${sessionsPerPeer} sessions already`
    if (side === 'caller') return new Full('sessionsPerPeer', all, { side })
    const share = `the network of ${pair.caller.name} has its share of the ${sessionsPerPeer} sessions of ${pair.callee.name}`
    return later('sessionsPerPeer', room.used < sessionsPerPeer ? share : all, room.retryMs(), { side })
  }

  /** Both ways together. */
  #fullPair(pair: Pair): Full | undefined {
    const perPair = Math.max(1, Math.floor(this.#limits.sessionsPerPeer * PAIR_SHARE))
    if (this.#pairs.of(pair) < perPair) return undefined
    const names = `${pair.caller.name} and ${pair.callee.name}`
    // Jobs that run side by side have met a path, and need the gateway no more, within a moment.
    return later(
      'sessionsPerPair',
      `${names} have ${perPair} sessions already`,
      this.#rooms.of(pair, 'callee').retryMs()
    )
  }

  #busy(pair: Pair): Full | undefined {
    const side = roomsOf(pair).find(which => !this.#setUps.of(pair, which).hasRoom(guestOf(pair, which)))
    if (!side) return undefined
    const sentence = `${pair[side].name} is setting up as many connections as it does at once`
    return later('settingUp', sentence, this.#setUps.of(pair, side).retryMs(), { side })
  }
}

/** A room for each peer that takes part in a session, by its account; one that is empty is forgotten. */
class Rooms {
  readonly #capacity: Bound
  readonly #all = new Map<string, Shares>()

  constructor(capacity: Bound) {
    this.#capacity = capacity
  }

  of(pair: Pair, side: SideName): Shares {
    return this.#all.get(pair[side].account.certificate) ?? new Shares({ capacity: this.#capacity })
  }

  enter(pair: Pair): void {
    for (const side of roomsOf(pair)) {
      const room = this.of(pair, side)
      room.charge(guestOf(pair, side))
      this.#all.set(pair[side].account.certificate, room)
    }
  }

  leave(pair: Pair): void {
    for (const side of roomsOf(pair)) {
      const room = this.of(pair, side)
      room.giveBack(guestOf(pair, side))
      if (room.used === 0) this.#all.delete(pair[side].account.certificate)
    }
  }
}

/** How many sessions two peers have together, whoever called. */
class Pairs {
  readonly #all = new Map<string, number>()

  of(pair: Pair): number {
    return this.#all.get(keyOf(pair)) ?? 0
  }

  enter(pair: Pair): void {
    this.#all.set(keyOf(pair), this.of(pair) + 1)
  }

  leave(pair: Pair): void {
    const left = this.of(pair) - 1
    if (left > 0) this.#all.set(keyOf(pair), left)
    else this.#all.delete(keyOf(pair))
  }
}

const keyOf = ({ caller, callee }: Pair): string => [caller.fingerprint, callee.fingerprint].sort().join(' ')

/** Two guests of one account have one room, in which their session is one. */
const roomsOf = ({ caller, callee }: Pair): readonly SideName[] =>
  caller.account.certificate === callee.account.certificate ? ['caller'] : sideNames

/** Who has a seat in the room of this side. Its own calls are nobody else's share. */
const guestOf = (pair: Pair, side: SideName): Holder =>
  side === 'callee' ? pair.caller.account : { own: pair.caller.account.certificate }

function once(run: () => void): () => void {
  let isDone = false
  return () => {
    if (!isDone) run()
    isDone = true
  }
}
