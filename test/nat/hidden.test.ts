import test from 'ava'
import { isHidden } from '../../src/nat/hidden.ts'

const at = (...links: string[]) =>
  links.map(link => {
    const [address = '', prefix] = link.split('/')
    return { address, prefix: Number(prefix) }
  })

const lo = '127.0.0.1/8'
const container = at(lo, '172.17.0.2/16')
const home = at('192.168.1.7/24')
const open = at('198.51.100.9/24')

const forwarders: [what: string, mapped: string, reached: string, peer: typeof home, gateway: typeof home][] = [
  ['docker-proxy', '172.17.0.1', '203.0.113.6', home, container],
  ['docker-proxy, and a peer without a NAT', '172.17.0.1', '203.0.113.6', open, container],
  ["rootlesskit's builtin driver", '127.0.0.1', '203.0.113.6', home, at(lo, '10.0.2.100/24')],
  ['gvproxy', '192.168.127.1', '203.0.113.6', home, at(lo, '192.168.127.2/24')],
  ['a forwarder on the very host', '127.0.0.1', '203.0.113.6', home, at(lo, '203.0.113.6/24')],
  ['the same, to another address of the host', '10.0.0.5', '203.0.113.6', home, at(lo, '203.0.113.6/24', '10.0.0.5/8')],
  ['a load balancer with SNAT, on a subnet of its own', '10.0.9.3', '203.0.113.6', home, at(lo, '10.0.1.5/24')],
  ['a router that translates its own LAN (hairpin)', '192.168.1.1', '203.0.113.6', home, at(lo, '192.168.1.5/24')]
]

for (const [what, mapped, reached, peer, gateway] of forwarders)
  test(`the source is hidden: ${what}`, t => t.true(isHidden({ mapped, reached, peer, gateway: () => gateway })))

const honest: typeof forwarders = [
  ['a home NAT', '198.51.100.9', '203.0.113.6', home, container],
  ['one LAN', '192.168.1.7', '192.168.1.5', home, at(lo, '192.168.1.5/24')],
  ['a NAT within the LAN of the gateway', '192.168.1.8', '192.168.1.5', at('10.0.2.15/24'), at(lo, '192.168.1.5/24')],
  ['one computer', '127.0.0.1', '127.0.0.1', at(lo), at(lo, '192.168.1.5/24')],
  ["one computer, by another of loopback's addresses", '127.0.0.1', '127.0.0.9', at(lo), at(lo)],
  ['a tunnel', '100.64.1.2', '100.64.1.1', at('100.64.1.2/32'), at(lo, '100.64.1.1/32')],
  ['a NAT within a tunnel', '100.64.1.2', '100.64.1.1', home, at(lo, '100.64.1.1/32')],
  ['a router that keeps sources of its own LAN', '192.168.1.7', '203.0.113.6', home, at(lo, '192.168.1.5/24')],
  ['a private network that is routed to a public host', '10.9.8.7', '203.0.113.6', home, at(lo, '203.0.113.6/24')],
  ["a peer on the gateway's host", '203.0.113.6', '203.0.113.6', at('203.0.113.6/24'), at(lo, '203.0.113.6/24')],
  ['a cloud with 1:1 NAT', '198.51.100.9', '203.0.113.6', home, at(lo, '10.0.1.5/24')]
]

for (const [what, mapped, reached, peer, gateway] of honest)
  test(`the source is true: ${what}`, t => t.false(isHidden({ mapped, reached, peer, gateway: () => gateway })))
