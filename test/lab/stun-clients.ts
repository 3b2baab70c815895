// STUN clients that others wrote, behind NATs of the laboratory, against a gateway with two addresses: which NAT do they say they
// are behind? `npm run lab -- --stun-clients` prints the table NAT × client, and what is wrong in it. One after the other, since
// all of them share the gateway's budget of discovery answers for one network.

import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import type { GatewayStatus } from '../../src/gateway/http/status.ts'
import { Driven } from './driven.ts'
import type { Drives } from './driver.ts'
import type { NatType } from './nat.ts'
import { fromDebian, fromGo, fromPyPI, type StunTool } from './stun-tools.ts'
import { type Host, openWorld, type Site } from './world.ts'

const nats = ['open', 'full-cone', 'restricted', 'port-restricted', 'symmetric+1', 'symmetric-random'] as const

interface StunClient {
  readonly name: string
  get(): Promise<StunTool>
  /** What follows the tool's own words on a host, to ask a gateway. */
  argv(host: Host, gateway: string): string[]
  /** What its output says, in its own words without the rest. */
  read(output: string): string
  /** What it says where it is right. */
  right(site: Site): string
  /** It never ends by itself, so it is ended after so long, in seconds. */
  endedAfterS?: number
}

const PORT = '3478'

/** One for each NAT type of the table, in the words of one client. */
const words =
  (...said: string[]) =>
  (site: Site) =>
    said[nats.indexOf(site.nat as (typeof nats)[number])] ?? ''

/** In the words of RFC 4787: mapping, filtering. */
const dependence = (mapping: string, filtering: string) => ({ mapping, filtering })
const behaviours: Record<(typeof nats)[number], ReturnType<typeof dependence>> = {
  open: dependence('endpoint independent', 'endpoint independent'),
  'full-cone': dependence('endpoint independent', 'endpoint independent'),
  restricted: dependence('endpoint independent', 'address dependent'),
  'port-restricted': dependence('endpoint independent', 'address and port dependent'),
  'symmetric+1': dependence('address and port dependent', 'address and port dependent'),
  'symmetric-random': dependence('address and port dependent', 'address and port dependent')
}
const behaviourOf = ({ nat }: Site) => {
  const { mapping, filtering } = behaviours[nat as keyof typeof behaviours]
  return `${mapping} / ${filtering}`
}

const publicAddress = ({ publicAddresses }: Site) => publicAddresses[0] ?? ''
const first = (output: string, pattern: RegExp) => pattern.exec(output)?.[1]?.trim() ?? 'nothing'
const both = (output: string, patterns: readonly [RegExp, RegExp]) =>
  patterns.map(pattern => first(output, pattern).toLowerCase()).join(' / ')

const clients: readonly StunClient[] = [
  {
    name: 'stun',
    get: () => fromDebian('stun-client', 'stun'),
    argv: (_, gateway) => [`${gateway}:${PORT}`],
    read: output => first(output, /Primary: (.+?)(?:, (?:preserves ports|random port).*)?$/m),
    right: words(
      'Open',
      'Independent Mapping, Independent Filter',
      'Independent Mapping, Address Dependent Filter',
      'Independent Mapping, Port Dependent Filter',
      'Dependent Mapping',
      'Dependent Mapping'
    )
  },
  {
    name: 'pystun3',
    async get() {
      const { version, bin } = await fromPyPI('pystun3==2.0.0')
      return { version, argv: [`${bin}/pystun3`] }
    },
    argv: ({ addresses: [own = ''] }, gateway) => ['-i', own, '-H', gateway, '-P', PORT],
    read: output => first(output, /NAT Type: (.+)/),
    right: words('Open Internet', 'Full Cone', 'Restric NAT', 'Restric Port NAT', 'Symmetric NAT', 'Symmetric NAT')
  },
  {
    name: 'aioice',
    async get() {
      const { version, bin } = await fromPyPI('aioice==0.13.0')
      const program = fileURLToPath(new URL('programs/aioice-gather.py', import.meta.url))
      return { version, argv: [`${bin}/python`, program] }
    },
    argv: (_, gateway) => [gateway, PORT],
    read: output => first(output, /^(\S+) \d+$/m),
    right: publicAddress
  },
  {
    name: 'turnutils_natdiscovery',
    get: () => fromDebian('coturn', 'turnutils_natdiscovery'),
    argv: (_, gateway) => ['-m', '-f', '-p', PORT, gateway],
    read: output => both(output, [/NAT with (.+) Mapping!/, /NAT with (.+) Filtering!/]),
    right: behaviourOf
  },
  {
    // It goes on with RESPONSE-PORT, which no NAT lets through, and waits for that without end.
    name: 'turnutils_stunclient',
    get: () => fromDebian('coturn', 'turnutils_stunclient'),
    argv: (_, gateway) => ['-p', PORT, gateway],
    read: output => first(output, /UDP reflexive addr: ([\d.]+):/),
    right: publicAddress,
    endedAfterS: 2
  },
  {
    name: 'stun-nat-behaviour',
    get: () => fromGo('github.com/pion/stun/v3/cmd/stun-nat-behaviour@v3.1.7', 'stun-nat-behaviour'),
    argv: (_, gateway) => ['--server', `${gateway}:${PORT}`],
    read: output => both(output, [/NAT mapping behavior: (.+)/, /NAT filtering behavior: (.+)/]),
    right: behaviourOf
  }
]

/** No client takes as long as this, in seconds. */
const PATIENCE_S = 60

export async function printStunClients(): Promise<void> {
  const tools = new Map<StunClient, StunTool>()
  for (const client of clients) tools.set(client, await client.get())
  await using world = await openWorld({ sites: nats.map(nat => ({ nat: nat as NatType })) })
  await using gateway = new Driven<Drives>(world.gateway, new URL('driver.ts', import.meta.url))
  const { addresses } = world.gateway
  await gateway.do('gateway', {
    config: stringify({ listen: { http: '0.0.0.0:8080', udp: { addresses, ports: [3478, 3479] } } })
  })
  let wrong = 0
  for (const [client, tool] of tools) {
    console.log(`${client.name} (${tool.version})`)
    for (const site of world.sites) {
      const said = client.read(await output(site.hosts[0] as Host, client, tool, addresses[0] ?? ''))
      const expected = client.right(site)
      if (said !== expected) wrong++
      console.log(`  ${site.nat.padEnd(17)} ${said === expected ? said : `WRONG: ${said}; expected ${expected}`}`)
    }
  }
  const { udp } = (await gateway.do('status', {})) as GatewayStatus
  console.log(
    `${clients.length * nats.length - wrong} of ${clients.length * nats.length} right (gateway: ${JSON.stringify(udp)})`
  )
  if (wrong > 0) process.exitCode = 1
}

async function output(host: Host, client: StunClient, { argv }: StunTool, gateway: string): Promise<string> {
  const patience = ['timeout', String(client.endedAfterS ?? PATIENCE_S)]
  const { stdout, stderr } = await host.run([...patience, ...argv, ...client.argv(host, gateway)])
  return stdout + stderr
}
