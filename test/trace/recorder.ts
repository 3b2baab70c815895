// A tracer whose spans can be read once they have ended, in the order of their end.

import type { Tracer } from '@opentelemetry/api'
import { type ReadableSpan, TracerProvider } from '@opentelemetry/sdk-trace'
import type { SpanRecord } from '../../src/trace/record/record.ts'
import { recordOf } from '../../src/trace/store/store.ts'

export function recorder(): { tracer: Tracer; spans: SpanRecord[] } {
  const spans: SpanRecord[] = []
  const processor = {
    onStart: () => {},
    onEnd: (span: ReadableSpan) => void spans.push(recordOf(span)),
    forceFlush: async () => {},
    shutdown: async () => {}
  }
  return { tracer: new TracerProvider({ spanProcessors: [processor] }).getTracer('test'), spans }
}
