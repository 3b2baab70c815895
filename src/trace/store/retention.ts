// Keeps finished records within a number of bytes. Records that nobody will ask about go first: those of direct paths, the
// oldest first. Next go those of requests and joins that were refused before anything was tried: strangers and peers can
// make any number of these. The others go only when none of these is left. Each record is kept as its line of JSON, whose
// bytes can be counted, beside what a list shows.

import { LRUCache } from 'lru-cache'
import type { TraceRecord, TraceSummary } from '../record/record.ts'

export interface Entry {
  readonly summary: TraceSummary
  /** The whole record. */
  readonly line: Buffer
  /** Spans added after the end. */
  readonly late: number
}

/**
 * A summary as objects takes about twice the bytes of its text. The tables of a cache and the buffer take some hundred
 * more.
 */
const SUMMARY_FACTOR = 2
const ENTRY_BYTES = 512

export class Kept {
  evicted = 0
  readonly #memory: number
  /** Records of the first cache go first. */
  readonly #caches: readonly LRUCache<string, Entry>[]

  /** @param memory bytes; 0: nothing is kept. */
  constructor(memory: number) {
    const cache = () => new LRUCache<string, Entry>({ maxSize: memory, sizeCalculation: bytesOf })
    this.#memory = memory
    this.#caches = memory === 0 ? [] : [cache(), cache(), cache()]
  }

  get size(): number {
    return this.#caches.reduce((sum, { size }) => sum + size, 0)
  }

  get bytes(): number {
    return this.#caches.reduce((sum, { calculatedSize }) => sum + calculatedSize, 0)
  }

  has(key: string): boolean {
    return this.#caches.some(cache => cache.has(key))
  }

  get(key: string): Entry | undefined {
    return this.#caches.find(cache => cache.has(key))?.peek(key)
  }

  /** Adds a record, or replaces it, and gives its line; undefined if nothing is kept. */
  add(key: string, { spans, ...summary }: TraceRecord, late: number): Buffer | undefined {
    const cache = this.#caches[isDirect(summary) ? 0 : spans.length === 1 ? 1 : 2]
    if (!cache) return undefined
    // The spans come last: a person who reads the file sees first what a line is about.
    const line = Buffer.from(JSON.stringify({ ...summary, spans }))
    const before = this.size + (this.has(key) ? 0 : 1)
    // A record with a span that came late no longer counts as refused at once.
    for (const other of this.#caches) if (other !== cache) other.delete(key)
    cache.set(key, { summary, line, late })
    while (this.bytes > this.#memory) this.#caches.find(({ size }) => size > 0)?.pop()
    this.evicted += before - this.size
    return line
  }

  /** Newest first, by when they began. Looking at an entry keeps it no longer. */
  entries(wanted: (entry: Entry) => boolean): Entry[] {
    const found = this.#caches.flatMap(cache => [...cache.values()].filter(wanted))
    return found.sort((a, b) => b.summary.startMs - a.summary.startMs)
  }

  /** In the order of a file: those that go first stand first. */
  lines(): Buffer[] {
    return this.#caches.flatMap(cache => [...cache.rvalues()].flatMap(entry => entry?.line ?? []))
  }
}

const isDirect = ({ outcome, path }: TraceSummary) => outcome === 'path' && path === 'direct'

const bytesOf = ({ summary, line }: Entry) =>
  line.length + SUMMARY_FACTOR * Buffer.byteLength(JSON.stringify(summary)) + ENTRY_BYTES
