// Keeps the last connect requests and refused joins. It is a span processor: every span that starts beneath a root belongs
// to the root's family. When the root ends, the family is a record. It is kept as one line of JSON, in memory
// (retention.ts) and, if configured, in a file (file.ts). A span that ends later amends the record; a search for another path
// of its connection is a branch, whose spans amend it together when the search is over. Peers choose their
// trace ids, and are told those of others, so one id may stand for several requests. Each of them has a record of its own,
// named by the span of its root.
//
//   onStart → family of the parent, or a new one → onEnd → root?   record, or amendment by a whole branch
//                                                         other?  span of the family, or amendment

import type { Span, SpanContext } from '@opentelemetry/api'
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace'
import { LRUCache } from 'lru-cache'
import type { Verdict, VerdictCode } from '../../verdict.ts'
import { read } from '../record/reader.ts'
import { readRecord } from '../record/schema.ts'
import { verdictOf } from '../record/verdict-attributes.ts'
import { takingTurns } from './fair-share.ts'
import type { TraceFile } from './file.ts'
import { matches, type TraceFilter } from './filter.ts'
import { Kept } from './retention.ts'

export type { TraceFilter } from './filter.ts'

import type { Loss, SpanRecord, TraceRecord, TraceSummary } from '../record/record.ts'

export interface StoreOptions {
  /** Bytes of finished records kept; 0: none. */
  readonly memory: number
  readonly file?: TraceFile
  /** Judges a request whose root carries no verdict. */
  readonly judge: (spans: readonly SpanRecord[]) => Verdict
  /** Judges why paths of a connection were lost; nothing is if it is left out. */
  readonly judgeLosses?: (record: TraceRecord) => readonly Loss[]
  /** Is called with each loss of which no more will be learnt. */
  readonly onLoss?: (loss: Loss) => void
  /** Is called with each record when its root has ended. */
  readonly onEnded?: (record: TraceRecord) => void
}

/** Most started spans that are remembered, with what ended beneath them: enough for some thousand requests at once. */
const FAMILIAR = 50_000

/** Most spans of one request: an operator's own strategy may make plans without end. */
const SPANS = 1000

/**
 * How often a record is amended at most: by reports that come late, changes of a path, and searches for another one (64 of each of
 * the last two, session/again/standing.ts).
 */
const LATE = 200

/** Most requests that are shown of one trace: a caller may make any number of them. */
const TOGETHER = 100

/** A request that is under way, or was; or a branch of one. */
interface Family {
  /** Of the record. */
  readonly key: string
  /** The span that ends it. */
  readonly top: string
  /** The spans that have ended; empty once the root has ended. */
  spans: SpanRecord[]
  over: boolean
}

export class TraceStore implements SpanProcessor {
  readonly #kept: Kept
  readonly #families = new LRUCache<string, Family>({ maxSize: FAMILIAR, sizeCalculation: () => 1 })
  readonly #file: TraceFile | undefined
  readonly #judge: StoreOptions['judge']
  readonly #judgeLosses: NonNullable<StoreOptions['judgeLosses']>
  readonly #onEnded: (record: TraceRecord) => void
  readonly #onLoss: (loss: Loss) => void
  #late = 0
  #lost = 0

  constructor(options: StoreOptions) {
    const { memory, file, judge, judgeLosses = () => [], onEnded = () => {}, onLoss = () => {} } = options
    this.#judge = judge
    this.#judgeLosses = judgeLosses
    this.#onLoss = onLoss
    this.#kept = new Kept(memory)
    this.#file = file
    this.#onEnded = onEnded
  }

