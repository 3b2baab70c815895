// Sends traces to a collector: OTLP, protobuf over HTTP, to where OTEL_EXPORTER_OTLP_ENDPOINT says.
//
//   span ends ─► sampled? ─► room in the queue? ─► batch, each few seconds ─► as told.ts has it ─► collector
//                  │ no           │ no: dropped                   ▲                                   │ later: for minutes
//                                                                 └───────────────────────────────────┘ no, or too late: failed
//
// A collector that is slow or gone loses its own traces, and nothing else happens: nobody waits for it, and what is kept
// for it is bounded. The gateway's own store and verdicts see every span, whatever the sampler and the limits of `OTEL_*`
// say.

import { setTimeout as sleep } from 'node:timers/promises'
import { SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  createAlwaysRecordSampler,
  type ReadableSpan,
  type Sampler,
  SamplingDecision,
  type Span,
  type SpanExporter,
  type SpanProcessor
} from '@opentelemetry/sdk-trace'
import { read } from '../record/reader.ts'
import { type Answer, Collector } from './collector.ts'
import { type ExportSettings, exportSettings } from './environment.ts'
import { gatewayResource, Telling } from './told.ts'

export interface Exporting {
  readonly processors: readonly SpanProcessor[]
  readonly sampler: Sampler
  readonly resource: Resource
  readonly counters: ExportCounters
}

/** Counts of spans. */
export interface ExportCounters {
  exported: number
  /** The queue was full. */
  dropped: number
  /** The collector was not reached, or did not take their batch. */
  failed: number
  /** The collector took their batch, but not them. */
  rejected: number
}

export interface ExportLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
}

/** How long a batch that the collector does not take now is tried again. Milliseconds. */
export interface Patience {
  readonly keepMs: number
  /** The wait before the second try, and the longest wait. A wait is twice the one before. */
  readonly firstMs: number
  readonly longestMs: number
}

/** A collector that is started anew, or moved, is back within minutes. */
const patience: Patience = { keepMs: 300_000, firstMs: 1000, longestMs: 30_000 }

/** Milliseconds for what is still queued when the gateway stops. */
const LAST_WORDS_MS = 2000

/** `ExportResultCode` of a package that is not ours to import. */
const SUCCESS = 0
const FAILED = 1

/** Reads the `OTEL_*` variables. Throws `bad-config` if one of them is wrong. */
export function exporting(env: NodeJS.ProcessEnv, log: ExportLog, patient: Patience = patience): Exporting {
  const settings = exportSettings(env)
  const counters = { exported: 0, dropped: 0, failed: 0, rejected: 0 }
  const resource = gatewayResource(settings?.resource ?? {})
  return {
    processors: settings ? [new Outbox({ settings, resource, counters, log, patience: patient })] : [],
    sampler: createAlwaysRecordSampler(alike(settings?.sampler ?? new AlwaysOnSampler())),
    resource,
    counters
  }
}

/** A span that is linked with another from its start on is exported where that one is: it is a part of its story. */
const alike = (sampler: Sampler): Sampler => ({
  shouldSample(context, trace, name, kind, attributes, links) {
    const [link] = links
    if (!link) return sampler.shouldSample(context, trace, name, kind, attributes, links)
    const isSampled = (link.context.traceFlags & TraceFlags.SAMPLED) !== 0
    return { decision: isSampled ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD }
  },
  toString: () => `Alike{${sampler}}`
})

interface Parts {
  readonly settings: ExportSettings
  readonly resource: Resource
  readonly counters: ExportCounters
  readonly log: ExportLog
  readonly patience: Patience
}

class Outbox implements SpanProcessor {
  readonly #batches: BatchSpanProcessor
  readonly #collector: Collector
  readonly #telling: Telling
  readonly #queue: number
  readonly #patience: Patience
  readonly #counters: ExportCounters
  readonly #log: ExportLog
  readonly #underWay = new Set<Promise<void>>()
  /** Nothing waits for another try any more; and nothing is sent any more. */
  readonly #closing = new AbortController()
  readonly #over = new AbortController()
  /** In the queue. */
  #waiting = 0
  /** In the queue, or on their way. */
  #unsettled = 0
  #isReached = true
  #isWhole = true

