// Tells both sides of a relayed session what passes of what they send: when the path is there, and whenever other sessions have
// changed that. An encoder that follows it is never cut short by the relay.
//
//   relay: shared ─► pass, at most one each EVERY_MS ─► of each session: has it changed? ─► limit, to both sides

import { idly, type Timer } from '../../../clock.ts'
import { type SideName, sideNames } from '../../../wire/side.ts'
import type { Passing } from '../../relay/splice.ts'
import type { House } from '../house.ts'
import { limitMessage } from '../messages.ts'
import type { Session } from '../session.ts'

/** The first change is told at once; what follows it waits for so many milliseconds. */
const EVERY_MS = 250

/** What changes by less than this part of it is not told: in a full relay every session changes all others by a little. */
const WORTH_TELLING = 0.05

/** A side that is away may be there again after so many milliseconds. */
const AWAY_MS = 1000

type Told = Partial<Record<SideName, Passing>>

export class TellsPassing {
  readonly #house: Pick<House, 'relay' | 'commander'>
  readonly #sessions: () => Iterable<Session>
  readonly #counted: () => void
  readonly #toldOf = new WeakMap<Session, Told>()
  #timer: Timer | undefined
  #dueMs = 0
  #lastMs = Number.NEGATIVE_INFINITY

  /** @param sessions those whose relayed paths stand; `counted` is called for each side that is told */
  constructor(
    house: Pick<House, 'relay' | 'commander'>,
    sessions: () => Iterable<Session>,
    counted: () => void = () => {}
  ) {
    this.#house = house
    this.#sessions = sessions
    this.#counted = counted
  }

  /** It may have changed for anybody. @param afterMs how long that has time, in milliseconds */
  changed(afterMs = 0): void {
    const nowMs = performance.now()
    const dueMs = Math.max(nowMs + afterMs, this.#lastMs + EVERY_MS)
    if (this.#timer && this.#dueMs <= dueMs) return
    clearTimeout(this.#timer)
    this.#dueMs = dueMs
    this.#timer = idly(setTimeout(() => void this.#pass(), dueMs - nowMs))
  }

  async #pass(): Promise<void> {
    this.#timer = undefined
    this.#lastMs = performance.now()
    let isAnyAway = false
    for (const session of this.#sessions()) {
      const now = await this.#house.relay.passing(session.id)
      if (now && !this.#tell(session, now)) isAnyAway = true
    }
    if (isAnyAway) this.changed(AWAY_MS)
  }

  /** Whether no side is left to be told. */
  #tell(session: Session, now: Passing): boolean {
    const { commander } = this.#house
    const told = this.#toldOf.get(session) ?? {}
    const untold = sideNames.filter(side => !isAlike(told[side], now))
    const here = untold.filter(side => commander.isJoined(session[side].id))
    if (here.length > 0)
      commander.command(here.map(side => ({ peer: session[side].id, message: limitMessage(session, side, now) })))
    for (const side of here) {
      told[side] = now
      this.#counted()
    }
    this.#toldOf.set(session, told)
    return here.length === untold.length
  }
}

const isAlike = (told: Passing | undefined, now: Passing): boolean =>
  told !== undefined && sideNames.every(side => Math.abs(now[side] - told[side]) < WORTH_TELLING * told[side])
