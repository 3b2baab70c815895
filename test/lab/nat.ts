// The NAT types of the laboratory. A type is told as data (what it maps, which ports it gives, what it lets in); from
// that one description come both the nftables rules of a box (here) and the proof that the box shows it (verify.ts).
// A box has two interfaces, `wan` and `lan`. NAT chains see the first packet of a connection only.

export type NatType =
  | 'open'
  | 'firewalled'
  | 'full-cone'
  | 'restricted'
  | 'port-restricted'
  | 'port-restricted-moved'
  | 'address-dependent'
  | Symmetric
  | 'carrier'
  | `carrier-${Symmetric}`
  | 'forgetful'
  | 'forgetful-cone'
  | 'accepting'
  | 'rejecting'
  | 'fragile'
  | 'udp-blocked'

export type Symmetric =
  | `symmetric+${number}`
  | `symmetric-${number}`
  | 'symmetric-random'
  | 'symmetric-block'
  | `symmetric-block-${number}`
  | 'symmetric-pool'
  | 'symmetric-pool-random'

/** Every type by name, without those of `natFamilies`. */
export const natTypes: readonly NatType[] = [
  'open',
  'firewalled',
  'full-cone',
  'restricted',
  'port-restricted',
  'port-restricted-moved',
  'address-dependent',
  'symmetric+1',
  'symmetric+2',
  'symmetric-1',
  'symmetric-random',
  'symmetric-block',
  'symmetric-pool',
  'symmetric-pool-random',
  'carrier',
  'forgetful',
  'forgetful-cone',
  'accepting',
  'rejecting',
  'fragile',
  'udp-blocked'
]

/** Types with a parameter: any step, a block of N ports, a home router behind a carrier's symmetric NAT. */
export const natFamilies: readonly string[] = ['symmetric+N', 'symmetric-N', 'symmetric-block-N', 'carrier-symmetric…']

/** The types of the NAT × NAT matrix. */
export const coreTypes: readonly NatType[] = [
  'open',
  'full-cone',
  'restricted',
  'port-restricted',
  'port-restricted-moved',
  'address-dependent',
  'symmetric+1',
  'symmetric+2',
  'symmetric-1',
  'symmetric-random',
  'symmetric-block',
  'carrier'
]

export type Mapping = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'
export type Assignment =
  | { kind: 'kept' }
  | { kind: 'moved' }
  /** Starts over after so many ports. */
  | { kind: 'step'; step: number; ports: number }
  | { kind: 'block'; size: number }
  | { kind: 'random' }

/** What a type does, in the words of RFC 4787. */
export interface Nature {
  /** False: hosts have public addresses, the box only routes (and perhaps filters). */
  translates: boolean
  mapping: Mapping
  /** Of each public address, where there are several. */
  allocation: Assignment
  /** How a new mapping gets one of several public addresses; undefined: there is one. */
  pool: 'in turn' | 'at random' | undefined
  /** Who may send to a mapping: anybody, an address that was contacted, an endpoint that was contacted. */
  admits: 'anybody' | 'address' | 'endpoint'
  /** What becomes of unsolicited input at the box. */
  unsolicited: 'dropped' | 'accepted' | 'rejected'
  udp: boolean
  /** Hosts may ask the site's own box for ports. */
  mapsPorts: boolean
  /** A port of a host makes no flow any more, for a minute, once the host has sent an ICMP error about one of its flows. */
  endsOnIcmp: boolean
  /** Idle UDP mappings end after so long: before an answer, and after. */
  forgetsAfterS: readonly [number, number]
  /** Boxes in a row. Of two the inner one is port-restricted, and the outer one has all that is said here. */
  boxes: 1 | 2
}

/** What a site may ask of its NAT beyond the type. */
export interface Wishes {
  udpBlocked?: boolean
  /**
   * A stepping NAT starts over after so many ports, 64 at least; when left out after 4096, or for each address of a pool
   * 1024, if the step leaves room for them. The kernel drops a datagram whose port is taken towards the same destination
   * still, where others would skip that port: the next one passes.
   */
  steppingPorts?: number
  /** The site's own box runs miniupnpd (port-mapper.ts). */
  portMapping?: boolean
}

