import test from 'ava'
import { abridged, formatMoment, formatMs, formatSeconds, signed, wrap } from '../../../src/cli/text/output.ts'
import { drawn } from '../../../src/cli/text/progress.ts'
import { formatBytes } from '../../../src/units.ts'

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

test('a fingerprint is told by its ends, and an address is left as it is', t => {
  const print = Array.from({ length: 32 }, (_, at) => (at + 0xa0).toString(16).toUpperCase()).join(':')
  t.is(abridged(`it is ${print}, not ${print}`), 'it is A0:A1:A2:A3:…:BD:BE:BF, not A0:A1:A2:A3:…:BD:BE:BF')
  t.is(abridged('2001:DB8:AA:BB:CC:DD:EE:FF, 12:34:56'), '2001:DB8:AA:BB:CC:DD:EE:FF, 12:34:56')
})

test('numbers have a sign unless they round to nothing', t => {
  t.deepEqual([1.25, -0.26, -0.01, 0].map(signed), ['+1.3', '−0.3', '+0.0', '+0.0'])
})

test('a moment is told in the zone of who reads it', t => {
  const moments = ['UTC', 'Asia/Kolkata', 'America/St_Johns'].map(zone => {
    process.env.TZ = zone
    return formatMoment(Date.UTC(2026, 0, 31, 23, 5, 9))
  })
  t.deepEqual(moments, ['2026-01-31 23:05:09 UTC', '2026-02-01 04:35:09 +05:30', '2026-01-31 19:35:09 -03:30'])
})

test('the first and the last moment that a date can be are told in every zone', t => {
  for (const zone of ['UTC', 'Asia/Kolkata', 'America/St_Johns']) {
    process.env.TZ = zone
    for (const atMs of [8.64e15, -8.64e15]) t.notThrows(() => formatMoment(atMs), zone)
  }
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
