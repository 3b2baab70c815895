// Which of the other side's own addresses a side may aim at. What a side sends to an address that it has itself never leaves
// the host, so such an address is worth nothing, unless the two are peers of one host. Peers tell the addresses of their
// interfaces with the most useful one first, so of those that are left the ones come first that are useful to both sides.

import { BlockList, isIPv4 } from 'node:net'
import { isLinkLocal, isLoopback, isPrivate } from '../wire/endpoint.ts'
import type { Address } from '../wire/shapes.ts'
import type { Side } from './scene.ts'

type Host = Pick<Side, 'addresses'>

/** The most addresses in the subnets of a side that it aims at: each is probed. */
const NEIGHBOURS = 4

/** The most addresses beyond them: few datagrams are to be spent on these, and the first one is the likeliest by far. */
const BEYOND = 2

/** True if the address is on one of the side's own interfaces. */
export const has = ({ addresses }: Host, address: string): boolean => addresses.some(own => own.address === address)

/**
 * True if the two may be peers of one host: all that one of them has, the other one has as well. Two guests that have the same
 * private address look alike. The peers themselves can tell: only on one host the other's port is taken.
 */
export const mayBeOneHost = (one: Host, other: Host): boolean => isWithin(one, other) || isWithin(other, one)

const isWithin = ({ addresses }: Host, other: Host) =>
  addresses.length > 0 && addresses.every(({ address }) => has(other, address))

/** True if one of the other side's addresses is within a subnet of this side's interfaces. */
export function isOnLinkOf(side: Host, other: Host): boolean {
  const links = side.addresses.map(subnetOf)
  return other.addresses.some(({ address }) => links.some(includes(address)))
}

/** The other side's addresses within the subnets of this side's interfaces, the most useful first. */
export function neighbours(side: Host, other: Host): string[] {
  const links = side.addresses.map(subnetOf)
  const own = mayBeOneHost(side, other) ? other.addresses.find(({ address }) => has(side, address)) : undefined
  return (
    other.addresses
      .map(({ address }, place) => ({ address, place, link: links.findIndex(includes(address)) }))
      .filter(({ address, link }) => link >= 0 && (address === own?.address || !has(side, address)))
      // A peer of an older version tells its addresses in any order: then the other's order decides.
      .toSorted((a, b) => Math.min(a.place, a.link) - Math.min(b.place, b.link) || a.place + a.link - b.place - b.link)
      .slice(0, NEIGHBOURS)
      .map(({ address }) => address)
  )
}

/**
 * The other side's private addresses outside the subnets of this side's interfaces, the most useful first. They may belong to
 * a host that is reached by a router between the two networks, or to nobody, or to a stranger.
 */
export function beyondSubnets(side: Host, other: Host): string[] {
  const links = side.addresses.map(subnetOf)
  return other.addresses
    .filter(({ address }) => isPrivate(address) && !isLoopback(address) && !isLinkLocal(address))
    .filter(({ address }) => !has(side, address) && !links.some(includes(address)))
    .slice(0, BEYOND)
    .map(({ address }) => address)
}

function subnetOf({ address, prefix }: Address): BlockList {
  const subnet = new BlockList()
  subnet.addSubnet(address, prefix, family(address))
  return subnet
}

const includes = (address: string) => (subnet: BlockList) => subnet.check(address, family(address))
const family = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6')
