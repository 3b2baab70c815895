// Sides that are not heard, though no firewall of a network is in the way: they have no IPv4 to the gateway, give no sign of life,
// or have one port that is dead.

import type { Tried } from '../../lab/driver.ts'
import { drop } from '../../lab/drop.ts'
import type { Guest, Rig } from '../../lab/rig.ts'
import { tool } from '../../lab/sandbox.ts'
import type { Host } from '../../lab/world.ts'
import type { Cause, Lane } from '../cause.ts'
import { boxOf, first, siteOf, sites, told } from '../means.ts'

/** HTTP by both families, and UDP by IPv4, as it always is. */
const dual = {
  strategies: '[stun, relay: { waitMs: 500ms }]',
  config: 'listen: { http: "[::]:8080", udp: { addresses: [0.0.0.0], ports: [3478, 3479] } }'
}

const brief = { strategies: '[relay: { waitMs: 500ms }]' }

const causes: readonly Cause[] = [
  {
    what: 'ports of the callee are dead',
    done: 'what leaves the first two is dropped at its NAT while it joins, and then what leaves any that is new',
    code: 'dead-port',
    side: 'callee',
    gateway: { strategies: '[predict, relay]' },
    async inject(rig) {
      const site = siteOf(rig, 2)
      const host = site.hosts[0] as Host
      await told(rig.peers, 'filter')
      await using guest = await rig.guest(site, { joins: false })
      await using _first = await deadAtFirst(boxOf(site), 2, await boundOn(host))
      await guest.process.do('join', { ...rig.door, name: guest.name })
      await told([guest], 'filter')
      await using _new = await drop(boxOf(site), `iifname lan udp sport != { ${(await boundOn(host)).join(', ')} }`)
      return await first(rig).connect(guest, 0)
    }
  },
  {
    what: 'the callee sleeps',
    done: 'SIGSTOP after it had joined, and it is called twice',
    code: 'silent-peer',
    side: 'callee',
    gateway: brief,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1))
      await told([guest], 'filter')
      await guest.process.kill('SIGSTOP')
      return await twice(rig, guest)
    }
  },
  {
    what: 'the callee has lost its network',
    done: 'its host has no address any more since it joined, and it is called twice',
    code: 'silent-peer',
    side: 'callee',
    gateway: brief,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1))
      await told([guest], 'filter')
      await using _gone = await readdressed(hostOf(rig))
      return await twice(rig, guest)
    }
  },
  {
    what: 'the callee has no IPv4',
    done: "IPv6 leads to the gateway, and the host's IPv4 address is taken away before it joins",
    code: 'wrong-family',
    side: 'callee',
    gateway: dual,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1), { joins: false })
      await using _addresses = await withIPv6(rig)
      await using _none = await readdressed(hostOf(rig))
      await joinBy(rig, guest, GATEWAY)
      return await first(rig).connect(guest, 0)
    }
  },
  {
    what: 'the gateway knows no IPv4 address that peers could reach',
    done: 'the callee joins by the IPv6 address of a link that has a private IPv4 address beside it',
    code: 'wrong-family',
    side: 'gateway',
    gateway: dual,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1), { joins: false })
      await using _addresses = await withIPv6(rig)
      await joinBy(rig, guest, CONTAINER)
      return await first(rig).connect(guest, 0)
    }
  }
]

export const absent: Lane = { sites: sites('port-restricted', 'port-restricted', 'symmetric+1'), causes }

/** The host of the callee. */
const hostOf = (rig: Rig): Host => siteOf(rig, 1).hosts[0] as Host

/** The first call takes the socket that was warm, and what it was told is not obeyed. The second one finds nobody. */
async function twice(rig: Rig, guest: Guest): Promise<Tried> {
  await first(rig).connect(guest, 0)
  return await first(rig).connect(guest, 0)
}

/** The gateway's own IPv6 address, and that of a link on which it has a private IPv4 address. */
const GATEWAY = 'fd00:6::6'
const CONTAINER = 'fd00:9::2'

