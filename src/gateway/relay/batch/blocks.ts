// Memory for datagrams that wait. It is made in slabs that never move, and used again.

import type { Foreign } from './libc.ts'
import { Memory } from './raw.ts'

/** What fits into an Ethernet frame, and a little. */
const BLOCK_BYTES = 2048
const SLAB_BLOCKS = 128
/** A datagram that is longer than a block has memory of its own, which is less than this, and is not kept. */
const SLAB_BYTES = SLAB_BLOCKS * BLOCK_BYTES

/** A datagram that waits. */
export interface Block {
  readonly memory: Memory
  readonly offset: number
  /** Its bytes; blocks have room for what fits. */
  length: number
}

export class Blocks {
  readonly #foreign: Foreign
  readonly #free: Block[] = []
  readonly #used: Block[] = []

  constructor(foreign: Foreign) {
    this.#foreign = foreign
  }

  /** A copy of a datagram. */
  take(data: Uint8Array, offset: number, length: number): Block {
    const block = this.#blockFor(length)
    block.length = length
    block.memory.bytes.set(data.subarray(offset, offset + length), block.offset)
    return block
  }

  /** It is free as soon as what was sent by reference is sent. */
  giveBack(block: Block): void {
    this.#used.push(block)
  }

  /** Everything that was sent by reference is sent. */
  sent(): void {
    for (let block = this.#used.pop(); block; block = this.#used.pop())
      if (block.memory.bytes.length === SLAB_BYTES) this.#free.push(block)
  }

  #blockFor(length: number): Block {
    if (length > BLOCK_BYTES) return { memory: new Memory(4 * Math.ceil(length / 4), this.#foreign), offset: 0, length }
    const free = this.#free.pop()
    if (free) return free
    const memory = new Memory(SLAB_BYTES, this.#foreign)
    for (let index = 1; index < SLAB_BLOCKS; index++)
      this.#free.push({ memory, offset: index * BLOCK_BYTES, length: 0 })
    return { memory, offset: 0, length: 0 }
  }
}
