// Every message between a peer and the gateway, as a type, and the one parser both sides use. JSON over WebSocket.
//
//   peer                                   gateway
//    | <-- challenge (nonce) ---------------- |   a peer proves its certificate's key by signing the nonce and where it is
//    | --- hello ----------------------------> |
//    | <-- welcome (id, key, endpoints) ------ |   or refused
//    | --- warm (socket n, port) ------------> |   beside it STUN over UDP: the gateway learns the socket's mappings
//    | --- claim, proof; claimed <------------ |   where a port is forwarded to the peer (forward.ts)
//    | --- connect (to) ---------------------> |
//    | <-- session --------------------------- | --> session
//    | <-- trace (key) ----------------------- |                         what was recorded of it, for its caller to read
//    | <-- sample, fresh --> ----------------- |                         where the next mapping must be predicted
//    | <-- beacon | watch, beacon --> -------- |                         where sources are hidden: is it one link?
//    | <-- order ----------------------------- | --> order               to both peers at the same moment
//    | --- progress, opened | failed --------> |
//    | <-- strategy, path | over ------------- | --> path | over
//    | <-- limit ----------------------------- | --> limit               what the relay lets through now, whenever that changes
//    | --- connect (to, continues) ----------> |                         another path for a connection that stands
//    | --- news -----------------------------> | <-- news                what became of its path, for the trace (news.ts)
//    | --- room, admit … --------------------> | --> roster              rooms and their guests (room/messages.ts)
//
// The first message of each side has `v`. A later version adds message types and optional fields, so an unknown type is an
// error only within one version.

import { z } from 'zod'
import { blamed, type Verdict } from '../verdict.ts'
import { agentPace, LINK_HOSTS, linkHost } from './agent.ts'
import { streamDoor } from './doors/door.ts'
import { forwardOrigin, routerAnswers } from './forward.ts'
import { otherVersion, PROTOCOL } from './identity/proof.ts'
import { place, publicKey, vouch } from './identity/vouch.ts'
import { natReport } from './nat-report.ts'
import { news, pathKinds } from './news.ts'
import { handover, ice, order } from './order.ts'
import { report } from './report.ts'
import { admit, entering, roomAsked, roomClosed, roomMade, roster, turnAway } from './room/messages.ts'
import {
  address,
  checked,
  endpoint,
  epochMs,
  fingerprint,
  jsonOf,
  memberId,
  ms,
  name,
  packetBytes,
  plan,
  port,
  rttMs,
  secret,
  sentence,
  session,
  short,
  subnet,
  trace,
  traceKey,
  word,
  words
} from './shapes.ts'

/** Longest message a gateway accepts, in bytes: a hello with a certificate takes 2 kB. */
export const MESSAGE_BYTES = 16384

/** The longest reason in an `over` message, in characters: what became of each strategy, in one line. */
export const OVER_CHARACTERS = 2000

/** Longest message a peer accepts from its gateway, in bytes: an order with all guesses takes 50 kB. */
export const ORDER_BYTES = 65_536

/**
 * The time after which peers show their mappings again, in milliseconds. NATs forget silent UDP mappings after 30 s or more.
 */
export const REFRESH_MS = 15_000

/** Why a connection was relayed or failed: see src/verdict.ts, which has the codes. */
const verdict = z.strictObject({
  code: word,
  sentence,
  side: z.enum(blamed),
  /** The recorded facts that show it, one fact a line. */
  evidence: z.array(sentence).max(8).readonly(),
  /** What to do about it. */
  advice: sentence,
  /** Codes of what else stood in the way; the weightiest comes first. */
  also: z.array(word).max(8).readonly()
}) satisfies z.ZodType<Verdict>

const outcome = z.enum(['path', 'passed', 'failed'])

/** Asks for another path of a connection that the peer holds already. */
const continues = z.strictObject({
  /** Of the request that made the connection. */
  session,
  /** The far side, whatever it is called now, and also where it has no name to call it by. */
  peer: memberId,
  /** `relay`: the last resort alone, and at once. `direct`: everything but the last resort, in the background. */
  only: z.enum(['relay', 'direct']),
  /** In packets of at most so many bytes, since larger ones did not pass there. Both sides wait for that path. */
  mtu: packetBytes.optional()
})

