// An order tells a peer what to do with one of its sockets. With it comes what node-datachannel must know for the handover
// that follows. An order is data, a union on `kind`: one loop in the peer obeys it, whatever plugin made it.

import { z } from 'zod'
import type { Word } from '../vocabulary.ts'
import { LINK_HOSTS, linkHost } from './agent.ts'
import { streamDoor } from './doors/door.ts'
import type { Endpoint } from './endpoint.ts'
import { address, checked, endpoint, fingerprint } from './shapes.ts'

/**
 * The most sockets, and the most guesses or probes, that an order may ask of a peer, whatever the gateway's configuration
 * says.
 */
export const MOST_SOCKETS = 1024
export const GUESSES = 8192

/** The fastest that an order may ask for, in datagrams of a side per second. */
export const MOST_PER_SECOND = 100_000

/** The most endpoints that a peer is told to punch to. */
export const TARGETS = 8

/** The most candidates that an ICE agent is given: the quickest of browsers checks so many in four seconds. */
export const CANDIDATES = 192

/** The walk over an order's guesses leaves this many datagrams of the budget for answers, or a quarter of a small budget. */
export const ANSWERS = 16

/** The socket of an order that needs none that the gateway knows. */
export const NO_SOCKET = -1

/**
 * A side fails with this code when all that an order tells it to send to is on its own interfaces, and no other peer is on
 * this host.
 */
export const OWN_ADDRESS = 'own-address' satisfies Word

/**
 * RFC 8445 section 5.3 has the lengths, and RFC 8839 section 5.4 the characters. They are checked because these values become
 * lines of a session description.
 */
const iceChars = (least: number, most: number) => z.string().regex(new RegExp(`^[A-Za-z0-9+/]{${least},${most}}$`))
export const ice = z.strictObject({ ufrag: iceChars(4, 64), pwd: iceChars(22, 128) })

/**
 * What node-datachannel must know before the first packet. It comes with the order, so that session descriptions cost no
 * round trip.
 */
export const handover = z.strictObject({ role: z.enum(['active', 'passive']), local: ice, remote: ice, fingerprint })

/** The place where the other side's mapping may be: ports of one address, tried in this order. */
const guess = z.strictObject({ address, ports: z.array(z.int().min(1).max(65535)).max(GUESSES) })

/** How a NAT's next ports are probed: with how many sockets, how fast, and with how many datagrams. */
const effort = {
  /** Tried one after the other, after the targets. */
  guesses: z.array(guess).max(GUESSES).optional(),
  /** How many sockets send to every target and guess, including the one that the order is for; if left out, only that one. */
  sockets: z.int().min(1).max(MOST_SOCKETS).optional(),
  /** The most datagrams per second; if left out, all leave at once, again and again by the schedule of the punch loop. */
  perSecond: z.number().positive().max(MOST_PER_SECOND).optional(),
  /** The most datagrams until the path is found, including answers and repetitions. If left out, it is `GUESSES`. */
  probes: z.int().positive().max(GUESSES).optional()
}

/** Where the far side's ICE agent may be found on the link of both. */
const hosts = z.array(linkHost).max(LINK_HOSTS).optional()

/**
 * What a peer does with its socket. `ice`: the passive side hands its socket over at once, and its first ICE check is the
 * punch. `punch`: both sides send probes. The passive side hands over when one of its own probes was answered, or with
 * `bindOn: heard` as soon as it heard a probe. With `bindOn: checked` the far side speaks ICE alone: ICE checks stand in for probes, and
 * it hands over as soon as one of the far side's was heard, or one of its own was answered. A side that speaks ICE alone obeys `ice`
 * by as many connections as the order has sockets, each of which checks all targets. `splice`: the side latches at the gateway's relay first, and then goes on as
 * for `punch`, with the gateway's endpoint as the only target; with `blind` it hands its socket over at once, because the other
 * side speaks ICE alone. A side that does so itself latches by its own ICE checks. With `doors` it does not try UDP, which is known
 * to be blocked, but these doors of the relay in their order; such an order needs no socket of the reserve (`NO_SOCKET`), unless the
 * side speaks ICE alone: then it is for the agent that was told in `cold`.
 */
