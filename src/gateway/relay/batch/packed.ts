// Datagrams that a thread leaves to the gateway, one behind the other: what came to which socket, from whom.

import { NAME_WORDS } from './raw.ts'

/** Socket and length, two bytes each, and the name. */
const HEADER_BYTES = 4 + 4 * NAME_WORDS

const MOST_BYTES = 2 ** 20

/** Collects them. */
export class Packer {
  count = 0
  #bytes = new Uint8Array(2 ** 16)
  #words = new Uint32Array(this.#bytes.buffer)
  #used = 0

  /** False where there is no room until `take`. */
  add(socket: number, names: Uint32Array, at: number, datagram: Uint8Array): boolean {
    const needed = HEADER_BYTES + 4 * Math.ceil(datagram.length / 4)
    if (this.#used + needed > this.#bytes.length && !this.#grow(needed)) return false
    this.#words[this.#used / 4] = socket * 2 ** 16 + datagram.length
    for (let word = 0; word < NAME_WORDS; word++) this.#words[this.#used / 4 + 1 + word] = names[at + word] as number
    this.#bytes.set(datagram, this.#used + HEADER_BYTES)
    this.#used += needed
    this.count++
    return true
  }

  /** A copy of all, which are gone from here. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(0, this.#used)
    this.#used = 0
    this.count = 0
    return taken
  }

  #grow(needed: number): boolean {
    const size = 2 * (this.#bytes.length + needed)
    if (size > MOST_BYTES) return false
    const bytes = new Uint8Array(4 * Math.ceil(size / 4))
    bytes.set(this.#bytes)
    this.#bytes = bytes
    this.#words = new Uint32Array(bytes.buffer)
    return true
  }
}

/** Each of them: the number of the socket, where the name begins among the words, and the datagram itself. */
export function* unpacked(
  packed: Uint8Array<ArrayBuffer>
): Generator<[number, Uint32Array<ArrayBuffer>, number, Buffer]> {
  const words = new Uint32Array(packed.buffer)
  for (let at = 0; at < packed.length; ) {
    const first = words[at / 4] as number
    const length = first % 2 ** 16
    yield [Math.floor(first / 2 ** 16), words, at / 4 + 1, Buffer.from(packed.buffer, at + HEADER_BYTES, length)]
    at += HEADER_BYTES + 4 * Math.ceil(length / 4)
  }
}
