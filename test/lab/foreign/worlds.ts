// The table of foreign NATs: what each is made of, how it is opened, what there is around it, and what is right. A NAT that
// behaves as the RFC says a full cone does has to be called one, and the path through it has to be the path through one.

import type { NatType } from '../nat.ts'
import type { SiteSpec } from '../world.ts'
import { gvproxyExposing, rootlesskit } from './gateways.ts'
import type { Ground, Placed } from './ground.ts'
import { guests, gvproxy, pasta, singBox, slirp4netns, tun2socks } from './guests.ts'
import type { Part } from './part.ts'

/** The peer at place `from` calls the one at place `to`, in the order of sites and hosts. */
export interface Call {
  readonly what: string
  readonly from: number
  readonly to: number
  /** The strategy that finds the direct path, or `relayed: ` and the code of the verdict. */
  readonly right: string
  /** So many calls one after the other, each of which is to have its path within a second. */
  readonly times?: number
}

export interface Foreign {
  /** As `--foreign NAME` has it. */
  readonly name: string
  readonly title: string
  readonly parts: readonly Part[]
  /** A foreign NAT runs on the first one's host. */
  readonly sites: readonly SiteSpec[]
  readonly gatewayAddresses?: 1 | 2
  open(ground: Ground): Promise<Placed>
  /** What `postern nat` says of the first peer, up to a colon. */
  readonly nat?: string
  readonly calls: readonly Call[]
}

const far: readonly NatType[] = ['open', 'port-restricted', 'symmetric+1', 'symmetric-random']

/** A host for the foreign NAT, and a peer behind each of the far NATs. */
const among = (...sites: readonly NatType[]): readonly SiteSpec[] => sites.map(nat => ({ nat }))

const toFar = (...right: readonly string[]): readonly Call[] =>
  right.map((way, index) => ({ what: far[index] as string, from: 0, to: index + 1, right: way }))

/** One call between two guests of one host. */
const neighbours = (right: string): readonly Call[] => [{ what: 'another guest', from: 0, to: 1, right }]

/** What two peers in front of a published gateway come to. */
const publishedFor = (...right: readonly [string, string]): readonly Call[] => [
  { what: 'open to open', from: 0, to: 1, right: right[0] },
  { what: 'cone to cone', from: 2, to: 3, right: right[1] }
]
const peersOfPublished = among('open', 'open', 'port-restricted', 'port-restricted')

const debian = (...packages: readonly string[]): Part => ({ kind: 'debian', packages })
const slirp = ['slirp4netns=1.2.0-1', 'libslirp0=4.7.0-1']
const gvisorTapVsock: Part = {
  kind: 'go',
  module: 'github.com/containers/gvisor-tap-vsock',
  version: 'v0.8.9',
  commands: ['cmd/gvproxy', 'cmd/vm']
}
const rootless = debian('rootlesskit=1.1.0-1*', 'uidmap', ...slirp)

export const foreignWorlds: readonly Foreign[] = [
  {
    name: 'slirp4netns',
    title: 'slirp4netns 1.2.0 (libslirp 4.7.0)',
    parts: [debian(...slirp)],
    sites: among('open', ...far),
    open: guests(slirp4netns),
    nat: 'full cone',
    calls: toFar('direct', 'stun', 'stun', 'stun')
  },
  {
    name: 'slirp4netns-twice',
    title: 'two guests of one host, a slirp4netns each',
    parts: [debian(...slirp)],
    sites: among('open'),
    open: guests(slirp4netns, 2),
    calls: neighbours('stun')
  },
  {
    name: 'pasta',
    title: 'pasta 2023-03-09 (Debian 12)',
    parts: [debian('passt=0.0~git20230309*')],
    sites: among('open', ...far),
    open: guests(pasta),
    nat: 'no NAT',
    calls: toFar('direct', 'direct', 'direct', 'direct')
  },
  {
    name: 'pasta-twice',
    title: 'two guests of one host, a pasta each',
    parts: [debian('passt=0.0~git20230309*')],
    sites: among('open'),
    open: guests(pasta, 2),
    calls: neighbours('relayed: own-address')
  },
  {
    name: 'gvproxy',
    title: 'gvisor-tap-vsock 0.8.9 (gvproxy)',
    parts: [gvisorTapVsock],
    sites: among('open', ...far),
    open: guests(gvproxy),
    nat: 'symmetric, random ports',
    calls: toFar('direct', 'spray', 'relayed: spray-too-small', 'relayed: both-random')
  },
  {
    name: 'sing-box',
    title: 'sing-box 1.14.1 (tun, stack gvisor, direct)',
    parts: [
      {
        kind: 'go',
        module: 'github.com/sagernet/sing-box',
        version: 'v1.14.1',
        commands: ['cmd/sing-box'],
        tags: 'with_gvisor'
      }
    ],
    sites: among('open', ...far),
    open: guests(singBox),
    nat: 'full cone',
    calls: toFar('direct', 'stun', 'stun', 'stun')
  },
  {
    name: 'tun2socks',
    title: 'tun2socks 2.7.0 to the SOCKS5 server of dante 1.4.2',
    parts: [
      { kind: 'go', module: 'github.com/xjasonlyu/tun2socks/v2', version: 'v2.7.0', commands: ['.'] },
      debian('dante-server=1.4.2+dfsg-7*', 'libwrap0')
    ],
    sites: among('open', ...far),
    open: guests(tun2socks),
    nat: 'symmetric, random ports',
    calls: [
      ...toFar('direct', 'spray', 'relayed: spray-too-small', 'relayed: both-random'),
      { what: 'called by open', from: 1, to: 0, times: 10, right: 'direct' }
    ]
  },
  {
    name: 'ends-flows',
    title: 'kernel, port-restricted: an ICMP from inside ends a flow',
    parts: [],
    sites: among('fragile', 'open'),
    open: async () => ({}),
    nat: 'port-restricted cone',
    calls: [{ what: 'called by open', from: 1, to: 0, times: 50, right: 'direct' }]
  },
  {
    name: 'rootlesskit',
    title: 'a gateway published by rootlesskit 1.1.0, builtin driver',
    parts: [rootless],
    sites: peersOfPublished,
    gatewayAddresses: 1,
    open: rootlesskit('builtin'),
    nat: 'nothing can be told',
    calls: publishedFor('relayed: hidden-sources', 'relayed: hidden-sources')
  },
  {
    name: 'rootlesskit-slirp4netns',
    title: 'the same with its slirp4netns driver',
    parts: [rootless],
    sites: peersOfPublished,
    gatewayAddresses: 1,
    open: rootlesskit('slirp4netns'),
    nat: 'no NAT',
    calls: publishedFor('stun', 'stun')
  },
  {
    name: 'gvproxy-expose',
    title: 'a gateway published by gvproxy of gvisor-tap-vsock 0.8.9',
    parts: [gvisorTapVsock],
    sites: peersOfPublished,
    gatewayAddresses: 1,
    open: gvproxyExposing,
    nat: 'nothing can be told',
    calls: publishedFor('relayed: hidden-sources', 'relayed: hidden-sources')
  }
]
