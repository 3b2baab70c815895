import test from 'ava'
import { tracePage } from '../../../../src/gateway/http/pages/trace.ts'
import { failedRecord, relayedRecord } from './records.ts'

const countOf = (text: string, part: string) => text.split(part).length - 1

test('requests within one trace have a part each, and of very many the last ones', t => {
  const two = String(tracePage([failedRecord(), relayedRecord()], false))
  t.is(countOf(two, '<article'), 2)
  t.regex(two, /2 requests of one trace/)
  const many = String(
    tracePage(
      Array.from({ length: 100 }, () => relayedRecord()),
      false
    )
  )
  t.is(countOf(many, '<article'), 10)
  t.regex(many, /The last 10 of them/)
})

test('who makes very many requests within the trace of another does not hide it', t => {
  const flood = Array.from({ length: 99 }, () => ({ ...failedRecord(), caller: 'mallory' }))
  const page = String(tracePage([{ ...failedRecord(), caller: 'victim' }, ...flood], false))
  t.is(countOf(page, '<article'), 10)
  t.true(page.includes('victim'))
})

test('every span of a request has a row, beneath its parent, and what came later stands apart', t => {
  const record = relayedRecord()
  const text = String(tracePage([record], false))
  t.is(countOf(text, 'class="step '), record.spans.length)
  const rows = [...text.matchAll(/class="step d(\d)[\s\S]*?<b>([^<]*)<\/b>/g)].map(
    ([, depth, name]) => `${depth} ${name}`
  )
  t.deepEqual(rows.slice(0, 3), ['0 connect', '1 join', '1 observe'])
  t.deepEqual(rows.slice(rows.indexOf('1 predict'), rows.indexOf('1 predict') + 5), [
    '1 predict',
    '2 plan',
    '3 observe',
    '3 probe',
    '3 probe'
  ])
  t.true(text.indexOf('Later on this path') < text.lastIndexOf('<b>change</b>'))
})

test('no row is drawn outside its place, whatever a clock said', t => {
  const { spans, ...record } = relayedRecord()
  const odd = spans.map((span, index) => ({
    ...span,
    startMs: span.startMs - index * 1e6,
    endMs: span.endMs + index * 1e6
  }))
  const text = String(tracePage([{ ...record, ms: 0, spans: odd }], false))
  t.notRegex(text, /NaN|Infinity/)
  for (const [, at] of text.matchAll(/x1?="(-?[\d.]+)%"/g)) t.true(Number(at) >= 0 && Number(at) <= 100, at)
})
