// Probes aimed at guessed ports are packets that somebody did not ask for, and a connection-tracking table that fills: so
// many per minute for each target address and in all, shared by every session. What a plan did not need is given back.

import { LRUCache } from 'lru-cache'
import { nowMs } from '../../clock.ts'

export interface ProbeLimits {
  /** Probes per minute at one public address. */
  readonly probesPerAddress: number
  /** Probes per minute at all addresses together. */
  readonly probesInAll: number
}

/** Addresses remembered. Where more are aimed at within a minute, the limit in all is what holds. */
const ADDRESSES = 10_000

const MINUTE_MS = 60_000

/** A token bucket: a minute's worth at most, refilled evenly. */
interface Bucket {
  tokens: number
  atMs: number
}

export class Budget {
  /** Plans that were refused for want of probes. */
  refused = 0
  readonly #limits: ProbeLimits
  readonly #now: () => number
  readonly #addresses: LRUCache<string, Bucket>
  readonly #all: Bucket

  constructor(limits: ProbeLimits, now: () => number = nowMs) {
    this.#limits = limits
    this.#now = now
    this.#addresses = new LRUCache({ max: ADDRESSES })
    this.#all = { tokens: limits.probesInAll, atMs: now() }
  }

  /** Probes that may be aimed at an address now. */
  left(address: string): number {
    const { probesPerAddress, probesInAll } = this.#limits
    const here = this.#tokens(this.#of(address), probesPerAddress)
    return Math.max(0, Math.floor(Math.min(here, this.#tokens(this.#all, probesInAll))))
  }

  take(address: string, probes: number): void {
    this.#move(address, -probes)
  }

  giveBack(address: string, probes: number): void {
    this.#move(address, probes)
  }

  #move(address: string, probes: number): void {
    for (const bucket of [this.#of(address), this.#all]) bucket.tokens += probes
  }

  #of(address: string): Bucket {
    const known = this.#addresses.get(address)
    if (known) return known
    const bucket = { tokens: this.#limits.probesPerAddress, atMs: this.#now() }
    this.#addresses.set(address, bucket)
    return bucket
  }

  #tokens(bucket: Bucket, perMinute: number): number {
    const now = this.#now()
    bucket.tokens = Math.min(perMinute, bucket.tokens + (Math.max(0, now - bucket.atMs) / MINUTE_MS) * perMinute)
    bucket.atMs = now
    return bucket.tokens
  }
}
