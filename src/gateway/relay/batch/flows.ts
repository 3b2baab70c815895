// Which direction a datagram belongs to, by the socket that it came to and the name of its source. Open addressing in memory that is
// made before: nothing is allocated for a datagram.

import { NAME_WORDS } from './raw.ts'

/** Socket, family and port, and four words of address. */
const KEY_WORDS = 6
const AF_INET6 = 10

/** What was found is a number that the owner chose; -1: nobody's. */
export class Flows {
  #capacity = 64
  #size = 0
  #keys = new Uint32Array(this.#capacity * KEY_WORDS)
  #values = new Int32Array(this.#capacity).fill(-1)
  readonly #key = new Uint32Array(KEY_WORDS)

  get size(): number {
    return this.#size
  }

  /** @param at where the name begins, in words */
  find(socket: number, names: Uint32Array, at: number): number {
    this.#read(socket, names, at)
    return this.#values[this.#placeOf()] as number
  }

  set(socket: number, name: Uint32Array, value: number): void {
    if (2 * (this.#size + 1) > this.#capacity) this.#grow()
    this.#read(socket, name, 0)
    const place = this.#placeOf()
    if (this.#values[place] === -1) this.#size++
    this.#keys.set(this.#key, place * KEY_WORDS)
    this.#values[place] = value
  }

  delete(socket: number, name: Uint32Array): void {
    this.#read(socket, name, 0)
    let hole = this.#placeOf()
    if (this.#values[hole] === -1) return
    this.#size--
    const mask = this.#capacity - 1
    // Those behind it, up to the next hole, may have been put there because it was taken.
    for (let next = (hole + 1) & mask; this.#values[next] !== -1; next = (next + 1) & mask) {
      const home = hashOf(this.#keys, next * KEY_WORDS) & mask
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      this.#keys.copyWithin(hole * KEY_WORDS, next * KEY_WORDS, (next + 1) * KEY_WORDS)
      this.#values[hole] = this.#values[next] as number
      hole = next
    }
    this.#values[hole] = -1
  }

  #read(socket: number, names: Uint32Array, at: number): void {
    const key = this.#key
    const isSix = ((names[at] as number) & 0xffff) === AF_INET6
    key[0] = socket
    key[1] = names[at] as number
    key[2] = names[isSix ? at + 2 : at + 1] as number
    key[3] = isSix ? (names[at + 3] as number) : 0
    key[4] = isSix ? (names[at + 4] as number) : 0
    key[5] = isSix ? (names[at + 5] as number) : 0
  }

  /** Where the key is, or would be. */
  #placeOf(): number {
    const mask = this.#capacity - 1
    let place = hashOf(this.#key, 0) & mask
    while (this.#values[place] !== -1 && !this.#isAt(place * KEY_WORDS)) place = (place + 1) & mask
    return place
  }

  #isAt(at: number): boolean {
    for (let word = 0; word < KEY_WORDS; word++) if (this.#keys[at + word] !== this.#key[word]) return false
    return true
  }

  #grow(): void {
    const [keys, values] = [this.#keys, this.#values]
    this.#capacity *= 2
    this.#keys = new Uint32Array(this.#capacity * KEY_WORDS)
    this.#values = new Int32Array(this.#capacity).fill(-1)
    for (const [place, value] of values.entries()) {
      if (value === -1) continue
      this.#key.set(keys.subarray(place * KEY_WORDS, (place + 1) * KEY_WORDS))
      const free = this.#placeOf()
      this.#keys.set(this.#key, free * KEY_WORDS)
      this.#values[free] = value
    }
  }
}

/** A name for each of some numbers, one behind the other: an array for each would take ten times as much. */
export class Names {
  words = new Uint32Array(64 * NAME_WORDS)

  set(number: number, name: Uint8Array): void {
    if ((number + 1) * NAME_WORDS > this.words.length) {
      const before = this.words
      this.words = new Uint32Array(Math.ceil(1.25 * (number + 1)) * NAME_WORDS)
      this.words.set(before)
    }
    this.words.set(wordsOf(name), number * NAME_WORDS)
  }

  of(number: number): Uint32Array {
    return this.words.subarray(number * NAME_WORDS, (number + 1) * NAME_WORDS)
  }
}

/** Sources choose their ports and some of their addresses, so they must not know what meets: the seed is the process's own. */
const seed = crypto.getRandomValues(new Uint32Array(1))[0] as number

/** As MurmurHash3 mixes words (Appleby, 2011). */
function hashOf(words: Uint32Array, at: number): number {
  let hash = seed
  for (let word = at; word < at + KEY_WORDS; word++) {
    let mixed = Math.imul(words[word] as number, 0xcc9e2d51)
    mixed = (mixed << 15) | (mixed >>> 17)
    hash ^= Math.imul(mixed, 0x1b873593)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  return hash >>> 0
}

/** A name in words, as `find` takes it. */
export function wordsOf(name: Uint8Array): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(NAME_WORDS)
  new Uint8Array(words.buffer).set(name)
  return words
}
