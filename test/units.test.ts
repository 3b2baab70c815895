import test from 'ava'
import fc from 'fast-check'
import { closest } from '../src/config/closest.ts'
import { formatDuration, formatRate, parseDuration, parseRate, percent, roughly } from '../src/units.ts'

test('a duration is told in milliseconds', t => {
  t.deepEqual(
    ['500ms', '10s', '2m', '1h', '1.5s', '3 s'].map(parseDuration),
    [500, 10_000, 120_000, 3_600_000, 1500, 3000]
  )
})

test('a rate is told in bits per second', t => {
  t.deepEqual(['800 bit/s', '500 kbit/s', '4 Mbit/s', '1Gbit/s'].map(parseRate), [800, 5e5, 4e6, 1e9])
})

test('a quantity without its unit, or with another one, is refused', t => {
  for (const text of ['10', '10 parsecs', '-1s', 's', '', '1e3s', '10 constructor'])
    t.is(parseDuration(text), undefined, text)
  for (const text of ['4', '4 MB/s', '4 mbit/s', '4 Mbps', '4 s', '0 Mbit/s', '0.1 bit/s'])
    t.is(parseRate(text), undefined, text)
})

test('what is formatted reads back as the same quantity', t => {
  const quantity = (min: number) => fc.integer({ min, max: 1e12 })
  fc.assert(fc.property(quantity(0), value => parseDuration(formatDuration(value)) === value))
  fc.assert(fc.property(quantity(1), value => parseRate(formatRate(value)) === value))
  t.deepEqual(
    [formatDuration(90_000), formatDuration(1500), formatRate(4e6), formatRate(0)],
    ['90s', '1500ms', '4 Mbit/s', '0 bit/s']
  )
})

test('a slip of the keys finds the word that was meant, another word finds none', t => {
  const known = ['direct', 'stun', 'relay']
  t.deepEqual(
    ['realy', 'Stun', 'drect', 'spray', 'telepathy'].map(word => closest(word, known)),
    ['relay', 'stun', 'direct', undefined, undefined]
  )
})

test('a time that was measured is told as people say it', t => {
  const told = [0.4, 140.2, 999.4, 1234, 9949, 12_400, 119_000, 150_000, 7_169_999, 7_300_000, 345_600_000].map(roughly)
  t.deepEqual(told, [
    '0 ms',
    '140 ms',
    '999 ms',
    '1.2 s',
    '9.9 s',
    '12 s',
    '119 s',
    '3 min',
    '119 min',
    '2 h',
    '4 days'
  ])
})

test('a share is told with the digits that matter, and never rounded to certainty', t => {
  const told = [1, 0.99999, 0.995, 0.5, 0.123, 0.0123, 0.000_78, 0.000_01, 0].map(percent)
  t.deepEqual(told, ['100 %', 'over 99.9 %', '99.5 %', '50 %', '12 %', '1.2 %', '0.078 %', 'under 0.01 %', '0 %'])
})
