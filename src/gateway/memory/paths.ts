// How far apart two networks turned out to be: the round trip that a connection between them took, remembered per pair of
// public addresses. It is a hint that saves a round trip the next time, never a truth.

import { LRUCache } from 'lru-cache'
import type { Report } from '../../wire/report.ts'

/** Pairs remembered; the ones longest unused go first. */
const PAIRS = 10_000

/** Routes change, and an old round trip says little. */
const TTL_MS = 3_600_000

export class Paths {
  readonly #rttMs: LRUCache<string, number>

  /** @param now milliseconds since some moment */
  constructor(now: () => number = () => performance.now()) {
    this.#rttMs = new LRUCache({ max: PAIRS, ttl: TTL_MS, perf: { now }, ttlResolution: 0 })
  }

  /** Milliseconds, or undefined for networks that have not met of late. */
  rttMs(a: string, b: string): number | undefined {
    return this.#rttMs.get(keyOf(a, b))
  }

  /** Learns from the active side's report: its first ICE check takes one round trip, from binding to being connected. */
  learn(a: string, b: string, report: Report | undefined): void {
    const at = new Map(report?.steps)
    const [bound, ice] = [at.get('bound'), at.get('ice')]
    if (bound !== undefined && ice !== undefined && ice > bound) this.#rttMs.set(keyOf(a, b), ice - bound)
  }
}

const keyOf = (a: string, b: string) => [a, b].sort().join(' ')
