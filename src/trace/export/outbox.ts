// Spans that wait for the collector, and what becomes of them.
//
//   span ends ─► sampled? ─► room in the queue? ─► batch, each few seconds ─► as told.ts has it ─► collector
//                  │ no           │ no: dropped                   ▲                                   │ later: for minutes
//                                                                 └───────────────────────────────────┘ never: refused
//                                                                                                       too late: expired
//
// A collector that is slow or gone loses its own traces, and nothing else happens: nobody waits for it, and what is kept
// for it is bounded, in spans and in bytes.

import { SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type Span,
  type SpanExporter,
  type SpanProcessor
} from '@opentelemetry/sdk-trace'
import { sleep, within } from '../../clock.ts'
import { read } from '../record/reader.ts'
import { type Answer, Collector } from './collector.ts'
import type { ExportSettings } from './environment.ts'
import { Telling } from './told.ts'
import { weightOf } from './weight.ts'

export interface ExportCounters {
  /** Spans, by what became of them. */
  readonly spans: {
    /** The collector took them. */
    exported: number
    /** As many waited as may. */
    dropped: number
    /** Those that waited had as many bytes as they may. */
    overweight: number
    /** The collector will never take their batch, as it says. */
    refused: number
    /** It was not reached, or took nothing, for minutes; or the gateway stopped meanwhile. */
    expired: number
    /** It took their batch, but not them. */
    rejected: number
  }
  readonly collector: {
    /** Spans that wait, or are on their way. */
    waiting: number
    /** Bytes of memory that those take that wait. */
    bytes: number
    /** Tries that were in vain for now. */
    retries: number
    /** Those of them for which the collector said when to come again. */
    retryAfter: number
  }
}

export const noneExported = (): ExportCounters => ({
  spans: { exported: 0, dropped: 0, overweight: 0, refused: 0, expired: 0, rejected: 0 },
  collector: { waiting: 0, bytes: 0, retries: 0, retryAfter: 0 }
})

export interface ExportLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
}

/** How much is kept for a collector, and for how long a batch that it does not take now is tried again. Milliseconds. */
export interface Patience {
  /** Bytes of memory for spans that wait; `QUEUE_BYTES` if left out. */
  readonly queueBytes?: number
  readonly keepMs: number
  /** The wait before the second try, and the longest wait. A wait is twice the one before. */
  readonly firstMs: number
  readonly longestMs: number
  /** The clock of these, if it is not the process's own. */
  readonly now?: () => number
  readonly sleep?: typeof sleep
}

/** A collector that is started anew, or moved, is back within minutes. */
export const patience: Patience = { keepMs: 300_000, firstMs: 1000, longestMs: 30_000 }

/** Bytes of memory for spans that wait. The usual 2048 of them take some 4 MiB, so this is for longer queues, and for odd spans. */
const QUEUE_BYTES = 64 << 20

/** Milliseconds for what is still queued when the gateway stops. */
const LAST_WORDS_MS = 2000

/** The same trouble is told at most once in this time. */
const TOLD_MS = 60_000

/** Of a package that is not ours to import (`ExportResultCode`). A failure would keep the other batches from leaving at the end. */
const SUCCESS = { code: 0 }

interface Parts {
  readonly settings: ExportSettings
  readonly resource: Resource
  readonly counters: ExportCounters
  readonly log: ExportLog
  readonly patience: Patience
}

type NotExported = Exclude<keyof ExportCounters['spans'], 'exported'>

export class Outbox implements SpanProcessor {
  readonly #batches: BatchSpanProcessor
  readonly #collector: Collector
  readonly #telling: Telling
  readonly #queue: number
  readonly #patience: Required<Patience>
  readonly #counters: ExportCounters
  readonly #log: ExportLog
  readonly #away: Trouble
  readonly #choosy: Trouble
  readonly #underWay = new Set<Promise<void>>()
  /** Nothing waits for another try any more; and nothing is sent any more. */
  readonly #closing = new AbortController()
  readonly #over = new AbortController()
  /** Spans in the queue. */
  #queued = 0

