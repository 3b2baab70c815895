// A small Internet made of network namespaces: a core router, a gateway with up to two public addresses, and sites whose
// hosts sit behind real kernel NATs.
//
//   gw ── core ──┬─────────────── s0 (box) ── s0h0            every ── is a veth pair; core routes 203.0.113.0/24
//                ├── [wires] ──── s1 (box) ─┬ s1h0, s1h1      a line with delay goes through wire.py in `wires`
//                └─── s2c (carrier box) ── s2 (box) ── s2h0   100.64.0.0/10 between two boxes
//
// One hop lies between any two sites (the core), so a TTL of 2 opens one's own NAT without touching the other's.
// Addresses: core 203.0.113.1, gateway .6 and .7, site i has the eight from 16 + 8i on: the box the second of them, public
// hosts or the rest of a pool those after it; a site whose hosts may ask for ports has the same eight of 203.0.112.0/24, since
// miniupnpd takes 203.0.113.0/24 for private. No site uses an address that equals the gateway's in its low three bits:
// nat.ts relies on it.

import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type Draw, largestPool, type NatType, type Nature, natureOf, siteRules, type Wishes } from './nat.ts'
import { mapperRules, type PortMapper, startPortMapper } from './port-mapper.ts'
import { findTool, isolationFlags, openSandbox, type Result, type Sandbox, tool } from './sandbox.ts'
import { startTraffic, type Traffic } from './traffic.ts'
import { verifyWorld } from './verify.ts'

/** One way, the same in each direction; jitter comes on top of the delay, evenly spread. */
export interface Line {
  delayMs?: number
  jitterMs?: number
  lossPercent?: number
  /** Of the datagrams not lost, those that come twice, one right after the other. */
  duplicatePercent?: number
}

/**
 * `together`: on one LAN. `apart`: each on a LAN of its own; `routed`: the same, and the site's box forwards between them.
 * `twins`: each is a guest behind a NAT of its own on that LAN, and all have the address 10.0.2.15; `copies`: the same, and all
 * have the site's public address, as a user-mode NAT copies it from its host. Without a neighbour's traffic, unless together.
 */
export type Lans = 'together' | 'apart' | 'routed' | 'twins' | 'copies'

export interface SiteSpec extends Wishes {
  nat: NatType
  /** Hosts on the site's LAN, 1 to 4; 1 when left out. */
  hosts?: number
  /** How the hosts stand to each other; `together` when left out. */
  lans?: Lans
  /** Between the site and the public segment: site to gateway and back takes twice its delay. */
  line?: Line
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
  /** What its NAT is now. */
  readonly nat: NatType
  readonly hosts: readonly Host[]
  /** miniupnpd of its own box, where the site was to have it. */
  readonly portMapper: PortMapper | undefined
  /** As many as its NAT now uses. */
  readonly publicAddresses: readonly string[]
  /** From the hosts outwards: the site's own box, then the carrier's, if any. */
  readonly boxes: readonly Host[]
  /** UDP that left the outermost box since the last reset, by destination address. Bytes with IP headers. */
  sent(): Promise<Map<string, Sent>>
  /** Of that, what left for any address of another site. */
  sentTo(other: Site): Promise<Sent>
  /** ICMP errors that its hosts have sent about STUN messages: these met a port that was closed. */
  refused(): Promise<number>
  /** Only this site's `sent` starts over. */
  resetSent(): Promise<void>
  /**
   * From now on the site's NAT is of this type, with ports drawn anew; `sent` starts over. Mappings in use live on under the
   * old rules, unless `forget` drops them all. Throws where hosts would have to move: from or to a type without NAT, or
   * with another number of boxes.
   */
  become(nat: NatType, options?: { forget?: boolean }): Promise<void>
  /** Mappings whose time is over are gone. The kernel cleans up at its leisure, and until then may give such a port again. */
  tidy(): Promise<void>
  /**
   * A neighbour behind the site's NAT opens UDP mappings at this mean rate, at times of a Poisson process, each from a new
   * port to the core's address. It has begun when this resolves. Throws where there is no NAT.
   */
  traffic(perSecond: number): Promise<Traffic>
}

export interface Counters {
  bytesIn: number
  packetsIn: number
  bytesOut: number
  packetsOut: number
}

