import test from 'ava'
import { pictureOf, portPictures, scaleOf } from '../../../../src/gateway/http/pages/drawing/port-picture.ts'
import { bothHardRecord, failedRecord, relayedRecord } from './records.ts'

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
  const { at } = scaleOf([picture])
  for (const port of [...picture.observed, ...picture.hits, 41_012, 41_138]) {
    const percent = Number.parseFloat(at(port))
    t.true(percent > 0 && percent < 100, `${port} at ${percent}`)
  }
  t.is(scaleOf([{ ...picture, observed: [7], guesses: [], hits: [] }]).at(7), '50.00%')
})

test('pictures beside each other have the same axis, with ticks at whole numbers; a narrow one is drawn closer as well', t => {
  const text = String(portPictures(bothHardRecord()))
  const axes = [...text.matchAll(/<svg class="ticks"[^>]*>(.*?)<\/svg>/g)].map(([, labels = '']) =>
    [...labels.matchAll(/x="([\d.]+)%"[^>]*>([^<]*)</g)].map(([, at, label]) => `${label} at ${at}`)
  )
  const [caller, callee, closer] = axes
  t.is(axes.length, 3)
  t.deepEqual(
    caller?.map(tick => tick.split(' ')[0]),
    ['0', '20000', '40000', '60000']
  )
  t.deepEqual(callee, caller)
  t.deepEqual(
    closer?.map(tick => tick.split(' ')[0]),
    ['40800', '40900', '41000', '41100', '41200']
  )
})

test('what a side tried is in the colour of that side', t => {
  const [caller = '', callee = ''] = String(portPictures(bothHardRecord())).split('</figure>')
  t.true(caller.includes('class="tried by-callee"') && !caller.includes('by-caller'))
  t.true(callee.includes('class="tried by-caller"') && !callee.includes('by-callee'))
})

test('where nothing had to be guessed the page says so, and not of a side that the gateway never saw', t => {
  const { spans, ...record } = relayedRecord()
  const seen = spans.filter(({ name }) => name !== 'postern.plan')
  const easy = seen.map(span => ({ ...span, attributes: { ...span.attributes, 'postern.observed': [] } }))
  t.regex(
    String(portPictures({ ...record, spans: easy })),
    /what the gateway saw of both sides was all there was to try/
  )
  t.regex(String(portPictures(failedRecord())), /No port had to be guessed: the gateway did not see ann nor bob\./)
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
