// Bytes in their order, from an offset on: those that were written and that the far side may not have, or those that have
// arrived and that nobody has read. They are copied into blocks, so that a thousand tiny pieces take no more memory than a
// large one, and so that whoever wrote them may use his buffer again.

/** The longest message of a stream that shares a path, in bytes: a large one on a slow path would hold up the streams beside it. */
export const MESSAGE_BYTES = 16_384

/** So many blocks are kept for use again. Making one costs more than filling it. */
const SPARE_BLOCKS = 64

/** A message that lies in several blocks is put together here: whoever sends it takes a copy at once. */
let together = new Uint8Array(0)

export class Kept {
  #blocks: Uint8Array[] = []
  readonly #spare: Uint8Array[] = []
  /** The offset of the first block's first byte; a multiple of the block's length. */
  #base = 0
  #start = 0
  #end = 0

  /** The offset of the first byte that is kept. */
  get start(): number {
    return this.#start
  }

  /** The offset behind the last one. */
  get end(): number {
    return this.#end
  }

  get bytes(): number {
    return this.#end - this.#start
  }

  append(bytes: Uint8Array): void {
    for (let taken = 0; taken < bytes.length; ) {
      const at = (this.#end - this.#base) % MESSAGE_BYTES
      if (at === 0) this.#blocks.push(this.#spare.pop() ?? new Uint8Array(MESSAGE_BYTES))
      const piece = bytes.subarray(taken, taken + MESSAGE_BYTES - at)
      this.#blocks.at(-1)?.set(piece, at)
      taken += piece.length
      this.#end += piece.length
    }
  }

  /** The bytes at `offset` that lie in one block: at most MESSAGE_BYTES. They are overwritten once they are dropped. */
  at(offset: number): Uint8Array {
    const index = Math.floor((offset - this.#base) / MESSAGE_BYTES)
    const blockStart = this.#base + index * MESSAGE_BYTES
    const block = this.#blocks[index] ?? new Uint8Array(0)
    return block.subarray(offset - blockStart, Math.min(MESSAGE_BYTES, this.#end - blockStart))
  }

  /** At most so many bytes from `offset` on. They are overwritten once they are dropped, or with the next call of anybody. */
  from(offset: number, mostBytes: number): Uint8Array {
    const first = this.at(offset).subarray(0, mostBytes)
    const wanted = Math.min(mostBytes, this.#end - offset)
    if (first.length >= wanted) return first
    if (together.length < wanted) together = new Uint8Array(wanted)
    for (let taken = 0; taken < wanted; ) {
      const piece = this.at(offset + taken).subarray(0, wanted - taken)
      together.set(piece, taken)
      taken += piece.length
    }
    return together.subarray(0, wanted)
  }

  /** Forgets what lies before `offset`. */
  drop(offset: number): void {
    this.#start = Math.min(Math.max(offset, this.#start), this.#end)
    const whole = Math.floor((this.#start - this.#base) / MESSAGE_BYTES)
    if (whole === 0) return
    const freed = this.#blocks.splice(0, whole)
    this.#base += whole * MESSAGE_BYTES
    this.#spare.push(...freed.slice(0, SPARE_BLOCKS - this.#spare.length))
  }

  /** Forgets all, and lets the memory go. */
  clear(): void {
    this.#blocks = []
    this.#spare.length = 0
    this.#base = this.#start = this.#end
  }
}
