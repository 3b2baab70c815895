// What a path between two networks turned out to be like, remembered per pair of public addresses: the round trip that a connection
// took, and the largest packets where those that every path begins with did not pass. Both are hints that save time the next
// time, never a truth.

import { LRUCache } from 'lru-cache'
import type { Report } from '../../wire/report.ts'
import { latest } from '../shares/latest.ts'

/** Pairs remembered; the ones longest unused go first. */
const PAIRS = 10_000

/** Routes change, and an old round trip says little. */
const TTL_MS = 3_600_000

export class Paths {
  readonly #rttMs: LRUCache<string, number>
  readonly #mtu: LRUCache<string, number>

  /** @param now milliseconds since some moment */
  constructor(now: () => number = () => performance.now()) {
    const options = { ...latest(PAIRS), ttl: TTL_MS, perf: { now }, ttlResolution: 0 }
    this.#rttMs = new LRUCache(options)
    this.#mtu = new LRUCache(options)
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

  /** The largest IP packet, in bytes, between two networks that turned out to be narrow of late; undefined for all others. */
  mtu(kind: 'direct' | 'relay', a: string, b: string): number | undefined {
    return this.#mtu.get(`${kind} ${keyOf(a, b)}`)
  }

  /** Larger IP packets than these did not pass between them, so peers asked for a path with these. */
  narrow(kind: 'direct' | 'relay', a: string, b: string, bytes: number): void {
    this.#mtu.set(`${kind} ${keyOf(a, b)}`, bytes)
  }
}

const keyOf = (a: string, b: string) => [a, b].sort().join(' ')