  /** Records, their bytes, and those that had to go; spans that came late, and those that had no place any more. */
  get counters() {
    const { size: kept, bytes, evicted } = this.#kept
    const file = this.#file ? { file: { ...this.#file.counters } } : {}
    return { kept, bytes, evicted, late: this.#late, lost: this.#lost, ...file }
  }

  /** Takes what the file has, as far as there is room, and from then on keeps it up to date. Throws `bad-config`. */
  async load(): Promise<void> {
    await this.#file?.read(line => {
      const record = readRecord(line)
      if (record) this.#keep(record)
      return record !== undefined
    })
    this.#file?.follow(() => this.#kept.lines())
  }

  /** The requests made within one trace, oldest first. */
  get(id: string): TraceRecord[] {
    const newestFirst = this.#kept.entries(({ summary }) => summary.id === id)
    return takingTurns(newestFirst, TOGETHER, ({ summary }) => summary)
      .map(({ line }) => JSON.parse(line.toString()) as TraceRecord)
      .toReversed()
  }

  /** One request of a trace. @param root id of its first span */
  request(id: string, root: string): TraceRecord | undefined {
    const entry = this.#kept.get(keyOf({ traceId: id, spanId: root }))
    return entry && (JSON.parse(entry.line.toString()) as TraceRecord)
  }

  /** Newest first. */
  list(filter: TraceFilter): TraceSummary[] {
    return this.#kept
      .entries(({ summary }) => matches(summary, filter))
      .slice(0, filter.limit)
      .map(({ summary }) => summary)
  }

  /**
   * What was recorded of a request that is under way, its root first. The verdict that the root will carry is judged from
   * this.
   */
  soFar(root: Span): SpanRecord[] {
    const family = this.#families.get(root.spanContext().spanId)
    return family ? inOrder(recordOf(root as Span & ReadableSpan), family.spans) : []
  }

  onStart(span: Span & ReadableSpan): void {
    const family = isRoot(span) ? undefined : this.#familyOf(span)
    const begun = (key: string): Family => ({ key, top: idOf(span), spans: [], over: false })
    if (family) this.#families.set(idOf(span), isBranch(span) ? begun(family.key) : family)
    else if (records.includes(span.name)) this.#families.set(idOf(span), begun(keyOf(span.spanContext())))
  }

  onEnd(span: ReadableSpan): void {
    const family = this.#families.get(idOf(span))
    if (!family) this.#lost++
    else if (family.top === idOf(span)) this.#end(family, span)
    else if (family.over) this.#amend(family.key, [recordOf(span)])
    else if (family.spans.length < SPANS) family.spans.push(recordOf(span))
    else this.#lost++
  }

  async forceFlush(): Promise<void> {
    await this.#file?.flush()
  }

  async shutdown(): Promise<void> {
    await this.#file?.close()
  }

  /** The family of its parent. If that is forgotten, the parent may be a root whose record is still there. */
  #familyOf(span: ReadableSpan): Family | undefined {
    const above = aboveOf(span)
    if (above === undefined) return undefined
    const key = keyOf(above)
    return (
      this.#families.get(above.spanId) ??
      (this.#kept.has(key) ? { key, top: above.spanId, spans: [], over: true } : undefined)
    )
  }

  /** The root of a request has ended, or of a branch. */
  #end(family: Family, span: ReadableSpan): void {
    const { key, spans } = family
    family.spans = []
    family.over = true
    if (key === keyOf(span.spanContext())) this.#complete(key, recordOf(span), spans)
    else this.#amend(key, [recordOf(span), ...spans])
  }

  #complete(key: string, root: SpanRecord, spans: readonly SpanRecord[]): void {
    const record = this.#withLosses(completed(key.slice(0, 32), inOrder(root, spans), this.#judge))
    this.#save(record)
    this.#onEnded(record)
  }

  #amend(key: string, spans: readonly SpanRecord[]): void {
    const entry = this.#kept.get(key)
    if (!entry || entry.late >= LATE) {
      this.#lost += spans.length
      return
    }
    this.#late += spans.length
    const record = JSON.parse(entry.line.toString()) as TraceRecord
    const [root, ...others] = record.spans
    if (!root) return
    const all = inOrder(root, [...others, ...spans])
    const verdict = spans.some(changesVerdict) ? this.#judge(all) : record.verdict
    this.#save(this.#withLosses({ ...record, verdict, spans: all }), entry.late + 1)
  }

  /** The record with its losses judged anew, by all that is known of them now. */
  #withLosses(record: TraceRecord): TraceRecord {
    const losses = this.#judgeLosses(record)
    for (const [at, loss] of losses.entries()) if (loss.settled && !record.losses?.[at]?.settled) this.#onLoss(loss)
    return losses.length === 0 ? record : { ...record, losses }
  }

  #save(record: TraceRecord, late = 0): void {
    const line = this.#keep(record, late)
    if (line) this.#file?.append(line)
  }

  #keep(record: TraceRecord, late = 0): Buffer | undefined {
    return this.#kept.add(keyOf({ traceId: record.id, spanId: record.spans[0]?.id ?? '' }), record, late)
  }
}

