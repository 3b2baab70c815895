// The total, of which each thread has a part while it is short. Within a thread turns are fair (scheduler.ts), but threads take none with
// each other: whoever looks first would have what there is. So as long as anybody waits for the total, on whichever thread, each thread
// is filled at a rate of its own, by how many networks wait there. A network that waits on several threads counts on each by its part.
//
//   nobody waits     one level for all (shared.ts)
//   somebody waits   rate × weight of this thread / weights of all, into a level of its own

import type { Asker } from '../../shares/shares.ts'
import { type Bucket, CAPACITY_MS, fillOf, type LimitName } from '../limit.ts'
import type { SharedBucket } from './shared.ts'

/** Weights are in parts of a network. */
const NETWORK = 240

/** Weights are reckoned anew after so many milliseconds. */
const WEIGHED_MS = 5

/** Of networks it is counted on how many threads they wait, by a hash: where two meet, both count for a little less. */
const CELLS = 4096

export class DealtBucket implements Bucket {
  readonly name: LimitName
  readonly #all: SharedBucket
  readonly #weights: Int32Array
  readonly #cells: Int32Array
  readonly #thread: number
  /** How many directions of each network wait on this thread. */
  readonly #networks = new Map<string, number>()
  #levelBytes = 0
  #filledMs = 0
  #weighedMs = Number.NEGATIVE_INFINITY

  /**
   * @param thread the number of this one, from 0
   * @param memory made by `memory`
   */
  constructor(all: SharedBucket, thread: number, memory: SharedArrayBuffer) {
    this.name = all.name
    this.#all = all
    this.#thread = thread
    this.#cells = new Int32Array(memory, 0, CELLS)
    this.#weights = new Int32Array(memory, 4 * CELLS)
  }

  static memory(threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * (CELLS + threads))
  }

  begin(bitsPerSecond: number, nowMs: number): void {
    this.#all.begin(bitsPerSecond, nowMs)
  }

  get bitsPerSecond(): number {
    return this.#all.bitsPerSecond
  }

  get waiting(): number {
    return this.#all.waiting
  }

  waits(change: 1 | -1, holder: Asker): void {
    const { network } = holder
    const count = (this.#networks.get(network) ?? 0) + change
    if (count > 0) this.#networks.set(network, count)
    else this.#networks.delete(network)
    if (change === 1 ? count === 1 : count === 0) Atomics.add(this.#cells, cellOf(network), change)
    if (this.#networks.size <= 1) this.#weighedMs = Number.NEGATIVE_INFINITY
    // Nobody may ask here again for long, and what this thread does not use is the others'.
    if (this.#networks.size === 0) Atomics.store(this.#weights, this.#thread, 0)
    this.#all.waits(change)
  }

  /** The part of a network that waits on this thread, as far as it waits. */
  partOf(network: string): number {
    return 1 / this.#threadsOf(network)
  }

  /** On how many threads a network waits; one where it waits on none. */
  #threadsOf(network: string): number {
    return Math.max(1, Atomics.load(this.#cells, cellOf(network)))
  }

  retune(bitsPerSecond: number): void {
    this.#all.retune(bitsPerSecond)
  }

  isOpen(nowMs: number, beyond = 0): boolean {
    if (nowMs - this.#weighedMs >= WEIGHED_MS) this.#weigh(nowMs)
    const isOpen = this.#all.isOpen(nowMs, beyond)
    const mine = this.#weights[this.#thread] as number
    if (mine === 0) return isOpen && this.#all.waiting === 0
    let all = 0
    for (let thread = 0; thread < this.#weights.length; thread++) all += Atomics.load(this.#weights, thread)
    const bytesPerMs = (fillOf(this.bitsPerSecond) * mine) / Math.max(mine, all)
    this.#levelBytes = Math.min(this.#levelBytes + (nowMs - this.#filledMs) * bytesPerMs, bytesPerMs * CAPACITY_MS)
    this.#filledMs = nowMs
    return this.#levelBytes > beyond
  }

  take(bytes: number): void {
    this.#all.take(bytes)
    this.#levelBytes -= bytes
  }

  #weigh(nowMs: number): void {
    this.#weighedMs = nowMs
    let weight = 0
    for (const network of this.#networks.keys()) weight += Math.ceil(NETWORK / this.#threadsOf(network))
    const before = Atomics.exchange(this.#weights, this.#thread, weight)
    if (before > 0 || weight === 0) return
    this.#levelBytes = 0
    this.#filledMs = nowMs
  }
}

/** FNV-1a (Fowler, Noll and Vo). */
function cellOf(network: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < network.length; at++) hash = Math.imul(hash ^ network.charCodeAt(at), 0x01000193)
  return (hash >>> 0) % CELLS
}
