// Those who have proved nothing yet: a stranger's place is free to take, and so it is taken away again where others need it.
//
//   comes ─► room, by its share (shares.ts) ──────────────► in
//        └─► none: the oldest of the network that has most ─► out, and the newcomer in

import { Shares } from './shares.ts'

export class Crowd<Item> {
  readonly #shares: Shares
  /** Each with its network; a Map stands in the order in which they came. */
  readonly #networks = new Map<string, Set<Item>>()

  constructor(capacity: number) {
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
    const out = hasRoom ? undefined : this.#oldest(network)
    if (out) this.leave(out.item, out.network)
    if (!hasRoom) this.#shares.charge({ network })
    const here = this.#networks.get(network) ?? new Set()
    this.#networks.set(network, here.add(item))
    return out?.item
  }

  /** Somebody has gone, or is no stranger any more. A second time it does nothing. */
  leave(item: Item, network: string): void {
    const here = this.#networks.get(network)
    if (!here?.delete(item)) return
    this.#shares.giveBack({ network })
    if (here.size === 0) this.#networks.delete(network)
  }

  /** Among equals it is the newcomer's own network that gives way. */
  #oldest(newcomer: string): { readonly item: Item; readonly network: string } | undefined {
    let most = newcomer
    for (const [network, { size }] of this.#networks) if (size > (this.#networks.get(most)?.size ?? 0)) most = network
    const item = this.#networks.get(most)?.values().next().value
    return item === undefined ? undefined : { item, network: most }
  }
}
