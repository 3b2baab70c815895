// A small Internet made of network namespaces: a core router, a gateway with up to two public addresses, and sites whose
// hosts sit behind real kernel NATs.
//
//   gw ── core ──┬─────────────── s0 (box) ── s0h0            every ── is a veth pair; core routes 203.0.113.0/24
//                ├── [wires] ──── s1 (box) ─┬ s1h0, s1h1      a line with delay goes through wire.py in `wires`
//                └─── s2c (carrier box) ── s2 (box) ── s2h0   100.64.0.0/10 between two boxes
//
// One hop lies between any two sites (the core), so a TTL of 2 opens one's own NAT without touching the other's.
// Addresses: core 203.0.113.1, gateway .6 and .7, site i has the eight from 16 + 8i on: the box the second of them, public
// hosts those after it. No site uses an address that equals the gateway's in its low three bits: nat.ts relies on it.

import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { boxRules, type Draw, type NatType, type Nature, natureOf } from './nat.ts'
import { findTool, isolationFlags, openSandbox, type Result, type Sandbox, tool } from './sandbox.ts'
import { verifyWorld } from './verify.ts'

/** One way, the same in each direction; jitter comes on top of the delay, evenly spread. */
export interface Line {
  delayMs?: number
  jitterMs?: number
  lossPercent?: number
}

export interface SiteSpec {
  nat: NatType
  /** Hosts on the site's LAN, 1 to 4; 1 when left out. */
  hosts?: number
  /** Between the site and the public segment: site to gateway and back takes twice its delay. */
  line?: Line
  udpBlocked?: boolean
}

export interface WorldSpec {
  sites: SiteSpec[]
  /** 2 when left out. */
  gatewayAddresses?: 1 | 2
  /** The end of the world, when aborted. */
  signal?: AbortSignal
  /** Every number the world draws follows from it; drawn itself when left out. */
  seed?: number
  /** False: does not prove that each NAT does what its type says. */
  verify?: boolean
}

export interface Host {
  readonly name: string
  readonly addresses: readonly string[]
  /** Path of its network namespace. */
  readonly path: string
  /** `argv` wrapped so that it runs on this host. It dies with this process at the latest. */
  command(argv: readonly string[]): string[]
  /** The process id is the command's own, and signals reach it. It is killed with the world. */
  spawn(argv: readonly string[], options?: SpawnOptions): ChildProcess
  run(argv: readonly string[], input?: string): Promise<Result>
  /** Loads an nftables script; throws what nft complained of. */
  nft(script: string): Promise<void>
}

export interface Sent {
  packets: number
  bytes: number
}

export interface Site {
  readonly index: number
  readonly spec: SiteSpec
  readonly hosts: readonly Host[]
  readonly publicAddresses: readonly string[]
  /** From the hosts outwards: the site's own box, then the carrier's, if any. */
  readonly boxes: readonly Host[]
  /** UDP that left the outermost box since the last reset, by destination address. */
  sent(): Promise<Map<string, Sent>>
}

export interface Counters {
  bytesIn: number
  packetsIn: number
  bytesOut: number
  packetsOut: number
}

export interface World extends AsyncDisposable {
  readonly gateway: Host
  readonly sites: readonly Site[]
  readonly seed: number
  /** All UDP at the gateway, of any port, from (in) and to (out) a site's public addresses. Bytes with IP headers. */
  gatewayCounters(site: Site): Promise<Counters>
  /** Counters of the gateway and of the boxes; an opened world has them at zero. */
  resetCounters(): Promise<void>
}

/** Why the laboratory cannot run here, in one line; undefined if it can. `lines`: with delay, jitter or loss. */
export function labProblem({ lines = false }: { lines?: boolean } = {}): string | undefined {
  const how = isolationFlags()
  if ('problem' in how) return how.problem
  return lines && !findTool('python3') ? 'missing python3' : undefined
}

/** Opens a world and, unless told otherwise, has every NAT prove its type. Throws naming the site that does not. */
export async function openWorld(spec: WorldSpec): Promise<World> {
  spec.signal?.throwIfAborted()
  const plan = planWorld(spec)
  const sandbox = await openSandbox()
  const close = () => void sandbox[Symbol.asyncDispose]()
  spec.signal?.addEventListener('abort', close, { once: true })
  try {
    await sandbox.script(worldScript(plan))
    await startWires(sandbox, plan)
    const world = makeWorld(sandbox, plan, () => spec.signal?.removeEventListener('abort', close))
    if (spec.verify !== false) {
      await verifyWorld(world)
      await world.resetCounters()
    }
    return world
  } catch (error) {
    await sandbox[Symbol.asyncDispose]()
    spec.signal?.throwIfAborted()
    throw new Error(`world with seed ${plan.seed}: ${(error as Error).message}`, { cause: error })
  }
}

