// From a hello to a joined peer, or to the error that refuses it.

import { randomBytes, X509Certificate } from 'node:crypto'
import { PosternError } from '../../errors.ts'
import { fingerprintOf, verifySignature } from '../../wire/certificate.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import { checkName } from '../../wire/name.ts'
import { type FromPeer, helloProof, type Message, REFRESH_MS } from '../../wire/signal.ts'
import { Full } from '../peers/full.ts'
import { GUESSING_MS } from '../peers/guarded-token.ts'
import { Joined } from '../peers/joined.ts'
import { networkOf } from '../shares/network.ts'
import type { PeerSocket } from './peer-socket.ts'
import type { Door, Newcomer, Reception } from './reception.ts'

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

/** Checks who the peer is and admits it. Throws the error that refuses it, or that it has gone meanwhile. */
export async function join(
  { message: hello, nonce, cameMs, newcomer }: Hello,
  link: PeerSocket,
  { door, desk, counters, log }: Reception
): Promise<Joined> {
  const { directory, names, observer, places } = door
  checkToken(hello.token, newcomer, door)
  const fingerprint = prove(hello, nonce)
  places.check(hello.place, newcomer)
  const network = networkOf(newcomer.from)
  takeSeat({ network, certificate: fingerprint }, link, door)
  const name = hello.name === undefined ? undefined : await names.claim(checkName(hello.name), fingerprint, network)
  link.gone.throwIfAborted()
  const id = randomBytes(6).toString('hex')
  const reached = hello.reached ?? newcomer.reached.address
  const endpoints = observer.endpoints(reached)
  if (endpoints.length === 0) throw new PosternError('wrong-family', noAddress)
  const peer = new Joined(
    {
      id,
      name: name ?? `guest-${id}`,
      named: name !== undefined,
      accepts: hello.accepts && name !== undefined,
      beacons: hello.beacons ?? false,
      fingerprint,
      network,
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
  log.info({ peer: peer.name, id }, 'joined')
  peer.send({
    type: 'welcome',
    peer: id,
    name: peer.name,
    key: peer.key.toString('base64'),
    endpoints,
    refreshMs: REFRESH_MS
  })
  // A peer of the first release ignores a message that it does not know, but not a field.
  peer.send({ type: 'features', features: ['proofs'] })
  return peer
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

/** A fingerprint is public: only the signature over our nonce shows that the certificate is the peer's own. */
function prove({ certificate, signature, place, dtls }: Message<FromPeer, 'hello'>, nonce: string): string {
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
