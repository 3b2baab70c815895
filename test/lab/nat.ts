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
  | `symmetric+${number}`
  | `symmetric-${number}`
  | 'symmetric-random'
  | 'symmetric-block'
  | 'carrier'
  | 'accepting'
  | 'rejecting'
  | 'udp-blocked'

/** Every type by name; a stepping one may have any step. */
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
  'carrier',
  'accepting',
  'rejecting',
  'udp-blocked'
]

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
export type Allocation =
  | { kind: 'kept' }
  | { kind: 'moved' }
  | { kind: 'step'; step: number }
  | { kind: 'block'; size: number }
  | { kind: 'random' }

/** What a type does, in the words of RFC 4787. */
export interface Nature {
  /** False: hosts have public addresses, the box only routes (and perhaps filters). */
  translates: boolean
  mapping: Mapping
  allocation: Allocation
  /** Who may send to a mapping: anybody, an address that was contacted, an endpoint that was contacted. */
  admits: 'anybody' | 'address' | 'endpoint'
  /** What becomes of unsolicited input at the box. */
  unsolicited: 'dropped' | 'accepted' | 'rejected'
  udp: boolean
  /** Boxes in a row. */
  boxes: 1 | 2
}

const portRestricted: Nature = {
  translates: true,
  mapping: 'endpoint-independent',
  allocation: { kind: 'kept' },
  admits: 'endpoint',
  unsolicited: 'dropped',
  udp: true,
  boxes: 1
}
const symmetric = (allocation: Allocation): Nature => ({
  ...portRestricted,
  mapping: 'address-and-port-dependent',
  allocation
})

// Carriers give 32 to 2048 ports to a subscriber; 512 is common.
const blockPorts = 512

export function natureOf(type: NatType): Nature {
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
    case 'carrier':
      return { ...portRestricted, boxes: 2 }
    case 'accepting':
      return { ...portRestricted, unsolicited: 'accepted' }
    case 'rejecting':
      return { ...portRestricted, unsolicited: 'rejected' }
    case 'udp-blocked':
      return { ...portRestricted, udp: false }
    default:
      return symmetric({ kind: 'step', step: stepOf(type) })
  }
}

/** A number from `low` up to and including `high`, from the seed of the world. */
export type Draw = (low: number, high: number) => number

/** The nftables script of a box of this nature. */
export function boxRules(nature: Nature, address: string, draw: Draw): string {
  const nat = nature.translates ? [...coneTables(nature), ...natChain(nature, address, draw)] : []
  return ['table ip box {', ...nat, ...filterChains(nature), ...sentCounter, '}', ''].join('\n')
}

function natChain(nature: Nature, address: string, draw: Draw): string[] {
  const { before, rules } = udpMapping(nature, address, draw)
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
      return { before: [], rules: [stepping(allocation.step, address, draw)] }
    case 'block': {
      const first = draw(2, 65536 / allocation.size - 1) * allocation.size
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

// A plain user's netlink socket takes no larger map at once. The counter starts over at the end.
const steppingPorts = 4096

function stepping(step: number, address: string, draw: Draw): string {
  const width = Math.abs(step)
  const count = Math.min(steppingPorts, Math.floor(50_000 / width))
  const lowest = draw(10_000, 65_535 - count * width)
  const port = (n: number) => lowest + (step > 0 ? n : count - n) * width
  const ports = Array.from({ length: count }, (_, n) => `${n} : ${port(n)}`).join(', ')
  return `meta l4proto udp snat to ${address} : numgen inc mod ${count} map { ${ports} }`
}

// Cones: the way back is learnt from what leaves, after its translation. Two minutes, like conntrack's own mappings.
function coneTables({ admits }: Nature): string[] {
  if (admits === 'endpoint') return []
  const contacted = admits === 'address' ? 'udp dport . ip saddr @contacted ' : ''
  const dynamic = ['flags dynamic,timeout', 'timeout 120s', 'size 65535', '}']
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
  return [...chain('forward', forwardRules(nature)), ...chain('input', inputRules(nature))]
}

function forwardRules({ translates, admits, udp }: Nature): string[] {
  const blocked = udp ? [] : ['meta l4proto udp drop']
  if (!translates && admits === 'anybody') return blocked
  const back = admits === 'endpoint' ? [] : ['ct status dnat accept']
  return [...blocked, 'ct state invalid drop', ...back, 'iifname wan ct state new drop']
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

function stepOf(type: string): number {
  const step = Number(/^symmetric([+-]\d+)$/.exec(type)?.[1])
  if (!step || Math.abs(step) > 1000) throw new Error(`no NAT type is called ${type}`)
  return step
}
