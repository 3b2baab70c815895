// All idle peers of a benchmark, in as many processes as their descriptors take (crowd.ts).

import { Driven } from '../../test/lab/driven.ts'
import { here } from '../means/gateway-process.ts'
import type { Crowd } from './crowd.ts'
import type { Door, Tally } from './scripted.ts'

/** A process may have 20,000 descriptors where this is written, and a peer takes two. */
const OF_A_PROCESS = 9000

export class Crowds implements AsyncDisposable {
  readonly #crowds: readonly Driven<Crowd>[]
  #made = 0

  /** @param most how many peers there will be at most */
  constructor(most: number) {
    const processes = Math.max(2, Math.ceil(most / OF_A_PROCESS))
    const script = new URL('crowd.ts', import.meta.url)
    this.#crowds = Array.from({ length: processes }, () => new Driven<Crowd>(here, script))
  }

  get pids(): number[] {
    return this.#crowds.map(({ pid }) => pid)
  }

  /** Makes as many more as it takes until there are so many, with a key each. */
  async grow(count: number): Promise<void> {
    const first = this.#made
    const each = Math.ceil((count - first) / this.#crowds.length)
    const making = this.#crowds.map((crowd, at) => {
      const from = first + at * each
      return crowd.do('make', { from, count: Math.max(0, Math.min(each, count - from)) })
    })
    await Promise.all(making)
    this.#made = count
  }

  /** Those that have not joined yet join. Resolves when all of them have shown their sockets. */
  async join(door: Door): Promise<void> {
    await Promise.all(this.#crowds.map(crowd => crowd.do('join', { door })))
  }

  /** What became of all of them so far. */
  async tally(): Promise<Tally> {
    const sum: Tally = { ready: 0, lost: 0, tries: 0, shown: 0, unanswered: 0 }
    for (const tally of await Promise.all(this.#crowds.map(crowd => crowd.do('tally', {}))))
      for (const key of Object.keys(sum) as (keyof Tally)[]) sum[key] += tally[key]
    return sum
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#crowds.map(crowd => crowd[Symbol.asyncDispose]()))
  }
}
