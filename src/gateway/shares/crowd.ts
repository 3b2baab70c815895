// Those who have proved nothing yet: a stranger's place is free to take, and so it is taken away again where others need it.
//
//   comes ─► room, by its share (shares.ts) ──────────────► in
//        └─► none: the oldest of the network that has most ─► out, and the newcomer in

import { type Bound, Shares } from './shares.ts'

export class Crowd<Item> {
  readonly #shares: Shares
  /** Each with its network; a Set stands in the order in which they came. */
  readonly #networks = new Map<string, Set<Item>>()
  /** Networks by how many of each are here, so that nobody has to be looked for. */
  readonly #bySize = new Map<number, Set<string>>()
  #most = 0

  constructor(capacity: Bound) {
    this.#shares = new Shares({ capacity })
  }

  get size(): number {
    return this.#shares.used
  }

  /** How many had to go for others. */
  get shed(): number {
    return this.#shares.refused
  }

  /** Takes somebody in. Returns who has to go for it, if anybody has: it is out already. */
  enter(item: Item, network: string): Item | undefined {
    const hasRoom = this.#shares.take({ network })
    const out = hasRoom ? undefined : this.putOut(network)
    if (!hasRoom) this.#shares.charge({ network })
    const here = this.#networks.get(network) ?? new Set()
    this.#networks.set(network, here.add(item))
    this.#resized(network, here.size - 1, here.size)
    return out
  }

  /** Somebody has gone, or is no stranger any more. A second time it does nothing. */
  leave(item: Item, network: string): void {
    const here = this.#networks.get(network)
    if (!here?.delete(item)) return
    this.#shares.giveBack({ network })
    this.#resized(network, here.size + 1, here.size)
    if (here.size === 0) this.#networks.delete(network)
  }

  /**
   * Puts out the oldest of the network that has most; undefined where nobody is left.
   * @param newcomer the network that somebody is put out for: among equals it is that one which gives way
   */
  putOut(newcomer = ''): Item | undefined {
    const largest = this.#bySize.get(this.#most)
    const network = largest?.has(newcomer) ? newcomer : largest?.values().next().value
    if (network === undefined) return undefined
    const item = this.#networks.get(network)?.values().next().value
    if (item !== undefined) this.leave(item, network)
    return item
  }

  /** A network has one more now, or one less. */
  #resized(network: string, before: number, now: number): void {
    const left = this.#bySize.get(before)
    left?.delete(network)
    if (left?.size === 0) this.#bySize.delete(before)
    if (now > 0) this.#bySize.set(now, (this.#bySize.get(now) ?? new Set()).add(network))
    if (now > this.#most || !this.#bySize.has(this.#most)) this.#most = now
  }
}
