// From a hello to a joined peer, or to the error that refuses it.

import { randomBytes, X509Certificate } from 'node:crypto'
import { PosternError } from '../../errors.ts'
import { DOORS } from '../../wire/doors/door.ts'
import { ICE_TCP } from '../../wire/doors/ice-tcp.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import { fingerprintOf, verifySignature } from '../../wire/identity/certificate.ts'
import { helloProof } from '../../wire/identity/proof.ts'
import { holds, keyFingerprint, type Vouch } from '../../wire/identity/vouch.ts'
import { checkName } from '../../wire/name.ts'
import { type FromPeer, type Message, REFRESH_MS } from '../../wire/signal.ts'
import type { Directory } from '../peers/directory.ts'
import { Full } from '../peers/full.ts'
import { GUESSING_MS } from '../peers/guarded-token.ts'
import { Joined } from '../peers/joined.ts'
import type { IceEndpoints } from '../peers/observer.ts'
import type { Room } from '../rooms/room.ts'
import { networkOf } from '../shares/network.ts'
import type { PeerSocket } from './peer-socket.ts'
import type { Desk, Door, Newcomer, Reception } from './reception.ts'
import { NO_ROOMS } from './rooms-desk.ts'

/**
 * Joins that one certificate may have at once: jobs that run side by side on one computer, and the dead links of a peer whose
 * network changed, for as long as they last. One more is told to wait, since such jobs end.
 */
const JOINS_PER_CERTIFICATE = 32

/** A peer's hello, and how it came. */
export interface Hello {
  readonly message: Message<FromPeer, 'hello'>
  /** The nonce of the challenge that it signs. */
  readonly nonce: string
  /** When its WebSocket was opened, in milliseconds since the epoch. */
  readonly cameMs: number
  readonly newcomer: Newcomer
}

const noAddress =
  'the gateway was reached by IPv6 and has no IPv4 address to tell, and UDP is IPv4 alone; its operator can name one in listen.udp.public'

/**
 * Checks who the peer is and admits it: by the token, or as the guest of a room. Throws the error that refuses it, or that it has gone
 * meanwhile.
 */
export async function join(
  { message: hello, nonce, cameMs, newcomer }: Hello,
  link: PeerSocket,
  { door, desk, drain, counters, log }: Reception
): Promise<Joined> {
  const { directory, names, observer, places } = door
  checkPass(hello, newcomer, door)
  drain.check()
  const proved = prove(hello, nonce)
  const { fingerprint, dtls, vouch } = proved
  places.check(hello.place, newcomer)
  const network = networkOf(newcomer.from)
  // Its older link gives its seat back first.
  const mayKeep = () => isKept(hello.peer, fingerprint, directory, desk)
  mayKeep()
  const room = hello.room && knocked(hello.room, { hello, nonce, proved, newcomer }, door)
  const account = room?.maker ?? { network, certificate: fingerprint }
  takeSeat(account, link, door)
  const name = hello.name === undefined ? undefined : await names.claim(checkName(hello.name), fingerprint, network)
  link.gone.throwIfAborted()
  // Nobody waits from here on, so nobody else takes that id.
  const id = mayKeep() ? (hello.peer as string) : randomBytes(6).toString('hex')
  const reached = hello.reached ?? newcomer.reached.address
  const told: IceEndpoints = hello.iceOnly ? observer.iceEndpoints(reached) : { endpoints: observer.endpoints(reached) }
  const { endpoints, relay } = told
  if (endpoints.length === 0) throw new PosternError('wrong-family', noAddress)
  const peer = new Joined(
    {
      id,
      name: name ?? `guest-${id}`,
      named: name !== undefined,
      accepts: hello.accepts && name !== undefined,
      beacons: hello.beacons ?? false,
      ...(hello.mtu === undefined ? {} : { mtu: hello.mtu }),
      relayOnly: hello.relayOnly ?? false,
      ...{ fingerprint, dtls, ...(vouch ? { vouch } : {}) },
      ...(hello.iceOnly ? { iceOnly: hello.iceOnly } : {}),
      ...(relay ? { relay } : {}),
      ...(room ? { room } : {}),
      account,
      key: randomBytes(20),
      cameMs,
      endpoints: endpoints as [Endpoint, ...Endpoint[]],
      reachedAt: reached
    },
    link
  )
  observer.admit(id, peer.key)
  peer.gone.addEventListener('abort', () => observer.dismiss(id))
  directory.add(peer)
  if (peer.accepts) desk.twins.joined(peer, newcomer.from)
  newcomer.prove()
  counters.joined++
  log.info({ peer: peer.name, id, ...(room ? { room: room.name } : {}) }, 'joined')
  peer.send({
    type: 'welcome',
    peer: id,
    name: peer.name,
    key: peer.key.toString('base64'),
    endpoints,
    refreshMs: REFRESH_MS
  })
  // A peer of the first release ignores a message that it does not know, but not a field.
  const { relayPorts: tcp } = door
  peer.send({ type: 'features', features: featuresFor(peer), ...(tcp.length > 0 ? { tcp } : {}) })
  room?.enter(peer)
  return peer
}

