// What is done to a ground, from outside the processes under test: the kernel forgets, drops and narrows, addresses change,
// processes are killed or stopped. Where a fault ends, another act ends it.

import { drop, fromTo } from '../drop.ts'
import { tool } from '../sandbox.ts'
import type { Host, Site } from '../world.ts'
import type { Ground, Party } from './ground.ts'

/** Where a fault hits. */
type Place = Pick<Party, 'site' | 'host'>

/** A fault of one side hits the caller's, which sends, and the callee's in turn. */
export const turns = <Of>({ caller, callee }: { readonly caller: Of; readonly callee: Of }, nth: number): Of =>
  nth % 2 === 0 ? caller : callee

/**
 * The NAT has started anew: no mapping is left, and none is given again, of TCP neither, so that the link to the gateway comes
 * from another port too and is reset.
 */
export async function forgets({ site }: Place): Promise<void> {
  const others = 'oifname wan meta l4proto tcp masquerade to :20000-29999 fully-random'
  await boxOf(site).nft(chain('anew', 'nat hook postrouting priority srcnat - 1', others))
  await site.become('port-restricted-moved', { forget: true })
}

/** The host has another address in the same LAN: what is sent to the one before leads nowhere. */
export async function moves({ host }: Place): Promise<void> {
  const [first = ''] = host.addresses
  const [lan] = /^.*\./.exec(first) ?? ['']
  const other = `${lan}${200 + (Number(first.slice(lan.length)) % 50)}`
  const before = addresses.get(host) ?? first
  const after = before === first ? other : first
  addresses.set(host, after)
  const lines = [
    `address delete ${before}/24 dev eth0`,
    `address add ${after}/24 dev eth0`,
    `route replace default via ${lan}1 dev eth0 onlink`
  ]
  await ran(host, [tool('ip'), '-batch', '-'], lines.join('\n'))
}

/** Those that have moved. */
const addresses = new WeakMap<Host, string>()

/** Nothing passes between the two NATs, while both reach the gateway. */
export const cutBothWays = ({ world, caller, callee }: Ground): Promise<void> =>
  cut(world.core, fromTo(caller.site, callee.site), fromTo(callee.site, caller.site))

/** Of the two ways the one of the data, and the one of what acknowledges it, in turn. */
export async function cutOneWay({ world, caller, callee }: Ground, nth: number): Promise<void> {
  const [from, to] = nth % 2 === 0 ? [caller, callee] : [callee, caller]
  await cut(world.core, fromTo(from.site, to.site))
}

/** Before anything else sees it, so that no mapping is kept alive by what is lost. */
const cut = (core: Host, ...matches: readonly string[]): Promise<void> =>
  core.nft(chain('cut', 'filter hook prerouting priority raw', ...matches.map(match => `${match} drop`)))

export const mends = ({ world }: Ground): Promise<void> => world.core.nft('delete table ip cut\n')

/** No UDP gets through this NAT any more, and nobody is told. */
export async function blocksUdp({ site }: Party): Promise<void> {
  await drop(boxOf(site), 'meta l4proto udp')
}

/** What a host is to be told of a packet that is too large, and whether it is. */
export interface Narrowness {
  /** Largest IP packet, in bytes. */
  readonly mtu: number
  /** `one`: what the caller sends, and what it is sent, in turn. */
  readonly ways: 'one' | 'both'
  /** Whether the router says "fragmentation needed" (RFC 1191). */
  readonly icmp: boolean
}

/**
 * The line between the caller's NAT and the rest takes no larger packets. TCP is told by its MSS, as routers in front of such
 * lines do: were it not, nothing that is larger would work there at all.
 */
export async function narrows({ world, caller: { site } }: Ground, how: Narrowness, nth: number): Promise<void> {
  const [box, { core }] = [boxOf(site), world]
  const [own = ''] = site.publicAddresses
  const out = how.ways === 'both' || nth % 2 === 0
  const into = how.ways === 'both' || nth % 2 === 1
  const clamp = `tcp flags syn tcp option maxseg size set ${how.mtu - 40}`
  await box.nft(chain('narrow', 'filter hook forward priority mangle', clamp))
  if (!how.icmp) for (const host of [box, core]) await silent(host)
  if (out) await route(box, `default via ${core.addresses[0]} dev wan onlink src ${own} mtu ${how.mtu}`)
  if (into) await route(core, `${blockOf(own)} via ${own} dev c${site.index} onlink mtu ${how.mtu}`)
}

/** A forwarded packet that exceeds the MTU of its route is refused, or fragmented where that is allowed. */
const route = (host: Host, line: string) => ran(host, [tool('ip'), 'route', 'replace', ...line.split(' ')])

const silent = (host: Host) =>
  host.nft(
    chain(
      'silent',
      'filter hook output priority filter',
      'icmp type destination-unreachable icmp code frag-needed drop'
    )
  )

const chain = (table: string, type: string, ...rules: readonly string[]): string =>
  [`table ip ${table} {`, 'chain rules {', `type ${type}`, ...rules, '}', '}', ''].join('\n')

/** Both NATs keep one mapping for a port from now on; what is mapped already stays as it is. */
export async function becomeEasy({ caller, callee }: Ground): Promise<void> {
  await Promise.all([caller, callee].map(({ site }) => site.become('port-restricted')))
}

/** The computer sleeps: the process does nothing until it wakes. */
export const sleeps = ({ end }: Party): Promise<void> => end.do('signal', { name: 'SIGSTOP' })
export const wakes = ({ end }: Party): Promise<void> => end.do('signal', { name: 'SIGCONT' })

export const gatewayDies = ({ gateway }: Ground): Promise<void> => gateway.kill()
/** Over the same state, and at the same ports. */
export const gatewayReturns = ({ gateway }: Ground): Promise<void> => gateway.start()

const boxOf = ({ boxes }: Site): Host => boxes.at(-1) as Host

/** The eight public addresses of a site, as the core routes them. */
function blockOf(address: string): string {
  const [network, last] = [address.replace(/\d+$/, ''), Number(/\d+$/.exec(address)?.[0])]
  return `${network}${last - (last % 8)}/29`
}

async function ran(host: Host, argv: readonly string[], input?: string): Promise<void> {
  const { code, stderr } = await host.run(argv, input)
  if (code !== 0) throw new Error(`${argv.join(' ')} on ${host.name}: ${stderr.trim()}`)
}
