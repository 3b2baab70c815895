// The way to a collector: a batch of spans in one POST (OTLP over HTTP, protobuf), and what the collector says to it. The
// encoding is OpenTelemetry's. Its exporter does not serve here: it gives up after ten seconds, says of a refusal neither its status
// nor its reason, and tells nobody how many spans of a batch were rejected.
//
//   POST ─► 2xx ─► taken, perhaps but for some of the spans
//        ─► 429, 502, 503, 504, or no answer ─► later (the statuses of the OTLP specification)
//        ─► any other status ─► refused

import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { timeoutSignal } from '../../clock.ts'
import { version } from '../../version.ts'
import type { ExportSettings } from './environment.ts'

export type Answer =
  | {
      readonly kind: 'taken'
      readonly rejected: number /** Why some were rejected, or a warning. */
      readonly said: string
    }
  | {
      readonly kind: 'later'
      readonly reason: string /** Milliseconds that the collector asks for (Retry-After). */
      readonly afterMs: number | undefined
    }
  | { readonly kind: 'refused'; readonly reason: string }

const later = [429, 502, 503, 504]

/** Bytes of an answer that are read: there is a sentence in it at most. */
const ANSWER_BYTES = 65_536

export class Collector {
  readonly #settings: ExportSettings['collector']
  readonly #url: URL
  readonly #agent: http.Agent

  constructor(settings: ExportSettings['collector']) {
    this.#settings = settings
    this.#url = new URL(settings.url)
    const { Agent } = this.#protocol
    this.#agent = new Agent({ keepAlive: true, ...settings.tls })
  }

  /** The body of a request, which may be posted more than once. */
  async encode(spans: ReadableSpan[]): Promise<Uint8Array> {
    const plain = ProtobufTraceSerializer.serializeRequest(spans) ?? new Uint8Array()
    return this.#settings.compression === 'gzip' ? await promisify(gzip)(plain) : plain
  }

  /** Posts it once. @param over ends it, as if nobody had answered */
  async post(body: Uint8Array, over: AbortSignal): Promise<Answer> {
    const { timeoutMs } = this.#settings
    using late = timeoutSignal(timeoutMs)
    try {
      const sent = this.#request(AbortSignal.any([over, late]))
      // What goes wrong after the answer has begun, goes wrong with the answer.
      sent.on('error', () => {})
      sent.end(body)
      const [response] = (await once(sent, 'response')) as [http.IncomingMessage]
      return answerOf(response, await read(response))
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const reason = late.aborted ? `it did not answer within ${timeoutMs} ms` : (code ?? message)
      return { kind: 'later', reason, afterMs: undefined }
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  get #protocol() {
    return this.#url.protocol === 'https:' ? https : http
  }

  #request(signal: AbortSignal): http.ClientRequest {
    const { headers, compression } = this.#settings
    return this.#protocol.request(this.#url, {
      method: 'POST',
      agent: this.#agent,
      signal,
      headers: {
        'user-agent': `postern/${version}`,
        ...headers,
        'content-type': 'application/x-protobuf',
        ...(compression === 'gzip' ? { 'content-encoding': 'gzip' } : {})
      }
    })
  }
}

async function read(response: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > ANSWER_BYTES) break
  }
  return Buffer.concat(chunks)
}

function answerOf({ statusCode = 0, statusMessage = '', headers }: http.IncomingMessage, body: Buffer): Answer {
  if (statusCode >= 200 && statusCode < 300) return { kind: 'taken', ...partialSuccessIn(body) }
  const reason = `it answers ${statusCode} ${statusMessage}`.trim()
  if (!later.includes(statusCode)) return { kind: 'refused', reason }
  return { kind: 'later', reason, afterMs: retryAfter(headers) }
}

/**
 * Milliseconds, from seconds or a date of HTTP (RFC 9110 section 10.2.3). A date counts from the collector's own, where it tells
 * that, since its clock may be another. Undefined if there is none, if it cannot be read, or if it is over.
 */
function retryAfter({ 'retry-after': asked = '', date = '' }: http.IncomingHttpHeaders): number | undefined {
  const afterMs = /^\d+$/.test(asked) ? Number(asked) * 1000 : dateOf(asked) - (dateOf(date) || Date.now())
  return afterMs > 0 ? afterMs : undefined
}

/** Milliseconds since the epoch, of any of the three forms that have been in use (RFC 9110 section 5.6.7); NaN if it is none. */
const dateOf = (text: string): number =>
  /^(Sun|Mon|Tue|Wed|Thu|Fri|Sat)/.test(text) ? Date.parse(text.endsWith(' GMT') ? text : `${text} GMT`) : Number.NaN

/** A body that cannot be read says nothing, and the spans were taken. */
function partialSuccessIn(body: Buffer): { rejected: number; said: string } {
  try {
    const { partialSuccess } = ProtobufTraceSerializer.deserializeResponse(body)
    return { rejected: Number(partialSuccess?.rejectedSpans ?? 0), said: partialSuccess?.errorMessage ?? '' }
  } catch {
    return { rejected: 0, said: '' }
  }
}