/** A guest claims no endpoints. */
const featuresFor = ({ room }: Joined): string[] => [...(room ? [] : ['proofs']), 'rejoin', DOORS, ICE_TCP]

const ID = /^[0-9a-f]{12}$/

/** A session that stands knows its sides by their ids, and belongs to the certificates that it was made for. */
const isKept = (id: string | undefined, fingerprint: string, directory: Directory, desk: Desk): boolean =>
  id !== undefined && ID.test(id) && !desk.sessions.isOfAnother(id, fingerprint) && directory.giveAgain(id, fingerprint)

/** Either the token, which is looked at before anything else, or a room, whose proof is about what is proved first. */
function checkPass({ token, room, name }: Message<FromPeer, 'hello'>, newcomer: Newcomer, door: Door): void {
  if ((token === undefined) === (room === undefined))
    throw new PosternError('bad-message', 'a hello has either a token or a room')
  if (token !== undefined) return checkToken(token, newcomer, door)
  if (name !== undefined) throw new PosternError('bad-message', 'a guest of a room has no name of its own')
  if (!door.rooms) throw new PosternError('no-room', NO_ROOMS)
}

interface Entering {
  readonly hello: Message<FromPeer, 'hello'>
  readonly nonce: string
  readonly proved: Proved
  readonly newcomer: Newcomer
}

/** The room that it may enter, or wait for. Throws `no-room` or `room-full`. */
function knocked(
  { name: room, proof }: NonNullable<Message<FromPeer, 'hello'>['room']>,
  { hello: { place }, nonce, proved: { fingerprint, dtls }, newcomer: { from } }: Entering,
  { rooms }: Door
): Room | undefined {
  return rooms?.knocked({ room, proof, place, nonce, fingerprint, dtls, from })
}

function checkToken(given: string, { from }: Newcomer, { token }: Door): void {
  const found = token.check(given, from)
  if (found === 'wrong') throw new PosternError('bad-token', 'the join token is wrong')
  if (found === 'limited')
    throw new Full('wrongTokens', 'too many wrong join tokens came from this network; wait a minute', {
      code: 'bad-token',
      retryMs: Math.ceil(GUESSING_MS * (1 + Math.random() / 2))
    })
}

/** Takes a seat among the peers until the link has gone. Throws `relay-full`, and says when to come again. */
function takeSeat(holder: { network: string; certificate: string }, link: PeerSocket, { seats, peers }: Door): void {
  const retry = { retryMs: seats.retryMs() }
  if (seats.held('certificate', holder.certificate) >= JOINS_PER_CERTIFICATE)
    throw new Full('joinsPerCertificate', `this certificate is joined ${JOINS_PER_CERTIFICATE} times already`, retry)
  if (!seats.take(holder)) throw new Full('peers', fullness(seats.used, peers), retry)
  link.gone.addEventListener('abort', () => seats.giveBack(holder))
}

const fullness = (joined: number, peers: number): string =>
  joined < peers
    ? `the gateway keeps its last seats for other networks: ${joined} of ${peers} peers are joined`
    : `the gateway is full: ${peers} peers are joined`

/** Who a peer is, and by which certificate its connections know it. */
interface Proved {
  readonly fingerprint: string
  readonly dtls: string
  /** Left out: its certificate is both. */
  readonly vouch?: Vouch
}

/** A fingerprint is public: only the signature over our nonce shows that the certificate, or the key, is the peer's own. */
function prove(hello: Message<FromPeer, 'hello'>, nonce: string): Proved {
  const { certificate, key, place, dtls, signature } = hello
  if ((certificate === undefined) === (key === undefined))
    throw new PosternError('bad-message', 'a hello has either a certificate or a key')
  if (key !== undefined) return proveKey({ key, place, nonce, dtls, signature })
  return { dtls, fingerprint: proveCertificate(certificate ?? '', hello, nonce) }
}

function proveKey(vouch: Vouch): Proved {
  if (!holds(vouch)) throw new PosternError('fingerprint-mismatch', 'the signature was not made with the key')
  return { fingerprint: keyFingerprint(vouch.key), dtls: vouch.dtls, vouch }
}

function proveCertificate(
  certificate: string,
  { signature, place, dtls }: Message<FromPeer, 'hello'>,
  nonce: string
): string {
  try {
    new X509Certificate(certificate)
  } catch (cause) {
    throw new PosternError('bad-message', 'the certificate cannot be read', { cause })
  }
  if (!verifySignature(certificate, helloProof({ place, nonce, dtls }), Buffer.from(signature, 'base64')))
    throw new PosternError('fingerprint-mismatch', 'the signature was not made with the key of the certificate')
  const fingerprint = fingerprintOf(certificate)
  if (dtls !== fingerprint)
    throw new PosternError(
      'fingerprint-mismatch',
      'this gateway knows no DTLS certificates but those that peers join with'
    )
  return fingerprint
}