// What there is to build, decided before anything is built.

interface SitePlan {
  index: number
  spec: SiteSpec
  nature: Nature
  line: Required<Line> | undefined
  /** The public block, as its first seven eighths: `203.0.113.16`. */
  block: string
  boxAddress: string
  lan: { router: string; prefix: number; hosts: string[] }
  rules: string[]
}

interface Plan {
  seed: number
  gatewayAddresses: string[]
  sites: SitePlan[]
}

const core = '203.0.113.1'
const gatewayAddresses = ['203.0.113.6', '203.0.113.7']
const maxSites = 29
const maxHosts = 4
// Neighbouring sites share a subnet, as strangers do in real life.
const subnets = ['192.168.1', '192.168.1', '10.0.0', '192.168.0']

function planWorld({ sites, gatewayAddresses: count = 2, seed = randomInt(2 ** 31) }: WorldSpec): Plan {
  if (sites.length > maxSites) throw new Error(`a world has room for ${maxSites} sites`)
  const draw = drawFrom(seed)
  return {
    seed,
    gatewayAddresses: gatewayAddresses.slice(0, count),
    sites: sites.map((spec, index) => planSite(spec, index, draw))
  }
}

function planSite(spec: SiteSpec, index: number, draw: Draw): SitePlan {
  const { hosts = 1, nat, udpBlocked = false, line } = spec
  if (hosts < 1 || hosts > maxHosts) throw new Error(`a site has 1 to ${maxHosts} hosts`)
  const nature = { ...natureOf(nat), ...(udpBlocked && { udp: false }) }
  const first = 16 + 8 * index
  const boxAddress = `203.0.113.${first + 1}`
  return {
    index,
    spec,
    nature,
    line: delays(line),
    block: `203.0.113.${first}/29`,
    boxAddress,
    lan: nature.translates ? privateLan(index, hosts) : publicLan(first, hosts),
    rules: Array.from({ length: nature.boxes }, () => boxRules(nature, boxAddress, draw))
  }
}

function delays({ delayMs = 0, jitterMs = 0, lossPercent = 0 }: Line = {}): Required<Line> | undefined {
  return delayMs + jitterMs + lossPercent > 0 ? { delayMs, jitterMs, lossPercent } : undefined
}

function publicLan(first: number, hosts: number): SitePlan['lan'] {
  const addresses = numbers(hosts).map(k => `203.0.113.${first + 2 + k}`)
  return { router: `203.0.113.${first + 1}`, prefix: 29, hosts: addresses }
}

function privateLan(index: number, hosts: number): SitePlan['lan'] {
  const subnet = subnets[index % subnets.length]
  const addresses = numbers(hosts).map(k => `${subnet}.${100 + index * maxHosts + k}`)
  return { router: `${subnet}.1`, prefix: 24, hosts: addresses }
}

// The plan as one shell script. Neighbours on the way are permanent entries: resolving them would suffer from the line.

function worldScript({ gatewayAddresses, sites }: Plan): string {
  const batch = (name: string, lines: string[]) => `ip -n ${name} -batch - <<'END'\n${lines.join('\n')}\nEND`
  const rules = (text: string) => `nft -f - <<'END'\n${text}END`
  const names = ['core', 'wires', 'gw', ...sites.flatMap(site => [...boxNames(site), ...hostNames(site)])]
  const links = [pair('core', 'gw', 'gw', 'eth0'), ...sites.flatMap(siteLinks)]
  return [
    `ip -batch - <<'END'\n${[...names.map(name => `netns add ${name}`), ...links].join('\n')}\nEND`,
    batch('core', coreSetup(gatewayAddresses, sites)),
    batch('wires', ['link set lo up', ...sites.filter(site => site.line).flatMap(wireSetup)]),
    within('wires', ['echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6']), // nothing of its own on the wires
    within('core', [forwarding]),
    batch('gw', gatewaySetup(gatewayAddresses)),
    within('gw', [rules(gatewayRules(sites))]),
    ...sites.flatMap(site => [
      ...boxNames(site).flatMap((name, at) => [
        batch(name, boxSetup(site, at)),
        within(name, [forwarding, bridging, rules(site.rules[at] ?? '')])
      ]),
      ...hostNames(site).map((name, at) => batch(name, hostSetup(site, at)))
    ])
  ].join('\n')
}

const within = (name: string, script: string[]) =>
  `nsenter --net=/run/netns/${name} sh -e <<'SCRIPT'\n${script.join('\n')}\nSCRIPT`

