// Shows what was found out about a network as plain text: the type in common words and in the words of RFC 4787, the evidence
// for it, and a table of the peers that can be reached from it.
//
//   symmetric, stepping by +2
//   address-and-port-dependent mapping, address-dependent filtering
//
//     label       text, wrapped
//
//   A PEER WITH         DIRECT  BY
//   full cone            100 %  stun
//   symmetric, random  relayed  [1]
//
//   [1] stun: why it passes

import { BlockList, isIPv4 } from 'node:net'
import { keepSources } from '../../nat/hidden.ts'
import type { NatFindings } from '../../peer/survey.ts'
import { percent } from '../../units.ts'
import { formatEndpoint, isLoopback, isPrivate } from '../../wire/endpoint.ts'
import type { NatReport } from '../../wire/nat-report.ts'
import type { Address } from '../../wire/shapes.ts'
import { formatMs, type Paint, unpainted, wrap } from './output.ts'

/** A word for programs, and the same for people. */
export interface Kind {
  readonly type:
    | 'udp-blocked'
    | 'wrong-family'
    | 'no-nat'
    | 'firewall'
    | 'full-cone'
    | 'restricted-cone'
    | 'port-restricted-cone'
    | 'cone'
    | 'symmetric'
    | 'hidden-sources'
    | 'unknown'
  readonly words: string
}

const TEXT_COLUMN = 16

/** @param width in columns; 80 if left out. */
export function renderNat(
  findings: NatFindings,
  { width = 80, paint = unpainted }: { width?: number; paint?: Paint } = {}
): string {
  const kind = kindOf(findings)
  const row = ([label, text]: Row) => wrap(`  ${label.padEnd(TEXT_COLUMN - 2)}${text}`, width, TEXT_COLUMN)
  if (findings.udp === 'blocked')
    return ['', paint('red', kind.words), '', ...blockedRows(findings).map(row)].join('\n')
  const { report, own, deadPorts } = findings
  if (report.hidden)
    return ['', paint('yellow', kind.words), '', ...hiddenRows(report, report.hidden).map(row)].join('\n')
  return [
    '',
    paint('bold', kind.words),
    wrap(`${report.translated ? `${report.mapping} mapping` : 'no translation'}, ${report.filtering} filtering`, width),
    '',
    ...rowsOf(report, own).map(row),
    ...[...doubts(report), ...deaths(deadPorts)].map(doubt => paint('yellow', row(['but', doubt]))),
    '',
    ...table(report, width, paint)
  ].join('\n')
}

/** RFC 4787 in the words of the older RFC 3489, which most people know. */
export function kindOf(findings: NatFindings): Kind {
  if (findings.udp === 'blocked') return blocked[findings.code]
  const { hidden, mapping, translated, filtering } = findings.report
  if (hidden)
    return { type: 'hidden-sources', words: 'nothing can be told: the gateway does not see where peers come from' }
  if (!translated) return untranslated(findings.report)
  switch (mapping) {
    case 'unknown':
      return { type: 'unknown', words: 'a NAT whose mapping cannot be told' }
    case 'endpoint-independent':
      return cones[filtering]
    case 'address-dependent':
    case 'address-and-port-dependent':
      return { type: 'symmetric', words: symmetric(findings.report) }
  }
}

const blocked = {
  'udp-blocked': { type: 'udp-blocked', words: 'UDP is blocked' },
  'wrong-family': { type: 'wrong-family', words: 'UDP has no IPv4 to go by' }
} as const

const cones: Readonly<Record<NatReport['filtering'], Kind>> = {
  'endpoint-independent': { type: 'full-cone', words: 'full cone' },
  'address-dependent': { type: 'restricted-cone', words: 'restricted cone' },
  'address-and-port-dependent': { type: 'port-restricted-cone', words: 'port-restricted cone' },
  unknown: { type: 'cone', words: 'cone' }
}

