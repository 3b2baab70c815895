// What the gateway and the relay's threads both see: the limits that directions of several threads share, and what each thread counts.
// It is memory of a fixed size, of which each session has a part for each of its directions. A thread alone writes the account of a
// direction, so it needs no lock; buckets are taken from by all.

import { type Bucket, CAPACITY_MS, fillOf, type LimitName, type ShaperCounters, type Tally } from '../limit.ts'

/** Of a bucket: its level, when it was filled, and how many wait, each an Int32, and its rate, a Float64. */
const BUCKET_BYTES = 24
/** The level is in sixteenths of a byte: 134 MB, which is 7 ms of 150 Gbit/s. */
const UNIT = 16
/** So many bytes are filled in at a time: what a part of a sixteenth is lost of, each time, is next to nothing then. */
const LEAST_FILL = 16 * UNIT

/** The number of the bucket that all directions share. */
export const TOTAL = 0

/** One view of each kind for all that use a memory: each with a view of its own would take ten times what it shows. */
const views = new WeakMap<SharedArrayBuffer, { readonly integers: Int32Array; readonly numbers: Float64Array }>()

function viewsOf(memory: SharedArrayBuffer) {
  const known = views.get(memory)
  if (known) return known
  const made = { integers: new Int32Array(memory), numbers: new Float64Array(memory) }
  views.set(memory, made)
  return made
}

/** A bucket of several threads, whose clocks agree to a part of a millisecond. */
export class SharedBucket implements Bucket {
  readonly name: LimitName
  readonly number: number
  readonly #counts: Int32Array
  readonly #rates: Float64Array

  /** @param number its place in the memory */
  constructor(name: LimitName, memory: SharedArrayBuffer, number: number) {
    this.name = name
    this.number = number
    const { integers, numbers } = viewsOf(memory)
    this.#counts = integers
    this.#rates = numbers
  }

  static memory(count: number): SharedArrayBuffer {
    return new SharedArrayBuffer(count * BUCKET_BYTES)
  }

  /** It is full. */
  begin(bitsPerSecond: number, nowMs: number): this {
    this.retune(bitsPerSecond)
    Atomics.store(this.#counts, this.#at, this.#most)
    Atomics.store(this.#counts, this.#at + 1, microseconds(nowMs))
    Atomics.store(this.#counts, this.#at + 2, 0)
    return this
  }

  get #at(): number {
    return (this.number * BUCKET_BYTES) / 4
  }

  get #rate(): number {
    return (this.number * BUCKET_BYTES) / 8 + 2
  }

  get bitsPerSecond(): number {
    return this.#rates[this.#rate] as number
  }

  get waiting(): number {
    return Atomics.load(this.#counts, this.#at + 2)
  }

  waits(change: 1 | -1): void {
    Atomics.add(this.#counts, this.#at + 2, change)
  }

  retune(bitsPerSecond: number): void {
    this.#rates[this.#rate] = bitsPerSecond
  }

  isOpen(nowMs: number, beyond = 0): boolean {
    const nowUs = microseconds(nowMs)
    const filledUs = Atomics.load(this.#counts, this.#at + 1)
    // Another thread may have filled it a moment ago by a clock that is a moment ahead.
    const elapsedUs = (nowUs - filledUs) >>> 0
    const most = this.#most
    const fill = elapsedUs > 2 ** 31 ? 0 : Math.min(most, Math.floor(elapsedUs * this.#perUs))
    const isDue = fill >= Math.min(LEAST_FILL, most)
    if (isDue && Atomics.compareExchange(this.#counts, this.#at + 1, filledUs, nowUs) === filledUs) {
      const level = Atomics.add(this.#counts, this.#at, fill) + fill
      if (level > most) Atomics.sub(this.#counts, this.#at, level - most)
    }
    return Atomics.load(this.#counts, this.#at) > beyond * UNIT
  }

  take(bytes: number): void {
    Atomics.sub(this.#counts, this.#at, bytes * UNIT)
  }

  /** Units in a full bucket. */
  get #most(): number {
    return Math.min(LARGEST, Math.floor(this.#perUs * CAPACITY_MS * 1000))
  }

  /** Units in a microsecond. */
  get #perUs(): number {
    return (fillOf(this.bitsPerSecond) * UNIT) / 1000
  }
}

/** An Int32 has room for a bucket that is filled when it is full. */
const LARGEST = 2 ** 30

const microseconds = (ms: number): number => (ms * 1000) | 0

/** What is counted of a direction; all are Float64. */
const fields = [
  ...(['sentBytes', 'sentDatagrams', 'queued', 'delayed', 'delayedMs', 'droppedBytes'] as const),
  ...(['session', 'peer', 'network', 'total', 'heardMs'] as const)
] as const
type Field = (typeof fields)[number]
const at = Object.fromEntries(fields.map((field, index) => [field, index])) as Record<Field, number>

/** The account of a direction. */
export class Account implements Tally {
  readonly #numbers: Float64Array
  readonly #at: number

  constructor(memory: SharedArrayBuffer, index: number) {
    this.#numbers = viewsOf(memory).numbers
    this.#at = index * fields.length
  }

  static memory(count: number): SharedArrayBuffer {
    return new SharedArrayBuffer(count * fields.length * 8)
  }

  begin(): void {
    this.#numbers.fill(0, this.#at, this.#at + fields.length)
  }

  sent(bytes: number, datagrams: number): void {
    this.#add(at.sentBytes, bytes)
    this.#add(at.sentDatagrams, datagrams)
  }

  waits(): void {
    this.#add(at.queued, 1)
  }

  waited(ms: number): void {
    this.#add(at.delayed, 1)
    this.#add(at.delayedMs, ms)
  }

  dropped(bytes: number, limit: LimitName): void {
    this.#add(at.droppedBytes, bytes)
    this.#add(at[limit], 1)
  }

  heard(nowMs: number): void {
    this.#numbers[this.#at + at.heardMs] = nowMs
  }

  /** When something came last, on the gateway's clock; 0 where nothing has. */
  get heardMs(): number {
    return this.#of('heardMs')
  }

  get counters(): ShaperCounters {
    return {
      sentBytes: this.#of('sentBytes'),
      sentDatagrams: this.#of('sentDatagrams'),
      queued: this.#of('queued'),
      delayed: this.#of('delayed'),
      delayedMs: this.#of('delayedMs'),
      droppedBytes: this.#of('droppedBytes'),
      dropped: {
        session: this.#of('session'),
        peer: this.#of('peer'),
        network: this.#of('network'),
        total: this.#of('total')
      }
    }
  }

  #add(field: number, amount: number): void {
    this.#numbers[this.#at + field] = (this.#numbers[this.#at + field] as number) + amount
  }

  #of(field: Field): number {
    return this.#numbers[this.#at + at[field]] as number
  }
}
