// Every message between a peer and the gateway, as a type, and the one parser both sides use. JSON over WebSocket.
//
//   peer                                   gateway
//    | <-- challenge (nonce) ---------------- |   a peer proves its certificate's key by signing the nonce
//    | --- hello ----------------------------> |
//    | <-- welcome (id, key, endpoints) ------ |   or refused
//    | --- warm (socket n, port) ------------> |   beside it STUN over UDP: the gateway learns the socket's mappings
//    | --- connect (to) ---------------------> |
//    | <-- session --------------------------- | --> session
//    | <-- sample, fresh --> ----------------- |                         where the next mapping must be predicted
//    | <-- order ----------------------------- | --> order               to both peers at the same moment
//    | --- progress, opened | failed --------> |
//    | <-- strategy, path | over ------------- | --> path | over
//
// `v` stands in the first message of each side; a later version adds message types and optional fields, so an unknown
// type is an error only within one version.

import { z } from 'zod'
import { PosternError } from '../errors.ts'
import { nameShape } from './name.ts'
import { printable } from './text.ts'

/** Version of these messages. A gateway refuses another one with a sentence that says which it speaks. */
export const PROTOCOL = 1

/** Longest message a gateway accepts, in bytes: a hello with a certificate takes 2 kB. */
export const MESSAGE_BYTES = 16384

/** Longest round trip to the gateway that is believed, in milliseconds: others wait for a multiple of it. */
const RTT_MS = 3000

/** Longest reason that a session is over with: what became of each strategy, in one line. */
export const OVER_CHARACTERS = 2000

/** Most sockets and most guesses or probes that an order may ask of a peer, whatever the gateway's configuration says. */
export const MOST_SOCKETS = 1024
export const GUESSES = 8192

/** Datagrams of an order's budget that the walk over its guesses leaves, for answers; of a small budget a quarter. */
export const ANSWERS = 16

/** Sources of the far side's datagrams that a report names. */
export const HEARD = 8

/** Longest message a peer accepts from its gateway, in bytes: an order with all guesses takes 50 kB. */
export const ORDER_BYTES = 65_536

/** How often peers show their mappings again, in milliseconds: NATs forget silent UDP mappings after 30 s and more. */
export const REFRESH_MS = 15_000

/** The path of the gateway's HTTP side that peers join at. */
export const JOIN_PATH = '/join'

/** The code a side fails with when the socket an order names is gone: the order before was called off too late. */
export const STALE_SOCKET = 'stale-socket'

/** The code a side fails with when an order was called off before anything came of it: what it heard is worth knowing. */
export const CALLED_OFF = 'called-off'

const short = z.string().max(256)
const address = z.union([z.ipv4(), z.ipv6()])
const subnet = z.union([
  z.strictObject({ address: z.ipv4(), prefix: z.int().min(0).max(32) }),
  z.strictObject({ address: z.ipv6(), prefix: z.int().min(0).max(128) })
])
const endpoint = z.strictObject({ address, port: z.int().min(1).max(65535) })
const session = z.string().regex(/^[0-9a-f]{16}$/)
const trace = z.string().regex(/^[0-9a-f]{32}$/)
const plan = z.int().nonnegative()
const secret = z.base64().max(64)
const ms = z.number().min(0).max(86_400_000)
const epochMs = z.number().min(0).max(8.64e15)

/** For people to read: they stand on the terminals of others and in traces. */
const words = (most: number) =>
  z
    .string()
    .max(most)
    .transform(text => printable(text, most))
const word = words(256)
const sentence = words(512)

const name = z.string().regex(nameShape)
const fingerprint = z.string().regex(/^[0-9A-F]{2}(?::[0-9A-F]{2}){31}$/)

/** RFC 8445 section 5.3 has the lengths, RFC 8839 section 5.4 the characters: these go into a description line by line. */
const iceChars = (least: number, most: number) => z.string().regex(new RegExp(`^[A-Za-z0-9+/]{${least},${most}}$`))
const ice = z.strictObject({ ufrag: iceChars(4, 64), pwd: iceChars(22, 128) })

/** What node-datachannel needs to know before the first packet, so that descriptions cost no round trip. */
const handover = z.strictObject({ role: z.enum(['active', 'passive']), local: ice, remote: ice, fingerprint })

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
const order = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('ice'), targets: z.array(endpoint).max(8), ...effort }),
  z.strictObject({
    kind: z.literal('punch'),
    targets: z.array(endpoint).max(8),
    ...effort,
    bindOn: z.enum(['answered', 'heard']).optional()
  }),
  z.strictObject({ kind: z.literal('splice'), target: endpoint })
])

/** First and last, in milliseconds since the order arrived. */
const span = z.tuple([ms, ms])

