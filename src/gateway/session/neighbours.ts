// Whether the two sides of a session share a link, where the gateway cannot tell it by their public addresses because their
// sources are hidden. One side sends a token on its links, and the other one tells what it heard on its own (peer/link/beacon.ts).
// Only the sender is told the token, so a side that hears nothing cannot say that it did.

import { createHash, randomBytes, randomInt } from 'node:crypto'
import { changed } from '../../changed.ts'
import { timeoutSignal } from '../../clock.ts'
import { isOnLinkOf } from '../../strategy/neighbours.ts'
import { headStartMs, type Scene } from '../../strategy/scene.ts'
import { otherSide, type SideName, sideNames } from '../../wire/side.ts'
import type { FromGateway, Message } from '../../wire/signal.ts'
import type { Member } from '../peers/member.ts'

/** How long a token is listened for after it was sent, in milliseconds: a link answers in a few. */
const HEAR_MS = 50

/** How far apart messages that left together may arrive, beyond half the difference of the round trips. */
const JITTER_MS = 20

/** The side that sends. The other one listens. */
const SENDER: SideName = 'callee'

/** What a side is told, without the session. */
export type Telling = Omit<Message<FromGateway, 'beacon'>, 'session'> | Omit<Message<FromGateway, 'watch'>, 'session'>

export interface Asking extends Readonly<Record<SideName, Pick<Member, 'beacons' | 'relayOnly'>>> {
  readonly gone: AbortSignal
  readonly tell: (side: SideName, telling: Telling) => void
}

export class Neighbours {
  readonly #asking: Asking
  readonly #changed = new EventTarget()
  #token: string | undefined
  #areNear = false

  constructor(asking: Asking) {
    this.#asking = asking
  }

  /** True once one side has heard the other on a link. */
  get areNear(): boolean {
    return this.#areNear
  }

  /** True if it is not known and can be found out: both can and may do so, and have a subnet in common. A session asks once. */
  canAsk(scene: Pick<Scene, SideName>): boolean {
    const isHidden = sideNames.every(side => scene[side].profile.hidden)
    const can = sideNames.every(side => this.#asking[side].beacons && !this.#asking[side].relayOnly)
    return this.#token === undefined && isHidden && can && haveSubnetInCommon(scene)
  }

  /** Asks both sides, and resolves with whether a token was heard in time. */
  async ask(scene: Pick<Scene, SideName>): Promise<boolean> {
    const { gone, tell } = this.#asking
    const token = randomBytes(16)
    this.#token = token.toString('base64')
    const listener = otherSide(SENDER)
    const afterMs = JITTER_MS + headStartMs(scene[SENDER], scene[listener])
    const ms = afterMs + HEAR_MS + (scene.caller.rttMs + scene.callee.rttMs) / 2
    // A port of the dynamic range (RFC 6335 section 6), so that sessions of one link hear little of each other.
    const port = randomInt(49_152, 65_536)
    tell(listener, { type: 'watch', port, ms, digest: createHash('sha256').update(token).digest('base64') })
    tell(SENDER, { type: 'beacon', port, afterMs, token: this.#token })
    using late = timeoutSignal(Math.ceil(ms))
    if (!this.#areNear) await changed(this.#changed, 'change', AbortSignal.any([gone, late]))
    return this.#areNear
  }

  /** A side says what it heard. */
  heard(side: SideName, { token }: { readonly token: string }): void {
    if (side === SENDER || token !== this.#token) return
    this.#areNear = true
    this.#changed.dispatchEvent(new Event('change'))
  }
}

function haveSubnetInCommon({ caller, callee }: Pick<Scene, SideName>): boolean {
  return isOnLinkOf(caller, callee) && isOnLinkOf(callee, caller)
}
