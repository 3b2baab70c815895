// What became of plans between two networks. A plugin that has several ways to do a thing begins with the way that worked.
// Outcomes are kept per pair of networks as they were judged. They never change the order of the strategies, which is the
// operator's.

import { LRUCache } from 'lru-cache'
import type { Side, Outcomes as Tally } from '../../strategy/scene.ts'
import { latest } from '../shares/latest.ts'

/** Pairs remembered; the ones longest unused go first. */
const PAIRS = 10_000

/** Home routers are replaced seldom, but a peer's network changes within the day. */
const TTL_MS = 86_400_000

/** Ways remembered of one pair: plugins have a handful each, and a plugin of another author may make up any labels. */
const WAYS = 32

export class Outcomes {
  readonly #pairs = new LRUCache<string, Map<string, Tally>>({ ...latest(PAIRS), ttl: TTL_MS })

  recall(caller: Side, callee: Side): Readonly<Record<string, Tally>> {
    return Object.fromEntries(this.#pairs.get(keyOf(caller, callee)) ?? [])
  }

  /** @param way `plugin/label` */
  learn(caller: Side, callee: Side, way: string, opened: boolean): void {
    const key = keyOf(caller, callee)
    const ways = this.#pairs.get(key) ?? new Map<string, Tally>()
    const before = ways.get(way) ?? { opened: 0, failed: 0 }
    if (!ways.has(way) && ways.size >= WAYS) return
    ways.set(way, opened ? { ...before, opened: before.opened + 1 } : { ...before, failed: before.failed + 1 })
    this.#pairs.set(key, ways)
  }
}

const keyOf = (caller: Side, callee: Side) => [caller, callee].map(networkOf).join(' > ')

// How ports are chosen is part of what a network is only where its mapping is known: before, each sample may look otherwise.
const networkOf = ({ mapped, profile: { mapping, filtering, assignment } }: Side) =>
  [mapped.address, mapping, filtering, mapping === 'unknown' ? '' : (assignment?.kind ?? '')].join(' ')