function untranslated(report: NatReport): Kind {
  const open = report.filtering === 'endpoint-independent' || atStrictest(report)
  if (report.filtering === 'unknown' || open) return { type: 'no-nat', words: 'no NAT' }
  return { type: 'firewall', words: 'no NAT, but a firewall' }
}

function symmetric({ mapping, allocation }: NatReport): string {
  const name = mapping === 'address-dependent' ? 'symmetric towards each address' : 'symmetric'
  switch (allocation?.kind) {
    case undefined:
      return name
    case 'kept':
      return `${name}, with port preservation`
    case 'stepping':
      return `${name}, stepping by ${signed(allocation.step ?? 0)}`
    case 'block':
      return allocation.block ? `${name}, ports in a block of ${sizeOf(allocation.block)}` : `${name}, ports in a block`
    case 'random':
      return `${name}, random ports`
  }
}

type Row = readonly [label: string, text: string]

function rowsOf(report: NatReport, own: readonly Address[]): Row[] {
  const { addresses, rttMs, translated, allocation } = report
  const many = addresses.length > 1 ? `a pool, of which ${addresses.length} were seen: ` : ''
  return [
    [translated ? 'public' : 'address', `${many}${addresses.slice(0, 8).join(', ')}`],
    ...neighbourhood(report, own).map((text): Row => ['', text]),
    ...(translated ? [['mapping', mappingText(report)] as const] : []),
    ['filter', filters[report.filtering]],
    ...portRows(report),
    ['evidence', allocation?.evidence ?? portsSeen(report)],
    ['gateway', `${formatMs(rttMs)} there and back over UDP`],
    ...forwardRows(report)
  ]
}

/** What leads in from outside, or what could, where the NAT makes peers guess. */
function forwardRows({ forward, router, mapping, translated, addresses }: NatReport): Row[] {
  if (forward) return [['forward', `${formatEndpoint(forward.endpoint)} leads here, so any peer can reach this one`]]
  const isHard = mapping === 'address-dependent' || mapping === 'address-and-port-dependent'
  if (!translated || !isHard) return []
  const byHand = `forward a UDP port to this computer: --port 4000 --public ${addresses[0] ?? 'ADDRESS'}:4000`
  switch (router) {
    case 'carrier':
      return [
        ['router', "it has no public address of its own: a carrier's NAT is above it, and a forward leads nowhere"]
      ]
    case 'granted':
      return [['router', 'it gives ports, and none was proved to lead here yet']]
    case 'refused':
      return [['to do', `allow UPnP, NAT-PMP or PCP in the router, which refuses it, or ${byHand}`]]
    case 'no-router':
    case 'nonsense':
      return [['to do', byHand]]
    case undefined:
    case 'silent':
      return [['to do', `enable UPnP, NAT-PMP or PCP in the router, or ${byHand}`]]
  }
}

const mappings: Readonly<Record<NatReport['mapping'], string>> = {
  'endpoint-independent': 'a socket has one port for all destinations',
  'address-dependent': 'a socket gets another port for each address it sends to',
  'address-and-port-dependent': 'a socket gets another port for each address and port it sends to',
  unknown: 'not known'
}

const mappingText = (report: NatReport): string =>
  report.mapping === 'unknown' && new Set(report.samples.map(({ via }) => via.port)).size > 1
    ? "a socket has one port for all ports of the gateway's address; for other addresses it is not known"
    : mappings[report.mapping]

const filters: Readonly<Record<NatReport['filtering'], string>> = {
  'endpoint-independent': 'lets in whatever is sent to a port in use',
  'address-dependent': 'lets in what comes from an address the socket has sent to',
  'address-and-port-dependent': 'lets in what comes from the very address and port the socket has sent to',
  unknown: 'not known'
}