function completed(id: string, spans: readonly SpanRecord[], judge: StoreOptions['judge']): TraceRecord {
  const [root] = spans
  const said = read(root)
  const [path, continues] = [said.text('path'), said.text('continues')]
  return {
    id,
    startMs: root?.startMs ?? 0,
    ms: (root?.endMs ?? 0) - (root?.startMs ?? 0),
    caller: said.shown('caller') || said.shown('peer'),
    callee: said.shown('callee'),
    outcome: said.shown('outcome'),
    by: said.shown('plugin') || said.shown('code'),
    reason: said.shown('reason'),
    ...(path === 'direct' || path === 'relay' ? { path } : {}),
    ...(continues === undefined ? {} : { continues }),
    verdict: verdictOf(root) ?? judge(spans),
    spans
  }
}

/**
 * What a span belongs to: its parent, or what it is linked with, where it has a trace of its own because it is of another time. A
 * request may be linked with such spans, and belongs to none of them.
 */
const aboveOf = ({ name, parentSpanContext, links }: ReadableSpan): SpanContext | undefined =>
  parentSpanContext ?? (name === 'postern.connect' ? undefined : links[0]?.context)

/** True for the root of a family. A parent that a caller names is not ours, whatever its id. */
const isRoot = (span: ReadableSpan) =>
  span.name === 'postern.connect' || span.parentSpanContext?.isRemote === true || aboveOf(span) === undefined

const inOrder = (root: SpanRecord, others: readonly SpanRecord[]): SpanRecord[] => [
  root,
  ...others.toSorted((a, b) => a.startMs - b.startMs || b.endMs - a.endMs)
]

/** The path that was found turned out to be of no use, for any data. */
const changesVerdict = (span: SpanRecord) => read(span).text('code') === TOO_NARROW
const TOO_NARROW: VerdictCode = 'too-narrow'

/** The names of spans that records begin with. A search is one where its connection has no record. */
const records: readonly string[] = ['postern.connect', 'postern.join', 'postern.again']

const isBranch = ({ name }: ReadableSpan) => name === 'postern.again'

const idOf = (span: Span | ReadableSpan): string => span.spanContext().spanId

/** The name of a family, from its root. */
const keyOf = ({ traceId, spanId }: Pick<SpanContext, 'traceId' | 'spanId'>): string => `${traceId}-${spanId}`

/** The span as it is kept. */
export function recordOf(span: ReadableSpan): SpanRecord {
  const parent = aboveOf(span)?.spanId
  return {
    id: span.spanContext().spanId,
    ...(parent ? { parent } : {}),
    name: span.name,
    startMs: milliseconds(span.startTime),
    endMs: milliseconds(span.endTime),
    attributes: { ...span.attributes },
    events: span.events.map(event => ({
      name: event.name,
      atMs: milliseconds(event.time),
      attributes: { ...event.attributes }
    }))
  }
}

const milliseconds = ([seconds, nanos]: readonly [number, number]) => seconds * 1000 + nanos / 1e6
