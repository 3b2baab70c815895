import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { networkInterfaces } from 'node:os'
import test from 'ava'
import { Interfaces } from '../../../src/peer/punch/interfaces.ts'
import type { Order } from '../../../src/wire/order.ts'

const linked = (links: Record<string, string>) => (): ReturnType<typeof networkInterfaces> =>
  Object.fromEntries(
    Object.entries(links).map(([name, cidr]) => {
      const [address = ''] = cidr.split('/')
      return [
        name,
        [{ address, cidr, family: 'IPv4', internal: name === 'lo', mac: '00:00:00:00:00:00', netmask: '255.255.255.0' }]
      ]
    })
  )

const bridged = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`br-${n}`, `172.16.${n}.1/24`]))

test('bridges and tunnels are told last, whatever their number, and loopback not at all', async t => {
  const links = linked({
    lo: '127.0.0.1/8',
    ...bridged,
    wg0: '10.8.0.2/24',
    lan0: '192.168.7.1/24',
    eth1: '10.1.0.2/24'
  })
  const told = await new Interfaces([], links).told(undefined)
  t.is(told.length, 16)
  t.deepEqual(told.slice(0, 2), [
    { address: '10.1.0.2', prefix: 24 },
    { address: '192.168.7.1', prefix: 24 }
  ])
  t.deepEqual(await new Interfaces([], links).told({ address: '127.0.0.1', port: 1 }), [
    { address: '127.0.0.1', prefix: 8 }
  ])
})

test('an excluded interface is not told, by its whole name or by a pattern', async t => {
  const links = linked({
    ...bridged,
    docker0: '172.17.0.1/16',
    docker00: '172.18.0.1/16',
    'a.b': '10.2.0.2/24',
    axb: '10.3.0.2/24'
  })
  const interfaces = new Interfaces(['docker0', 'br-*', 'a.b'], links)
  t.deepEqual(
    (await interfaces.told(undefined)).map(({ address }) => address),
    ['10.3.0.2', '172.18.0.1']
  )
  t.false(interfaces.mayTell('172.16.3.1'))
  t.true(interfaces.mayTell('172.18.0.1') && interfaces.mayTell('203.0.113.9'))
})

const at = (address: string, port: number): Order => ({ kind: 'punch', targets: [{ address, port }] })

test('an own address is no target, unless a socket of this host has the port', async t => {
  const interfaces = new Interfaces([], linked({ eth0: '10.0.2.15/24' }))
  const other = createSocket('udp4').bind(0)
  await once(other, 'listening')
  const { port } = other.address()
  t.deepEqual(await interfaces.narrow(at('10.0.2.15', port)), at('10.0.2.15', port))
  other.close()
  await once(other, 'close')
  t.is(await interfaces.narrow(at('10.0.2.15', port)), undefined)
})

test('what is left of an order is done, and an order without own addresses is left as it is', async t => {
  const interfaces = new Interfaces(['docker0'], linked({ eth0: '10.0.2.15/24', docker0: '172.17.0.1/16' }))
  const free = 1 // nobody binds it
  const order: Order = {
    kind: 'punch',
    targets: [...['10.0.2.15', '172.17.0.9', '10.0.2.16'].map(address => ({ address, port: free }))],
    guesses: [
      { address: '10.0.2.15', ports: [1, 2] },
      { address: '203.0.113.9', ports: [3] }
    ]
  }
  t.deepEqual(await interfaces.narrow(order), {
    kind: 'punch',
    targets: [{ address: '10.0.2.16', port: free }],
    guesses: [{ address: '203.0.113.9', ports: [3] }]
  })
  const others: Order[] = [
    at('10.0.2.16', 9),
    { kind: 'punch', targets: [] },
    { kind: 'splice', target: { address: '10.0.2.15', port: 9 } }
  ]
  for (const given of others) t.deepEqual(await interfaces.narrow(given), given)
})
