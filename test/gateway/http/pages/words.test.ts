import test from 'ava'
import { begun, lasted, share, signed, timeTag } from '../../../../src/gateway/http/pages/words.ts'

test('durations are told in the unit that fits, and offsets with their sign', t => {
  const told: [number, string][] = [
    [0, '0.0 ms'],
    [12.34, '12.3 ms'],
    [1234.5, '1,235 ms'],
    [12_345, '12.3 s'],
    [200_000, '3 min 20 s']
  ]
  for (const [ms, text] of told) t.is(lasted(ms), text)
  t.is(signed(3), '+3.0 ms')
  t.is(signed(-3202), '−3,202 ms')
  t.is(signed(-0.01), '+0.0 ms')
})

test('a share is whole only where it is, and nothing only where there is none', t => {
  t.is(share(0, 10), '0 %')
  t.is(share(1, 1000), '0.1 %')
  t.is(share(999, 1000), '99.9 %')
  t.is(share(99_999, 100_000), 'over 99.9 %')
  t.is(share(10, 10), '100 %')
  t.is(share(0, 0), '–')
})

test('a time of another day says which', t => {
  const atMs = Date.UTC(2026, 10, 23, 14, 3, 22)
  t.regex(String(timeTag(atMs, atMs + 1000)), />14:03:22</)
  t.regex(String(timeTag(atMs, atMs + 86_400_000)), />2026-11-23 14:03:22</)
})

test('a sentence begins with a capital, a name as it is', t => {
  const names = { caller: 'ann', callee: '' }
  t.is(begun('the relay is full', names), 'The relay is full')
  t.is(begun('ann did not obey', names), 'ann did not obey')
  t.is(begun('', names), '')
})
