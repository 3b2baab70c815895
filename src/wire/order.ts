// What a peer is told to do with one of its sockets, and what node-datachannel must know for the handover that follows.
// An order is data, a union on `kind`: one loop in the peer obeys whatever plugin made it.

import { z } from 'zod'
import type { Word } from '../vocabulary.ts'
import { address, checked, endpoint, fingerprint } from './shapes.ts'

/** Most sockets and most guesses or probes that an order may ask of a peer, whatever the gateway's configuration says. */
export const MOST_SOCKETS = 1024
export const GUESSES = 8192

/** Datagrams of an order's budget that the walk over its guesses leaves, for answers; of a small budget a quarter. */
export const ANSWERS = 16

/** The code a side fails with when the socket an order names is gone: the order before was called off too late. */
export const STALE_SOCKET = 'stale-socket' satisfies Word

/** The code a side fails with when an order was called off before anything came of it: what it heard is worth knowing. */
export const CALLED_OFF = 'called-off' satisfies Word

/** RFC 8445 section 5.3 has the lengths, RFC 8839 section 5.4 the characters: these go into a description line by line. */
const iceChars = (least: number, most: number) => z.string().regex(new RegExp(`^[A-Za-z0-9+/]{${least},${most}}$`))
const ice = z.strictObject({ ufrag: iceChars(4, 64), pwd: iceChars(22, 128) })

/** What node-datachannel needs to know before the first packet, so that descriptions cost no round trip. */
export const handover = z.strictObject({ role: z.enum(['active', 'passive']), local: ice, remote: ice, fingerprint })

/** Where the other side's mapping may be: ports of one address, tried in this order. */
const guess = z.strictObject({ address, ports: z.array(z.int().min(1).max(65535)).max(GUESSES) })

/** Probing a NAT's next ports: by how many sockets, how fast, and how much of it. */
const effort = {
  /** Tried one after the other, after the targets. */
  guesses: z.array(guess).max(GUESSES).optional(),
  /** Sockets that send to every target and guess, the one that was ordered among them; left out: it alone. */
  sockets: z.int().min(1).max(MOST_SOCKETS).optional(),
  /** Datagrams per second at most; left out: all at once, again and again by the schedule of the punch loop. */
  perSecond: z.number().positive().max(100_000).optional(),
  /** Datagrams in all until the path is found, answers and repetitions included; left out: as many as the time allows. */
  probes: z.int().positive().max(GUESSES).optional()
}

/**
 * What a peer is told to do with its socket. `ice`: the passive side binds at once and its first ICE check is the punch.
 * `punch`: both sides send probes, and the passive side binds when one of its own was answered, or with `bindOn: heard` as
 * soon as it heard one. `splice`: latch at the gateway's relay first, then as `punch` with the gateway's endpoint as the
 * only target.
 */
export const order = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('ice'), targets: z.array(endpoint).max(8), ...effort }),
  z.strictObject({
    kind: z.literal('punch'),
    targets: z.array(endpoint).max(8),
    ...effort,
    bindOn: z.enum(['answered', 'heard']).optional()
  }),
  z.strictObject({ kind: z.literal('splice'), target: endpoint })
])

export type Order = z.infer<typeof order>

/** What an order says of probing: targets, guesses, sockets, pace, and a budget. */
export type Effort = Omit<Extract<Order, { kind: 'punch' }>, 'kind'>

/** What sets the kinds of order apart, for whoever does not carry them out. */
export interface Nature {
  /** Undefined where nothing is searched for. */
  readonly effort: Effort | undefined
  /** The path leads through the gateway. */
  readonly isRelayed: boolean
  /** The passive side hands its socket over at once: its first ICE check is the punch. */
  readonly isBlind: boolean
}

/** The one place that asks for the kind of an order, besides the loop that carries it out. */
export function natureOf(given: Order): Nature {
  switch (given.kind) {
    case 'ice':
      return { effort: given, isRelayed: false, isBlind: true }
    case 'punch':
      return { effort: given, isRelayed: false, isBlind: false }
    case 'splice':
      return { effort: undefined, isRelayed: true, isBlind: false }
  }
}

export type Handover = z.infer<typeof handover>

/** Throws `bad-message` unless a peer could read this order. */
export const checkOrder = (given: unknown): Order => checked(order, given)