  constructor({ settings, resource, counters, log, patience }: Parts) {
    const { batch, collector } = settings
    this.#queue = batch.queue
    this.#counters = counters
    this.#log = log
    this.#patience = { queueBytes: QUEUE_BYTES, now: () => performance.now(), sleep, ...patience }
    this.#away = new Trouble(this.#patience.now)
    this.#choosy = new Trouble(this.#patience.now)
    this.#telling = new Telling(resource, settings.cut)
    this.#collector = new Collector(collector)
    this.#batches = new BatchSpanProcessor({
      exporter: { export: (spans, done) => this.#export(spans, done), shutdown: () => this.#settled() },
      scheduledDelayMillis: batch.delayMs,
      maxQueueSize: batch.queue,
      maxExportBatchSize: batch.size,
      // No batch is given up here: `#delivered` sees to that, and this would leave it on its way.
      exportTimeoutMillis: 3 * (patience.keepMs + collector.timeoutMs)
    })
  }

  onStart(): void {}

  /** Sets the status by which collectors know a failure. */
  onEnding(span: Span): void {
    const said = read(span)
    if (said.text('outcome') === 'failed') span.setStatus({ code: SpanStatusCode.ERROR, message: said.shown('reason') })
  }

  onEnd(span: ReadableSpan): void {
    if (!(span.spanContext().traceFlags & TraceFlags.SAMPLED)) return
    const { spans, collector } = this.#counters
    const bytes = weightOf(span)
    // The batches' own queue is as long, but would drop spans without counting them.
    if (this.#queued >= this.#queue) spans.dropped++
    else if (collector.bytes + bytes > this.#patience.queueBytes) spans.overweight++
    else {
      this.#queued++
      collector.waiting++
      collector.bytes += bytes
      this.#batches.onEnd(span)
    }
  }

  async forceFlush(): Promise<void> {
    await this.#batches.forceFlush()
    await this.#settled()
  }

  /** Spans that do not leave within the time for last words are lost. */
  async shutdown(): Promise<void> {
    const { spans, collector } = this.#counters
    const before = { ...spans }
    this.#closing.abort()
    await within(
      LAST_WORDS_MS,
      this.#batches.shutdown().catch(() => {})
    )
    this.#over.abort()
    this.#collector.close()
    const lost = collector.waiting + spans.refused - before.refused + spans.expired - before.expired
    if (lost > 0) this.#log.warn({ spans: lost }, 'the last traces did not reach the collector')
  }

  #export(spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    const { collector } = this.#counters
    this.#queued -= spans.length
    collector.bytes -= spans.reduce((sum, span) => sum + weightOf(span), 0)
    const delivering = this.#delivered(spans)
      .catch(error => this.#lost('refused', spans.length, `a batch cannot be encoded: ${error}`))
      .then(() => {
        collector.waiting -= spans.length
        this.#underWay.delete(delivering)
        done(SUCCESS)
      })
    this.#underWay.add(delivering)
  }

  async #settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  /** Posts a batch until it is taken or refused, for as long as there is patience. */
  async #delivered(spans: ReadableSpan[]): Promise<void> {
    const { keepMs, firstMs, longestMs, now } = this.#patience
    const body = await this.#collector.encode(spans.map(span => this.#telling.told(span)))
    const untilMs = now() + keepMs
    for (let waitMs = firstMs; ; waitMs = Math.min(2 * waitMs, longestMs)) {
      const isLast = this.#closing.signal.aborted || now() >= untilMs
      const answer = await this.#collector.post(body, this.#over.signal)
      if (answer.kind === 'taken') return this.#taken(spans.length, answer)
      if (answer.kind === 'refused') return this.#lost('refused', spans.length, answer.reason)
      this.#away.begins(() => this.#tellAway(answer.reason))
      // The collector's wait is for the next batch as well, so it is kept to even if this one is given up.
      await this.#wait(answer, waitMs)
      if (isLast) return this.#lost('expired', spans.length, answer.reason)
    }
  }

  /** As long as the collector asks for, within limits; else a little at random. */
  async #wait({ afterMs }: Extract<Answer, { kind: 'later' }>, waitMs: number): Promise<void> {
    const { collector } = this.#counters
    const { keepMs, sleep } = this.#patience
    collector.retries++
    if (afterMs !== undefined) collector.retryAfter++
    const chosenMs = afterMs === undefined ? waitMs * (0.8 + 0.4 * Math.random()) : Math.min(afterMs, keepMs)
    await sleep(chosenMs, this.#closing.signal).catch(() => {})
  }

  #lost(how: NotExported, spans: number, reason: string): void {
    this.#counters.spans[how] += spans
    this.#away.begins(() => this.#tellAway(reason))
  }

  #taken(spans: number, { rejected: count, said }: Extract<Answer, { kind: 'taken' }>): void {
    const rejected = Math.min(spans, Math.max(0, count))
    this.#counters.spans.exported += spans - rejected
    this.#counters.spans.rejected += rejected
    this.#away.ends(() => this.#log.info({ ...this.#counters.spans }, 'traces reach the collector again'))
    const text =
      rejected > 0 ? 'the collector rejects some of the spans' : 'the collector takes the spans with a warning'
    if (rejected === 0 && said === '') this.#choosy.ends(() => {})
    else this.#choosy.begins(() => this.#log.warn({ rejected, reason: said }, text))
  }

  #tellAway(reason: string): void {
    this.#log.warn({ reason }, 'traces do not reach the collector')
  }
}

/** Is told once when it begins, and once when it is over, not for each batch; and no oftener if it comes and goes. */
class Trouble {
  readonly #now: () => number
  #toldAtMs = Number.NEGATIVE_INFINITY
  #isTold = false

  constructor(now: () => number) {
    this.#now = now
  }

  begins(tell: () => void): void {
    if (this.#isTold || this.#now() - this.#toldAtMs < TOLD_MS) return
    this.#isTold = true
    this.#toldAtMs = this.#now()
    tell()
  }

  ends(tell: () => void): void {
    if (this.#isTold) tell()
    this.#isTold = false
  }
}