const fromPeer = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('hello'),
    v: z.int(),
    name: word.optional(),
    /** The join token. A guest of a room has `room` instead, and no name. */
    token: short.optional(),
    room: entering.optional(),
    /** Who the peer is: its certificate in PEM, or `key`. */
    certificate: z.string().max(8192).optional(),
    /** Who the peer is where its key cannot make certificates, as a browser's: SPKI of a P-256 key (vouch.ts). */
    key: publicKey.optional(),
    /** It has no raw sockets, and speaks ICE alone (RFC 8445), by an agent like this: a browser. */
    iceOnly: agentPace.optional(),
    /** Where the peer dialled the gateway (place.ts). */
    place,
    /** The fingerprint of the certificate that its DTLS connections have. */
    dtls: fingerprint,
    /** Of `helloProof`, by the key of the certificate. */
    signature: z.base64().max(256),
    accepts: z.boolean(),
    // The gateway's address as the peer knows it: where it reached the gateway, or the IPv4 address of the gateway's name where
    // it came by IPv6. A gateway in a container does not know it.
    reached: address.optional(),
    /** It can send and hear beacons. */
    beacons: z.boolean().optional(),
    /** The largest IP packet that its connections may send, in bytes; if left out, as large as they are at all. */
    mtu: packetBytes.optional(),
    /**
     * It shows its address to no other peer, so the relay alone leads to it. Said only where it is so: a gateway that does not know the
     * field refuses the hello, and so promises nothing that it does not keep.
     */
    relayOnly: z.boolean().optional(),
    /** The id that it had before. A peer that joins again keeps it, where the gateway says that it can do so (`rejoin`). */
    peer: word.optional()
  }),
  z.strictObject({
    type: z.literal('warm'),
    socket: z.int().nonnegative(),
    port,
    addresses: z.array(subnet).max(16),
    rttMs,
    /** The credentials that its ICE agent has chosen, where nobody else can choose them. */
    ice: ice.optional(),
    /** Where that agent is found on its link. */
    hosts: z.array(linkHost).max(LINK_HOSTS).optional()
  }),
  z.strictObject({
    type: z.literal('cold'),
    socket: z.int().nonnegative(),
    reason: word,
    /**
     * `wrong-family`, or `dead-port`: other ports of this host are answered, and it goes on with one of them. If left out,
     * nothing is known but that nothing came back.
     */
    code: word.optional(),
    /** The local port that is dead. */
    port: z.int().min(1).max(65535).optional(),
    /** Doors of the relay that answer it, where UDP does not: said to a gateway that has doors. */
    doors: z.array(streamDoor).min(1).max(2).optional(),
    /** Round trip to the gateway over the first of them. */
    rttMs: rttMs.optional(),
    /** What the ICE agent of this socket has chosen, which goes through a door without UDP: said with `doors`, and `ice-tcp` alone. */
    ice: ice.optional()
  }),
  z.strictObject({
    type: z.literal('filtering'),
    port: z.boolean(),
    address: z.boolean().optional(),
    /** The NAT gave a flow another port, because an unsolicited datagram had come from that flow's far end before. */
    remaps: z.boolean().optional()
  }),
  // The gateway's clock minus the peer's, from `ping` and `pong`. It is right within half their round trip.
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
    atMs: epochMs.optional(),
    continues: continues.optional()
  }),
  news,
  // The answer to `sample`, sent along with the Binding requests that show the socket's mappings.
  z.strictObject({
    type: z.literal('fresh'),
    session,
    round: z.int().nonnegative(),
    socket: z.int().nonnegative(),
    port,
    ice: ice.optional()
  }),
  // What it heard on one of its links.
  z.strictObject({ type: z.literal('beacon'), session, token: secret }),
  z.strictObject({ type: z.literal('progress'), session, plan, step: word }),
  z.strictObject({ type: z.literal('opened'), session, plan, local: endpoint, remote: endpoint, report }),
  z.strictObject({ type: z.literal('failed'), session, plan, code: word, reason: sentence, report }),
  z.strictObject({ type: z.literal('leave'), session, code: word, reason: sentence }),
  // Asks what the peer's network is like. These sockets showed their mappings one after the other, the last one just now.
  z.strictObject({
    type: z.literal('nat'),
    request: z.int().nonnegative(),
    sockets: z
      .array(z.strictObject({ socket: z.int().nonnegative(), port }))
      .min(1)
      .max(16),
    addresses: z.array(subnet).max(16),
    rttMs
  }),
  z.strictObject({ type: z.literal('ping'), at: z.number() }),
  // Datagrams to this endpoint are led to the socket with this local port, as the peer says.
  z.strictObject({ type: z.literal('claim'), socket: z.int().nonnegative(), port, endpoint, by: forwardOrigin }),
  z.strictObject({ type: z.literal('proof'), port, nonce: secret }),
  // The peer has asked its router for a port. `outside` is the router's own outside address, where it told one.
  z.strictObject({
    type: z.literal('router'),
    answer: z.enum(routerAnswers),
    outside: address.optional()
  }),
  // The endpoint leads there no more.
  z.strictObject({ type: z.literal('unclaim'), port }),
  roomAsked,
  roomClosed,
  admit,
  turnAway
])

