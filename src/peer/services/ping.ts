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

/** Pings `count` times (at least once). An aborted signal ends it early; throws `io` when the connection is over. */
export async function ping(connection: Connection, options: PingOptions): Promise<PingSummary> {
  const { intervalMs, onReply, signal } = options
  const timesMs: number[] = []
  while (true) {
    const ms = await connection.ping()
    onReply?.({ index: timesMs.length, ms })
    timesMs.push(ms)
    if (timesMs.length >= options.count) return summary(timesMs)
    await pause(intervalMs, connection.closed, signal)
    if (signal?.aborted) return summary(timesMs)
  }
}

async function pause(waitMs: number, ...signals: (AbortSignal | undefined)[]): Promise<void> {
  const signal = AbortSignal.any(signals.filter(one => one !== undefined))
  await sleep(waitMs, undefined, { signal }).catch(() => {})
}

function summary(timesMs: number[]): PingSummary {
  const totalMs = timesMs.reduce((sum, ms) => sum + ms, 0)
  return {
    count: timesMs.length,
    minMs: Math.min(...timesMs),
    avgMs: totalMs / timesMs.length,
    maxMs: Math.max(...timesMs)
  }
}
