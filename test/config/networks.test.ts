import test from 'ava'
import { Networks, networkIn } from '../../src/config/networks.ts'

test('addresses and networks are taken, and nothing that is everybody or nobody', t => {
  for (const text of [
    '127.0.0.1',
    '10.0.0.0/8',
    '10.1.2.3/8',
    '::1',
    'fd00::/8',
    '2001:db8::/32',
    '1.2.3.4/32',
    '::ffff:10.0.0.1'
  ])
    t.is(networkIn(text), text)
  for (const text of [
    '',
    'true',
    '*',
    'proxy',
    '0.0.0.0/0',
    '::/0',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '10.0.0.0/8/8'
  ])
    t.is(networkIn(text), undefined, text)
  for (const text of ['10.0.0/8', '010.0.0.1', '10.0.0.1/08', '::ffff:10.0.0.0/104', '1.2.3.4 ', '[::1]'])
    t.is(networkIn(text), undefined, text)
  t.throws(() => new Networks(['true']), { instanceOf: RangeError })
})

test('an address is in a network however it is written', t => {
  const networks = new Networks(['127.0.0.1', '10.1.2.3/8', 'fd00::/8', '::ffff:192.0.2.1', '2001:db8::5'])
  for (const one of [
    '127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '10.255.0.1',
    'fd12::1',
    'FD12:0::1',
    '192.0.2.1',
    '2001:db8:0::5'
  ])
    t.true(networks.has(one), one)
  for (const one of ['127.0.0.2', '11.0.0.1', 'fe80::1', '192.0.2.2', '2001:db8::6', '', 'nonsense', '::1'])
    t.false(networks.has(one), one)
  t.false(new Networks([]).has('127.0.0.1'))
})
