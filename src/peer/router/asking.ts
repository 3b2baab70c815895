// What the three protocols have in common: whom they ask, and what comes of it.

import { isIPv4 } from 'node:net'
import { timeoutSignal } from '../../clock.ts'
import { type Endpoint, isLoopback, isPrivate } from '../../wire/endpoint.ts'
import type { Epoch } from './epoch.ts'

export type Protocol = 'pcp' | 'nat-pmp' | 'upnp'

/** A router that may be asked. All ports that this process asks for share it. */
export interface Router {
  /** Its IPv4 address on this host's side: the next hop of the default route. */
  readonly address: string
  /** Where it listens for PCP and NAT-PMP, and for searches by UPnP. */
  readonly ports: { readonly mapping: number; readonly search: number }
  /** When it started, as its answers tell. */
  readonly epoch: Epoch
}

/** Why the router forwards nothing. */
export interface Refusal {
  /**
   * `no-router`: no default gateway was found. `silent`: it answers none of the protocols. `nonsense`: it answered, but nothing
   * that can be understood or allowed. `refused`: it said no. `carrier`: it has no public address of its own, so another NAT
   * lies above it, and a mapping here would lead nowhere.
   */
  readonly reason: 'no-router' | 'silent' | 'nonsense' | 'refused' | 'carrier'
  /** One sentence for a person. */
  readonly text: string
  /** Undefined for `no-router`. */
  readonly routerAddress?: string
  /** With `carrier`: the outside address that the router told, where it told one. */
  readonly outsideAddress?: string
}

/** The refusal that says most. There has to be one. */
export function weightiest(refusals: readonly Refusal[]): Refusal {
  const weights: readonly Refusal['reason'][] = ['carrier', 'refused', 'nonsense', 'silent', 'no-router']
  return refusals.toSorted((a, b) => weights.indexOf(a.reason) - weights.indexOf(b.reason))[0] as Refusal
}

export interface Grant {
  /** As the router tells it: not proved. */
  readonly external: Endpoint
  /** As the router tells it, in seconds. It may be absurd. */
  readonly lifetimeS: number
}

/** One protocol that asks one router for one port, as often as need be, but never twice at once. */
export interface Asker {
  readonly protocol: Protocol
  /**
   * Asks for the port, or asks for it again. The same port as before is asked for, or at first the local one. Ends by itself,
   * and never throws: an abort makes it `silent`.
   */
  ask(signal: AbortSignal): Promise<Grant | Refusal>
  /**
   * Gives back whatever `ask` may have got. It waits so many milliseconds for the router to say so; with 0 it asks once and does not
   * wait. Never throws.
   */
  release(patienceMs: number): Promise<void>
}

/**
 * How long one question to the router is waited for, in milliseconds. The protocols would wait for minutes (RFC 6887 section
 * 8.1.1, RFC 6886 section 3.1), but a router is one hop away.
 */
export const PATIENCE_MS = 2000

/** How long one asking takes at most, in milliseconds, however many questions it has. UPnP has four at least. */
const ASK_MS = 6000

/** The lifetime that is asked for, in seconds. It is also what a peer that vanishes leaves behind at the most. */
export const LIFETIME_S = 1200

/** What is given back is given back to the end, whatever else is given up. */
export const never: AbortSignal = new AbortController().signal

/** Asks, within a limited time. */
export async function askOnce(asker: Asker, signal: AbortSignal): Promise<Grant | Refusal> {
  using late = timeoutSignal(ASK_MS)
  return await asker.ask(AbortSignal.any([signal, late]))
}

export function isGrant(outcome: Grant | Refusal): outcome is Grant {
  return 'external' in outcome
}

/** The protocols as people write them. */
const names: Readonly<Record<Protocol, string>> = { pcp: 'PCP', 'nat-pmp': 'NAT-PMP', upnp: 'UPnP' }

/** The refusal of a router that gave no answer, or none that counts. `not-spoken`: it said that it does not know the protocol. */
export function wordless(router: Router, protocol: Protocol, how: 'silent' | 'nonsense' | 'not-spoken'): Refusal {
  const what = {
    silent: `does not answer by ${names[protocol]}`,
    'not-spoken': `does not know ${names[protocol]}`,
    nonsense: `answers by ${names[protocol]} with what is no answer`
  }
  return refusal(router, how === 'nonsense' ? 'nonsense' : 'silent', what[how])
}

/** @param why what the router says of itself: `has no ports left` */
export function refused(router: Router, protocol: Protocol, why: string): Refusal {
  return refusal(router, 'refused', `refuses a port by ${names[protocol]}: it ${why}`)
}

function refusal({ address }: Router, reason: Refusal['reason'], what: string, outsideAddress?: string): Refusal {
  const text = `the router at ${address} ${what}`
  return { reason, text, routerAddress: address, ...(outsideAddress === undefined ? {} : { outsideAddress }) }
}

/** What a router that tells this outside endpoint has granted, if it can be of use at all. */
export function judge(router: Router, external: Endpoint, lifetimeS: number): Grant | Refusal {
  if (external.port === 0) return refusal(router, 'nonsense', 'grants the port 0')
  return unreachable(router, external.address) ?? { external, lifetimeS }
}

/** Why no datagram from the Internet can arrive at this outside address of the router. Undefined if one may. */
export function unreachable(router: Router, outside: string): Refusal | undefined {
  if (outside === '' || outside === '0.0.0.0')
    return refusal(router, 'carrier', 'has no public address of its own, so another NAT lies above it')
  if (!isIPv4(outside) || isLoopback(outside) || Number(outside.split('.')[0]) >= 224)
    return refusal(router, 'nonsense', `says that its outside address is ${JSON.stringify(outside.slice(0, 60))}`)
  if (isPrivate(outside))
    return refusal(
      router,
      'carrier',
      `has the outside address ${outside}, which is not public, so another NAT lies above it`,
      outside
    )
  return undefined
}
