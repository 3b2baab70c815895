// What each direction of the relayed sessions can count on, however busy the others are: its own limit, or its part of what its
// sender may send over all sessions, or of what its network has, or of the total where that is short. Parts are those that turns make (scheduler.ts): of the
// networks, within a network of its certificates, and within a certificate of its directions. Who wants less than an even part leaves
// the rest to the others of its level (max-min fairness).

import type { RelayLimits } from '../../strategy/plan.ts'
import type { Asker } from '../shares/shares.ts'

export interface Direction {
  /** Who sends, under whose id its limit over all sessions is kept. */
  readonly peer: string
  /** Whose turns it has. */
  readonly holder: Asker
  /** The limit of its own. */
  readonly bitsPerSecond: number
}

type Wanted = ReadonlyMap<Direction, number>

interface Sender {
  bitsPerSecond: number
  readonly directions: Set<Direction>
}

export class Parts {
  readonly #senders = new Map<string, Sender>()
  /** By the directions' own limits and their senders' alone. */
  readonly #wanted = new Map<Direction, number>()
  #wantedInAll = 0
  #total = 0
  #perNetwork = 0
  /** What comes of it where the total is short; made when somebody asks. */
  #dealt: Wanted | undefined

  /** Limits that are shared hold as they were given last. */
  add(direction: Direction, { perPeer, perNetwork, total }: Omit<RelayLimits, 'perSession'>): void {
    const sender = this.#senders.get(direction.peer) ?? { bitsPerSecond: perPeer, directions: new Set() }
    sender.bitsPerSecond = perPeer
    sender.directions.add(direction)
    this.#senders.set(direction.peer, sender)
    this.#total = total
    this.#perNetwork = Math.min(total, perNetwork ?? total)
    this.#reckon(sender)
  }

  delete(direction: Direction): void {
    const sender = this.#senders.get(direction.peer)
    if (!sender?.directions.delete(direction)) return
    this.#want(direction, 0)
    this.#wanted.delete(direction)
    if (sender.directions.size === 0) this.#senders.delete(direction.peer)
    this.#reckon(sender)
  }

  /** In whole bits per second. */
  of(direction: Direction): number {
    if (this.#wantedInAll > this.#perNetwork) this.#dealt ??= dealt(this.#total, this.#wanted, this.#perNetwork)
    return Math.floor((this.#dealt ?? this.#wanted).get(direction) ?? 0)
  }

  #reckon({ bitsPerSecond, directions }: Sender): void {
    const own = new Map([...directions].map(direction => [direction, direction.bitsPerSecond] as const))
    for (const [direction, part] of dealt(bitsPerSecond, own)) this.#want(direction, part)
    this.#dealt = undefined
  }

  #want(direction: Direction, bitsPerSecond: number): void {
    this.#wantedInAll += bitsPerSecond - (this.#wanted.get(direction) ?? 0)
    this.#wanted.set(direction, bitsPerSecond)
  }
}

const levels: readonly ((direction: Direction) => unknown)[] = [
  ({ holder }) => holder.network,
  ({ holder }) => holder.certificate,
  direction => direction
]

/** @param most what each group of the first level gets at most */
function dealt(capacity: number, wanted: Wanted, most = capacity, [level, ...below] = levels): Wanted {
  if (!level) return new Map([...wanted.keys()].map(direction => [direction, capacity] as const))
  const groups = [...Map.groupBy(wanted, ([direction]) => level(direction)).values()]
  const parts = evenly(
    capacity,
    groups.map(group =>
      Math.min(
        most,
        group.reduce((sum, [, bitsPerSecond]) => sum + bitsPerSecond, 0)
      )
    )
  )
  return new Map(groups.flatMap((group, at) => [...dealt(parts[at] ?? 0, new Map(group), undefined, below)]))
}

/** Nobody gets more than it wants; what is left of an even part goes to those that want more. */
function evenly(capacity: number, wanted: readonly number[]): number[] {
  const parts: number[] = []
  let [left, waiting] = [capacity, wanted.length]
  for (const [at, want] of [...wanted.entries()].toSorted(([, one], [, other]) => one - other)) {
    const part = Math.min(want, left / waiting--)
    parts[at] = part
    left -= part
  }
  return parts
}