export interface World extends AsyncDisposable {
  readonly gateway: Host
  /** The router between all sites and the gateway. */
  readonly core: Host
  readonly sites: readonly Site[]
  readonly seed: number
  /** All UDP at the gateway, of any port, from (in) and to (out) a site's public addresses. Bytes with IP headers. */
  gatewayCounters(site: Site): Promise<Counters>
  /** Counters of the gateway and of the boxes; an opened world has them at zero. */
  resetCounters(): Promise<void>
  /**
   * No UDP gets from this host (or the gateway) into the network or from there to it, until disposed of; it is told of
   * nothing. Hosts of the same LAN still see each other.
   */
  mute(host: Host): Promise<AsyncDisposable>
  /** One more network namespace, with nothing in it: or, with `of`, the one that this process lives in. */
  namespace(name: string, options?: { addresses?: readonly string[]; of?: number }): Promise<Host>
}

/**
 * Why the laboratory cannot run here, in one line; undefined if it can. `lines`: with delay, jitter, loss or duplicates.
 * `portMapping`: with hosts that ask for ports.
 */
export function labProblem({ lines = false, portMapping = false } = {}): string | undefined {
  const how = isolationFlags()
  if ('problem' in how) return how.problem
  const needed = [...(lines ? ['python3'] : []), ...(portMapping ? ['miniupnpd'] : [])]
  const missing = needed.filter(name => !findTool(name))
  return missing.length > 0 ? `missing ${missing.join(', ')}` : undefined
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
    const mappers = await startPortMappers(sandbox, plan)
    const world = makeWorld(sandbox, plan, mappers, () => spec.signal?.removeEventListener('abort', close))
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
  /** Public addresses of the NAT, more than the box's where it has a pool. */
  pool: string[]
  lan: { router: string; prefix: number; hosts: string[]; neighbour: string }
  lans: Lans
  rules: string[]
}

interface Plan {
  seed: number
  draw: Draw
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
    draw,
    gatewayAddresses: gatewayAddresses.slice(0, count),
    sites: sites.map((spec, index) => planSite(spec, index, draw))
  }
}

function planSite(spec: SiteSpec, index: number, draw: Draw): SitePlan {
  const { hosts = 1, nat, line, lans = 'together' } = spec
  if (hosts < 1 || hosts > maxHosts) throw new Error(`a site has 1 to ${maxHosts} hosts`)
  const nature = natureOf(nat, spec)
  const first = 16 + 8 * index
  const network = networkOf(nature)
  const pool = natAddresses(index, nature, draw)
  return {
    index,
    spec,
    nature,
    line: delays(line),
    block: `${network}.${first}/29`,
    boxAddress: pool[0] as string,
    pool,
    lan: nature.translates ? privateLan(index, hosts) : publicLan(first, hosts),
    lans,
    rules: siteRules(nature, pool, draw)
  }
}

// Of the eight of a site the first ones: they share no low three bits with the gateway.
function natAddresses(index: number, nature: Nature, draw: Draw): string[] {
  const first = 16 + 8 * index + 1
  const network = networkOf(nature)
  return numbers(nature.pool ? draw(2, largestPool) : 1).map(k => `${network}.${first + k}`)
}

const networkOf = ({ mapsPorts }: Nature) => (mapsPorts ? '203.0.112' : '203.0.113')

function delays({
  delayMs = 0,
  jitterMs = 0,
  lossPercent = 0,
  duplicatePercent = 0
}: Line = {}): Required<Line> | undefined {
  const line = { delayMs, jitterMs, lossPercent, duplicatePercent }
  return Object.values(line).some(value => value > 0) ? line : undefined
}

function publicLan(first: number, hosts: number): SitePlan['lan'] {
  const addresses = numbers(hosts).map(k => `203.0.113.${first + 2 + k}`)
  return { router: `203.0.113.${first + 1}`, prefix: 29, hosts: addresses, neighbour: '' }
}

function privateLan(index: number, hosts: number): SitePlan['lan'] {
  const subnet = subnets[index % subnets.length]
  const addresses = numbers(hosts).map(k => `${subnet}.${100 + index * maxHosts + k}`)
  return { router: `${subnet}.1`, prefix: 24, hosts: addresses, neighbour: `${subnet}.2` }
}

// The plan as one shell script. Neighbours on the way are permanent entries: resolving them would suffer from the line.

