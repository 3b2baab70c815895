// A room as one of its guests has it: who is there, and who waits to be let in. It reaches those inside by their names, once it is inside
// itself (`isIn`).

import { EventEmitter } from 'node:events'
import type { FromGateway, FromPeer, Message } from '../../wire/signal.ts'

/** Who is in a room, or waits before it. */
export interface RoomMember {
  readonly id: string
  /** Made up by the gateway, for this join alone: by it whoever is inside is reached. */
  readonly name: string
  readonly isIn: boolean
}

/** What a guest knows of its room. Whoever waits is told nothing but how many are inside. */
export interface Roster {
  /** Whether this guest is inside; otherwise it waits until somebody inside lets it in. */
  readonly isIn: boolean
  /** How many are inside. */
  readonly inside: number
  /** All that are inside or wait, this guest included; empty while it waits. */
  readonly members: readonly RoomMember[]
}

const NOBODY: Roster = { isIn: false, inside: 0, members: [] }

export interface GuestRoomEvents {
  /** Something of the roster has changed. */
  roster: [roster: Roster]
}

export class GuestRoom extends EventEmitter<GuestRoomEvents> implements Roster {
  readonly name: string
  readonly #send: (message: FromPeer) => void
  #roster = NOBODY

  constructor(name: string, send: (message: FromPeer) => void) {
    super()
    this.name = name
    this.#send = send
  }

  get isIn(): boolean {
    return this.#roster.isIn
  }

  get inside(): number {
    return this.#roster.inside
  }

  get members(): readonly RoomMember[] {
    return this.#roster.members
  }

  /** Lets in a member that waits, by its id. Nothing happens where it does not, or where there is no place. */
  admit(id: string): void {
    this.#send({ type: 'admit', id })
  }

  /** Sends a member away that waits, by its id. */
  turnAway(id: string): void {
    this.#send({ type: 'turn-away', id })
  }

  heard({ isIn, inside, members }: Message<FromGateway, 'roster'>): void {
    this.#roster = { isIn, inside, members }
    this.emit('roster', this.#roster)
  }

  /** The gateway is away, or has refused this guest. */
  lost(): void {
    this.#roster = NOBODY
    this.emit('roster', NOBODY)
  }
}
