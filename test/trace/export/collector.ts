// A collector for tests: OTLP over HTTP, read with the official schema (opentelemetry/proto beside this file). It may be
// told to accept requests and never answer, to refuse them or some of their spans, and it can be stopped and opened again at
// the same port.

import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import protobuf from 'protobufjs'
import type { SpanRecord } from '../../../src/trace/record/record.ts'

export interface Collected extends SpanRecord {
  readonly trace: string
  readonly resource: Readonly<Record<string, unknown>>
  readonly scope: string
  readonly version: string
  readonly kind: string
  readonly links: readonly { readonly trace: string; readonly id: string }[]
  readonly dropped: number
  /** Its status is an error. */
  readonly error: boolean
}

export class Collector implements AsyncDisposable {
  readonly spans: Collected[] = []
  readonly headers: IncomingHttpHeaders[] = []
  /** Answers, or leaves them waiting. */
  answers = true
  /** What it answers; it has taken spans only if that is 200. */
  status = 200
  /** Headers of its answers: Retry-After, Date. */
  says: Readonly<Record<string, string>> = {}
  /** Begins each answer, and never ends it. */
  drips = false
  /** What it says that it rejects of each batch. */
  rejects: { readonly rejectedSpans: number; readonly errorMessage: string } | undefined
  /** Requests there were, whatever became of them. */
  asked = 0
  #server: Server = createServer()
  #port = 0
  #wake = () => {}

  static async open(): Promise<Collector> {
    const collector = new Collector()
    await collector.start()
    return collector
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start(): Promise<void> {
    this.#server = createServer((request, response) => {
      void this.#take(request).then(() => {
        response.writeHead(this.status, this.says)
        if (this.drips) response.write('.')
        else if (this.answers) response.end(this.rejects && responded.encode({ partialSuccess: this.rejects }).finish())
      })
    })
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** From now on connections are refused. */
  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  /** Waits until something is there. */
  async collects<T>(look: (collector: this) => T | undefined | false): Promise<T> {
    for (;;) {
      const found = look(this)
      if (found !== undefined && found !== false) return found
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.stop()
  }

  async #take(request: IncomingMessage): Promise<void> {
    const body = await buffer(request)
    if (request.method !== 'POST' || request.url !== '/v1/traces') throw new Error(`${request.method} ${request.url}`)
    this.headers.push(request.headers)
    const plain = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
    this.asked++
    if (this.answers && !this.drips && this.status === 200) this.spans.push(...decode(plain))
    this.#wake()
  }
}

const schema = new protobuf.Root()
schema.resolvePath = (_from, file) => new URL(file, import.meta.url).pathname
schema.loadSync('opentelemetry/proto/collector/trace/v1/trace_service.proto')
const request = schema.lookupType('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest')
const responded = schema.lookupType('opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse')

interface KeyValue {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

interface Wire {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] }
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string; readonly version: string }
      readonly spans: readonly WireSpan[]
    }[]
  }[]
}

interface WireSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  readonly kind: string
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly KeyValue[]
  readonly droppedAttributesCount: number
  readonly events: readonly { readonly name: string; readonly timeUnixNano: string; readonly attributes: KeyValue[] }[]
  readonly droppedEventsCount: number
  readonly status: { readonly code: string }
}

function decode(body: Uint8Array): Collected[] {
  const options = { longs: String, bytes: String, enums: String, defaults: true, arrays: true, oneofs: true }
  const { resourceSpans } = request.toObject(request.decode(body), options) as Wire
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans }) =>
      spans.map(span => ({
        ...read(span),
        resource: attributesOf(resource.attributes),
        scope: scope.name,
        version: scope.version
      }))
    )
  )
}

function read(span: WireSpan) {
  return {
    trace: hex(span.traceId),
    id: hex(span.spanId),
    ...(span.parentSpanId ? { parent: hex(span.parentSpanId) } : {}),
    name: span.name,
    kind: span.kind.replace('SPAN_KIND_', ''),
    links: span.links.map(({ traceId, spanId }) => ({ trace: hex(traceId), id: hex(spanId) })),
    startMs: milliseconds(span.startTimeUnixNano),
    endMs: milliseconds(span.endTimeUnixNano),
    attributes: attributesOf(span.attributes),
    events: span.events.map(({ name, timeUnixNano, attributes }) => ({
      name,
      atMs: milliseconds(timeUnixNano),
      attributes: attributesOf(attributes)
    })),
    dropped: span.droppedAttributesCount + span.droppedEventsCount,
    error: span.status.code === 'STATUS_CODE_ERROR'
  }
}

const hex = (base64: string) => Buffer.from(base64, 'base64').toString('hex')
const milliseconds = (nanos: string) => Number(BigInt(nanos) / 1000n) / 1000

const attributesOf = (list: readonly KeyValue[]): Record<string, unknown> =>
  Object.fromEntries(list.map(({ key, value }) => [key, anyOf(value)]))

/** The member of AnyValue that is set. */
function anyOf(any: Readonly<Record<string, unknown>>): unknown {
  const kind = String(any.value)
  const value = any[kind]
  if (kind === 'arrayValue') return (value as { values: Record<string, unknown>[] }).values.map(anyOf)
  return kind === 'intValue' ? Number(value) : value
}
