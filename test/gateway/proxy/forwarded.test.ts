import test from 'ava'
import { Networks } from '../../../src/config/networks.ts'
import { clientOf } from '../../../src/gateway/proxy/forwarded.ts'

const trusted = new Networks(['10.0.0.0/8', '2001:db8:1::/48', '127.0.0.1'])
const proxy = '10.0.0.1'

const said = (headers: Record<string, string>, from = proxy) => clientOf(from, headers, one => trusted.has(one))
const xff = (list: string) => said({ 'x-forwarded-for': list })
const forwarded = (list: string) => said({ forwarded: list })

test('of a list the last address that is not trusted counts, whatever stands before it', t => {
  t.is(xff('203.0.113.7'), '203.0.113.7')
  t.is(xff('made up, 198.51.100.1, 203.0.113.7'), '203.0.113.7')
  t.is(xff('198.51.100.1, 203.0.113.7, 10.9.9.9, 10.0.0.2'), '203.0.113.7')
  t.is(xff('10.0.0.3,10.0.0.2'), '10.0.0.3', 'all are trusted: the first one asks')
  t.is(xff('203.0.113.7, 127.0.0.1'), '203.0.113.7')
  t.is(forwarded('for=198.51.100.1, for=203.0.113.7;proto=https;by=10.0.0.2, for=10.0.0.2'), '203.0.113.7')
  t.is(said({ 'x-forwarded-for': '203.0.113.7' }, '2001:db8:1::9'), '203.0.113.7')
})

test('nodes are read as RFC 7239 has them, in either header', t => {
  for (const [node, address] of [
    ['192.0.2.43', '192.0.2.43'],
    ['192.0.2.43:47011', '192.0.2.43'],
    ['192.0.2.43:_gazonk', '192.0.2.43'],
    ['[2001:db8:cafe::17]', '2001:db8:cafe::17'],
    ['[2001:db8:cafe::17]:4711', '2001:db8:cafe::17'],
    ['[2001:DB8:CAFE:0::17]', '2001:db8:cafe::17'],
    ['2001:db8:cafe::17', '2001:db8:cafe::17'],
    ['::ffff:192.0.2.43', '192.0.2.43'],
    ['[::ffff:c000:22b]:9', '192.0.2.43'],
    ['fe80::1%eth0', 'fe80::1'],
    ['unknown', proxy],
    ['Unknown', proxy],
    ['_hidden', proxy],
    ['_SEVKISEK:_x.1', proxy]
  ] as const) {
    t.is(xff(`203.0.113.7, ${node}`), address, node)
    t.is(forwarded(`for=203.0.113.7, For="${node}"`), address, node)
  }
  t.is(forwarded('proto=https;FOR=192.0.2.43'), '192.0.2.43')
  t.is(forwarded('for="192.0.2.\\43"'), '192.0.2.43', 'a character may be escaped')
  t.is(forwarded('for=203.0.113.7, proto=https'), proxy, 'an element without for: its proxy does not say')
  t.is(forwarded('for=203.0.113.7;host="a, for=1.1.1.1;b"'), '203.0.113.7', 'a quoted comma parts nothing')
})

test('whoever hides whom it asks for is itself who asks, as seen by the next one', t => {
  t.is(xff('203.0.113.7, unknown, 10.0.0.2'), '10.0.0.2')
  t.is(forwarded('for=203.0.113.7, for=_secret, for=10.0.0.2'), '10.0.0.2')
})

test('an empty header says nothing', t => {
  for (const text of ['', ' ', ',', ' , ,']) t.is(xff(text), proxy)
  for (const text of ['', '  ']) t.is(forwarded(text), proxy)
  t.is(said({ forwarded: '', 'x-forwarded-for': '203.0.113.7' }), '203.0.113.7')
  t.is(said({ forwarded: 'for=203.0.113.7', 'x-forwarded-for': '' }), '203.0.113.7')
})

test('what a proxy added and nobody can read is refused in one sentence, which says what was got and what was expected', t => {
  const odd = [
    'nonsense',
    '203.0.113.999',
    '203.0.113.7:',
    '[203.0.113.7]x',
    '[::1',
    '2001:db8::g',
    'for=1.1.1.1',
    '1.1.1.1 2.2.2.2',
    '\u00ff\u009b2J'
  ]
  for (const node of odd) {
    const error = t.throws(() => xff(`203.0.113.7, ${node}`), { code: 'bad-message' }, node)
    t.regex(error?.message ?? '', /^a proxy says that this request comes from ".*"; expected an IP address$/)
    t.notRegex(error?.message ?? '', /\p{Cc}/u)
  }
  t.is(xff('nonsense, 203.0.113.7'), '203.0.113.7', 'of what anybody may have made up nothing is read')
  const lists = [
    'for',
    'for=',
    'for=a b',
    'for=1.1.1.1;',
    'for=1.1.1.1,',
    'for=[::1]',
    ',',
    ';',
    '=',
    '"',
    'for="',
    'for="a\\',
    'for=1.1.1.1 for=2.2.2.2',
    'f\u00f6r=1.1.1.1'
  ]
  for (const list of lists) {
    const error = t.throws(() => forwarded(list), { code: 'bad-message' }, list)
    t.regex(error?.message ?? '', /^Forwarded is ".*"; expected elements such as for=192\.0\.2\.1/)
  }
})

test('an open quotation mark of a client does not swallow what its proxy adds', t => {
  t.throws(() => forwarded('for=", for=203.0.113.7'), { code: 'bad-message' })
  t.throws(() => forwarded('for="198.51.100.1, for=203.0.113.7"'), { code: 'bad-message' })
})

test('a client that sends the header which its proxy passes on as it is is refused, whichever of the two that is', t => {
  const [client, claimed] = ['203.0.113.7', '198.51.100.1']
  for (const headers of [
    { 'x-forwarded-for': client, forwarded: `for=${claimed}` },
    { forwarded: `for=${client}`, 'x-forwarded-for': claimed },
    { 'x-forwarded-for': client, forwarded: 'for=unknown' },
    { 'x-forwarded-for': client, forwarded: 'for=127.0.0.1' },
    { 'x-forwarded-for': `${claimed}, ${client}`, forwarded: `for=${client}, for=${claimed}` }
  ]) {
    const error = t.throws(() => said(headers), { code: 'bad-message' }, JSON.stringify(headers))
    t.regex(
      error?.message ?? '',
      /^Forwarded says that this request comes from .*, and X-Forwarded-For from .*; expected one of them/
    )
  }
  t.is(
    said({ 'x-forwarded-for': `${claimed}, ${client}:99`, forwarded: `for="[::ffff:${client}]:1"` }),
    client,
    'they agree'
  )
})

test('long lists take as long as they are', t => {
  const many = Array.from({ length: 100_000 }, () => '10.0.0.2')
  const startMs = performance.now()
  t.is(xff(`203.0.113.7, ${many.join(',')}`), '203.0.113.7')
  t.is(forwarded(`for=203.0.113.7, ${many.map(one => `for=${one}`).join(',')}`), '203.0.113.7')
  t.throws(() => xff('1'.repeat(1_000_000)))
  t.throws(() => xff(`_${'.'.repeat(1_000_000)}!`))
  t.throws(() => forwarded('for="'.repeat(200_000)))
  t.true(performance.now() - startMs < 5000)
})