const fromGateway = z.discriminatedUnion('type', [
  z.object({ type: z.literal('challenge'), v: z.int(), nonce: secret }),
  z.strictObject({
    type: z.literal('welcome'),
    peer: memberId,
    name,
    key: secret,
    endpoints: z.array(endpoint).min(1).max(4),
    refreshMs: ms
  }),
  // Follows the welcome. What this gateway can do beyond the first release, a word each: `proofs` takes claims, `rejoin` takes
  // the id that a peer had before, and a second `warm` for the same socket, `doors` (door.ts) takes datagrams over TCP and WebSocket
  // too, `ice-tcp` those of an ICE agent, `tcp` are the ports of its own for that, at the address of the first endpoint.
  z.object({
    type: z.literal('features'),
    features: z.array(word).max(32),
    tcp: z.array(port).max(4).optional()
  }),
  // The gateway stops in so many milliseconds, and takes nothing new until then: what is relayed should find another path.
  z.strictObject({ type: z.literal('draining'), ms }),
  // What came of a claim; `retryMs` says after how long it may be made again.
  z.strictObject({
    type: z.literal('claimed'),
    port,
    endpoint,
    outcome: z.enum(['proved', 'unheard', 'refused', 'later']),
    reason: sentence,
    retryMs: ms
  }),
  z.strictObject({
    type: z.literal('refused'),
    code: word,
    reason: words(1024),
    request: z.int().optional(),
    /** After how long the peer may ask again; left out: asking again does not help, or nobody knows when. */
    retryMs: ms.optional(),
    trace: trace.optional(),
    verdict: verdict.optional()
  }),
  z.strictObject({
    type: z.literal('session'),
    session,
    request: z.int().optional(),
    role: z.enum(['caller', 'callee']),
    peer: z.strictObject({ id: memberId, name, fingerprint, named: z.boolean(), vouch: vouch.optional() }),
    key: secret,
    probeKey: secret,
    trace,
    /** The session that made the connection that this one continues: its path is for that connection. */
    continues: session.optional()
  }),
  // With this key a caller may read what is recorded of its request, for an hour. It comes before the request is over, or
  // refused. A peer of the first release ignores it.
  z.strictObject({ type: z.literal('trace'), request: z.int().nonnegative(), trace, key: traceKey }),
  // Tells a peer to bind a socket that was never used, and to show its mappings at every endpoint at once. The next order is
  // for that socket.
  z.strictObject({ type: z.literal('sample'), session, round: z.int().nonnegative() }),
  // Tells a peer to send a token by multicast, once on each of its links, after so many milliseconds (peer/link/beacon.ts).
  z.strictObject({ type: z.literal('beacon'), session, port, afterMs: ms, token: secret }),
  // Tells the other one to listen on its links for so many milliseconds. The digest is SHA-256 of the token's bytes.
  z.strictObject({ type: z.literal('watch'), session, port, ms, digest: secret }),
  z.strictObject({
    type: z.literal('order'),
    session,
    plan,
    by: word,
    socket: z.int(),
    order,
    handover,
    // How long this side listens before its first datagram, so that the other side has opened its NAT before that arrives.
    afterMs: ms,
    // How long the active side of an `ice` order listens for the passive side's ICE check before it starts its own checks; if
    // left out, until the check comes.
    patienceMs: ms.optional(),
    waitMs: ms,
    handoverMs: ms,
    /** The largest IP packet that either side sends on the path, in bytes; if left out, 1,280. */
    mtu: packetBytes.optional()
  }),
  z.strictObject({ type: z.literal('cancel'), session, plan }),
  z.strictObject({ type: z.literal('strategy'), session, name: word, outcome, reason: sentence, ms }),
  z.strictObject({
    type: z.literal('path'),
    session,
    by: word,
    kind: z.enum(pathKinds),
    bitsPerSecond: z.number().optional(),
    verdict: verdict.optional()
  }),
  // What the relay lets through on a session's path now, in bits of UDP payload per second: of what this side sends, and of what comes
  // to it. Said to both, soon after the path and whenever it has changed. A peer of the first release ignores it.
  z.object({
    type: z.literal('limit'),
    session,
    bitsPerSecond: z.number().nonnegative(),
    incomingBitsPerSecond: z.number().nonnegative()
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
  // Another computer has joined with the same certificate under this name, from there, and answers as this one does.
  z.strictObject({ type: z.literal('twin'), name, from: word }),
  roomMade,
  roster,
  z.strictObject({ type: z.literal('pong'), at: z.number(), timeMs: z.number() })
])

export type FromPeer = z.infer<typeof fromPeer>
export type FromGateway = z.infer<typeof fromGateway>
export type Continues = z.infer<typeof continues>
export type Outcome = z.infer<typeof outcome>
/** The member of a union of messages with this `type`. */
export type Message<Union extends { type: string }, Type extends Union['type']> = Extract<Union, { type: Type }>

/** Parses the text of a peer's message. Throws `bad-message` with the first thing that is wrong. */
export function parseFromPeer(text: string): FromPeer {
  const json = jsonOf(text)
  const v = versionOf(json)
  if (v !== PROTOCOL) throw otherVersion('peer', v)
  return checked(fromPeer, json, 'many')
}

/** Parses the text of a gateway's message. Throws `bad-message` with the first thing that is wrong. */
export const parseFromGateway = (text: string): FromGateway => checked(fromGateway, jsonOf(text), 'few')

/** The version that a hello says, whatever else is in it. */
function versionOf(json: unknown): number {
  const { type, v } = Object(json) as { type?: unknown; v?: unknown }
  return type === 'hello' && typeof v === 'number' && Number.isInteger(v) ? v : PROTOCOL
}
