// Probes aimed at guessed ports are packets that somebody did not ask for, and a connection-tracking table that fills: so
// many per minute for each target address and in all, shared by every session. What a plan did not need is given back.

import { LRUCache } from 'lru-cache'
import { nowMs } from '../../clock.ts'
import { TokenBucket } from '../../token-bucket.ts'

export interface ProbeLimits {
  /** Probes per minute at one public address. */
  readonly probesPerAddress: number
  /** Probes per minute at all addresses together. */
  readonly probesInAll: number
}

/** Addresses remembered. Where more are aimed at within a minute, the limit in all is what holds. */
const ADDRESSES = 10_000

export class Budget {
  /** Plans that were refused for want of probes. */
  refused = 0
  readonly #limits: ProbeLimits
  readonly #now: () => number
  readonly #addresses: LRUCache<string, TokenBucket>
  readonly #all: TokenBucket

  constructor(limits: ProbeLimits, now: () => number = nowMs) {
    this.#limits = limits
    this.#now = now
    this.#addresses = new LRUCache({ max: ADDRESSES })
    this.#all = this.#bucket(limits.probesInAll)
  }

  /** Probes that may be aimed at an address now. */
  left(address: string): number {
    return Math.max(0, Math.floor(Math.min(this.#of(address).level, this.#all.level)))
  }

  take(address: string, probes: number): void {
    for (const bucket of [this.#of(address), this.#all]) bucket.charge(probes)
  }

  giveBack(address: string, probes: number): void {
    this.take(address, -probes)
  }

  #of(address: string): TokenBucket {
    const known = this.#addresses.get(address)
    if (known) return known
    const bucket = this.#bucket(this.#limits.probesPerAddress)
    this.#addresses.set(address, bucket)
    return bucket
  }

  /** A minute's worth at most, refilled evenly. */
  #bucket(perMinute: number): TokenBucket {
    return new TokenBucket({ perSecond: perMinute / 60, capacity: perMinute, now: this.#now })
  }
}
