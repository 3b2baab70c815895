// Spans around the steps of a connect request. docs/tracing.md lists their names and attributes; a step is handed to
// whatever is recorded beneath it.

import { type Context, context, type Span, type SpanOptions, type Tracer, trace } from '@opentelemetry/api'
import { nowMs } from '../../clock.ts'
import { asPosternError, type Code } from '../../errors.ts'
import type { Cause, Failure } from '../../strategy/plan.ts'
import { type EventName, type SpanAttributes, type SpanName, spanKinds } from '../../trace/record/conventions.ts'
import type { SideName } from '../../wire/side.ts'
import { OVER_CHARACTERS } from '../../wire/signal.ts'
import { printable } from '../../wire/text.ts'
import { Full } from '../peers/full.ts'

/** Something that spans can begin beneath. */
export interface Beneath {
  /** A span that its caller ends. Times are milliseconds since the epoch. */
  begin(name: SpanName, attributes: SpanAttributes, startMs: number): Span
}

/** Something that spans of another time belong to. */
export interface Beside {
  /** The same for a span in a trace of its own, and each is linked with the other: see `Step`. */
  beginBeside(name: SpanName, attributes: SpanAttributes, startMs: number): Span
}

/** What a span of this name begins with. */
export const spanOptions = (name: SpanName, attributes: SpanAttributes, startTime: number): SpanOptions => ({
  kind: spanKinds[name],
  attributes,
  startTime
})

/** Spans that begin beneath a context. */
export const beneath = (tracer: Tracer, parent: Context): Beneath => ({
  begin: (name, attributes, startMs) => tracer.startSpan(name, spanOptions(name, attributes, startMs), parent)
})

/** A step of a request that is under way: its span, and what begins beneath it. */
export class Step implements Beneath, Beside {
  readonly span: Span
  readonly #tracer: Tracer
  readonly #context: Context

  constructor(tracer: Tracer, span: Span, parent: Context) {
    this.span = span
    this.#tracer = tracer
    this.#context = trace.setSpan(parent, span)
  }

  /** Adds attributes that are known only now. */
  set(attributes: SpanAttributes): void {
    this.span.setAttributes(attributes)
  }

  begin(name: SpanName, attributes: SpanAttributes, startMs: number): Span {
    return beneath(this.#tracer, this.#context).begin(name, attributes, startMs)
  }

  /**
   * What began seconds before this step, or begins an hour after it, would make its trace as long, and stand outside of its parent.
   * So it has a trace of its own, and links lead from one to the other.
   */
  beginBeside(name: SpanName, attributes: SpanAttributes, startMs: number): Span {
    const links = [{ context: this.span.spanContext() }]
    const span = this.#tracer.startSpan(name, { ...spanOptions(name, attributes, startMs), links, root: true })
    if (this.span.isRecording()) this.span.addLink({ context: span.spanContext() })
    return span
  }

  /** Runs `work` as a step beneath this one; an error is recorded and thrown on. */
  within<T>(name: SpanName, attributes: SpanAttributes, work: (step: Step) => Promise<T>): Promise<T> {
    return within(this.#tracer, this.#context, name, attributes, work)
  }
}

/** Runs `work` as a step beneath a context; an error is recorded and thrown on. */
export async function within<T>(
  tracer: Tracer,
  parent: Context,
  name: SpanName,
  attributes: SpanAttributes,
  work: (step: Step) => Promise<T>,
  startMs = nowMs()
): Promise<T> {
  const span = tracer.startSpan(name, spanOptions(name, attributes, startMs), parent)
  try {
    return await work(new Step(tracer, span, parent))
  } catch (error) {
    const { code, message } = asPosternError(error)
    const cause = causeOf(code)
    span.setAttributes({ 'postern.outcome': 'failed', 'postern.reason': told(message), 'postern.cause': cause })
    throw error
  } finally {
    span.end(nowMs())
  }
}

/** The causes of steps that end by an error. If a code is not here, a side has left with it. */
const causes: Partial<Record<Code, Cause>> = {
  'relay-full': 'relay-full',
  'udp-blocked': 'no-sample',
  'wrong-family': 'no-sample',
  'silent-peer': 'no-sample',
  'peer-offline': 'peer-lost',
  'no-path': 'deadline',
  internal: 'never-obeyed'
}

export const causeOf = (code: Code): Cause => causes[code] ?? 'peer-left'

/** Continues the caller's own trace if the caller sent a W3C `traceparent`. */
export function parentOf(traceparent: string | undefined): Context {
  const match = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent ?? '')
  if (!match?.[1] || !match[2] || /^0+$/.test(match[1]) || /^0+$/.test(match[2])) return context.active()
  const remote = {
    traceId: match[1],
    spanId: match[2],
    // This flag of the caller decides whether the trace is exported. The trace is recorded in any case (export.ts).
    traceFlags: Number.parseInt(match[3] ?? '0', 16),
    isRemote: true
  }
  return trace.setSpanContext(context.active(), remote)
}

/** Attributes of a step that found no path. */
export const failureAttributes = ({ reason, cause }: Failure): SpanAttributes => ({
  'postern.outcome': 'failed',
  'postern.reason': reason,
  'postern.cause': cause
})

/** Why a request or a join came to nothing, with the bound that was reached, if there was one. */
export function errorAttributes(error: unknown): SpanAttributes {
  const { code, message } = asPosternError(error)
  return {
    'postern.outcome': 'failed',
    ...codeAttributes(code),
    'postern.reason': told(message),
    ...(error instanceof Full ? { 'postern.limit': error.bound } : {}),
    ...(error instanceof Full && error.side ? { 'postern.side': error.side } : {})
  }
}

/** The code also stands under the name of OpenTelemetry's conventions, because collectors count by it. */
export const codeAttributes = (code: string): SpanAttributes => ({ 'postern.code': code, 'error.type': code })

/** The message of an error may quote what a stranger said. */
const told = (message: string): string => printable(message, OVER_CHARACTERS)

/** What became of waiting for a socket of one side. */
export interface Showing {
  readonly side: SideName
  readonly isWarm: boolean
  /** Since when it is so, in milliseconds since the epoch. */
  readonly atMs: number
  /** Why it is cold. */
  readonly reason?: string | undefined
  /** The same in one word; undefined where there is none but that nothing was heard. */
  readonly code?: Code | undefined
  /** The address of the gateway's that it was told, where that may be the wrong one. */
  readonly told?: string
}

/** @param sinceMs when the waiting began; a state that began earlier is dated with this time */
export function recordShowing(span: Span, { side, isWarm, atMs, reason, code, told }: Showing, sinceMs: number): void {
  const attributes: SpanAttributes = {
    'postern.side': side,
    ...(reason ? { 'postern.reason': reason } : {}),
    ...(code ? { 'postern.code': code } : {}),
    ...(told ? { 'postern.told': told } : {})
  }
  const name: EventName = isWarm ? 'warm' : 'cold'
  span.addEvent(name, attributes, Math.max(sinceMs, atMs))
}
