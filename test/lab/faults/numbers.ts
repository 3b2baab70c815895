// Bytes that say where they belong: word N of the stream, of four bytes, is N scattered over its range. So a receiver that
// knows how many bytes it has had can tell the first that is lost, repeated or damaged, without being told anything.

import { endianness } from 'node:os'

const WORD = 4
/** Odd, so that no two words below 2^32 are the same (Knuth's multiplicative hash). */
const SCATTER = 0x9e3779b1

/** The bytes of the stream from `offset` on. */
export function numbered(offset: number, bytes: number): Buffer {
  const first = Math.floor(offset / WORD)
  const words = new Uint32Array(Math.ceil((offset + bytes) / WORD) - first)
  for (let at = 0; at < words.length; at++) words[at] = Math.imul(first + at, SCATTER)
  const all = Buffer.from(words.buffer)
  if (endianness() === 'BE') all.swap32()
  return all.subarray(offset - first * WORD, offset - first * WORD + bytes)
}

/** Where `bytes`, which came at `offset`, are not what belongs there; undefined where they are. */
export function firstWrong(offset: number, bytes: Buffer): number | undefined {
  const right = numbered(offset, bytes.length)
  if (right.equals(bytes)) return undefined
  return offset + right.findIndex((byte, at) => byte !== bytes[at])
}
