// Turns what is valid into what nearly is. An input of noise alone is turned away at the first look; one that was valid a moment
// before gets further in.

import { DEEP, type Odd } from './odd.ts'
import type { Random } from './random.ts'

// Bytes.

const extremes = [0, 1, 3, 4, 7, 8, 0x7f, 0x80, 0xfe, 0xff] as const

/** @param others specimens of the same kind, of which pieces may be taken */
export function mutatedBytes(random: Random, specimen: Buffer, others: readonly Buffer[]): Buffer {
  let bytes: Buffer = Buffer.from(specimen)
  for (let edits = random.size(6); edits > 0; edits--) bytes = editedBytes(random, bytes, others)
  return bytes
}

function editedBytes(random: Random, bytes: Buffer, others: readonly Buffer[]): Buffer {
  const at = random.below(bytes.length)
  const end = Math.min(bytes.length, at + random.size(32))
  switch (random.below(8)) {
    case 0:
      if (at < bytes.length) bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at)
      return bytes
    case 1:
      if (at < bytes.length) bytes.writeUInt8(random.pick(extremes), at)
      return bytes
    case 2:
      if (at + 2 <= bytes.length) bytes.writeUInt16BE(random.chance(0.5) ? random.below(64) : random.below(65_536), at)
      return bytes
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)])
    case 4:
      return Buffer.from(bytes.subarray(0, at))
    case 5:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)])
    case 6:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(random.size(16)), bytes.subarray(at)])
    default:
      return Buffer.concat([bytes.subarray(0, at), pieceOf(random, random.pick(others) ?? bytes), bytes.subarray(end)])
  }
}

function pieceOf(random: Random, bytes: Buffer): Buffer {
  const at = random.below(bytes.length)
  return bytes.subarray(at, at + random.size(64))
}

// Text.

/** Characters of a text at most: repetitions of repetitions have no end. */
const MOST = 1e6

export function mutatedText(random: Random, specimen: string, odd: Odd): string {
  let text = specimen
  for (let edits = random.size(6); edits > 0; edits--) text = editedText(random, text, odd).slice(0, MOST)
  return text
}

function editedText(random: Random, text: string, odd: Odd): string {
  const [at, end] = span(random, text)
  const put = (middle: string) => text.slice(0, at) + middle + text.slice(end)
  switch (random.below(7)) {
    case 0:
      return put('')
    case 1:
      return put(odd.text(random))
    case 2:
      return put(text.slice(at, end) + odd.text(random))
    case 3:
      return put(text.slice(at, end).repeat(random.size(100)))
    case 4:
      return put(text.slice(...span(random, text)))
    case 5:
      return put(String(odd.number(random)))
    default:
      return text.slice(0, random.chance(0.2) ? at : text.length)
  }
}

/** Some characters, a word, or some lines. */
function span(random: Random, text: string): [from: number, to: number] {
  const at = random.below(text.length + 1)
  if (random.chance(0.3)) return [at, at + random.size(20)]
  const edge = random.chance(0.5) ? /\n/ : /[^\w.-]/
  const from = lastMatch(text, edge, at)
  const to = text.slice(at).search(edge)
  return [from, to < 0 ? text.length : at + to + (edge.source === '\\n' ? 1 : 0)]
}

function lastMatch(text: string, edge: RegExp, at: number): number {
  for (let from = at; from > Math.max(0, at - 300); from--) if (edge.test(text.charAt(from - 1))) return from
  return Math.max(0, at - 300)
}

// What JSON says.

type Holder = Record<string, unknown> | unknown[]

/** A copy in which something is gone, added, twice, of another type, or extreme. */
export function mutatedJson(random: Random, specimen: unknown, odd: Odd): unknown {
  const root: { value: unknown } = { value: structuredClone(specimen) }
  for (let edits = random.chance(0.6) ? 1 : 1 + random.size(3); edits > 0; edits--) editJson(random, root, odd)
  return root.value
}

function editJson(random: Random, root: { value: unknown }, odd: Odd): void {
  const [holder, key] = placeIn(random, root)
  const value = at(holder, key)
  switch (random.below(9)) {
    case 0:
      return remove(holder, key)
    case 1:
      return put(holder, key, odd.value(random))
    case 2:
    case 3:
    case 4:
      return put(holder, key, nearTo(random, value, odd))
    case 5:
      return add(random, isHolder(value) ? value : holder, odd.value(random), odd)
    case 6:
      return put(holder, key, Array(random.size(random.chance(0.1) ? 300 : 8)).fill(value))
    case 7:
      return put(holder, key, at(...placeIn(random, { value: structuredClone(root.value) })))
    default:
      return put(holder, key, typeof value === 'string' ? mutatedText(random, value, odd) : odd.value(random))
  }
}

/** The same type, but extreme. */
function nearTo(random: Random, value: unknown, odd: Odd): unknown {
  if (typeof value === 'number') return random.chance(0.5) ? odd.number(random) : value + random.below(5) - 2
  if (typeof value === 'string') return odd.text(random)
  if (typeof value === 'boolean') return !value
  return Array.isArray(value) ? value.toReversed() : { ...(isHolder(value) ? value : {}), [odd.text(random)]: null }
}

function placeIn(random: Random, root: { value: unknown }): [Holder, string] {
  let place: [Holder, string] = [root as Record<string, unknown>, 'value']
  while (random.chance(0.85)) {
    const inside = at(...place)
    const key = isHolder(inside) ? random.pick(Object.keys(inside)) : undefined
    if (key === undefined || !isHolder(inside)) break
    place = [inside, key]
  }
  return place
}

const isHolder = (value: unknown): value is Holder => typeof value === 'object' && value !== null

const at = (holder: Holder, key: string): unknown => Object.getOwnPropertyDescriptor(holder, key)?.value

/** `__proto__` becomes a member like any other, as JSON.parse makes it. */
function put(holder: Holder, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true })
}

function add(random: Random, holder: Holder, value: unknown, odd: Odd): void {
  if (Array.isArray(holder)) holder.splice(random.below(holder.length + 1), 0, value)
  else put(holder, odd.text(random), value)
}

function remove(holder: Holder, key: string): void {
  if (Array.isArray(holder)) holder.splice(Number(key), 1)
  else if (key !== 'value' || Object.keys(holder).length > 1) delete holder[key]
}

/** As text of so many characters at most, which may not be JSON any more. */
export function jsonText(random: Random, value: unknown, odd: Odd, most: number): string {
  const deep = new RegExp(`"${DEEP}(\\d{1,6})"`, 'g')
  const nested = (_: string, depth: string) => '['.repeat(Number(depth)) + ']'.repeat(Number(depth))
  const text = (JSON.stringify(value) ?? '').replaceAll(deep, nested)
  return (random.chance(0.1) ? mutatedText(random, text, odd) : text).slice(0, most)
}
