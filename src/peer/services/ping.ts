// Measures the round trip to a peer over the control channel of an open connection, a few times.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from '../connection/connection.ts'

export interface PingOptions {
  count: number
  intervalMs: number
  /** Called for each answer; `index` counts from 0. */
  onReply?: (reply: { index: number; ms: number }) => void
  signal?: AbortSignal
}

export interface PingSummary {
  count: number
  minMs: number
  avgMs: number
  maxMs: number
}

/**
 * Pings `count` times (at least once). An aborted signal ends it early, also where an answer is waited for; the times of a summary
 * without answers are NaN. Throws `io` when the connection is over, and `path-lost` when no other path was found in time.
 */
export async function ping(connection: Connection, options: PingOptions): Promise<PingSummary> {
  const { intervalMs, onReply, signal } = options
  const aborted = Promise.withResolvers<undefined>()
  const abort = () => aborted.resolve(undefined)
  signal?.addEventListener('abort', abort, { once: true })
  const times = new Times()
  try {
    while (!signal?.aborted) {
      const asked = connection.ping()
      asked.catch(() => {})
      const ms = await Promise.race([asked, aborted.promise])
      if (ms === undefined) break
      const count = times.add(ms)
      onReply?.({ index: count - 1, ms })
      if (count >= options.count) break
      await pause(intervalMs, connection.closed, signal)
    }
    return times.summary
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

async function pause(waitMs: number, ...signals: (AbortSignal | undefined)[]): Promise<void> {
  const signal = AbortSignal.any(signals.filter(one => one !== undefined))
  await sleep(waitMs, undefined, { signal }).catch(() => {})
}

/** Round trips, however many. */
export class Times {
  #count = 0
  #sumMs = 0
  #minMs = Number.POSITIVE_INFINITY
  #maxMs = Number.NEGATIVE_INFINITY

  /** Gives its number, from 1. */
  add(ms: number): number {
    this.#sumMs += ms
    this.#minMs = Math.min(this.#minMs, ms)
    this.#maxMs = Math.max(this.#maxMs, ms)
    return ++this.#count
  }

  get summary(): PingSummary {
    const count = this.#count
    if (count === 0) return { count, minMs: Number.NaN, avgMs: Number.NaN, maxMs: Number.NaN }
    return { count, minMs: this.#minMs, avgMs: this.#sumMs / count, maxMs: this.#maxMs }
  }
}
