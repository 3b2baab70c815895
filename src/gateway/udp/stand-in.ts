// UDP is IPv4 alone, but HTTP is not. A peer that came by IPv6, and whose name for the gateway has no IPv4 address, needs to be
// told one all the same. Where the operator has named none, the gateway looks at its own interfaces.
//
//   reached at 2001:db8::5   ─► that address is eth0's   ─► 203.0.113.5, which is eth0's too
//   not an address of ours (a container, a proxy)        ─► a public IPv4 address, or else a private one

import { networkInterfaces } from 'node:os'
import { isLoopback, isPrivate, plainAddress } from '../../wire/endpoint.ts'

type Interfaces = ReturnType<typeof networkInterfaces>

/**
 * The IPv4 address of this host that stands in for the address at which a peer reached it, which is itself where it is IPv4;
 * undefined where this host has none. Loopback stands in for loopback only.
 */
export function standIn(reachedAt: string, interfaces: Interfaces = networkInterfaces()): string | undefined {
  const reached = plainAddress(reachedAt)
  if (!reached.includes(':')) return reached
  const links = Object.values(interfaces).map((addresses = []) => addresses)
  const link = links.find(addresses => addresses.some(({ address }) => plainAddress(address) === reached)) ?? []
  const others = links.flat().filter(({ internal }) => !internal)
  const [first] = [...publicFirst(link), ...publicFirst(others)]
  return first
}

/**
 * The address at which a browser that reached `reachedAt` is told to find UDP. Browsers check nothing at loopback, and behind a proxy on this
 * host all come from there: another address of this host stands in, where it has one.
 */
export function standInForIce(reachedAt: string, interfaces: Interfaces = networkInterfaces()): string | undefined {
  const found = standIn(reachedAt, interfaces)
  if (found === undefined || !isLoopback(found)) return found
  const others = Object.values(interfaces).flatMap((addresses = []) => addresses.filter(({ internal }) => !internal))
  return publicFirst(others)[0] ?? found
}

const publicFirst = (addresses: NonNullable<Interfaces[string]>): string[] =>
  addresses
    .filter(({ family }) => family === 'IPv4')
    .map(({ address }) => address)
    .toSorted((a, b) => Number(isPrivate(a)) - Number(isPrivate(b)))