function worldScript({ gatewayAddresses, sites }: Plan): string {
  const names = [
    ...['core', 'wires', 'gw'],
    ...sites.flatMap(site => [...boxNames(site), ...hostNames(site), ...innerNames(site)])
  ]
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
        within(name, [forwarding, bridging, boxScript(site, at), ...mapperScript(site, at), ...apartRules(site, at)])
      ]),
      ...hostNames(site).map((name, at) => batch(name, hostSetup(...placeOf(site, at)))),
      ...(site.nature.endsOnIcmp ? hostNames(site).map(name => within(name, [unlimitedIcmp])) : []),
      ...innerNames(site).flatMap((name, at) => [
        batch(name, innerSetup(site, at)),
        within(name, [
          forwarding,
          rules(
            'table ip inner {\nchain out {\ntype nat hook postrouting priority srcnat\noifname wan masquerade\n}\n}\n'
          )
        ])
      ])
    ])
  ].join('\n')
}

const batch = (name: string, lines: string[]) => `ip -n ${name} -batch - <<'END'\n${lines.join('\n')}\nEND`

const within = (name: string, script: string[]) =>
  `nsenter --net=/run/netns/${name} sh -e <<'SCRIPT'\n${script.join('\n')}\nSCRIPT`

const rules = (text: string) => `nft -f - <<'END'\n${text}END`

function boxScript({ nature, rules: scripts }: SitePlan, at: number): string {
  const timeout = '/proc/sys/net/netfilter/nf_conntrack_udp_timeout'
  const [unanswered, answered] = nature.forgetsAfterS
  const timeouts = nature.translates ? [`echo ${unanswered} > ${timeout}`, `echo ${answered} > ${timeout}_stream`] : []
  return [rules(scripts[at] ?? ''), ...timeouts].join('\n')
}

const mapperScript = ({ nature }: SitePlan, at: number) => (nature.mapsPorts && at === 0 ? [rules(mapperRules)] : [])

// Beside the NAT's own rules, which may be loaded anew.
const apartRules = ({ lans }: SitePlan, at: number) =>
  lans === 'apart' && at === 0
    ? [
        rules(
          'table ip apart {\nchain forward {\ntype filter hook forward priority filter\niifname "p*" oifname "p*" drop\n}\n}\n'
        )
      ]
    : []

// The kernel says to one address once a second that a port is closed, and what it does not say ends no flow (icmp(7), icmp_ratelimit).
const unlimitedIcmp = 'echo 0 > /proc/sys/net/ipv4/icmp_ratelimit'

const forwarding = 'echo 1 > /proc/sys/net/ipv4/ip_forward'
// Where br_netfilter is loaded, frames between two hosts of a LAN would pass the box's rules.
const bridging = 'bridged=/proc/sys/net/bridge/bridge-nf-call-iptables; if [ -e $bridged ]; then echo 0 > $bridged; fi'

const boxNames = ({ index, nature }: SitePlan) => [`s${index}`, ...(nature.boxes === 2 ? [`s${index}c`] : [])]
const hostNames = ({ index, lan }: SitePlan) => lan.hosts.map((_, at) => `s${index}h${at}`)
/** The NATs of guests, between the site's LAN and each of them. */
const innerNames = ({ index, lan, lans }: SitePlan) =>
  lans === 'twins' || lans === 'copies' ? lan.hosts.map((_, at) => `s${index}g${at}`) : []
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
    ...hostNames(site).flatMap((name, at) => {
      const inner = innerNames(site)[at]
      return inner
        ? [pair(box as string, `p${at}`, inner, 'wan'), pair(inner, 'lan', name, 'eth0')]
        : [pair(box as string, `p${at}`, name, 'eth0')]
    })
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
    ...(at === 0
      ? isSplit(site)
        ? lan.hosts.flatMap((_, host) => splitSetup(site, host))
        : lanSetup(lan)
      : ['address add 100.64.0.1/10 dev lan', 'link set lan up']),
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

const isSplit = ({ lans }: SitePlan) => lans === 'apart' || lans === 'routed'

/** Where a host is: its own address, and the LAN around it. */
function placeOf(site: SitePlan, at: number): [address: string, lan: { router: string; prefix: number }] {
  const { lan, lans, boxAddress } = site
  if (isSplit(site)) return [`192.168.${at + 1}.${100 + site.index}`, { router: `192.168.${at + 1}.1`, prefix: 24 }]
  if (lans === 'twins') return ['10.0.2.15', { router: guestRouter, prefix: 24 }]
  if (lans === 'copies') return [boxAddress, { router: guestRouter, prefix: 29 }]
  return [lan.hosts[at] as string, lan]
}