const forwarding = 'echo 1 > /proc/sys/net/ipv4/ip_forward'
// Where br_netfilter is loaded, frames between two hosts of a LAN would pass the box's rules.
const bridging = 'bridged=/proc/sys/net/bridge/bridge-nf-call-iptables; if [ -e $bridged ]; then echo 0 > $bridged; fi'

const boxNames = ({ index, nature }: SitePlan) => [`s${index}`, ...(nature.boxes === 2 ? [`s${index}c`] : [])]
const hostNames = ({ index, lan }: SitePlan) => lan.hosts.map((_, at) => `s${index}h${at}`)
const outerBox = (site: SitePlan) => boxNames(site).at(-1) as string

const pair = (netnsA: string, a: string, netnsB: string, b: string, macA = '', macB = '') =>
  `link add name ${a} ${macA} netns ${netnsA} type veth peer name ${b} ${macB} netns ${netnsB}`

const coreMac = '02:00:00:00:00:01'
const boxMac = ({ index }: SitePlan) => `02:00:00:00:01:${index.toString(16).padStart(2, '0')}`

function siteLinks(site: SitePlan): string[] {
  const { index, line } = site
  const [box, carrier] = boxNames(site)
  const outer = outerBox(site)
  const toCore = [`address ${coreMac}`, `address ${boxMac(site)}`] as const
  return [
    ...(line
      ? [
          pair('core', `c${index}`, 'wires', `in${index}`, toCore[0]),
          pair('wires', `out${index}`, outer, 'wan', '', toCore[1])
        ]
      : [pair('core', `c${index}`, outer, 'wan', ...toCore)]),
    ...(carrier ? [pair(carrier, 'lan', box as string, 'wan')] : []),
    ...hostNames(site).map((name, at) => pair(box as string, `p${at}`, name, 'eth0'))
  ]
}

function coreSetup(gateways: string[], sites: SitePlan[]): string[] {
  return [
    'link set lo up',
    `address add ${core}/32 dev lo`,
    'link set gw up',
    ...gateways.map(address => `route add ${address}/32 dev gw`),
    ...sites.flatMap(site => [
      `link set c${site.index} ${whole(site)} up`,
      `neighbour add ${site.boxAddress} lladdr ${boxMac(site)} dev c${site.index} nud permanent`,
      `route add ${site.block} via ${site.boxAddress} dev c${site.index} onlink`
    ])
  ]
}

// On a delayed line a datagram is a frame: many in one segmentation offload would be lost or kept together.
const whole = ({ line }: SitePlan) => (line ? 'gso_max_segs 1' : '')

const wireSetup = ({ index }: SitePlan) => [`link set in${index} up`, `link set out${index} up`]

function gatewaySetup(addresses: string[]): string[] {
  return [
    'link set lo up',
    'link set eth0 up',
    ...addresses.map(address => `address add ${address}/32 dev eth0`),
    `route add default via ${core} dev eth0 onlink src ${addresses[0]}`
  ]
}

function boxSetup(site: SitePlan, at: number): string[] {
  const { nature, lan, boxAddress } = site
  const outer = at === nature.boxes - 1
  return [
    'link set lo up',
    ...(at === 0 ? lanSetup(lan) : ['address add 100.64.0.1/10 dev lan', 'link set lan up']),
    `link set wan ${outer ? whole(site) : ''} up`,
    ...(outer ? publicSide(site, nature.translates ? boxAddress : undefined) : carrierSide(site))
  ]
}

function publicSide({ boxAddress }: SitePlan, own: string | undefined): string[] {
  return [
    ...(own ? [`address add ${own}/32 dev wan`] : []),
    `neighbour add ${core} lladdr ${coreMac} dev wan nud permanent`,
    `route add default via ${core} dev wan onlink src ${boxAddress}`
  ]
}

const carrierSide = ({ index }: SitePlan) => [
  `address add 100.64.1.${index + 2}/10 dev wan`,
  'route add default via 100.64.0.1 dev wan'
]

function lanSetup({ router, prefix, hosts }: SitePlan['lan']): string[] {
  return [
    'link add name lan type bridge mcast_snooping 0',
    ...hosts.map((_, at) => `link set p${at} master lan up`),
    `address add ${router}/${prefix} dev lan`,
    'link set lan up'
  ]
}

function hostSetup({ lan }: SitePlan, at: number): string[] {
  return [
    'link set lo up',
    `address add ${lan.hosts[at]}/${lan.prefix} dev eth0`,
    'link set eth0 up',
    `route add default via ${lan.router} dev eth0`
  ]
}

