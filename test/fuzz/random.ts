// Where the fuzzer's choices come from: the same words at the start give the same choices, on any computer. Each operation has a
// source of its own, made of the seed, the target and its number, so that it can be done again without those before it.

import { createHash } from 'node:crypto'

export class Random {
  readonly #state: Uint32Array

  constructor(...words: readonly (string | number)[]) {
    const { buffer, byteOffset } = Uint8Array.from(createHash('sha256').update(words.join(' ')).digest())
    this.#state = new Uint32Array(buffer, byteOffset, 4)
  }

  /** 32 bits: Chris Doty-Humphrey's sfc32. */
  next(): number {
    const [a = 0, b = 0, c = 0, count = 0] = this.#state
    const sum = (a + b + count) >>> 0
    this.#state.set([b ^ (b >>> 9), c + (c << 3), ((c << 21) | (c >>> 11)) + sum, count + 1])
    return sum
  }

  /** A whole number from 0 to `end - 1`; 0 if there is none. */
  below(end: number): number {
    return end > 0 ? Math.floor((this.next() / 2 ** 32) * end) : 0
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  chance(probability: number): boolean {
    return this.next() / 2 ** 32 < probability
  }

  pick<T>(list: readonly [T, ...T[]]): T
  pick<T>(list: readonly T[]): T | undefined
  pick<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)]
  }

  /** Mostly small, seldom as large as `most`: each size is as likely as its double. */
  size(most: number): number {
    return Math.min(most, Math.floor(2 ** ((this.next() / 2 ** 32) * Math.log2(most + 1))) - (this.chance(0.1) ? 1 : 0))
  }

  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.below(256)))
  }
}
