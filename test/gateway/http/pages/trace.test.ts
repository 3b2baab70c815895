import test from 'ava'
import { tracePage } from '../../../../src/gateway/http/pages/trace.ts'
import { bothHardRecord, failedRecord, movedRecord, relayedRecord } from './records.ts'

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
  const rows = [...text.matchAll(/class="step d(\d)[\s\S]*?<b>(.*?)<\/b>/g)].map(
    ([, depth, name = '']) => `${depth} ${name.replace(/<[^>]+>/g, '')}`
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

test('what became of a path stands in one line on top, and searches for another one apart from the request', t => {
  const text = String(tracePage([movedRecord()], false))
  t.true(
    text.includes('<dd>lost after 12 s: nothing was heard, seen by the callee; relayed again after 140 ms; 1 search')
  )
  const later = text.slice(text.indexOf('Later on this path'))
  t.regex(
    later,
    /<b>again<\/b>[\s\S]*direct[\s\S]*failed[\s\S]*<b><abbr[^>]*>profile<|<b>again<\/b>[\s\S]*<b>profile<\/b>/
  )
  t.false(
    text.slice(text.indexOf('>Both networks<')).includes('198.51.100.99:999'),
    'the networks are those of the request'
  )
  t.notRegex(String(tracePage([relayedRecord()], false)), /The path since/)
})

test('a search later has its own time: its bar is whole, and what is beneath it counts from its beginning', t => {
  const text = String(tracePage([movedRecord()], false))
  const later = text.slice(text.indexOf('Later on this path'))
  const rows = [
    ...later.matchAll(
      /class="step d(\d)[\s\S]*?<b>(.*?)<\/b>[\s\S]*?<span class="bar">([\s\S]*?)<\/span>\s*<span class="number began">(.*?)</g
    )
  ]
  const row = (name: string) => rows.find(([, , title]) => title?.replace(/<[^>]+>/g, '') === name)
  t.regex(row('again')?.[3] ?? '', /x="0\.00%" width="100\.00%"/)
  t.regex(row('again')?.[4] ?? '', /^\+2\d\.\d s$/)
  t.is(row('profile')?.[4], '+1.0 ms')
  t.is(row('change')?.[3], '', 'a moment has no bar')
})

test('a change of the path says which one it was, and what it cost', t => {
  const text = String(tracePage([movedRecord()], false)).replace(/<[^>]+>/g, '')
  t.regex(text, /callee, resumed: relay/)
  t.regex(text, /no stream could send for 140\.0 ms; 2\.0 KiB sent once more/)
})

test('why a path was lost stands beneath, folded, and nothing of it where none was', t => {
  const text = String(tracePage([movedRecord()], false))
  t.regex(
    text,
    /Why the path was lost[\s\S]*<details id="lost-[\s\S]*<code>address-changed<\/code> alice-laptop changed its network/
  )
  t.notRegex(String(tracePage([relayedRecord()], false)), /Why the path was lost/)
})

test('the page of a request that was refused says nothing of networks that were not looked at', t => {
  const text = String(tracePage([failedRecord()], false))
  t.notRegex(text, />Ports<|>Both networks<|all there was to try/)
  t.regex(String(tracePage([relayedRecord()], false)), />Ports<[\s\S]*>Both networks</)
})

test('an error that is the verdict already is told once', t => {
  const facts = (text: string) => [...text.matchAll(/<dt>([^<]*)<\/dt><dd>/g)].map(([, label]) => label)
  t.false(facts(String(tracePage([failedRecord()], false))).includes('Error'))
  t.true(facts(String(tracePage([{ ...failedRecord(), by: 'no-path' }], false))).includes('Error'))
  t.true(facts(String(tracePage([relayedRecord()], false))).includes('Strategy'))
})

test('the axis of the steps has its ticks at whole numbers', t => {
  const ticks = (ms: number) => {
    const text = String(tracePage([{ ...relayedRecord(), ms }], false))
    const [, labels = ''] = /class="axis"[\s\S]*?<svg[^>]*>(.*?)<\/svg>/.exec(text) ?? []
    return [...labels.matchAll(/>([^<]+)</g)].map(([, label]) => label)
  }
  t.deepEqual(ticks(1061), ['0', '200 ms', '400 ms', '600 ms', '800 ms', '1,000 ms'])
  t.deepEqual(ticks(28.3), ['0', '5 ms', '10 ms', '15 ms', '20 ms', '25 ms'])
  t.deepEqual(ticks(0.8), ['0', '0.2 ms', '0.4 ms', '0.6 ms', '0.8 ms'])
  t.deepEqual(ticks(12_345), ['0', '5 s', '10 s'])
})

test('how sure a port assignment is stands there once', t => {
  const [, networks = ''] =
    /<table class="profiles">([\s\S]*?)<\/table>/.exec(String(tracePage([bothHardRecord()], false))) ?? []
  const sure = [...networks.matchAll(/[\d.]+ % sure/g)].map(([text]) => text)
  t.deepEqual(
    sure,
    ['93 % sure', '99.4 % sure'],
    'behind the kind for the callee, and within what shows it for the caller'
  )
})

test('words that are not plain are explained where they stand, and no others', t => {
  const text = String(tracePage([relayedRecord()], false))
  const [, glossary = ''] = /<dl class="glossary">(.*?)<\/dl>/.exec(text) ?? []
  const words = [...glossary.matchAll(/<dt>([^<]*)<\/dt>/g)].map(([, word]) => word)
  for (const word of ['handover', 'splice', 'latched', 'warm', 'unsuited']) t.true(words.includes(word), word)
  t.false(words.includes('cold'))
  t.regex(text, /<abbr title="[^"]*forwards[^"]*">splice<\/abbr>/)
  t.regex(text, /<dt title="probes that may still be aimed[^"]*">postern\.probes_left<\/dt>/)
  t.notRegex(text, /Probes left/)
  t.false(String(tracePage([failedRecord()], false)).includes('class="glossary"'))
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