function gatewayRules(sites: SitePlan[]): string {
  const chain = (hook: string, side: string, counter: string) => {
    const elements = sites.flatMap(site =>
      publicAddresses(site).map(address => `${address} : "${counter}${site.index}"`)
    )
    const rule = elements.length > 0 ? `meta l4proto udp counter name ip ${side} map { ${elements.join(', ')} }` : ''
    return `chain ${hook} {\ntype filter hook ${hook} priority filter\n${rule}\n}`
  }
  const counters = sites.flatMap(({ index }) => [`counter in${index} {\n}`, `counter out${index} {\n}`])
  return [
    'table ip watch {',
    ...counters,
    chain('input', 'saddr', 'in'),
    chain('output', 'daddr', 'out'),
    '}',
    ''
  ].join('\n')
}

const publicAddresses = ({ nature, boxAddress, lan }: SitePlan) => (nature.translates ? [boxAddress] : lan.hosts)

// The world as its users see it.

async function startWires(sandbox: Sandbox, { seed, sites }: Plan): Promise<void> {
  const lines = sites.flatMap(({ index, line }) =>
    line ? [`in${index}`, `out${index}`, ...[line.delayMs, line.jitterMs, line.lossPercent].map(String)] : []
  )
  if (lines.length === 0) return
  const program = fileURLToPath(new URL('wire.py', import.meta.url))
  const child = sandbox.spawn('wires', [tool('python3'), program, String(seed), ...lines], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  for await (const chunk of child.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    if (String(chunk).includes('ready')) return
  }
  throw new Error('wire.py ended before it was ready')
}

function makeWorld(sandbox: Sandbox, plan: Plan, over: () => void): World {
  const gateway = makeHost(sandbox, 'gw', plan.gatewayAddresses)
  return {
    gateway,
    sites: plan.sites.map(site => makeSite(sandbox, site)),
    seed: plan.seed,
    async gatewayCounters({ index }) {
      const { stdout } = await gateway.run([tool('nft'), '-j', 'list', 'counters', 'table', 'ip', 'watch'])
      const counters = parseCounters(stdout)
      const input = counters.get(`in${index}`)
      const output = counters.get(`out${index}`)
      return {
        bytesIn: input?.bytes ?? 0,
        packetsIn: input?.packets ?? 0,
        bytesOut: output?.bytes ?? 0,
        packetsOut: output?.packets ?? 0
      }
    },
    async resetCounters() {
      const emptied = plan.sites.map(site => within(outerBox(site), ['nft flush set ip box sent']))
      await sandbox.script([within('gw', ['nft reset counters table ip watch']), ...emptied].join('\n'))
    },
    async [Symbol.asyncDispose]() {
      over()
      await sandbox[Symbol.asyncDispose]()
    }
  }
}

function makeSite(sandbox: Sandbox, plan: SitePlan): Site {
  const names = hostNames(plan)
  const boxes = boxNames(plan).map(name => makeHost(sandbox, name, name === outerBox(plan) ? [plan.boxAddress] : []))
  return {
    index: plan.index,
    spec: plan.spec,
    hosts: plan.lan.hosts.map((address, at) => makeHost(sandbox, names[at] as string, [address])),
    publicAddresses: publicAddresses(plan),
    boxes,
    async sent() {
      const { stdout } = await sandbox.run(outerBox(plan), [tool('nft'), '-j', 'list', 'set', 'ip', 'box', 'sent'])
      return parseSent(stdout)
    }
  }
}

function makeHost(sandbox: Sandbox, name: string, addresses: readonly string[]): Host {
  return {
    name,
    addresses,
    path: sandbox.path(name),
    command: argv => sandbox.command(name, argv),
    spawn: (argv, options) => sandbox.spawn(name, argv, options),
    run: (argv, input) => sandbox.run(name, argv, input),
    nft: async script => {
      await succeed(sandbox.run(name, [tool('nft'), '-f', '-'], script))
    }
  }
}

async function succeed(running: Promise<Result>): Promise<string> {
  const { stdout, stderr, code } = await running
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr.trim()}`)
  return stdout
}

// libnftables-json(5): { nftables: [ { counter: { name, packets, bytes } }, … ] }
interface Listing {
  nftables: { counter?: Sent & { name: string }; set?: { elem?: { elem: { val: string; counter: Sent } }[] } }[]
}

function parseCounters(json: string): Map<string, Sent> {
  const { nftables } = JSON.parse(json) as Listing
  return new Map(nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter] as const] : [])))
}

function parseSent(json: string): Map<string, Sent> {
  const elements = (JSON.parse(json) as Listing).nftables.flatMap(({ set }) => set?.elem ?? [])
  return new Map(elements.map(({ elem: { val, counter } }) => [val, counter]))
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

/** Mulberry32: small, and the same everywhere for the same seed. */
function drawFrom(seed: number): Draw {
  let state = seed >>> 0
  return (low, high) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return low + Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * (high - low + 1))
  }
}
