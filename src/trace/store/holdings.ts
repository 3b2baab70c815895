// Items with an owner, by which it is found whose oldest item goes where room is short: that of an owner that has most. An owner
// may stand within another one, as a pair of peers within a network; then who has most is asked on each level.
//
//   add(item, [network, pair], bytes) ─► oldestOfMost: of a network that has most, of its pair that has most

/** Who owns an item, the outermost first. All paths of one collection have the same length. */
export type Path = readonly string[]

export class Holdings<Item> {
  #weight = 0
  /** Only where the path goes on. */
  readonly #owners = new Map<string, Holdings<Item>>()
  /** The owners again, by how often their weight can be halved: so whoever has most, or half as much at least, is at hand. */
  readonly #bySize: Set<Holdings<Item>>[] = []
  /** Only where the path ends: the oldest first. */
  readonly #items = new Set<Item>()

  /** What all items together weigh. */
  get weight(): number {
    return this.#weight
  }

  get isEmpty(): boolean {
    return this.#owners.size === 0 && this.#items.size === 0
  }

  /** Adds an item that is not there yet: it is the newest. Its weight is 1 at least. */
  add(item: Item, [owner, ...rest]: Path, weight: number): void {
    this.#weight += weight
    if (owner === undefined) return void this.#items.add(item)
    const holdings = this.#owners.get(owner) ?? new Holdings<Item>()
    const before = holdings.weight
    this.#owners.set(owner, holdings)
    holdings.add(item, rest, weight)
    this.#resized(holdings, before)
  }

  /** Removes an item that was added with this path and weight. */
  remove(item: Item, [owner, ...rest]: Path, weight: number): void {
    this.#weight -= weight
    if (owner === undefined) return void this.#items.delete(item)
    const holdings = this.#owners.get(owner)
    if (!holdings) return
    const before = holdings.weight
    holdings.remove(item, rest, weight)
    this.#resized(holdings, before)
    if (holdings.isEmpty) this.#owners.delete(owner)
  }

  /** The oldest item of an owner than whom none has twice as much; undefined if there is none. */
  oldestOfMost(): Item | undefined {
    if (this.#owners.size === 0) return this.#items.values().next().value
    const most = this.#bySize.findLast(owners => owners !== undefined && owners.size > 0)
    return most?.values().next().value?.oldestOfMost()
  }

  #resized(owner: Holdings<Item>, before: number): void {
    const [from, to] = [halvings(before), halvings(owner.weight)]
    if (from === to) return
    this.#bySize[from]?.delete(owner)
    if (to < 0) return
    const alike = this.#bySize[to] ?? new Set()
    this.#bySize[to] = alike.add(owner)
  }
}

const halvings = (weight: number): number => Math.floor(Math.log2(weight))