/**
 * Milliseconds since the order arrived, by name of the step; datagram counts by name. `flows` counts pairs of an own
 * socket and a far endpoint that was sent to: so many mappings an address-and-port-dependent NAT has made for it.
 */
const report = z.strictObject({
  /** When the order arrived, in milliseconds since the epoch on the peer's clock (see `clock`). */
  startedMs: epochMs.optional(),
  steps: z.array(z.tuple([word, ms])).max(32),
  sent: z.int().nonnegative(),
  received: z.int().nonnegative(),
  flows: z.int().nonnegative().optional(),
  /** When datagrams of the search were sent and received; left out where there was none. */
  sentMs: span.optional(),
  receivedMs: span.optional(),
  /** Sources of the far side's datagrams, the first ones heard. */
  heard: z.array(endpoint).max(HEARD).optional()
})

/** Who or what stood in the way. `path` is the network between the two sides, `none` where nothing did. */
const blamed = z.enum(['caller', 'callee', 'both', 'gateway', 'path', 'none'])

/** Why a connection was relayed or failed: see gateway/trace/verdict.ts, which has the codes. */
const verdict = z.strictObject({
  code: word,
  sentence,
  side: blamed,
  /** What was recorded that shows it, one fact a line. */
  evidence: z.array(sentence).max(8),
  /** What to do about it. */
  advice: sentence,
  /** Codes of what else stood in the way, weightiest first. */
  also: z.array(word).max(8)
})

const outcome = z.enum(['path', 'passed', 'failed'])

const behaviour = z.enum(['endpoint-independent', 'address-dependent', 'address-and-port-dependent', 'unknown'])
const probability = z.number().min(0).max(1)
const range = z.strictObject({ low: z.int(), high: z.int() })

/** A network as the gateway judges it, and what its strategies can do from there. */
const natReport = z.strictObject({
  mapping: behaviour,
  filtering: behaviour,
  translated: z.boolean(),
  addresses: z.array(address).max(64),
  /** False where the gateway has one address: an address-dependent mapping cannot be told apart then. */
  certain: z.boolean(),
  samples: z.array(z.strictObject({ via: endpoint, mapped: endpoint, socket: z.int() })).max(64),
  allocation: z
    .strictObject({
      kind: z.enum(['kept', 'stepping', 'block', 'random']),
      confidence: probability,
      evidence: sentence,
      step: z.number().optional(),
      per: word.optional(),
      driftPerSecond: z.number().optional(),
      block: range.optional(),
      range: range.optional()
    })
    .optional(),
  rttMs: ms,
  /** For each kind of network on the other side: which strategy would be tried first, and what all of them are worth. */
  prospects: z
    .array(
      z.strictObject({
        peer: word,
        probability,
        tries: z.array(z.strictObject({ by: word, probability, why: sentence })).max(32),
        passes: z.array(z.strictObject({ by: word, reason: sentence })).max(32)
      })
    )
    .max(16)
})

const fromPeer = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('hello'),
    v: z.int(),
    name: word.optional(),
    token: short,
    certificate: z.string().max(8192),
    signature: z.base64().max(256),
    accepts: z.boolean(),
    // The address the peer reached the gateway at. A gateway in a container does not know it.
    reached: address.optional()
  }),
  z.strictObject({
    type: z.literal('warm'),
    socket: z.int().nonnegative(),
    port: z.int().min(1).max(65535),
    addresses: z.array(subnet).max(16),
    rttMs: ms.transform(claimedMs => Math.min(claimedMs, RTT_MS))
  }),
  z.strictObject({ type: z.literal('cold'), socket: z.int().nonnegative(), reason: word }),
  z.strictObject({
    type: z.literal('filtering'),
    port: z.boolean(),
    address: z.boolean().optional(),
    /** The NAT gave a flow another port because a datagram nobody asked for had come from that flow's far end before. */
    remaps: z.boolean().optional()
  }),
  // The gateway's clock less the peer's, from `ping` and `pong`: right within half their round trip.
  z.strictObject({
    type: z.literal('clock'),
    offsetMs: z.number().min(-8.64e15).max(8.64e15),
    uncertaintyMs: ms
  }),
  z.strictObject({
    type: z.literal('connect'),
    request: z.int().nonnegative(),
    to: word,
    fingerprint: word.optional(),
    traceparent: short.optional(),
    /** When the caller asked for it, in milliseconds since the epoch on its own clock. */
    atMs: epochMs.optional()
  }),
  // The answer to `sample`, sent beside the requests that show the socket's mappings.
  z.strictObject({
    type: z.literal('fresh'),
    session,
    round: z.int().nonnegative(),
    socket: z.int().nonnegative(),
    port: z.int().min(1).max(65535)
  }),
  z.strictObject({ type: z.literal('progress'), session, plan, step: word }),
  z.strictObject({ type: z.literal('opened'), session, plan, local: endpoint, remote: endpoint, report }),
  z.strictObject({ type: z.literal('failed'), session, plan, code: word, reason: sentence, report }),
  z.strictObject({ type: z.literal('leave'), session, code: word, reason: sentence }),
  // What is my network like? These sockets showed their mappings one after the other, the last one just now.
  z.strictObject({
    type: z.literal('nat'),
    request: z.int().nonnegative(),
    sockets: z
      .array(z.strictObject({ socket: z.int().nonnegative(), port: z.int().min(1).max(65535) }))
      .min(1)
      .max(16),
    addresses: z.array(subnet).max(16),
    rttMs: ms.transform(claimedMs => Math.min(claimedMs, RTT_MS))
  }),
  z.strictObject({ type: z.literal('ping'), at: z.number() })
])

