// What a visitor is told of its network, as it is kept: words and shares, and nothing by which anybody could be found. No address, no port
// and no name of a host is in it.

import type { Kind } from '../../nat/assignment.ts'
import type { Behaviour } from '../../nat/profile.ts'
import { commonKinds } from '../survey/prospects.ts'

/** In one word: whom calls reach directly. */
export const verdicts = ['most', 'probably', 'some', 'relayed', 'blocked', 'cut-off', 'hidden'] as const
export type Verdict = (typeof verdicts)[number]

/** The share of direct connections, 0 to 1: of what is not known the worst is assumed, or the best. */
export interface Chance {
  readonly least: number
  readonly most: number
}

/** A kind of network that others are in, and what they can expect as pages, and as peers in Node. */
export interface Prospect {
  readonly peer: string
  readonly page: Chance
  readonly node: Chance
}

export interface Ports {
  readonly kind: Kind
  readonly confidence: number
  readonly step?: number
  /** How many ports a block has. */
  readonly size?: number
}

/** The gateway is on the visitor's own host, or within its network, or that of a carrier or a VPN: it sees no way out to the Internet. */
export type Inside = 'host' | 'network'

export type Seen =
  | {
      readonly udp: 'open'
      readonly mapping: Behaviour
      readonly ports?: Ports
      /** Public addresses that its sockets had. */
      readonly addresses: number
      /** Its web traffic comes from another address than its UDP. */
      readonly isSplit: boolean
      readonly inside?: Inside
      readonly prospects: readonly Prospect[]
    }
  | {
      readonly udp: 'blocked'
      /** The browser has bound no socket at all. */
      readonly isUnbound: boolean
      /** Whether it found the relay's TCP door. */
      readonly hasDoor: boolean
    }
  /** Something in front of the gateway hides where it comes from. */
  | { readonly udp: 'hidden' }

export type TestResult = Seen & {
  readonly verdict: Verdict
  /** Round trip to the gateway over UDP, or over the WebSocket, in milliseconds; 0: not known. */
  readonly rttMs: number
  /** When it was found out, in milliseconds since the epoch. */
  readonly atMs: number
}

/** From this share on somebody is likely to be reached, and below this other one hardly ever. */
const LIKELY = 0.8
const HARDLY = 0.1

export type Word = 'direct' | 'perhaps' | 'relayed'

export function wordOf({ least, most }: Chance): Word {
  if (least >= LIKELY) return 'direct'
  return most >= HARDLY ? 'perhaps' : 'relayed'
}

/** Calls are between pages, so it goes by these. */
export function verdictOf(seen: Seen): Verdict {
  if (seen.udp === 'hidden') return 'hidden'
  if (seen.udp === 'blocked') return seen.hasDoor ? 'blocked' : 'cut-off'
  const common = seen.prospects.filter(({ peer }) => commonKinds.includes(peer)).map(({ page }) => wordOf(page))
  if (common.every(word => word === 'direct')) return 'most'
  if (common.every(word => word === 'relayed')) return 'relayed'
  return seen.mapping === 'unknown' ? 'probably' : 'some'
}
