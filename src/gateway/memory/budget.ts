// Probes aimed at guessed ports are packets that nobody asked for, and they fill connection-tracking tables. So their number
// per minute is limited, for each target address and in all, and shared among those who ask for them (shares/shares.ts). Where
// nobody else is in need, one caller and one pair have a quarter of what an address may get, since many peers may be behind it.
// Searches in the background, for connections that stand, have a tenth of it together, so that whoever connects finds room.
//
//   plan ─► take what it may send ─► ordered ─► give back what it cannot have sent, or what both sides agree on

import { LRUCache } from 'lru-cache'
import { nowMs } from '../../clock.ts'
import { latest } from '../shares/latest.ts'
import { type Asker, type Holder, Shares, type SharesOptions } from '../shares/shares.ts'

export interface ProbeLimits {
  /** Probes per minute at one public address. */
  readonly probesPerAddress: number
  /** Probes per minute at all addresses together. */
  readonly probesInAll: number
}

/** On whose behalf probes are sent. */
export interface Aiming {
  readonly caller: { readonly account: Asker }
  /** Left out where it is not known yet. */
  readonly callee?: { readonly account: Asker }
  /** They are connected, and nobody waits for what is found. */
  readonly inBackground?: boolean
}

/** Addresses remembered. If probes are aimed at more of them within a minute, only the limit in all holds. */
const ADDRESSES = 10_000

const MINUTE_MS = 60_000

/** The part of an address's budget that one certificate has, and one pair, whatever they say of what was sent. */
const MOST = { certificate: 1 / 4, pair: 1 / 4 }

/** The part of a budget that whoever comes to it late still has: enough for a prediction. */
const LEAST = 1 / 32

/** The part of a budget that searches in the background have, all of them together. */
const BACKGROUND = 1 / 10

/** Probes that one caller may have aimed at an address of which nobody else wants any. */
export const mostProbes = ({ probesPerAddress }: ProbeLimits): number => Math.floor(probesPerAddress * MOST.certificate)

export class Budget {
  /** Plans that were refused because too few probes were left; and those of searches in the background. */
  refused = 0
  refusedInBackground = 0
  readonly #limits: ProbeLimits
  readonly #now: () => number
  readonly #addresses: LRUCache<string, Shares>
  readonly #all: Shares
  /** The same for searches in the background, which are charged to both. */
  readonly #behind: LRUCache<string, Shares>
  readonly #allBehind: Shares

  constructor(limits: ProbeLimits, now: () => number = nowMs) {
    this.#limits = limits
    this.#now = now
    this.#addresses = new LRUCache(latest(ADDRESSES))
    this.#all = this.#shares(() => limits.probesInAll)
    this.#behind = new LRUCache(latest(ADDRESSES))
    this.#allBehind = this.#shares(() => limits.probesInAll * BACKGROUND)
  }

  /** Probes that these may have aimed at an address now. */
  left(address: string, aiming: Aiming): number {
    const holder = holderOf(aiming)
    const all = [this.#of(address), this.#all]
    if (aiming.inBackground) all.push(this.#behindOf(address), this.#allBehind)
    return Math.floor(Math.min(...all.map(shares => shares.left(holder))))
  }

  take(address: string, aiming: Aiming, probes: number): void {
    // Most plans guess nothing, and no address is remembered for them.
    if (probes === 0) return
    const own = this.#of(address)
    this.#addresses.set(address, own)
    const charged = [own, this.#all]
    if (aiming.inBackground) {
      const behind = this.#behindOf(address)
      this.#behind.set(address, behind)
      charged.push(behind, this.#allBehind)
    }
    for (const shares of charged) shares.charge(holderOf(aiming), probes)
  }

  /** Notes that a plan was not tried, since too few probes were left. */
  refuse({ inBackground }: Aiming): void {
    if (inBackground) this.refusedInBackground++
    else this.refused++
  }

  giveBack(address: string, aiming: Aiming, probes: number): void {
    this.take(address, aiming, -probes)
  }

  #of(address: string): Shares {
    return this.#addresses.get(address) ?? this.#shares(() => this.#limits.probesPerAddress, { most: MOST })
  }

  /** What searches in the background have of it. */
  #behindOf(address: string): Shares {
    return this.#behind.get(address) ?? this.#shares(() => this.#limits.probesPerAddress * BACKGROUND)
  }

  #shares(capacity: () => number, more: Pick<SharesOptions, 'most'> = {}): Shares {
    return new Shares({ capacity, least: () => capacity() * LEAST, fadeMs: MINUTE_MS, now: this.#now, ...more })
  }
}

const holderOf = ({ caller, callee }: Aiming): Holder => ({
  ...caller.account,
  ...(callee
    ? {
        pair: [caller, callee]
          .map(({ account }) => account.certificate)
          .sort()
          .join(' ')
      }
    : {})
})
