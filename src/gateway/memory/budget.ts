// Probes aimed at guessed ports are packets that nobody asked for, and they fill connection-tracking tables. So their number
// per minute is limited, for each target address and in all. Every session shares these limits. Probes that a plan did not
// need are given back.

import { LRUCache } from 'lru-cache'
import { nowMs } from '../../clock.ts'
import { TokenBucket } from '../../token-bucket.ts'

export interface ProbeLimits {
  /** Probes per minute at one public address. */
  readonly probesPerAddress: number
  /** Probes per minute at all addresses together. */
  readonly probesInAll: number
}

/** Addresses remembered. If probes are aimed at more of them within a minute, only the limit in all holds. */
const ADDRESSES = 10_000

export class Budget {
  /** Plans that were refused because too few probes were left. */
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
