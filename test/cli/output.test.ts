import test from 'ava'
import { formatBytes, formatMs, formatSeconds, wrap } from '../../src/cli/output.ts'
import { drawn } from '../../src/cli/progress.ts'
import { renderTrace } from '../../src/cli/trace-text.ts'
import type { SpanRecord, TraceRecord } from '../../src/gateway/trace/store.ts'

test('text is wrapped at spaces, with its indentation, and nothing of it is lost', t => {
  t.is(wrap('  one two three four', 11, 4), '  one two\n    three\n    four')
  t.is(wrap('short', 11, 4), 'short')
  t.is(wrap('a wordlongerthanthewidth b', 10, 2), 'a\n  wordlongerthanthewidth\n  b')
  t.is(wrap('\x1b[1mone\x1b[22m two', 7), '\x1b[1mone\x1b[22m two')
})

test('quantities are written with the unit that suits them', t => {
  t.deepEqual([0, 1023, 1024, 67_108_864].map(formatBytes), ['0 B', '1023 B', '1.0 KiB', '64.0 MiB'])
  t.deepEqual([1.234, 123.4, 12_345].map(formatMs), ['1.2 ms', '123 ms', '12 s'])
  t.deepEqual([0.54, 12.3, 125, 3720].map(formatSeconds), ['0.5 s', '12 s', '2 min 5 s', '1 h 2 min'])
})

test('the progress bar fits its terminal, wide or narrow, whatever the name of the file', t => {
  for (const width of [20, 40, 80, 200])
    for (const file of ['a', 'x'.repeat(200)]) {
      const bar = drawn({ file, bytes: 30_000_000, total: 60_000_000 }, 5_000_000, width)
      t.true(bar.length < width, `${width}: ${bar}`)
      if (width >= 40) t.regex(bar, / 50%/)
    }
  t.regex(drawn({ file: 'empty', bytes: 0, total: 0 }, 0, 80), /100%/)
  t.regex(drawn({ file: 'a', bytes: 50, total: 100 }, 10, 80), /ETA 5\.0 s/)
})

test('a trace is drawn as a waterfall of 80 columns: each step under its parent, with its reason and events', t => {
  const lines = renderTrace(trace).split('\n')
  t.true(lines.every(line => line.length <= 80))
  t.regex(lines[1] ?? '', /^alice -> bob {2}failed: no-path {2}in 100\.0 ms$/)
  t.true(lines.includes('    0.0   100.0 ██████████████ connect  failed'))
  t.true(lines.includes('   50.0    25.0 ·······████···   stun  failed'))
  t.true(lines.includes('   50.0     0.0 ·······█······     handover  caller  failed'))
  t.regex(lines.join('\n'), /bound \+1\.5, ice \+2\.0/)
  t.regex(lines.join(' ').replaceAll(/\s+/g, ' '), /word word word end of it/)
})

test('a trace whose parents are missing is drawn all the same', t => {
  const orphan = {
    ...trace,
    spans: trace.spans.slice(2)
  }
  t.true(renderTrace(orphan).includes('50.0     0.0 ·······█······ handover'))
})

const span = (id: string, parent: string | undefined, name: string, rest: Partial<SpanRecord>): SpanRecord => ({
  id,
  ...(parent ? { parent } : {}),
  name: `postern.${name}`,
  startMs: 1000,
  endMs: 1100,
  attributes: { 'postern.outcome': 'failed' },
  events: [],
  ...rest
})

const trace: TraceRecord = {
  id: 'ab'.repeat(16),
  startMs: 1000,
  ms: 100,
  caller: 'alice',
  callee: 'bob',
  outcome: 'failed',
  by: 'no-path',
  reason: 'nothing worked',
  verdict: { code: 'unexplained', sentence: 'nothing explains it', side: 'none', evidence: [], advice: '', also: [] },
  spans: [
    span('1', undefined, 'connect', {}),
    span('2', '1', 'plugin', {
      startMs: 1050,
      endMs: 1075,
      attributes: {
        'postern.plugin': 'stun',
        'postern.outcome': 'failed',
        'postern.reason': `${'word '.repeat(30)}end of it`
      }
    }),
    span('3', '2', 'handover', {
      startMs: 1050,
      endMs: 1050,
      attributes: { 'postern.side': 'caller', 'postern.outcome': 'failed' },
      events: [
        { name: 'bound', atMs: 1051.5, attributes: {} },
        { name: 'ice', atMs: 1052, attributes: {} }
      ]
    })
  ]
}
