import { ROOT_CONTEXT } from '@opentelemetry/api'
import test from 'ava'
import { masking } from '../../../src/trace/export/mask.ts'
import type { SpanRecord } from '../../../src/trace/record/record.ts'
import { recorder } from '../recorder.ts'

const epochMs = 1_700_000_000_000

/** What becomes of a text, wherever it stands. */
function masked(text: string): string {
  const { tracer, spans } = recorder()
  const span = masking(tracer).startSpan('x', { attributes: { a: text, b: [text, 'none'] } }, ROOT_CONTEXT)
  span.setAttribute('c', text).setAttributes({ d: text, n: 4, f: true })
  span.addEvent('e', { g: text }, epochMs + 5)
  span.addEvent('h', epochMs + 6)
  span.end(epochMs + 7)
  const [record] = spans as [SpanRecord]
  const { a, b, c, d, ...rest } = record.attributes as Record<string, string>
  const [event, bare] = record.events
  const all = [a, c, d, (b as unknown as string[])[0], event?.attributes.g]
  if (new Set(all).size !== 1) throw new Error(`it is masked in some places only: ${all}`)
  const others = JSON.stringify([rest, event?.atMs, bare?.atMs])
  if (others !== JSON.stringify([{ n: 4, f: true }, epochMs + 5, epochMs + 6])) throw new Error(`changed: ${others}`)
  return a ?? ''
}

test('IPv4 addresses are cut to their /24, private ones too, and ports stay', t => {
  const texts = {
    '203.0.113.77': '203.0.113.0',
    '203.0.113.77:4242': '203.0.113.0:4242',
    '192.168.1.23/24, 10.1.2.3.': '192.168.1.0/24, 10.1.2.0.',
    'the probe budget of 198.51.100.9 (ann) is shared out': 'the probe budget of 198.51.100.0 (ann) is shared out',
    '203.0.113.77:40001 12.5 40000': '203.0.113.0:40001 12.5 40000'
  }
  for (const [text, expected] of Object.entries(texts)) t.is(masked(text), expected)
})

test('IPv6 addresses are cut to their /48', t => {
  const texts = {
    '2001:db8:1:2:3:4:5:6': '2001:db8:1::',
    '[2001:db8:1:2::9]:4242': '[2001:db8:1::]:4242',
    '2001:db8::9, fd00:1:2:3::1/64.': '2001:db8:0::, fd00:1:2::/64.',
    '::1': '0:0:0::',
    'fe80::1': 'fe80:0:0::',
    '::ffff:203.0.113.77': '0:0:0::',
    'a::': 'a:0:0::',
    'to 2001:db8:1:2::9: refused, 2001:db8:1:2::9...': 'to 2001:db8:1::: refused, 2001:db8:1::...',
    'fe80::1%eth0': 'fe80:0:0::%eth0'
  }
  for (const [text, expected] of Object.entries(texts)) t.is(masked(text), expected)
})

test('what is no address is left as it is', t => {
  const texts = [
    'version 1.2.3',
    '1.2.3.4.5',
    '12:30 and 12:30:59',
    Array.from({ length: 32 }, () => 'AB').join(':'),
    'the reason: none',
    'ports 40000, 40001'
  ]
  for (const text of texts) t.is(masked(text), text)
})

test('a text that is made to look like addresses takes no longer than others', t => {
  for (const part of [':', ':.', 'a:', '1.', '::1.', ': '])
    t.is(masked(`${part.repeat(50_000)}z`).slice(-1), 'z', 'it would take hours')
})