const joinBy = (rig: Rig, { name, process }: Guest, address: string): Promise<unknown> =>
  process.do('join', { ...rig.door, url: `http://[${address}]:8080`, name })

/** IPv6 from the gateway to the host of the callee, until it is disposed of. */
async function withIPv6(rig: Rig): Promise<AsyncDisposable> {
  const { gateway, core } = rig.world
  const box = boxOf(siteOf(rig, 1))
  const host = hostOf(rig)
  const within = async (at: Host, ...lines: string[]) => {
    const { code, stderr } = await at.run([tool('sh'), '-ec', lines.join('\n')])
    if (code !== 0) throw new Error(`no IPv6 on ${at.name}: ${stderr}`)
  }
  const forwards = 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
  const on = (address: string, link: string) => `ip address replace ${address}/64 dev ${link} nodad`
  await within(
    gateway,
    on(GATEWAY, 'eth0'),
    'ip route replace fd00::/16 via fd00:6::1',
    'ip link add container type veth peer name inside',
    'ip link set container up',
    'ip link set inside up',
    'ip address add 172.17.0.2/16 dev container',
    on(CONTAINER, 'container')
  )
  const far = `ip route replace fd00:1::/64 via fd00:7::2`
  await within(
    core,
    forwards,
    on('fd00:6::1', 'gw'),
    on('fd00:7::1', 'c1'),
    far,
    'ip route replace fd00:9::/64 via fd00:6::6'
  )
  await within(
    box,
    forwards,
    on('fd00:7::2', 'wan'),
    on('fd00:1::1', 'lan'),
    'ip route replace fd00::/16 via fd00:7::1'
  )
  await within(host, on('fd00:1::2', 'eth0'), 'ip route replace fd00::/16 via fd00:1::1')
  return {
    async [Symbol.asyncDispose]() {
      await within(gateway, 'ip link delete container', 'ip -6 address flush scope global')
      for (const at of [core, box, host]) await within(at, 'ip -6 address flush scope global')
    }
  }
}

/** A host has another IPv4 address, or none, until it is disposed of. */
async function readdressed(host: Host, address?: string): Promise<AsyncDisposable> {
  const ip = (...words: string[]) => host.run([tool('ip'), ...words])
  const be = async (now: string | undefined) => {
    await ip('-4', 'address', 'flush', 'dev', 'eth0')
    if (!now) return
    await ip('address', 'add', `${now}/24`, 'dev', 'eth0')
    await ip('route', 'add', 'default', 'via', '192.168.1.1')
  }
  await be(address)
  return { [Symbol.asyncDispose]: () => be(host.addresses[0]) }
}

/** What leaves the first ports that are seen, besides those that are known, is dropped at a box, until it is disposed of. */
async function deadAtFirst(box: Host, count: number, known: readonly string[]): Promise<AsyncDisposable> {
  const rules = [
    `set first { type inet_service; size ${count}; flags dynamic; }`,
    'chain rules {',
    'type filter hook prerouting priority raw',
    `udp sport { ${known.join(', ')} } accept`,
    'iifname lan udp sport @first drop',
    'iifname lan meta l4proto udp add @first { udp sport } drop',
    '}'
  ]
  await box.nft(['table ip firstports {', ...rules, '}', ''].join('\n'))
  return {
    async [Symbol.asyncDispose]() {
      await box.run([tool('nft'), 'delete', 'table', 'ip', 'firstports'])
    }
  }
}

/** The ports of all UDP sockets on a host. */
async function boundOn(host: Host): Promise<string[]> {
  const { stdout } = await host.run([tool('ss'), '-Huan'])
  const ports = [...stdout.matchAll(/\s0\.0\.0\.0:(\d+)\s/g)].map(([, port = '']) => port)
  if (ports.length === 0) throw new Error(`no UDP socket is bound on ${host.name}`)
  return ports
}