function splitSetup(site: SitePlan, at: number): string[] {
  const [, { router, prefix }] = placeOf(site, at)
  return [`address add ${router}/${prefix} dev p${at}`, `link set p${at} up`]
}

const guestRouter = '10.0.2.2'

function innerSetup(site: SitePlan, at: number): string[] {
  const { lan } = site
  const [guest] = placeOf(site, at)
  return [
    'link set lo up',
    `address add ${lan.hosts[at]}/${lan.prefix} dev wan`,
    'link set wan up',
    `route add default via ${lan.router} dev wan`,
    `address add ${guestRouter}/32 dev lan`,
    'link set lan up',
    `route add ${guest}/32 dev lan`
  ]
}

function hostSetup(address: string, { router, prefix }: { router: string; prefix: number }): string[] {
  return [
    'link set lo up',
    `address add ${address}/${prefix} dev eth0`,
    'link set eth0 up',
    `route add default via ${router} dev eth0 onlink`
  ]
}

// By block: whatever addresses a site's NAT may come to use are counted.
function gatewayRules(sites: SitePlan[]): string {
  const chain = (hook: string, side: string, counter: string) => {
    const elements = sites.map(({ index, block }) => `${block.split('/')[0]} : "${counter}${index}"`)
    const eighth = `ip ${side} & 255.255.255.248`
    const rule = sites.length > 0 ? `meta l4proto udp counter name ${eighth} map { ${elements.join(', ')} }` : ''
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

const publicAddresses = ({ nature, pool, lan }: SitePlan) => (nature.translates ? pool : lan.hosts)

// The world as its users see it.

async function startWires(sandbox: Sandbox, { seed, sites }: Plan): Promise<void> {
  const lines = sites.flatMap(({ index, line }) => (line ? [`in${index}`, `out${index}`, ...wireNumbers(line)] : []))
  if (lines.length === 0) return
  const program = fileURLToPath(new URL('programs/wire.py', import.meta.url))
  const child = sandbox.spawn('wires', [tool('python3'), program, String(seed), ...lines], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  for await (const chunk of child.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    if (String(chunk).includes('ready')) return
  }
  throw new Error('wire.py ended before it was ready')
}

const wireNumbers = ({ delayMs, jitterMs, lossPercent, duplicatePercent }: Required<Line>) =>
  [delayMs, jitterMs, lossPercent, duplicatePercent].map(String)

/** By the index of the site. */
type PortMappers = ReadonlyMap<number, PortMapper>

async function startPortMappers(sandbox: Sandbox, { sites }: Plan): Promise<PortMappers> {
  const mapping = sites.filter(site => site.nature.mapsPorts)
  const started = mapping.map(async site => {
    const box = makeHost(sandbox, boxNames(site)[0] as string, [])
    return [site.index, await startPortMapper(box)] as const
  })
  return new Map(await Promise.all(started))
}

function makeWorld(sandbox: Sandbox, plan: Plan, mappers: PortMappers, over: () => void): World {
  const gateway = makeHost(sandbox, 'gw', plan.gatewayAddresses)
  return {
    gateway,
    core: makeHost(sandbox, 'core', [core]),
    sites: plan.sites.map(site => makeSite(sandbox, site, plan.draw, mappers.get(site.index))),
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
      const emptied = plan.sites.map(emptySent)
      await sandbox.script([within('gw', ['nft reset counters table ip watch']), ...emptied].join('\n'))
    },
    mute: host => mute(sandbox, host),
    async namespace(name, { addresses = [], of } = {}) {
      await sandbox.script(of === undefined ? `ip netns add ${name}` : `ip netns attach ${name} ${of}`)
      return makeHost(sandbox, name, addresses)
    },
    async [Symbol.asyncDispose]() {
      over()
      await sandbox[Symbol.asyncDispose]()
    }
  }
}

const emptySent = (site: SitePlan) => within(outerBox(site), ['nft flush set ip box sent'])

function makeSite(sandbox: Sandbox, first: SitePlan, draw: Draw, portMapper: PortMapper | undefined): Site {
  let plan = first
  const names = hostNames(plan)
  const boxes = boxNames(plan).map(name => makeHost(sandbox, name, name === outerBox(plan) ? [plan.boxAddress] : []))
  const sent = async () => {
    const { stdout } = await sandbox.run(outerBox(plan), [tool('nft'), '-j', 'list', 'set', 'ip', 'box', 'sent'])
    return parseSent(stdout)
  }
  let neighbour: Promise<Host> | undefined
  return {
    index: plan.index,
    spec: plan.spec,
    get nat() {
      return plan.spec.nat
    },
    hosts: names.map((name, at) => makeHost(sandbox, name, [placeOf(plan, at)[0]])),
    portMapper,
    get publicAddresses() {
      return publicAddresses(plan)
    },
    boxes,
    sent,
    async sentTo({ index }) {
      const site = [...(await sent())].filter(([address]) => siteOf(address) === index).map(([, counted]) => counted)
      return site.reduce((a, b) => ({ packets: a.packets + b.packets, bytes: a.bytes + b.bytes }), {
        packets: 0,
        bytes: 0
      })
    },
    async refused() {
      const { stdout } = await sandbox.run(boxNames(plan)[0] as string, [
        tool('nft'),
        '-j',
        'list',
        'counters',
        'table',
        'ip',
        'box'
      ])
      return parseCounters(stdout).get('refused')?.packets ?? 0
    },
    async resetSent() {
      await sandbox.script(emptySent(plan))
    },
    async become(nat, { forget = false } = {}) {
      plan = changed(plan, nat, draw)
      await sandbox.script(
        boxNames(plan)
          .map((name, at) => within(name, [boxScript(plan, at)]))
          .join('\n')
      )
      if (forget) await Promise.all(boxes.map(box => forgetMappings(box)))
    },
    async tidy() {
      await Promise.all(boxes.map(box => forgetMappings(box, 'expired')))
    },
    async traffic(perSecond) {
      if (!plan.nature.translates) throw new Error(`site ${plan.index} has no NAT`)
      neighbour ??= addNeighbour(sandbox, plan)
      return startTraffic(await neighbour, { target: core, perSecond, seed: draw(0, 2 ** 31) })
    }
  }
}

const siteOf = (address: string) => Math.floor((Number(address.split('.')[3]) - 16) / 8)

function changed(plan: SitePlan, nat: NatType, draw: Draw): SitePlan {
  const nature = natureOf(nat, plan.spec)
  if (nature.translates !== plan.nature.translates || nature.boxes !== plan.nature.boxes)
    throw new Error(`a site that is ${plan.spec.nat} cannot become ${nat}`)
  const pool = natAddresses(plan.index, nature, draw)
  return { ...plan, spec: { ...plan.spec, nat }, nature, pool, rules: siteRules(nature, pool, draw) }
}

/** One more host on the site's LAN, made when first wanted. */
async function addNeighbour(sandbox: Sandbox, { index, lan }: SitePlan): Promise<Host> {
  const [box, name] = [`s${index}`, `s${index}n`]
  await sandbox.script(
    [
      `ip netns add ${name}`,
      `ip ${pair(box, 'neighbour', name, 'eth0')}`,
      `ip -n ${box} link set neighbour master lan up`,
      batch(name, hostSetup(lan.neighbour, lan))
    ].join('\n')
  )
  return makeHost(sandbox, name, [lan.neighbour])
}

async function forgetMappings(box: Host, ...which: 'expired'[]): Promise<void> {
  await succeed(box.run([tool('python3'), fileURLToPath(new URL('programs/forget.py', import.meta.url)), ...which]))
}

// A host that dropped its own packets would be told so, hence the rules sit in the next namespace on the way.
async function mute(sandbox: Sandbox, { name, addresses }: Host): Promise<AsyncDisposable> {
  const upstream = name === 'gw' ? 'core' : name.replace(/h\d+$/, '')
  const table = `mute_${name}`
  const chain = (hook: string, priority: string, side: string) =>
    `chain ${hook} {\ntype filter hook ${hook} priority ${priority}\nip ${side} { ${addresses.join(', ')} } meta l4proto udp drop\n}`
  const chains = [chain('prerouting', 'raw', 'saddr'), chain('postrouting', 'srcnat + 30', 'daddr')]
  await succeed(sandbox.run(upstream, [tool('nft'), '-f', '-'], [`table ip ${table} {`, ...chains, '}', ''].join('\n')))
  return {
    async [Symbol.asyncDispose]() {
      await sandbox.run(upstream, [tool('nft'), 'delete', 'table', 'ip', table]) // the world may be gone
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
