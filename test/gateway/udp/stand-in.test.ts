import type { NetworkInterfaceInfo } from 'node:os'
import test from 'ava'
import type { Port } from '../../../src/gateway/udp/listen.ts'
import { UdpObserver } from '../../../src/gateway/udp/observe.ts'
import { standIn, standInForIce } from '../../../src/gateway/udp/stand-in.ts'

const on = (address: string, internal = false) =>
  ({ address, internal, family: address.includes(':') ? 'IPv6' : 'IPv4' }) as NetworkInterfaceInfo

const interfaces = {
  lo: [on('127.0.0.1', true), on('::1', true)],
  lan: [on('192.168.1.5'), on('2001:db8:1::5')],
  six: [on('2001:db8:6::5')],
  wan: [on('10.0.0.9'), on('203.0.113.5'), on('2001:db8:2::5')]
}

test('an IPv4 address stands for itself, also as an IPv6 socket names it', t => {
  t.is(standIn('198.51.100.7', interfaces), '198.51.100.7')
  t.is(standIn('::ffff:198.51.100.7', interfaces), '198.51.100.7')
})

test('for an IPv6 address the IPv4 address of its link stands in, a public one before a private one', t => {
  t.is(standIn('2001:db8:1::5', interfaces), '192.168.1.5')
  t.is(standIn('2001:db8:2::5', interfaces), '203.0.113.5')
  t.is(standIn('::1', interfaces), '127.0.0.1')
})

test('where the link has none, or is not ours, a public address of this host stands in, or else a private one', t => {
  t.is(standIn('2001:db8:6::5', interfaces), '203.0.113.5')
  t.is(standIn('2001:db8:ffff::1', interfaces), '203.0.113.5')
  t.is(standIn('2001:db8:ffff::1', { lo: interfaces.lo, lan: interfaces.lan }), '192.168.1.5')
})

test('loopback stands in for nothing but loopback', t => {
  t.is(standIn('2001:db8:ffff::1', { lo: interfaces.lo, six: interfaces.six }), undefined)
})

test('what peers are told is IPv4, whatever they reached, and what the operator named comes first', t => {
  const port = (address: string): Port => ({
    local: { address, port: 3478 },
    door: 'udp',
    row: 0,
    column: 0,
    send: () => {}
  })
  const told = (address: string, ...named: string[]) =>
    new UdpObserver({ ports: () => [port(address)], public: () => named.map(address => ({ address })) })
      .endpoints('::1')
      .map(one => one.address)
  t.deepEqual(told('0.0.0.0'), ['127.0.0.1'])
  t.deepEqual(told('0.0.0.0', '203.0.113.9'), ['203.0.113.9'])
  t.deepEqual(told('192.0.2.4'), ['192.0.2.4'])
})

test('a browser that came by loopback is told another address of this host, if there is one', t => {
  t.is(standInForIce('127.0.0.1', interfaces), '203.0.113.5')
  t.is(standInForIce('::1', { lo: interfaces.lo, lan: interfaces.lan }), '192.168.1.5')
  t.is(standInForIce('127.0.0.1', { lo: interfaces.lo, six: interfaces.six }), '127.0.0.1')
  t.is(standInForIce('198.51.100.7', interfaces), '198.51.100.7')
})
