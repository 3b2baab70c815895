// One room: the guests inside, and those that wait before it. Nobody inside is told anything but names of whoever waits, and whoever
// waits is told how many are inside.
//
//   knocks ─► nobody is inside, or it was inside a moment ago ─► inside ─► left, or lost: may come back for some minutes
//        └──► waits ─► admitted by somebody inside ─► inside
//                 └──► turned away
//
// A room whose last guest was lost, and did not leave, is kept for it for a while: a link that breaks lets nobody in who waits.

import { idly, nowMs, type Timer } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { fold } from '../../wire/name.ts'
import { INSIDE, WAITING } from '../../wire/room/places.ts'
import type { Joined } from '../peers/joined.ts'
import type { GuestRoom, Member } from '../peers/member.ts'
import type { Asker } from '../shares/shares.ts'

/** How long whoever was inside may come back without being admitted again, in milliseconds: as long as connections wait for a path. */
const BACK_MS = 5 * 60_000

/** How long an empty room is kept for whoever was lost, in milliseconds: who changes networks is back within seconds. */
const KEPT_MS = 60_000

/** Guests that have gone and may come back; the oldest are forgotten. */
export const GONE = 16

export interface RoomOptions {
  /** As it is written. */
  readonly name: string
  /** The public half of its entry key. */
  readonly entry: string
  readonly maker: Asker
  /** In milliseconds since the epoch. */
  readonly expiresMs: number
  /** Fingerprints of those that were inside when the gateway stopped: they are lost, and may come back. */
  readonly back?: readonly string[]
  /** How long an empty room is kept for whoever was lost, in milliseconds; a minute if left out. */
  readonly keptMs?: number
  /** Called when somebody comes, goes, or is let in. */
  readonly onChange: () => void
}

interface Guest {
  readonly peer: Joined
  isIn: boolean
}

interface Gone {
  readonly atMs: number
  /** It closed its link itself. */
  readonly isLeft: boolean
}

export class Room implements GuestRoom {
  readonly name: string
  readonly entry: string
  readonly maker: Asker
  readonly expiresMs: number
  readonly #keptMs: number
  readonly #onChange: () => void
  /** By id, in the order in which they came. */
  readonly #guests = new Map<string, Guest>()
  /** Who was inside, by fingerprint. */
  readonly #gone = new Map<string, Gone>()
  #kept: Timer | undefined

  constructor({ name, entry, maker, expiresMs, back = [], keptMs = KEPT_MS, onChange }: RoomOptions) {
    this.name = name
    this.entry = entry
    this.maker = maker
    this.expiresMs = expiresMs
    this.#keptMs = keptMs
    this.#onChange = onChange
    for (const fingerprint of back) this.#gone.set(fingerprint, { atMs: nowMs(), isLeft: false })
  }

  /** Who would come back if the gateway stopped now: those inside, and those that were lost a moment ago. */
  get back(): string[] {
    const lost = [...this.#gone].filter(([fingerprint, { isLeft }]) => !isLeft && this.isBack(fingerprint))
    const inside = this.#members.map(({ peer }) => peer.fingerprint)
    return [...new Set([...inside, ...lost.map(([fingerprint]) => fingerprint)])].slice(0, GONE)
  }

  get inside(): number {
    return this.#members.length
  }

  get waiting(): number {
    return this.#guests.size - this.inside
  }

  /** An older link of a guest may have had its id. */
  has(member: Member): boolean {
    const guest = this.#guests.get(member.id)
    return guest?.peer === member && guest.isIn
  }

  find(name: string): Joined | undefined {
    return this.#members.find(({ peer }) => fold(peer.name) === fold(name))?.peer
  }

  /** Whether somebody of this fingerprint was inside a moment ago. */
  isBack(fingerprint: string): boolean {
    const gone = this.#gone.get(fingerprint)
    return gone !== undefined && nowMs() - gone.atMs < BACK_MS
  }

  /** Throws `room-full`. */
  checkPlace(fingerprint: string): void {
    if (this.inside >= INSIDE) throw new PosternError('room-full', `${INSIDE} are in this room, as many as it takes`)
    const waits = !this.isBack(fingerprint) && !this.#isFree
    if (waits && this.waiting >= WAITING)
      throw new PosternError('room-full', `${WAITING} wait to be let into this room already; come back later`)
  }

  /** Takes in a guest that has joined, or lets it wait. */
  enter(peer: Joined): void {
    const isIn = this.isBack(peer.fingerprint) || this.#isFree
    this.#gone.delete(peer.fingerprint)
    this.#guests.set(peer.id, { peer, isIn })
    peer.gone.addEventListener('abort', () => this.#leave(peer), { once: true })
    this.#tell()
  }

  admit(by: Member, id: string): void {
    const guest = this.#waiting(by, id)
    if (!guest || this.inside >= INSIDE) return
    guest.isIn = true
    this.#tell()
  }

  turnAway(by: Member, id: string): void {
    const guest = this.#waiting(by, id)
    if (!guest) return
    this.#leave(guest.peer)
    guest.peer.end(new PosternError('turned-away', 'somebody inside the room did not let you in'))
  }

  /** Sends everybody away. Connections that they have go on. */
  close(why: PosternError): void {
    clearTimeout(this.#kept)
    const guests = [...this.#guests.values()]
    this.#guests.clear()
    for (const { peer } of guests) peer.end(why)
  }

  /** A guest that waits, if the one who asks is inside. */
  #waiting(by: Member, id: string): Guest | undefined {
    const guest = this.#guests.get(id)
    return this.has(by) && guest?.isIn === false ? guest : undefined
  }

  get #members(): Guest[] {
    return [...this.#guests.values()].filter(({ isIn }) => isIn)
  }

  /** Nobody is inside, and it is kept for nobody. */
  get #isFree(): boolean {
    return this.inside === 0 && this.#keptUntilMs <= nowMs()
  }

  get #keptUntilMs(): number {
    const lost = [...this.#gone.values()].filter(({ isLeft }) => !isLeft)
    return Math.max(0, ...lost.map(({ atMs }) => atMs + this.#keptMs))
  }

  #leave(peer: Joined): void {
    const guest = this.#guests.get(peer.id)
    // It is there by another link already.
    if (guest?.peer !== peer) return
    this.#guests.delete(peer.id)
    if (guest.isIn) this.#remember(peer)
    this.#fill()
    this.#tell()
  }

  #remember({ fingerprint, isLeft }: Joined): void {
    this.#gone.delete(fingerprint)
    this.#gone.set(fingerprint, { atMs: nowMs(), isLeft })
    const [oldest] = this.#gone.keys()
    if (this.#gone.size > GONE && oldest !== undefined) this.#gone.delete(oldest)
  }

  /** Where nobody is inside any more, whoever waits longest has nobody to be admitted by. */
  #fill(): void {
    clearTimeout(this.#kept)
    const [first] = this.#guests.values()
    if (!first || this.inside > 0) return
    if (this.#isFree) {
      first.isIn = true
      return
    }
    const restMs = Math.ceil(this.#keptUntilMs - nowMs())
    this.#kept = idly(
      setTimeout(() => {
        this.#fill()
        this.#tell()
      }, restMs)
    )
  }

  #tell(): void {
    this.#onChange()
    for (const guest of this.#guests.values()) this.#tellOne(guest)
  }

  #tellOne({ peer, isIn }: Guest): void {
    const members = isIn ? [...this.#guests.values()].map(toldOf) : []
    peer.send({ type: 'roster', room: this.name, isIn, inside: this.inside, members })
  }
}

const toldOf = ({ peer: { id, name }, isIn }: Guest) => ({ id, name, isIn })