const portRestricted: Nature = {
  translates: true,
  mapping: 'endpoint-independent',
  allocation: { kind: 'kept' },
  pool: undefined,
  admits: 'endpoint',
  unsolicited: 'dropped',
  udp: true,
  mapsPorts: false,
  endsOnIcmp: false,
  forgetsAfterS: [30, 120], // the kernel's own
  boxes: 1
}
const symmetric = (allocation: Assignment): Nature => ({
  ...portRestricted,
  mapping: 'address-and-port-dependent',
  allocation
})

// Carriers give 32 to 2048 ports to a subscriber; 512 is common.
const blockPorts = 512

// The worst that NATs in the wild are known for.
const forgetfulS = 5

/** Throws when there is no such type. */
export function natureOf(
  type: NatType,
  { udpBlocked = false, steppingPorts, portMapping = false }: Wishes = {}
): Nature {
  const given = typeNature(type)
  if (portMapping && !given.translates) throw new Error(`a site that is ${type} has no NAT that could map ports`)
  const nature = { ...given, udp: given.udp && !udpBlocked, mapsPorts: portMapping }
  if (steppingPorts === undefined || nature.allocation.kind !== 'step') return nature
  if (steppingPorts < 64) throw new Error('a stepping NAT has 64 ports at least') // one host proves itself with half
  return {
    ...nature,
    allocation: { ...nature.allocation, ports: Math.min(steppingPorts, nature.allocation.ports) }
  }
}

function typeNature(type: NatType): Nature {
  switch (type) {
    case 'open':
      return { ...portRestricted, translates: false, admits: 'anybody' }
    case 'firewalled':
      return { ...portRestricted, translates: false }
    case 'full-cone':
      return { ...portRestricted, admits: 'anybody' }
    case 'restricted':
      return { ...portRestricted, admits: 'address' }
    case 'port-restricted':
      return portRestricted
    case 'port-restricted-moved':
      return { ...portRestricted, allocation: { kind: 'moved' } }
    case 'address-dependent':
      return { ...portRestricted, mapping: 'address-dependent', allocation: { kind: 'moved' } }
    case 'symmetric-random':
      return symmetric({ kind: 'random' })
    case 'symmetric-block':
      return symmetric({ kind: 'block', size: blockPorts })
    case 'symmetric-pool':
      return { ...symmetric(stepping(1, poolPorts)), pool: 'in turn' }
    case 'symmetric-pool-random':
      return { ...symmetric(stepping(1, poolPorts)), pool: 'at random' }
    case 'forgetful':
      return { ...portRestricted, forgetsAfterS: [forgetfulS, forgetfulS] }
    case 'forgetful-cone':
      return { ...typeNature('forgetful'), admits: 'anybody', allocation: { kind: 'moved' } }
    case 'carrier':
      return { ...portRestricted, boxes: 2 }
    case 'accepting':
      return { ...portRestricted, unsolicited: 'accepted' }
    case 'rejecting':
      return { ...portRestricted, unsolicited: 'rejected' }
    case 'fragile':
      return { ...portRestricted, endsOnIcmp: true }
    case 'udp-blocked':
      return { ...portRestricted, udp: false }
    default:
      return memberOf(type)
  }
}

// The types with a parameter.
function memberOf(type: string): Nature {
  const [, outer] = /^carrier-(symmetric.+)$/.exec(type) ?? []
  if (outer) return { ...typeNature(outer as Symmetric), boxes: 2 }
  const [, size] = /^symmetric-block-(\d+)$/.exec(type) ?? []
  if (size && Number(size) >= 32 && Number(size) <= 8192) return symmetric({ kind: 'block', size: Number(size) })
  const [, step] = /^symmetric([+-]\d+)$/.exec(type) ?? []
  if (step && Number(step) !== 0 && Math.abs(Number(step)) <= 1000) return symmetric(stepping(Number(step)))
  throw new Error(`no NAT type is called ${type}`)
}

// A plain user's netlink socket takes no larger map at once.
const steppingPorts = 4096

const stepping = (step: number, most = steppingPorts): Assignment => ({
  kind: 'step',
  step,
  ports: Math.min(most, Math.floor(50_000 / Math.abs(step)))
})

/** Public addresses of a pool at most. */
export const largestPool = 4
const poolPorts = steppingPorts / largestPool

