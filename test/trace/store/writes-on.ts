// Records failed requests into a file of traces until it is killed. For the test of what is left then.

import { TracerProvider } from '@opentelemetry/sdk-trace'
import { TraceFile } from '../../../src/trace/store/file.ts'
import { TraceStore } from '../../../src/trace/store/store.ts'
import { judge } from '../../../src/trace/verdict/judge.ts'

const memory = 2 ** 30
const log = { warn: console.error }
const traces = new TraceStore({
  memory,
  judge: spans => judge(spans, []),
  file: await TraceFile.open(process.argv[2] ?? '', { memory, log })
})
const tracer = new TracerProvider({ spanProcessors: [traces] }).getTracer('test')
await traces.load()
for (;;) {
  const attributes = { 'postern.outcome': 'failed', 'postern.long': 'x'.repeat(100_000) }
  for (let count = 0; count < 20; count++) tracer.startSpan('postern.connect', { attributes }).end()
  await traces.forceFlush()
  console.log(traces.counters.kept)
}
