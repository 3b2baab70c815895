// The end of a gateway, for its sessions: nothing new is taken any more, and what is under way has some time to finish. A request is
// decided within its deadline; a relayed connection goes on until its sides leave it, or find a direct path, or the time is over.

import { changed } from '../../changed.ts'
import { nowMs, timeoutSignal } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import type { Sessions } from './sessions.ts'

/** Who is told that it begins. */
export interface Addressee {
  send(message: { readonly type: 'draining'; readonly ms: number }): void
}

/** A gateway that takes the place of this one is up about so long after it has gone, in milliseconds. */
const SUCCESSOR_MS = 1000

export class Drain {
  /** Requests and joins that came too late. */
  refused = 0
  #endsMs: number | undefined

  get hasBegun(): boolean {
    return this.#endsMs !== undefined
  }

  /** Throws `gateway-unreachable` from the moment when nothing new is taken any more. */
  check(): void {
    if (this.#endsMs === undefined) return
    this.refused++
    const retryMs = Math.max(0, this.#endsMs - nowMs()) + SUCCESSOR_MS
    const when = `ask again in ${Math.ceil(retryMs / 1000)} s`
    throw new PosternError('gateway-unreachable', `the gateway is about to stop; ${when}`, { retryMs })
  }

  /**
   * Begins, and resolves with the number of sessions that are left: 0, or those that are still there when the time is over, or when the
   * signal aborts.
   */
  async run(sessions: Sessions, ms: number, peers: readonly Addressee[], signal: AbortSignal): Promise<number> {
    this.#endsMs = nowMs() + ms
    for (const peer of peers) peer.send({ type: 'draining', ms })
    const over = AbortSignal.any([signal, timeoutSignal(ms)])
    while (sessions.size > 0 && !over.aborted) await changed(sessions.ends, 'end', over)
    return sessions.size
  }
}
