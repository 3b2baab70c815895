// Sends traces to a collector: OTLP, protobuf over HTTP, to where OTEL_EXPORTER_OTLP_ENDPOINT says.
//
//   span ends ─► sampled? ─► room in the queue? ─► batch, each few seconds ─► cut to the limits ─► collector
//                  │ no           │ no: dropped                                   │ no answer: failed
//
// A collector that is slow or gone loses its own traces, and nothing else happens: nobody waits for it, and what is kept
// for it is bounded. The gateway's own store and verdicts see every span, whatever the sampler and the limits of `OTEL_*`
// say.

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Attributes, SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  createAlwaysRecordSampler,
  type ReadableSpan,
  type Sampler,
  type Span,
  type SpanExporter,
  type SpanProcessor
} from '@opentelemetry/sdk-trace'
import { version } from '../../version.ts'
import { read } from '../record/reader.ts'
import { type Cut, type ExportSettings, exportSettings } from './environment.ts'

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
  /** The collector was not reached, or did not take them. */
  failed: number
}

export interface ExportLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
}

/** Milliseconds for what is still queued when the gateway stops. */
const LAST_WORDS_MS = 2000

/** `ExportResultCode.SUCCESS` of a package that is not ours to import. */
const SUCCESS = 0

/** Reads the `OTEL_*` variables. Throws `bad-config` if one of them is wrong. */
export function exporting(env: NodeJS.ProcessEnv, log: ExportLog): Exporting {
  const settings = exportSettings(env)
  const counters = { exported: 0, dropped: 0, failed: 0 }
  return {
    processors: settings ? [new Outbox(settings, counters, log)] : [],
    sampler: createAlwaysRecordSampler(settings?.sampler ?? new AlwaysOnSampler()),
    resource: resourceOf(settings?.resource ?? {}),
    counters
  }
}

class Outbox implements SpanProcessor {
  readonly #batches: BatchSpanProcessor
  readonly #collector: SpanExporter
  readonly #settings: ExportSettings
  readonly #counters: ExportCounters
  readonly #log: ExportLog
  readonly #over = new AbortController()
  /** In the queue. */
  #waiting = 0
  /** In the queue, or on their way. */
  #unsettled = 0
  #reached = true

  constructor(settings: ExportSettings, counters: ExportCounters, log: ExportLog) {
    const { batch } = settings
    this.#settings = settings
    this.#counters = counters
    this.#log = log
    this.#collector = openCollector(settings, this.#over.signal)
    this.#batches = new BatchSpanProcessor({
      exporter: { export: (spans, done) => this.#export(spans, done), shutdown: () => this.#collector.shutdown() },
      scheduledDelayMillis: batch.delayMs,
      maxQueueSize: batch.queue,
      maxExportBatchSize: batch.size,
      exportTimeoutMillis: batch.timeoutMs
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
    if (this.#waiting >= this.#settings.batch.queue) {
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
    const flushed = this.#batches.shutdown().catch(() => {})
    await Promise.race([flushed, sleep(LAST_WORDS_MS, undefined, { signal: this.#over.signal }).catch(() => {})])
    this.#over.abort()
    const lost = this.#unsettled + this.#counters.failed - failed
    if (lost > 0) this.#log.warn({ spans: lost }, 'the last traces did not reach the collector')
  }

  #export(spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    this.#waiting -= spans.length
    const { cut } = this.#settings
    this.#collector.export(cut ? spans.map(span => cutTo(cut, span)) : spans, result => {
      this.#unsettled -= spans.length
      const reached = result.code === SUCCESS
      this.#counters[reached ? 'exported' : 'failed'] += spans.length
      this.#tell(reached, result.error?.message)
      done(result)
    })
  }

  /** Logs once when it goes wrong, and once when it is well again, not for each batch. */
  #tell(reached: boolean, reason: string | undefined): void {
    if (reached === this.#reached) return
    this.#reached = reached
    if (reached) this.#log.info({ ...this.#counters }, 'traces reach the collector again')
    else this.#log.warn({ reason }, 'traces do not reach the collector')
  }
}

type Options = NonNullable<ConstructorParameters<typeof OTLPTraceExporter>[0]>

function openCollector({ collector, batch }: ExportSettings, over: AbortSignal): SpanExporter {
  const { url, headers, timeoutMs, compression, tls } = collector
  return new OTLPTraceExporter({
    url,
    timeoutMillis: timeoutMs,
    // Batches leave one at a time, except at the end, when the whole queue leaves at once.
    concurrencyLimit: Math.ceil(batch.queue / batch.size) + 1,
    compression: compression as NonNullable<Options['compression']>,
    headers: async () => {
      // The headers are asked for before each try. There is none after the end.
      over.throwIfAborted()
      return { ...headers }
    },
    httpAgentOptions: async protocol => {
      const { Agent } = await (protocol === 'http:' ? import('node:http') : import('node:https'))
      // The request's own timeout counts only once the connection is open.
      const agent = new Agent({ keepAlive: true, timeout: timeoutMs, ...tls })
      over.addEventListener('abort', () => agent.destroy())
      return agent
    }
  })
}

function resourceOf(attributes: Readonly<Record<string, string>>): Resource {
  return defaultResource().merge(
    resourceFromAttributes({
      'service.name': 'postern',
      'service.version': version,
      'service.instance.id': randomUUID(),
      ...attributes
    })
  )
}

/** The SDK keeps to its own limits. This cuts a span to the operator's, if they are lower. */
function cutTo(limits: Cut, span: ReadableSpan): ReadableSpan {
  const events = span.events.slice(0, limits.events).map(event => {
    const { attributes, dropped } = cutAttributes(event.attributes ?? {}, limits.eventAttributes, limits.characters)
    return { ...event, attributes, droppedAttributesCount: (event.droppedAttributesCount ?? 0) + dropped }
  })
  const { attributes, dropped } = cutAttributes(span.attributes, limits.attributes, limits.characters)
  const { name, kind, startTime, endTime, status, links, duration, ended } = span
  return {
    ...{ name, kind, startTime, endTime, status, links, duration, ended },
    ...(span.parentSpanContext ? { parentSpanContext: span.parentSpanContext } : {}),
    spanContext: () => span.spanContext(),
    resource: span.resource,
    instrumentationScope: span.instrumentationScope,
    attributes,
    droppedAttributesCount: span.droppedAttributesCount + dropped,
    events,
    droppedEventsCount: span.droppedEventsCount + span.events.length - events.length,
    droppedLinksCount: span.droppedLinksCount
  }
}

function cutAttributes(whole: Attributes, count: number, characters: number) {
  const entries = Object.entries(whole)
  const kept = entries.slice(0, count).map(([name, value]) => [name, cutValue(value, characters)])
  return { attributes: Object.fromEntries(kept) as Attributes, dropped: entries.length - kept.length }
}

const cutValue = (value: unknown, characters: number): unknown =>
  typeof value === 'string'
    ? value.slice(0, characters)
    : Array.isArray(value)
      ? value.map(one => cutValue(one, characters))
      : value
