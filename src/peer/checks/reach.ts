// Asks everything that a gateway has named for datagrams whether it answers, each by itself and all at once: its UDP endpoints from one
// socket of their own, as a connection's socket would be mapped, and the doors of its relay. Then how large a packet may be on the way:
// a request that PADDING fills up is answered at its own length, and neither may be fragmented (Linux sends UDP so, unless told not to).

import { messageOf } from '../../errors.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import { PACKET_SIZES } from '../../wire/packet-size.ts'
import { type Door, nameOf } from '../doors/door.ts'
import { enter } from '../doors/enter.ts'
import { localAddress } from '../punch/interfaces.ts'
import { RawSocket } from '../punch/raw.ts'
import { type Membership, prove } from '../punch/warm.ts'

export type Answered =
  | { readonly rttMs: number; readonly why?: undefined }
  /** A sentence: what was in the way. */
  | { readonly rttMs?: undefined; readonly why: string }

export type EndpointReached = Answered & {
  readonly endpoint: Endpoint
  /** Where the answer came from, which is another endpoint if something on the way, or the gateway's host, is set up wrong. */
  readonly source?: Endpoint | undefined
  /** Where the gateway saw the socket. */
  readonly mapped?: Endpoint | undefined
}

/** The largest of the sizes in which an IP packet came there and back. */
export interface PacketsReached {
  /** 0 if none did. */
  readonly bytes: number
  /** Whether it was the first that left. Later ones may have been fragmented, where a router has said that they are too large. */
  readonly isWhole: boolean
  /** False for an older gateway: its answers are short, so nothing is known of the way back. */
  readonly isBothWays: boolean
}

export type DoorReached = Answered & { readonly kind: Door['kind']; readonly name: string }

export interface Reached {
  /** Where this peer reached the gateway by TCP, as far as it knows. */
  readonly reachedAt: string | undefined
  /** False if this host has no IPv4 route to the first endpoint. */
  readonly hasRoute: boolean
  readonly endpoints: readonly EndpointReached[]
  /** Undefined if no endpoint answers at all. */
  readonly packets: PacketsReached | undefined
  /** In the order in which they are tried. None, if the gateway has none. */
  readonly doors: readonly DoorReached[]
}

/** Throws what `signal` aborts with, or `io` where no socket can be bound. */
export async function reach(
  membership: Membership,
  { number, doors }: { number: number; doors: () => readonly Door[] },
  signal: AbortSignal
): Promise<Reached> {
  const raw = await RawSocket.bind()
  try {
    const [primary] = membership.endpoints
    const source = primary && (await localAddress(primary))
    const asking = { raw, key: membership.key, username: `p:${membership.peer}:${number}` }
    const asked = await Promise.all(membership.endpoints.map(endpoint => askEndpoint(endpoint, asking, signal)))
    const open = asked.find(({ nonce }) => nonce !== undefined)
    const proof = { username: `p:${membership.peer}:0`, key: membership.key }
    const [packets, ...reached] = await Promise.all([
      open?.nonce && askSizes(open.endpoint, { ...asking, nonce: open.nonce }, signal),
      ...doors().map(door => askDoor(door, proof, signal))
    ])
    const endpoints = asked.map(({ nonce, ...endpoint }) => endpoint)
    return {
      ...{ reachedAt: membership.reachedAt, hasRoute: source !== '0.0.0.0' },
      ...{ endpoints, packets, doors: reached }
    }
  } finally {
    await raw.close()
  }
}

interface Asking {
  readonly raw: RawSocket
  readonly username: string
  readonly key: Buffer
}

async function askEndpoint(
  endpoint: Endpoint,
  { raw, username, key }: Asking,
  signal: AbortSignal
): Promise<EndpointReached & { readonly nonce?: Buffer }> {
  try {
    const { rttMs, nonce, source, mapped } = await prove(raw, endpoint, username, { key, signal })
    return { endpoint, rttMs, nonce, source, mapped }
  } catch (error) {
    signal.throwIfAborted()
    return { endpoint, why: messageOf(error) }
  }
}

/** Bytes of an IPv4 packet that are none of its datagram's: its own header and that of UDP. */
const HEADERS_BYTES = 28

/** An answer that took so much longer than its round trip, in milliseconds, is to a request that was sent again. */
const AGAIN_MS = 80

/** The sizes are tried one after the other, the largest first, and the first that comes back is the answer. */
async function askSizes(
  endpoint: Endpoint,
  { raw, username, key, nonce }: Asking & { readonly nonce: Buffer },
  signal: AbortSignal
): Promise<PacketsReached> {
  for (const bytes of PACKET_SIZES) {
    const paddedTo = bytes - HEADERS_BYTES
    const sinceMs = performance.now()
    try {
      const { message, rttMs } = await raw.request(endpoint, { username, nonce, paddedTo }, key, signal)
      const isWhole = performance.now() - sinceMs - rttMs < AGAIN_MS
      return { bytes, isWhole, isBothWays: message.paddedTo === paddedTo }
    } catch {
      signal.throwIfAborted()
    }
  }
  return { bytes: 0, isWhole: false, isBothWays: false }
}

async function askDoor(
  door: Door,
  proof: { readonly username: string; readonly key: Buffer },
  signal: AbortSignal
): Promise<DoorReached> {
  const { kind } = door
  const name = nameOf(door)
  try {
    const { line, rttMs } = await enter([door], proof, signal)
    line.close()
    return { kind, name, rttMs }
  } catch (error) {
    signal.throwIfAborted()
    return { kind, name, why: messageOf(error) }
  }
}