  constructor({ settings, resource, counters, log, patience }: Parts) {
    const { batch, collector } = settings
    this.#queue = batch.queue
    this.#counters = counters
    this.#log = log
    this.#patience = patience
    this.#telling = new Telling(resource, settings.cut)
    this.#collector = new Collector(collector)
    this.#batches = new BatchSpanProcessor({
      exporter: { export: (spans, done) => this.#export(spans, done), shutdown: () => this.#settled() },
      scheduledDelayMillis: batch.delayMs,
      maxQueueSize: batch.queue,
      maxExportBatchSize: batch.size,
      // No batch is given up here: `#delivered` sees to that, and this would leave it on its way.
      exportTimeoutMillis: 2 * (patience.keepMs + collector.timeoutMs)
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
    // The batches' own queue is as long, but would drop spans without counting them.
    if (this.#waiting >= this.#queue) {
      this.#counters.dropped++
      return
    }
    this.#waiting++
    this.#unsettled++
    this.#batches.onEnd(span)
  }

  async forceFlush(): Promise<void> {
    await this.#batches.forceFlush()
  }

  /** Spans that do not leave within the time for last words are lost. */
  async shutdown(): Promise<void> {
    const { failed } = this.#counters
    this.#closing.abort()
    const flushed = this.#batches.shutdown().catch(() => {})
    await Promise.race([flushed, sleep(LAST_WORDS_MS, undefined, { signal: this.#over.signal }).catch(() => {})])
    this.#over.abort()
    this.#collector.close()
    const lost = this.#unsettled + this.#counters.failed - failed
    if (lost > 0) this.#log.warn({ spans: lost }, 'the last traces did not reach the collector')
  }

  #export(spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    this.#waiting -= spans.length
    const delivering = this.#delivered(spans)
      .catch(error => this.#lost(spans.length, `a batch cannot be encoded: ${error}`))
      .then(isTaken => {
        this.#unsettled -= spans.length
        this.#underWay.delete(delivering)
        done({ code: isTaken ? SUCCESS : FAILED })
      })
    this.#underWay.add(delivering)
  }

  async #settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  /** Posts a batch until it is taken or refused, for as long as there is patience. */
  async #delivered(spans: ReadableSpan[]): Promise<boolean> {
    const { keepMs, firstMs, longestMs } = this.#patience
    const body = await this.#collector.encode(spans.map(span => this.#telling.told(span)))
    const untilMs = performance.now() + keepMs
    for (let waitMs = firstMs; ; waitMs = Math.min(2 * waitMs, longestMs)) {
      const isLast = this.#closing.signal.aborted
      const answer = await this.#collector.post(body, this.#over.signal)
      if (answer.kind === 'taken') return this.#taken(spans.length, answer)
      const restMs = waitOf(answer, waitMs)
      if (isLast || restMs === undefined || performance.now() + restMs > untilMs)
        return this.#lost(spans.length, answer.reason)
      this.#tell(false, answer.reason)
      await sleep(restMs, undefined, { signal: this.#closing.signal }).catch(() => {})
    }
  }

  #lost(spans: number, reason: string): false {
    this.#counters.failed += spans
    this.#tell(false, reason)
    return false
  }

  #taken(spans: number, { rejected: count, said }: Extract<Answer, { kind: 'taken' }>): true {
    const rejected = Math.min(spans, Math.max(0, count))
    this.#counters.exported += spans - rejected
    this.#counters.rejected += rejected
    this.#tell(true)
    const isWhole = rejected === 0
    if (this.#isWhole && !isWhole) this.#log.warn({ rejected, reason: said }, 'the collector rejects some of the spans')
    this.#isWhole = isWhole
    return true
  }

  /** Logs once when it goes wrong, and once when it is well again, not for each batch. */
  #tell(isReached: boolean, reason?: string): void {
    if (isReached === this.#isReached) return
    this.#isReached = isReached
    if (isReached) this.#log.info({ ...this.#counters }, 'traces reach the collector again')
    else this.#log.warn({ reason }, 'traces do not reach the collector')
  }
}

/** Milliseconds until another try, a little at random; undefined if there is to be none. */
function waitOf(answer: Exclude<Answer, { kind: 'taken' }>, waitMs: number): number | undefined {
  if (answer.kind === 'refused') return undefined
  return answer.afterMs ?? waitMs * (0.8 + 0.4 * Math.random())
}
