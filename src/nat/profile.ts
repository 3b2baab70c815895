// Judges a NAT in the terms of RFC 4787, mapping and filtering, by what the gateway's sockets saw of one socket behind it.
// Pure: samples in, profile out, every verdict with its evidence. What cannot be told is `unknown`.

import type { Endpoint } from '../wire/endpoint.ts'
import type { Address } from '../wire/shapes.ts'
import type { Assignment } from './assignment.ts'

/** RFC 4787 sections 4.1 (mapping) and 5 (filtering) use the same three words. */
export const behaviours = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'unknown'
] as const
export type Behaviour = (typeof behaviours)[number]

/** One mapping of a socket, as it arrived at one of the gateway's endpoints. */
export interface Sample {
  /** The endpoint of the gateway that was asked. */
  readonly via: Endpoint
  /** True if this is the endpoint that peers are told first. */
  readonly primary: boolean
  /** Where the request came from: the mapping. */
  readonly mapped: Endpoint
  /** When it arrived last, in milliseconds since the epoch. */
  readonly atMs: number
  /** When this mapping was first seen there: that is when the NAT made it. */
  readonly sinceMs: number
}

/**
 * What a throwaway socket heard after it had contacted one endpoint of the gateway only (RFC 5780 section 4.4). `address`
 * is undefined if the gateway has one address only.
 */
export interface FilteringTest {
  readonly port: boolean
  readonly address?: boolean | undefined
  /**
   * True if the NAT had kept out an unasked-for answer of an endpoint, and the next request to it left by another port than
   * before.
   */
  readonly remaps?: boolean | undefined
}

export interface Profile {
  readonly mapping: Behaviour
  readonly filtering: Behaviour
  /**
   * True if the NAT gives a flow another port once a packet nobody asked for has come from the flow's far end. Left out if
   * it was not tested. It means something only if the mapping is endpoint-independent otherwise.
   */
  readonly remaps?: boolean
  /** How the NAT chooses ports; left out if a socket has one mapping for all destinations. */
  readonly assignment?: Assignment
  /** False if the gateway saw the socket's own address and port: there is no NAT in between. */
  readonly translated: boolean
  /**
   * True if something in front of the gateway hides where the socket's datagrams come from (nat/hidden.ts): the samples then
   * tell nothing of the peer's NAT, and neither does anything else here.
   */
  readonly hidden?: true
  /** Public addresses seen; more than one means a pool (RFC 4787 section 4.1, "paired" or "arbitrary"). */
  readonly addresses: readonly string[]
  readonly samples: readonly Sample[]
}

/** Judges by the samples of one socket, in order of arrival, and by what the peer said of its own interfaces. */
export function profileOf(
  samples: readonly Sample[],
  own: { port: number; addresses: readonly Address[] },
  test: FilteringTest | undefined
): Profile {
  const latest = [...new Map(samples.map(sample => [`${sample.via.address} ${sample.via.port}`, sample])).values()]
  const isOwn = ({ mapped }: Sample) =>
    mapped.port === own.port && own.addresses.some(({ address }) => address === mapped.address)
  return {
    mapping: mappingOf(latest),
    filtering: filteringOf(test),
    ...(test?.remaps === undefined ? {} : { remaps: test.remaps }),
    translated: latest.length === 0 || !latest.every(isOwn),
    addresses: [...new Set(latest.map(({ mapped }) => mapped.address))],
    samples: latest
  }
}

/** The profile of a socket whose source is hidden: there is none, and what was seen is evidence of that. */
export const hiddenProfile = (samples: readonly Sample[]): Profile => ({
  mapping: 'unknown',
  filtering: 'unknown',
  translated: true,
  hidden: true,
  addresses: [],
  samples
})

/** The profile of a side of which nothing was seen, since its UDP is blocked. */
export const blockedProfile: Profile = {
  mapping: 'unknown',
  filtering: 'unknown',
  translated: true,
  addresses: [],
  samples: []
}

/** RFC 4787 section 4.1. Two ports of one address cannot tell address-dependent from endpoint-independent. */
function mappingOf(samples: readonly Sample[]): Behaviour {
  const images = (picked: readonly Sample[]) =>
    new Set(picked.map(({ mapped }) => `${mapped.address} ${mapped.port}`)).size
  const perAddress = [...Map.groupBy(samples, ({ via }) => via.address).values()]
  if (perAddress.some(group => images(group) > 1)) return 'address-and-port-dependent'
  if (perAddress.length < 2) return 'unknown'
  return images(samples) === 1 ? 'endpoint-independent' : 'address-dependent'
}

/**
 * RFC 4787 section 5. If the gateway has one address only, an answer from its other port proves address-dependent at the
 * strictest.
 */
function filteringOf(test: FilteringTest | undefined): Behaviour {
  if (!test) return 'unknown'
  if (test.address) return 'endpoint-independent'
  if (test.port) return 'address-dependent'
  return 'address-and-port-dependent'
}

type Nat = Pick<Profile, 'mapping' | 'filtering'>

/**
 * Whether a socket behind `from` can open a path to one behind `to` if each sends to where the gateway saw the other: true,
 * false, or undefined if what is unknown decides it. The packet of `from` must pass the filter of `to` (RFC 4787 section 5).
 * The answer goes back to where that packet came from, through a mapping of `to` that `from` has already sent to.
 */
export function reaches(from: Nat, to: Nat): boolean | undefined {
  const returns = isIndependent(to.mapping)
  const passes = isIndependent(from.mapping) || filterPasses(to.filtering, from.mapping)
  if (returns === false || passes === false) return false
  return returns && passes
}

/** Whether either side reaches the other: one way is enough for both. */
export function canMeet(one: Nat, other: Nat): boolean | undefined {
  const ways = [reaches(one, other), reaches(other, one)]
  if (ways.includes(true)) return true
  return ways.includes(undefined) ? undefined : false
}

const isIndependent = (mapping: Behaviour) => (mapping === 'unknown' ? undefined : mapping === 'endpoint-independent')

/** Whether a filter lets in a packet from an address that was sent to, though perhaps from another port of it. */
function filterPasses(filtering: Behaviour, from: Behaviour): boolean | undefined {
  if (filtering === 'unknown') return undefined
  if (filtering !== 'address-and-port-dependent') return true
  return from === 'unknown' ? undefined : false
}
