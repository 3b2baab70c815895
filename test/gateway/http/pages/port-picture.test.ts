import test from 'ava'
import { pictureOf, portPictures, scaleOf } from '../../../../src/gateway/http/pages/port-picture.ts'
import { failedRecord, relayedRecord } from './records.ts'

test('the picture of a side has what was seen of its NAT, what the other side tried, and where it was met', t => {
  const picture = pictureOf(relayedRecord(), 'callee')
  t.is(picture.observed.length, 16)
  t.deepEqual([picture.observed[0], picture.observed.at(-1)], [40_806, 41_001])
  t.is(picture.guesses.length, 1)
  t.like(picture.guesses[0], { by: 'predict', low: 41_012, high: 41_138, ports: 64, sockets: 1 })
  t.deepEqual(picture.hits, [41_262])
})

test('the relay is no hit: what the gateway forwards comes from its own port', t => {
  const { spans, ...record } = relayedRecord()
  const heardAtRelay = spans.map(span =>
    span.name === 'postern.probe' && span.parent === spans.find(({ name }) => name === 'postern.relay')?.id
      ? { ...span, attributes: { ...span.attributes, 'postern.heard': ['203.0.113.1:3478', '192.0.2.140:3478'] } }
      : span
  )
  t.deepEqual(pictureOf({ ...record, spans: heardAtRelay }, 'callee').hits, [41_262])
})

test('every port of a picture has a place within it', t => {
  const picture = pictureOf(relayedRecord(), 'callee')
  const { at } = scaleOf(picture)
  for (const port of [...picture.observed, ...picture.hits, 41_012, 41_138]) {
    const percent = Number.parseFloat(at(port))
    t.true(percent > 0 && percent < 100, `${port} at ${percent}`)
  }
  t.is(scaleOf({ ...picture, observed: [7], guesses: [], hits: [] }).at(7), '50.00%')
})

test('where nothing had to be guessed the page says so', t => {
  t.regex(String(portPictures(failedRecord())), /No port had to be guessed/)
  t.false(String(portPictures(relayedRecord())).includes('alice-laptop'), 'one mapping serves all of the caller')
})

test('attributes that are not what they should be harm nothing', t => {
  const { spans, ...record } = relayedRecord()
  const broken = spans.map(span => ({
    ...span,
    attributes: Object.fromEntries(
      Object.keys(span.attributes).map(key => [key, key.endsWith('side') ? 'callee' : ['?']])
    )
  }))
  t.notThrows(() => String(portPictures({ ...record, spans: broken })))
})