const fromGateway = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('challenge'), v: z.int(), nonce: secret }),
  z.strictObject({
    type: z.literal('welcome'),
    peer: z.string(),
    name,
    key: secret,
    endpoints: z.array(endpoint).min(1).max(4),
    refreshMs: ms
  }),
  z.strictObject({
    type: z.literal('refused'),
    code: word,
    reason: words(1024),
    request: z.int().optional(),
    trace: trace.optional(),
    verdict: verdict.optional()
  }),
  z.strictObject({
    type: z.literal('session'),
    session,
    request: z.int().optional(),
    role: z.enum(['caller', 'callee']),
    peer: z.strictObject({ name, fingerprint, named: z.boolean() }),
    key: secret,
    probeKey: secret,
    trace
  }),
  // Bind a socket that was never used, and show its mappings at every endpoint at once: the next order is for it.
  z.strictObject({ type: z.literal('sample'), session, round: z.int().nonnegative() }),
  z.strictObject({
    type: z.literal('order'),
    session,
    plan,
    by: word,
    socket: z.int(),
    order,
    handover,
    // How long this side listens before its first datagram, so that the other side has opened its NAT before it comes.
    afterMs: ms,
    // How long the active side of an `ice` order listens for that check before it starts its own; left out: until it comes.
    patienceMs: ms.optional(),
    waitMs: ms,
    handoverMs: ms
  }),
  z.strictObject({ type: z.literal('cancel'), session, plan }),
  z.strictObject({ type: z.literal('strategy'), session, name: word, outcome, reason: sentence, ms }),
  z.strictObject({
    type: z.literal('path'),
    session,
    by: word,
    kind: z.enum(['direct', 'relay']),
    bitsPerSecond: z.number().optional(),
    verdict: verdict.optional()
  }),
  z.strictObject({
    type: z.literal('over'),
    session,
    code: word,
    reason: words(OVER_CHARACTERS),
    trace,
    verdict: verdict.optional()
  }),
  z.strictObject({ type: z.literal('nat'), request: z.int(), report: natReport }),
  z.strictObject({ type: z.literal('pong'), at: z.number(), timeMs: z.number() })
])

export type FromPeer = z.infer<typeof fromPeer>
export type FromGateway = z.infer<typeof fromGateway>
export type Order = z.infer<typeof order>
export type Handover = z.infer<typeof handover>
export type Report = z.infer<typeof report>
export type NatReport = z.infer<typeof natReport>
export type Verdict = z.infer<typeof verdict>
export type Blamed = z.infer<typeof blamed>
export type Outcome = z.infer<typeof outcome>
export type Address = { address: string; prefix: number }
/** The member of a union of messages with this `type`. */
export type Message<Union extends { type: string }, Type extends Union['type']> = Extract<Union, { type: Type }>

/** A peer's message out of the text it sent. Throws `bad-message` with the first thing that is wrong. */
export const parseFromPeer = (text: string): FromPeer => parse(fromPeer, text)

/** A gateway's message out of the text it sent. Throws `bad-message` with the first thing that is wrong. */
export const parseFromGateway = (text: string): FromGateway => parse(fromGateway, text)

/** Throws `bad-message` unless a peer could read this order. */
export const checkOrder = (given: unknown): Order => checked(order, given)

/** What a `hello` signs: the nonce, and words that keep the signature from meaning anything elsewhere. */
export const helloProof = (nonce: string): Buffer => Buffer.from(`postern hello ${PROTOCOL} ${nonce}`)

function parse<T>(schema: z.ZodType<T>, text: string): T {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new PosternError('bad-message', 'a message is not JSON', { cause })
  }
  return checked(schema, json)
}

function checked<T>(schema: z.ZodType<T>, given: unknown): T {
  const result = schema.safeParse(given)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new PosternError(
    'bad-message',
    printable(`a message is malformed at ${issue?.path.join('.') || 'its top'}: ${issue?.message}`)
  )
}
