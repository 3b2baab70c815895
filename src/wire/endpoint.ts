// An endpoint is an address and a port: what the RFCs call a transport address.

import { BlockList, isIP, isIPv4 } from 'node:net'

export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** `203.0.113.7:4242`, or `[2001:db8::1]:4242`. */
export function formatEndpoint({ address, port }: Endpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** The inverse of formatEndpoint; undefined for anything else. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([1-9]\d{0,4})$/.exec(text)
  const address = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (!address || isIP(address) !== (match?.[1] ? 6 : 4) || port > 65535) return undefined
  return { address, port }
}

/** An address as the kernel names it, without the form that IPv4 has on an IPv6 socket, and without the zone of a link. */
export const plainAddress = (address: string): string => address.replace(/^::ffff:(?=[\d.]+$)/i, '').replace(/%.*$/, '')

/**
 * Whether an IPv4 address that a gateway told may well be the wrong one: the peer reached the gateway by IPv6, and was told a
 * private address. The gateway then knew of no other than that of an interface of its own.
 */
export const isDoubtful = (told: string, reachedAt: string | undefined): boolean =>
  reachedAt !== undefined && plainAddress(reachedAt).includes(':') && isPrivate(told) && !isLoopback(told)

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.address === b.address
}

const local = new BlockList()
local.addSubnet('10.0.0.0', 8)
local.addSubnet('172.16.0.0', 12)
local.addSubnet('192.168.0.0', 16)
local.addSubnet('169.254.0.0', 16)
local.addSubnet('100.64.0.0', 10)
local.addSubnet('127.0.0.0', 8)
local.addSubnet('0.0.0.0', 8)
local.addSubnet('::1', 128, 'ipv6')
local.addSubnet('fc00::', 7, 'ipv6')
local.addSubnet('fe80::', 10, 'ipv6')

/** Unspecified, loopback, link-local, RFC 1918, RFC 6598 (carrier) and RFC 4193 addresses: not routed on the Internet. */
export function isPrivate(address: string): boolean {
  return isIP(address) !== 0 && local.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
}

const special = new BlockList()
special.addSubnet('224.0.0.0', 4)
special.addSubnet('240.0.0.0', 4)

/** An IPv4 address that datagrams can be sent to over the Internet: neither local, nor multicast, broadcast or reserved. */
export function isPublic(address: string): boolean {
  return isIPv4(address) && !local.check(address) && !special.check(address)
}

export function isLoopback(address: string): boolean {
  return address === '::1' || (isIPv4(address) && address.startsWith('127.'))
}

/** RFC 3927 and RFC 4291 section 2.5.6: such an address means something on its own link only. */
export function isLinkLocal(address: string): boolean {
  return address.startsWith('169.254.') || /^fe[89ab]/i.test(address)
}

/** The groups of an IPv6 address. RFC 4291 section 2.2: `::` stands for as many groups of zeros as are missing. */
export function groupsOf(address: string): string[] {
  const [before = [], behind] = address.split('::').map(part => part.split(':').filter(group => group !== ''))
  if (!behind) return before
  const width = behind.reduce((sum, group) => sum + (group.includes('.') ? 2 : 1), before.length)
  return [...before, ...Array.from({ length: 8 - width }, () => '0'), ...behind]
}