function portRows({ mapping, allocation }: NatReport): Row[] {
  // That one port is kept for one address is said by the mapping.
  if (!allocation || (mapping === 'unknown' && allocation.kind === 'kept')) return []
  const { kind, confidence, step = 0, per, driftPerSecond = 0, block, range } = allocation
  const sure = `(${percent(confidence)} sure)`
  switch (kind) {
    case 'kept':
      return [['ports', `the same for every destination ${sure}`]]
    case 'stepping':
      return [
        ['ports', `${signed(step)} from one to the next${counters[per ?? ''] ?? ''} ${sure}`],
        ['others', drift(driftPerSecond)]
      ]
    case 'block':
      return [['ports', `anywhere in a block${block ? `, perhaps ${block.low} to ${block.high}` : ''} ${sure}`]]
    case 'random':
      return [['ports', `anywhere${range ? `, perhaps ${range.low} to ${range.high}` : ''} ${sure}`]]
  }
}

const counters: Readonly<Record<string, string>> = {
  address: ', by a counter for each public address',
  parity: ', by a counter for even and one for odd ports'
}

function drift(perSecond: number): string {
  if (perSecond < 1) return 'use up hardly any ports: less than one a second'
  return `use up about ${Math.round(perSecond)} ports a second`
}

function portsSeen({ samples }: NatReport): string {
  const ports = [...Map.groupBy(samples, ({ socket }) => socket).values()].map(seen =>
    [...new Set(seen.map(({ mapped }) => mapped.port))].join('/')
  )
  const endpoints = new Set(samples.map(({ via }) => `${via.address} ${via.port}`)).size
  return `${plural(ports.length, 'socket')} seen by ${plural(endpoints, 'endpoint')} of the gateway, at ${ports.join(', ')}`
}

const shared = new BlockList()
shared.addSubnet('100.64.0.0', 10)
const isShared = (address: string) => isIPv4(address) && shared.check(address)

/** What the addresses tell about NATs that the gateway cannot see. */
function neighbourhood({ addresses, translated }: NatReport, own: readonly Address[]): string[] {
  const carrier = own.find(({ address }) => isShared(address))
  const seen = addresses.find(isPrivate)
  return [
    ...(carrier && translated
      ? [
          `${carrier.address} on this host is shared address space (RFC 6598): a carrier's NAT is in front, or it is a VPN's`
        ]
      : []),
    ...(seen ? [whereabouts(seen)] : [])
  ]
}

function whereabouts(address: string): string {
  if (isLoopback(address)) return 'the gateway runs on this host: the network around it was not seen'
  if (isShared(address))
    return 'shared address space (RFC 6598): the gateway is inside the network of a carrier or a VPN; a NAT beyond it was not seen'
  return 'a private address: the gateway is inside the same network; a NAT beyond it was not seen'
}

function doubts(report: NatReport): string[] {
  const { certain, translated, filtering, samples } = report
  const oneAddress = vias(report).size === 1
  const onePort = new Set(samples.map(({ via }) => via.port)).size === 1
  return [
    ...(!certain && translated
      ? [
          'the gateway was heard at one address only, so a mapping that depends on the address cannot be told from one that does not'
        ]
      : []),
    ...(atStrictest(report)
      ? ['that is the strictest the filter can be: the gateway has no second address to test it']
      : []),
    ...(onePort && !oneAddress ? ['the gateway was heard at one port only: more may depend on the port'] : []),
    ...(filtering === 'unknown' ? ['the filter was not tested: that takes a second endpoint of the gateway'] : [])
  ]
}

/** An answer from another port of the gateway's only address came through. One from another address was not tried. */
const atStrictest = (report: NatReport) => report.filtering === 'address-dependent' && vias(report).size === 1

const vias = ({ samples }: NatReport) => new Set(samples.map(({ via }) => via.address))

