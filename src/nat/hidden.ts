// Tells whether something in front of the gateway hides where datagrams come from. A forwarder that takes datagrams at the
// gateway's public address, and sends them on from a socket of its own, puts its own address and a port of its own in the
// place of the peer's. So do a load balancer that translates sources, and a router that does so for its own network when it
// reaches its own public address (hairpinning, RFC 4787 section 6). What the gateway sees then is no mapping of the peer's
// NAT, and nobody can be reached there.
//
//   peer ─► 203.0.113.6 (reached)  forwarder  127.0.0.1 ─► gateway, which sees 127.0.0.1 (mapped) whoever sends
//
// Pure. A forwarder that has a public address of its own cannot be told from a NAT by this.

import { isLoopback, isPrivate } from '../wire/endpoint.ts'
import type { Address } from '../wire/shapes.ts'

/** How a peer's datagrams came. */
export interface Arrival {
  /** The address that they seem to come from. */
  readonly mapped: string
  /** The address of the gateway that the peer sent them to. */
  readonly reached: string
  /** The addresses of the peer's interfaces. */
  readonly peer: readonly Address[]
  /** The addresses of the gateway's interfaces, loopback included: asked for where they matter, since the system takes its time. */
  readonly gateway: () => readonly Address[]
}

/**
 * True if a peer that reached a public address is seen at a private one that is neither its own nor that of a NAT in front of
 * it. Where it reached a private address, gateway and peer may share a network, and the source is taken for true.
 */
export function isHidden({ mapped, reached, peer, gateway }: Arrival): boolean {
  if (isPrivate(reached) || !isPrivate(mapped) || has(peer, mapped)) return false
  const own = gateway()
  // Only the gateway's own computer sends from an address of its own.
  if (isLoopback(mapped) || has(own, mapped)) return true
  // Nothing translates on the way to an address that the gateway has itself: a private network is routed to it.
  return !has(own, reached)
}

/** What an operator can do about it. */
export const keepSources =
  "publish UDP so that sources are kept: rootful bridge, pasta, rootlesskit's slirp4netns port driver, or the host's network; no load balancer that rewrites sources"

const has = (addresses: readonly Address[], address: string) => addresses.some(one => one.address === address)
