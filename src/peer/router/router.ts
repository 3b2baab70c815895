// Asks the router of this network, which is its default gateway, to forward a UDP port of its outside address to a port of
// this host. Three protocols do that, and they are tried in this order, one after the other:
//
//   PCP       RFC 6887, one datagram each way
//   NAT-PMP   RFC 6886, its elder, on the same port
//   UPnP IGD  WANIPConnection and WANPPPConnection: a search by datagram, then requests over HTTP
//
// A router that knows several of them would make several mappings if they were tried at once, and nobody waits for the answer.
// What a router grants is kept: it is renewed before it ends, and given back by `close`. Nothing that a router says is proved
// here. Whoever uses the outside endpoint finds out first whether a datagram to it arrives.

import { type Asker, askOnce, isGrant, type Protocol, type Refusal, type Router, weightiest } from './asking.ts'
import { defaultGateway } from './default-gateway.ts'
import { Epoch } from './epoch.ts'
import { Kept, type PortMapping, type Time } from './kept.ts'
import { natPmp } from './nat-pmp.ts'
import { pcp } from './pcp.ts'
import { upnp } from './upnp.ts'

export type { PortMapping, Protocol, Refusal, Router }

export interface Wish {
  /** The UDP port of this host. The same one is asked for outside, but another one may be granted. */
  readonly localPort: number
  /** Undefined: a `no-router` refusal. */
  readonly router: Router | undefined
  /** Those that may be tried, in that order; all three when left out. */
  readonly protocols?: readonly [Protocol, ...Protocol[]]
  /** Ends the asking. A mapping that was granted is not ended by it, but by `close`. */
  readonly signal: AbortSignal
  /** How time passes for what is kept; the computer's own time when left out. */
  readonly time?: Time
}

const askers: Readonly<Record<Protocol, (router: Router, localPort: number) => Asker>> = {
  pcp,
  'nat-pmp': natPmp,
  upnp
}

/**
 * The default gateway of this host, or undefined where none is found. It is read from `/proc/net/route`, so systems other than
 * Linux have none: what they would need was not verified.
 */
export async function findRouter(): Promise<Router | undefined> {
  const address = await defaultGateway()
  return address === undefined ? undefined : routerAt(address)
}

/** The router at this IPv4 address. `ports`: where it listens, if not at the ports of RFC 6887 section 19 and of UPnP. */
export function routerAt(address: string, ports: Router['ports'] = { mapping: 5351, search: 1900 }): Router {
  return { address, ports, epoch: new Epoch() }
}

/**
 * Asks for a port, and keeps it. Takes some milliseconds where the router answers, two seconds for each protocol that it does not
 * answer, and eighteen in all at the most. Never throws for anything that a router does or leaves out. Throws what `signal`
 * aborts with, and gives back then what may have been granted meanwhile.
 */
export async function mapPort({ localPort, router, protocols, signal, time }: Wish): Promise<PortMapping | Refusal> {
  signal.throwIfAborted()
  if (!router) return { reason: 'no-router', text: 'no default gateway was found, so there is no router to ask' }
  const refusals: Refusal[] = []
  for (const protocol of protocols ?? ['pcp', 'nat-pmp', 'upnp']) {
    const asker = askers[protocol](router, localPort)
    const outcome = await askOnce(asker, signal)
    if (signal.aborted || !isGrant(outcome)) await asker.release(0)
    signal.throwIfAborted()
    if (isGrant(outcome)) return new Kept(asker, router, localPort, outcome, time)
    refusals.push(outcome)
    if (outcome.reason === 'carrier') break // no protocol can help
  }
  return inAll(router, refusals)
}

export function isRefusal(outcome: PortMapping | Refusal): outcome is Refusal {
  return 'reason' in outcome
}

function inAll({ address }: Router, refusals: readonly Refusal[]): Refusal {
  const weighty = weightiest(refusals)
  if (weighty.reason !== 'silent' || refusals.length === 1) return weighty
  return { ...weighty, text: `the router at ${address} answers neither PCP nor NAT-PMP nor UPnP` }
}
