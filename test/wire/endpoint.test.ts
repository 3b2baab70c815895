import test from 'ava'
import fc from 'fast-check'
import {
  formatEndpoint,
  groupsOf,
  isDoubtful,
  isLoopback,
  isPrivate,
  parseEndpoint,
  plainAddress,
  sameEndpoint
} from '../../src/wire/endpoint.ts'

test('what is formatted is parsed to the same endpoint', t => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6())
  const property = fc.property(address, fc.integer({ min: 1, max: 65535 }), (address, port) => {
    t.deepEqual(parseEndpoint(formatEndpoint({ address, port })), { address, port })
  })
  t.notThrows(() => fc.assert(property))
})

test('an IPv6 address stands in brackets, an IPv4 address does not', t => {
  t.is(formatEndpoint({ address: '203.0.113.7', port: 4242 }), '203.0.113.7:4242')
  t.is(formatEndpoint({ address: '2001:db8::1', port: 4242 }), '[2001:db8::1]:4242')
})

test('names, ports out of range, and pieces of endpoints are no endpoints', t => {
  const wrong = ['', 'localhost:80', '1.2.3.4', '1.2.3.4:', ':80', '1.2.3.4:0', '1.2.3.4:65536', '1.2.3:80']
  for (const text of [...wrong, '1.2.3.400:80', '::1:80', '[::1]', '[::g]:80', '1.2.3.4:80 ', '1.2.3.4:-1', '[]:80']) {
    t.is(parseEndpoint(text), undefined, text)
  }
})

test('no text makes the parser throw', t => {
  const property = fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\[?[\d.:a-f]*\]?:\d*$/)), text => {
    parseEndpoint(text)
  })
  t.notThrows(() => fc.assert(property))
})

test('endpoints are the same when address and port are', t => {
  const one = { address: '192.0.2.1', port: 1 }
  t.true(sameEndpoint(one, { ...one }))
  t.false(sameEndpoint(one, { ...one, port: 2 }))
  t.false(sameEndpoint(one, { ...one, address: '192.0.2.2' }))
})

test('addresses that are not routed on the Internet are private, up to the edges of their blocks', t => {
  const inside = ['10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.1.1', '169.254.0.1', '100.64.0.0']
  for (const address of [...inside, '100.127.255.255', '127.0.0.1', '::1', 'fd00::1', 'fe80::1', '::ffff:10.0.0.1']) {
    t.true(isPrivate(address), address)
  }
  const outside = ['9.255.255.255', '172.15.255.255', '172.32.0.0', '192.169.0.0', '100.128.0.0', '8.8.8.8']
  for (const address of [...outside, '2001:db8::1', '::ffff:8.8.8.8', 'localhost', ''])
    t.false(isPrivate(address), address)
})

test('loopback is 127.0.0.0/8 and ::1', t => {
  for (const address of ['127.0.0.1', '127.255.0.9', '::1']) t.true(isLoopback(address), address)
  for (const address of ['128.0.0.1', '::2', '127.example.org', '10.0.0.1']) t.false(isLoopback(address), address)
})

test('an IPv6 address has eight groups, however short it is written', t => {
  const groups = (address: string) => groupsOf(address).join(' ')
  t.is(groups('::'), '0 0 0 0 0 0 0 0')
  t.is(groups('::1'), '0 0 0 0 0 0 0 1')
  t.is(groups('2001:db8::'), '2001 db8 0 0 0 0 0 0')
  t.is(groups('2001:db8::a:b:c:d'), '2001 db8 0 0 a b c d')
  t.is(groups('1:2:3:4:5:6:7:8'), '1 2 3 4 5 6 7 8')
  t.is(groups('::ffff:192.0.2.1'), '0 0 0 0 0 ffff 192.0.2.1')
})

test('an address of the kernel is made plain: no mapped IPv4, and no zone', t => {
  const plain = ['::ffff:192.0.2.1', 'fe80::1%eth0', '2001:db8::1', '::ffff:c000:201'].map(plainAddress)
  t.deepEqual(plain, ['192.0.2.1', 'fe80::1', '2001:db8::1', '::ffff:c000:201'])
})

test('a private address is doubtful to who came by IPv6 from elsewhere, and to nobody else', t => {
  t.true(isDoubtful('172.17.0.2', '2001:db8::1'))
  t.false(isDoubtful('172.17.0.2', '172.17.0.2'))
  t.false(isDoubtful('172.17.0.2', '::ffff:172.17.0.2'))
  t.false(isDoubtful('203.0.113.6', '2001:db8::1'))
  t.false(isDoubtful('127.0.0.1', '::1'))
  t.false(isDoubtful('172.17.0.2', undefined))
})