/** A number from `low` up to and including `high`, from the seed of the world. */
export type Draw = (low: number, high: number) => number

/** The nftables scripts of a site's boxes, from the hosts outwards. */
export function siteRules(nature: Nature, addresses: readonly string[], draw: Draw): string[] {
  if (nature.boxes === 1) return [boxRules(nature, addresses, draw)]
  const outer = boxRules({ ...nature, mapsPorts: false }, addresses, draw)
  const inner = { ...portRestricted, udp: nature.udp, mapsPorts: nature.mapsPorts }
  return [boxRules(inner, [], draw), outer]
}

// It may be loaded over itself, which leaves nothing of what was there but the kernel's mappings.
function boxRules(nature: Nature, addresses: readonly string[], draw: Draw): string {
  const nat = nature.translates ? [...coneTables(nature), ...natChain(nature, addresses, draw)] : []
  const rules = ['table ip box {', ...nat, ...filterChains(nature), ...sentCounter, ...refusedCounter, '}', '']
  return ['table ip box', 'delete table ip box', ...rules].join('\n')
}

function natChain(nature: Nature, addresses: readonly string[], draw: Draw): string[] {
  const { before, rules } = nature.pool ? pooled(nature, addresses, draw) : udpMapping(nature, addresses[0] ?? '', draw)
  return [
    ...before,
    'chain postrouting {',
    'type nat hook postrouting priority srcnat',
    ...rules.map(rule => `oifname wan ${rule}`),
    'oifname wan masquerade', // TCP and ICMP would leave untranslated
    '}'
  ]
}

interface UdpMapping {
  before: string[]
  rules: string[]
}

// Each address has ports of its own.
function pooled(nature: Nature, addresses: readonly string[], draw: Draw): UdpMapping {
  const chains = addresses.map((address, n) => {
    const { rules } = udpMapping(nature, address, draw)
    return [`chain from${n} {`, ...rules, '}'].join('\n')
  })
  const jumps = addresses.map((_, n) => `${n} : jump from${n}`).join(', ')
  const turn = nature.pool === 'in turn' ? 'inc' : 'random'
  return { before: chains, rules: [`meta l4proto udp numgen ${turn} mod ${addresses.length} vmap { ${jumps} }`] }
}

// Linux gives a source that already has a mapping the same one again towards other destinations, as long as it lies in the
// wanted range and no random port is asked for: plain `masquerade` is endpoint-independent.
function udpMapping({ mapping, allocation }: Nature, address: string, draw: Draw): UdpMapping {
  if (mapping === 'address-dependent') return addressDependent(draw)
  switch (allocation.kind) {
    case 'kept':
      return { before: [], rules: [] }
    case 'moved':
      return { before: [], rules: moved(draw) }
    case 'step':
      return { before: [], rules: [steppingFrom(allocation, address, draw)] }
    case 'block': {
      const first = draw(Math.ceil(1024 / allocation.size), Math.floor(65_536 / allocation.size) - 1) * allocation.size
      return { before: [], rules: [randomIn(first, first + allocation.size - 1)] }
    }
    case 'random':
      return { before: [], rules: ['meta l4proto udp masquerade fully-random'] }
  }
}

// A source port that lies in the wanted range already would be kept, so those go to another range.
function moved(draw: Draw): string[] {
  const first = draw(20_000, 40_000)
  const last = first + 9_999
  return [
    `udp sport ${first}-${last} masquerade to :${first - 10_000}-${first - 1}`,
    `meta l4proto udp masquerade to :${first}-${last}`
  ]
}

const randomIn = (first: number, last: number) => `meta l4proto udp masquerade to :${first}-${last} fully-random`

// A range of ports for each value of the low bits of the destination. The world's addresses keep the gateway's low three
// bits to itself (see world.ts), so its two addresses and any peer never share a range.
const ranges = 64
const rangePorts = 512