function table(report: NatReport, width: number, paint: Paint): string[] {
  const { prospects } = report
  // If the mapping or the filtering is unknown, strategies try in the hope that it is a good one.
  const upTo = report.mapping === 'unknown' || report.filtering === 'unknown' ? 'up to ' : ''
  const reasons = [...new Set(prospects.flatMap(prospect => reasonOf(prospect) ?? []))]
  const note = (reason = '') => (reason ? `[${reasons.indexOf(reason) + 1}]` : '')
  const rows = prospects.map(prospect => ({
    peer: prospect.peer,
    chance: chanceOf(prospect, upTo),
    by: byOf(prospect) || note(reasonOf(prospect)),
    style: prospect.tries.length > 0 ? ('green' as const) : ('yellow' as const)
  }))
  const head = { peer: 'A PEER WITH', chance: 'DIRECT', by: 'BY', style: 'dim' as const }
  const widest = (texts: readonly string[]) => Math.max(...texts.map(text => text.length))
  const peerWidth = widest([head, ...rows].map(({ peer }) => peer)) + 2
  const chanceWidth = widest([head, ...rows].map(({ chance }) => chance))
  return [
    ...[head, ...rows].map(({ peer, chance, by, style }) =>
      wrap(
        `${peer.padEnd(peerWidth)}${paint(style, chance.padStart(chanceWidth))}  ${by}`,
        width,
        peerWidth + chanceWidth + 2
      )
    ),
    ...(reasons.length > 0 ? [''] : []),
    ...reasons.map(reason => paint('dim', wrap(`${note(reason)} ${reason}`, width, 4)))
  ]
}

/** The strategies in the order in which they are tried, up to the first one that is certain. None after it gets its turn. */
function byOf({ tries }: NatReport['prospects'][number]): string {
  const certain = tries.findIndex(({ probability }) => probability === 1)
  const names = tries.slice(0, certain < 0 ? tries.length : certain + 1).map(({ by }) => by)
  return [...new Set(names)].join(', then ')
}

/** Why nothing is tried, in the words of the last strategy: the ones before it had less to offer. */
function reasonOf({ tries, passes }: NatReport['prospects'][number]): string | undefined {
  const last = passes.at(-1)
  return tries.length === 0 && last ? `${last.by}: ${last.reason}` : undefined
}

function chanceOf({ tries, probability }: NatReport['prospects'][number], upTo: string): string {
  return tries.length === 0 ? 'relayed' : `${upTo}${percent(probability)}`
}

function blockedRows({ code, reason }: Extract<NatFindings, { udp: 'blocked' }>): Row[] {
  return [
    ['evidence', reason],
    ['', 'no other peer can be reached from here, directly or relayed: the relay takes UDP as well'],
    ['to do', remedies[code]]
  ]
}

function hiddenRows({ addresses, rttMs }: NatReport, { reached }: NonNullable<NatReport['hidden']>): Row[] {
  return [
    ['reached', reached],
    ['seen at', `${addresses.slice(0, 8).join(', ')}, an address of something in front of the gateway`],
    ['', 'it puts its own address and ports in the place of those of every peer, so no NAT can be told from there'],
    ['', 'connections of its peers are relayed, but for two that hear each other on one link'],
    ['gateway', `${formatMs(rttMs)} there and back over UDP`],
    ['to do', `whoever runs the gateway can ${keepSources}`]
  ]
}

const remedies = {
  'udp-blocked': 'let UDP out to the address and port above, and its answers in; a gateway may listen at another port',
  'wrong-family':
    "this host needs IPv4, its own or by translation (464XLAT), and the gateway has to tell its public IPv4 address: by an A record of its name, or in its operator's listen.udp.public"
} as const

/** Ports of this host that are dead, while the host is not cut off. */
const deaths = (ports: readonly number[]): string[] =>
  ports.length === 0
    ? []
    : [
        `nothing came back to ${ports.length === 1 ? 'the local port' : 'the local ports'} ${ports.join(', ')}, and other ports were answered: see which ports a firewall drops, or the router has forgotten`
      ]

const signed = (step: number) => (step > 0 ? `+${step}` : `${step}`.replace('-', '−'))
const sizeOf = ({ low, high }: { low: number; high: number }) => high - low + 1
const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`
