import test from 'ava'
import { beyondSubnets, mayBeOneHost, neighbours } from '../../src/strategy/neighbours.ts'

const host = (...links: string[]) => ({
  addresses: links.map(link => {
    const [address = '', prefix] = link.split('/')
    return { address, prefix: Number(prefix) }
  })
})

const bridges = (own: number) => Array.from({ length: 15 }, (_, n) => `172.${16 + n}.0.${own}/16`)

test('what a side has itself is no neighbour, and what is in no subnet of its own neither', t => {
  const here = host('10.1.0.2/24', '172.17.0.1/16')
  t.deepEqual(neighbours(here, host('172.17.0.1/16', '192.168.7.3/24', '10.1.0.3/24')), ['10.1.0.3'])
  t.deepEqual(neighbours(here, host('172.17.0.1/16', '192.168.7.3/24')), [])
})

test('four neighbours at most, and those first that are useful to both sides', t => {
  const listed = (own: number) => [`10.1.0.${own}/24`, ...bridges(own)]
  t.deepEqual(neighbours(host(...listed(2)), host(...listed(3))), [
    '10.1.0.3',
    '172.16.0.3',
    '172.17.0.3',
    '172.18.0.3'
  ])
  // An older peer tells its addresses in the order of its interfaces.
  t.true(neighbours(host(...listed(2)), host(...bridges(3).slice(0, 10), '10.1.0.3/24')).includes('10.1.0.3'))
})

test('two that have the same addresses may be one host, and are neighbours by one of them', t => {
  const twin = host('10.0.2.15/24')
  t.true(mayBeOneHost(twin, host('10.0.2.15/24')))
  t.true(mayBeOneHost(twin, host('10.0.2.15/24', '172.17.0.1/16')))
  t.false(mayBeOneHost(host('10.5.0.2/32', '192.168.1.2/24'), host('10.5.0.2/32', '192.168.1.3/24')))
  t.false(mayBeOneHost(host(), host()))
  const many = host('10.0.2.15/24', '172.17.0.1/16')
  t.deepEqual(neighbours(many, many), ['10.0.2.15'])
})

test('beyond the own subnets are two private addresses at most, none of which means something on its link alone', t => {
  const here = host('192.168.1.10/24', '172.17.0.1/16')
  const there = ['127.0.0.1/8', '169.254.3.4/16', '8.8.8.8/24', '172.17.0.1/16', '192.168.1.20/24']
  t.deepEqual(beyondSubnets(here, host(...there, '192.168.2.10/24', '10.8.0.2/24', '10.9.0.2/24')), [
    '192.168.2.10',
    '10.8.0.2'
  ])
  t.deepEqual(beyondSubnets(here, host(...there)), [])
})