function addressDependent(draw: Draw): UdpMapping {
  const base = draw(10_000, 30_000)
  const numbers = Array.from({ length: ranges }, (_, index) => index)
  const chain = (n: number) => {
    const first = base + ((n * 37) % ranges) * rangePorts // 37: neighbouring addresses, ranges far apart
    return `chain to${n} {\nmeta l4proto udp masquerade to :${first}-${first + rangePorts - 1}\n}`
  }
  const jumps = numbers.map(n => `0.0.0.${n} : jump to${n}`).join(', ')
  const rule = `meta l4proto udp ip daddr & 0.0.0.${ranges - 1} vmap { ${jumps} }`
  return { before: numbers.map(chain), rules: [rule] }
}

// The counter starts over at the end.
function steppingFrom({ step, ports: count }: { step: number; ports: number }, address: string, draw: Draw): string {
  const width = Math.abs(step)
  const lowest = draw(10_000, 65_535 - count * width)
  const port = (n: number) => lowest + (step > 0 ? n : count - n) * width
  const ports = Array.from({ length: count }, (_, n) => `${n} : ${port(n)}`).join(', ')
  return `meta l4proto udp snat to ${address} : numgen inc mod ${count} map { ${ports} }`
}

// Cones: the way back is learnt from what leaves, after its translation. It lives as long as conntrack's own mappings.
function coneTables({ admits, forgetsAfterS }: Nature): string[] {
  if (admits === 'endpoint') return []
  const contacted = admits === 'address' ? 'udp dport . ip saddr @contacted ' : ''
  const dynamic = ['flags dynamic,timeout', `timeout ${Math.max(...forgetsAfterS)}s`, 'size 65535', '}']
  return [
    ...['map back {', 'type inet_service : ipv4_addr . inet_service', ...dynamic],
    ...['set contacted {', 'type inet_service . ipv4_addr', ...dynamic],
    'chain prerouting {',
    'type nat hook prerouting priority dstnat',
    `iifname wan ${contacted}dnat ip to udp dport map @back`,
    '}',
    'chain learn {',
    'type filter hook postrouting priority srcnat + 10',
    'oifname wan ct direction original update @back { udp sport : ct original ip saddr . ct original proto-src }',
    'oifname wan update @contacted { udp sport . ip daddr }',
    '}'
  ]
}

function filterChains(nature: Nature): string[] {
  const chain = (hook: string, rules: string[]) =>
    rules.length > 0 ? [`chain ${hook} {`, `type filter hook ${hook} priority filter`, ...rules, '}'] : []
  const dead = nature.endsOnIcmp ? deadPorts : []
  return [...dead, ...chain('forward', forwardRules(nature)), ...chain('input', inputRules(nature))]
}

function forwardRules({ translates, admits, udp, endsOnIcmp }: Nature): string[] {
  const blocked = [...(udp ? [] : ['meta l4proto udp drop']), ...(endsOnIcmp ? endOnIcmp : [])]
  if (!translates && admits === 'anybody') return blocked
  // What a cone, a mapped port or a forward of drop.ts leads inside.
  return [...blocked, 'ct state invalid drop', 'ct status dnat accept', 'iifname wan ct state new drop']
}

function inputRules({ translates, unsolicited }: Nature): string[] {
  if (!translates) return []
  switch (unsolicited) {
    case 'dropped':
      return ['iifname wan ct state new drop']
    case 'rejected':
      return ['iifname wan ct state new reject with icmp port-unreachable']
    case 'accepted':
      return []
  }
}

// ICMP quotes the datagram that it is about: after its own 8 bytes come 20 of IP, then the two ports.
const deadPorts = ['set dead {', 'type inet_service', 'flags dynamic,timeout', 'timeout 60s', 'size 65535', '}']
const endOnIcmp = [
  'iifname lan icmp type destination-unreachable add @dead { @th,240,16 }',
  'iifname lan udp sport @dead drop'
]

// Of these, what quotes a STUN message (its first byte is below 4): it was refused before a path was open on the port.
const refusedCounter = [
  'counter refused {',
  '}',
  'chain refusals {',
  'type filter hook forward priority filter - 10',
  'iifname lan icmp type destination-unreachable @th,288,8 < 4 counter name refused',
  '}'
]

const sentCounter = [
  'set sent {',
  'type ipv4_addr',
  'flags dynamic',
  'size 65535',
  'counter',
  '}',
  'chain count {',
  'type filter hook postrouting priority srcnat + 20',
  'oifname wan meta l4proto udp update @sent { ip daddr }',
  '}'
]