export const order = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('ice'),
    targets: z.array(endpoint).max(CANDIDATES),
    hosts,
    ...effort
  }),
  z.strictObject({
    kind: z.literal('punch'),
    targets: z.array(endpoint).max(TARGETS),
    hosts,
    ...effort,
    bindOn: z.enum(['answered', 'heard', 'checked']).optional()
  }),
  z.strictObject({
    kind: z.literal('splice'),
    target: endpoint,
    doors: z.array(streamDoor).min(1).max(2).optional(),
    blind: z.literal(true).optional()
  })
])

export type Order = z.infer<typeof order>

/** The part of an order that is about probing: targets, guesses, sockets, pace, and a budget. */
export type Effort = Omit<Extract<Order, { kind: 'punch' }>, 'kind'>

/** The far side's endpoint, if it is known for sure; undefined for an order that searches for it, or for nothing. */
export function onlyTarget({ targets, guesses = [], sockets = 1 }: Effort = { targets: [] }): Endpoint | undefined {
  return targets.length === 1 && guesses.length === 0 && sockets === 1 ? targets[0] : undefined
}

/** How the kinds of order differ, for code that does not carry them out. */
export interface Nature {
  /** Undefined if the order searches for nothing. */
  readonly effort: Effort | undefined
  /** The path leads through the gateway. */
  readonly isRelayed: boolean
  /** The passive side hands its socket over at once: its first ICE check is the punch. */
  readonly isBlind: boolean
}

/** The only place that asks what the kind of an order means, besides the loop that carries it out. */
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

/**
 * The order without the targets and guesses that are not to be sent to.
 * @param mayAim is asked for each target, and without a port for all guesses at an address
 */
export function narrowed(given: Order, mayAim: (address: string, port?: number) => boolean): Order {
  if (given.kind === 'splice') return given
  const { targets, guesses } = given
  return {
    ...given,
    targets: targets.filter(({ address, port }) => mayAim(address, port)),
    ...(guesses ? { guesses: guesses.filter(({ address }) => mayAim(address)) } : {})
  }
}

/** How many endpoints, hosts of a link, or addresses with their guessed ports, an order names. */
export function aimsOf(given: Order): number {
  const { effort } = natureOf(given)
  const hosts = given.kind === 'splice' ? 0 : given.hosts?.length
  return (effort?.targets.length ?? 0) + (effort?.guesses?.length ?? 0) + (hosts ?? 0)
}

/** RFC 8445 section 5.3. */
export type IceCredentials = z.infer<typeof ice>

export type Handover = z.infer<typeof handover>

/** Milliseconds from a path to an open channel, besides the round trips: ICE, DTLS and SCTP may each lose one packet. */
const HANDOVER_MS = 4000

/** ICE, DTLS 1.2 and SCTP take about four round trips; twice that allows for a repetition. */
const HANDOVER_ROUND_TRIPS = 8

/**
 * How long it may take from a path to an open channel on both sides, in milliseconds.
 * @param rttMs the most that a round trip between the two takes: both round trips to the gateway together
 */
export const handoverMsOf = (rttMs: number): number => HANDOVER_MS + HANDOVER_ROUND_TRIPS * rttMs

/**
 * Milliseconds that ICE may take of it on a path that was heard, besides the round trips. There one check is enough. If it was
 * lost, the active side's checks make the agent repeat it after 200 and 400 ms, and it does so by itself after 500 ms. The rest is
 * for a busy host, on either side.
 */
const CHECK_MS = 800

/** Three round trips let the last of these repetitions be answered, where a round trip takes longer than was measured. */
const CHECK_ROUND_TRIPS = 3

/** How long the first check may go unanswered on a path that was heard, by the `handoverMs` of its order. */
export const checkMsOf = (handoverMs: number): number =>
  CHECK_MS + (CHECK_ROUND_TRIPS * Math.max(0, handoverMs - HANDOVER_MS)) / HANDOVER_ROUND_TRIPS

/** Throws `bad-message` unless a peer could read this order. */
export const checkOrder = (given: unknown): Order => checked(order, given)
