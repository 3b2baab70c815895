// The last connect requests, kept in memory. It is a span processor: finished spans come in, a record is complete when its
// root ends. Peers choose their trace ids, and are told those of others, so one id may stand for several requests: each has
// a record of its own.

import type { Span } from '@opentelemetry/api'
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace'
import { LRUCache } from 'lru-cache'
import type { Verdict } from '../../wire/signal.ts'
import { judge } from './verdict.ts'

export interface SpanRecord {
  readonly id: string
  readonly parent?: string
  readonly name: string
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: readonly {
    readonly name: string
    readonly atMs: number
    readonly attributes: Readonly<Record<string, unknown>>
  }[]
}

export interface TraceRecord {
  /** The trace id: shared by the requests that were made within one trace. */
  readonly id: string
  readonly startMs: number
  readonly ms: number
  readonly caller: string
  readonly callee: string
  readonly outcome: string
  /** The plugin that won, or the code of the failure. */
  readonly by: string
  readonly reason: string
  /** `direct` or `relay` where there is a path. */
  readonly path?: 'direct' | 'relay'
  readonly verdict: Verdict
  /** In order of their start. */
  readonly spans: readonly SpanRecord[]
}

/** What a list shows of a trace. */
export type TraceSummary = Omit<TraceRecord, 'spans'>

export interface TraceFilter {
  readonly failed?: boolean
  readonly relayed?: boolean
  /** Name of either side. */
  readonly peer?: string
  readonly verdict?: string
  /** Began at or after; and before: for the next page. Milliseconds since the epoch. */
  readonly sinceMs?: number
  readonly beforeMs?: number
  readonly limit: number
}

/** A trace that never ends (its gateway stopped midway) must not keep its spans for good. */
const UNFINISHED = 10_000

export class TraceStore implements SpanProcessor {
  readonly #finished: LRUCache<string, TraceRecord>
  readonly #open = new LRUCache<string, SpanRecord[]>({ max: UNFINISHED })

  /** @param keep records kept; the oldest go first. */
  constructor(keep: number) {
    this.#finished = new LRUCache({ max: keep })
  }

  /** Every request made within one trace, oldest first. */
  get(id: string): TraceRecord[] {
    return [...this.#finished.values()].filter(trace => trace.id === id).toReversed()
  }

  /** Newest first. */
  list(filter: TraceFilter): TraceRecord[] {
    return [...this.#finished.values()]
      .filter(trace => !filter.failed || trace.outcome === 'failed')
      .slice(0, filter.limit)
  }

  /** What was recorded of a request that is under way, its root first: for the verdict that the root is to carry. */
  soFar(root: Span): SpanRecord[] {
    const { traceId, spanId } = root.spanContext()
    const own = recordOf(root as Span & ReadableSpan)
    return [own, ...familyOf({ ...own, id: spanId }, this.#open.get(traceId) ?? []).slice(1)]
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    const trace = span.spanContext().traceId
    const spans = this.#open.get(trace) ?? []
    spans.push(recordOf(span))
    this.#open.set(trace, spans)
    if (span.name === 'postern.connect') this.#complete(trace, spans)
  }

  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}

  #complete(id: string, all: SpanRecord[]): void {
    const root = all.at(-1)
    if (!root) return
    const spans = familyOf(root, all)
    const others = all.filter(span => !spans.includes(span))
    if (others.length > 0) this.#open.set(id, others)
    else this.#open.delete(id)
    const said = (name: string) => String(root.attributes[`postern.${name}`] ?? '')
    this.#finished.set(`${id}-${root.id}`, {
      id,
      startMs: root.startMs,
      ms: root.endMs - root.startMs,
      caller: said('caller'),
      callee: said('callee'),
      outcome: said('outcome'),
      by: said('plugin') || said('code'),
      reason: said('reason'),
      verdict: judge(spans),
      spans: spans.sort((a, b) => a.startMs - b.startMs || b.endMs - a.endMs)
    })
  }
}

/** A caller may have several connects under way within one trace of its own. Children end, and so stand, before their parents. */
function familyOf(root: SpanRecord, spans: readonly SpanRecord[]): SpanRecord[] {
  const family = [root]
  const ids = new Set([root.id])
  for (const span of spans.toReversed()) {
    if (span.parent === undefined || !ids.has(span.parent)) continue
    ids.add(span.id)
    family.push(span)
  }
  return family
}

function recordOf(span: ReadableSpan): SpanRecord {
  const parent = span.parentSpanContext?.spanId
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
