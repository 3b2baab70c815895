// A path between two guests of a room, until each has proved to the other that nobody stands between (src/wire/room/assurance.ts). Until
// then nothing of the far side reaches the program: what it says, and the channels that it offers, wait here, since it may be done a moment
// sooner than this side.
//
// Modules for pages have this with the link of a room (entry.ts), and not with a connection: they have no room for it.

import { asPosternError, type PosternError } from '../../errors.ts'
import { assurance, type Between } from '../../wire/room/assurance.ts'
import type { Word } from '../../wire/room/words.ts'
import { type Channel, closeAtOnce, safely } from '../transport/transport.ts'

/** A path that a connection begins on. */
export interface Beginning extends Between {
  /** Called before what waits is done. */
  readonly assured: (words: readonly Word[]) => void
  readonly failed: (error: PosternError) => void
  /** The far side has said more than it may. */
  readonly dropped: () => void
}

export type Assure = (beginning: Beginning) => Assuring

/** What waits at most: a connection holds as many channels. */
const MOST_HELD = 256

export class Assuring {
  /** What the far side has said about itself. */
  readonly hears: (said: string) => void
  readonly #dropped: () => void
  #held: (() => void)[] | undefined = []

  constructor(members: Uint8Array<ArrayBuffer>, { assured, failed, dropped, ...between }: Beginning) {
    this.#dropped = dropped
    const { hears, words } = assurance(members, between)
    this.hears = said => hears(said) || dropped()
    words.then(
      found => {
        if (between.closed.aborted) return
        assured(found)
        this.#release()
      },
      error => failed(asPosternError(error))
    )
  }

  /**
   * Whether this is done later, or never: false once the far side has proved itself.
   * @param channel what it is about, if that is a channel of the far side
   */
  holds(act: () => void, channel?: Channel): boolean {
    if (!this.#held) return false
    if (this.#held.length < MOST_HELD) this.#held.push(channel ? whileOpen(channel, act) : act)
    else if (channel) closeAtOnce(channel)
    else this.#dropped()
    return true
  }

  #release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const act of held) act()
  }
}

/** A channel that is closed meanwhile is nobody's. */
function whileOpen(channel: Channel, act: () => void): () => void {
  let isOpen = true
  channel.onClosed(
    safely(() => {
      isOpen = false
    })
  )
  return () => isOpen && act()
}
