// Keeps finished records within a number of bytes. Records that nobody will ask about go first: those of direct paths, then
// those of requests and joins that were refused before anything was tried, since strangers and peers can make any number of
// these. The others go only when none of these is left. Among alike, the oldest of somebody who has most goes first: of the network
// that asked, and within it of the pair of peers. So nobody turns over what others have left. Each record is kept as its line
// of JSON, whose bytes can be counted, beside what a list shows.

import type { TraceRecord, TraceSummary } from '../record/record.ts'
import { Holdings, type Path } from './holdings.ts'

export interface Entry {
  readonly summary: TraceSummary
  /** The whole record. */
  readonly line: Buffer
  /** Spans added after the end. */
  readonly late: number
}

interface Held extends Entry {
  readonly bytes: number
  readonly rank: number
  readonly owner: Path
}

/**
 * A summary as objects takes about twice the bytes of its text. The tables and the buffer take some hundred more.
 */
const SUMMARY_FACTOR = 2
const ENTRY_BYTES = 768

export class Kept {
  evicted = 0
  readonly #memory: number
  /** The one that was added last stands last. */
  readonly #held = new Map<string, Held>()
  /** Keys of records. Those of the first rank go first. */
  readonly #ranks = [new Holdings<string>(), new Holdings<string>(), new Holdings<string>()] as const

  /** @param memory bytes; 0: nothing is kept. */
  constructor(memory: number) {
    this.#memory = memory
  }

  get size(): number {
    return this.#held.size
  }

  get bytes(): number {
    return this.#ranks.reduce((sum, { weight }) => sum + weight, 0)
  }

  has(key: string): boolean {
    return this.#held.has(key)
  }

  get(key: string): Entry | undefined {
    return this.#held.get(key)
  }

  /** Adds a record, or replaces it, and gives its line; undefined if nothing is kept. */
  add(key: string, record: TraceRecord, late: number): Buffer | undefined {
    if (this.#memory === 0) return undefined
    const held = heldOf(record, late)
    const before = this.size + (this.has(key) ? 0 : 1)
    // A record with a span that came late no longer counts as refused at once.
    this.#remove(key)
    if (held.bytes <= this.#memory) this.#insert(key, held)
    while (this.bytes > this.#memory) this.#removeOne()
    this.evicted += before - this.size
    return held.line
  }

  /** Newest first, by when they began. Looking at an entry keeps it no longer. */
  entries(wanted: (entry: Entry) => boolean): Entry[] {
    return [...this.#held.values()].filter(wanted).sort((a, b) => b.summary.startMs - a.summary.startMs)
  }

  /** In the order of a file: those that go first stand first. */
  lines(): Buffer[] {
    const held = [...this.#held.values()]
    return this.#ranks.flatMap((_, at) => held.filter(({ rank }) => rank === at).map(({ line }) => line))
  }

  #insert(key: string, held: Held): void {
    this.#held.set(key, held)
    this.#ranks[held.rank]?.add(key, held.owner, held.bytes)
  }

  #remove(key: string): void {
    const held = this.#held.get(key)
    if (!held) return
    this.#held.delete(key)
    this.#ranks[held.rank]?.remove(key, held.owner, held.bytes)
  }

  #removeOne(): void {
    const key = this.#ranks.find(({ isEmpty }) => !isEmpty)?.oldestOfMost()
    if (key !== undefined) this.#remove(key)
  }
}

/** Losses that a list names. */
const LOST = 8

function heldOf({ spans, losses, ...record }: TraceRecord, late: number): Held {
  // The spans come last: a person who reads the file sees first what a line is about.
  const line = Buffer.from(JSON.stringify({ ...record, losses, spans }))
  const summary: TraceSummary = losses ? { ...record, lost: losses.slice(-LOST).map(({ code }) => code) } : record
  const bytes = line.length + SUMMARY_FACTOR * Buffer.byteLength(JSON.stringify(summary)) + ENTRY_BYTES
  const source = String(spans[0]?.attributes['postern.source'] ?? '')
  const rank = isDirect(summary) ? 0 : spans.length === 1 ? 1 : 2
  return { summary, line, late, bytes, rank, owner: [source, `${summary.caller} ${summary.callee}`] }
}

const isDirect = ({ outcome, path }: TraceSummary) => outcome === 'path' && path === 'direct'
