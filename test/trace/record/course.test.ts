import test from 'ava'
import { courseLine, courseOf } from '../../../src/trace/record/course.ts'
import type { SpanRecord } from '../../../src/trace/record/record.ts'
import { ofRequest } from '../../../src/trace/record/searches.ts'

let ids = 0

const span = (name: string, startMs: number, attributes: object = {}, more: Partial<SpanRecord> = {}): SpanRecord => ({
  ...{ id: `${++ids}`, name, startMs, endMs: startMs, events: [] },
  attributes: Object.fromEntries(Object.entries(attributes).map(([key, value]) => [`postern.${key}`, value])),
  ...more
})

const told = (by: 'caller' | 'callee', change: string, atMs: number, more: object = {}): SpanRecord =>
  span('postern.change', atMs, { change, told_by: by, side: by, ...more })

const record = (...spans: SpanRecord[]) => ({
  ...{ startMs: 0, ms: 100, outcome: 'path', path: 'direct' as const },
  spans: [span('postern.connect', 0), ...spans]
})

test('a path that was lost and found is told in one line, and what both sides told of it once', t => {
  const line = courseLine(
    record(
      told('caller', 'lost', 12_100, { path: 'direct', reason: 'nothing was heard for 1.2 s' }),
      told('callee', 'lost', 12_130, { side: 'caller' }),
      told('caller', 'resumed', 12_240, { path: 'relay', pause: 140, door: 'udp' }),
      told('callee', 'resumed', 12_260, { path: 'relay' }),
      told('callee', 'moved', 15_240, { path: 'direct' }),
      told('caller', 'moved', 15_250, { path: 'direct' }),
      told('caller', 'ended', 75_250, { reason: 'it was closed' }),
      told('callee', 'ended', 75_260)
    )
  )
  t.is(
    line,
    'lost after 12 s: nothing was heard for 1.2 s, seen by the caller; relayed after 140 ms; direct again after 3 s; ended after 60 s: it was closed'
  )
})

test('a path that is lost twice was lost twice, also where one side tells late', t => {
  const turns = courseOf(
    record(
      told('caller', 'lost', 1000),
      told('caller', 'resumed', 1100, { path: 'relay', door: 'tcp' }),
      told('callee', 'lost', 1200),
      told('callee', 'resumed', 1201, { path: 'relay' }),
      told('caller', 'lost', 5000),
      told('callee', 'lost', 5000)
    )
  )
  t.deepEqual(
    turns.map(({ what, kind, afterMs }) => [what, kind, afterMs]),
    [
      ['lost', 'direct', 900],
      ['resumed', 'relay', 100],
      ['lost', 'relay', 3900]
    ]
  )
})

test('what only the relay saw is no turn, and a record of which nothing was told has no course', t => {
  t.is(courseLine(record(span('postern.change', 900, { change: 'relatched', side: 'caller' }))), undefined)
  t.is(courseLine({ ...record(told('caller', 'lost', 900)), outcome: 'failed' }), undefined)
})

test('a path that was too narrow to go on there is told, and the one before counts as the path', t => {
  t.is(
    courseLine(
      record(
        told('caller', 'narrow', 3_100, { path: 'direct', reason: 'packets of 1280 bytes do not pass directly' }),
        told('caller', 'lost', 5_100, { path: 'relay' })
      )
    ),
    'another path left after 3 s: packets of 1280 bytes do not pass directly; lost after 2 s, seen by the caller'
  )
})

test('searches in vain are counted', t => {
  const vain = () => span('postern.again', 900, { outcome: 'failed' })
  t.is(courseLine(record(vain())), '1 search for another path in vain')
  t.is(
    courseLine(record(told('caller', 'lost', 1100), vain(), vain())),
    'lost after 1 s, seen by the caller; 2 searches for another path in vain'
  )
})

test('who reads what a request did sees nothing of the searches that came after it', t => {
  const search = span('postern.again', 900)
  const below = span('postern.plugin', 901, {}, { parent: search.id })
  const deep = span('postern.plan', 902, {}, { parent: below.id })
  const own = span('postern.plugin', 5)
  const { spans } = record(own, search, below, deep, told('caller', 'lost', 950))
  t.deepEqual(
    ofRequest(spans).map(({ name }) => name),
    ['postern.connect', 'postern.plugin', 'postern.change']
  )
  t.is(ofRequest([search, below, deep]).length, 3, 'a search that is a record of its own')
})
