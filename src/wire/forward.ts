// A forwarded endpoint: a public address and port from where a router, or a person, leads datagrams to a peer's socket. The
// peer claims it, and the gateway tells nobody of it before it is proved.
//
//   peer                                        gateway
//    | --- claim (local port, endpoint) ----------> |
//    | <== knock: one datagram to the endpoint ==== |   over UDP, from a port that the peer has never sent to
//    | --- proof (the knock's nonce) -------------> |   only if it came in at the socket with that local port
//    | <-- claimed (proved or not, and why) ------- |

import { z } from 'zod'
import { BINDING, decode, encode, transactionId } from './stun.ts'

/** Who made the forward: the user by hand, or the router when it was asked by one of these protocols. */
export const forwardOrigins = ['given', 'pcp', 'nat-pmp', 'upnp'] as const
export const forwardOrigin = z.enum(forwardOrigins)
export type ForwardOrigin = z.infer<typeof forwardOrigin>

/** What a router says to a peer that asks it for a port: `granted`, or why not (`Refusal` in peer/router/asking.ts). */
export const routerAnswers = ['granted', 'no-router', 'silent', 'nonsense', 'refused', 'carrier'] as const
export type RouterAnswer = (typeof routerAnswers)[number]

/** Bytes of a knock's nonce: 2^64 guesses are out of reach within the time that a proof may take. */
export const KNOCK_NONCE_BYTES = 8

/** A Binding indication (RFC 8489 section 5), which asks for no answer. With its nonce it has 32 bytes. */
export const knock = (nonce: Buffer): Buffer =>
  encode({ class: 'indication', method: BINDING, transaction: transactionId(), nonce })

const KNOCK_BYTES = 32
const BINDING_INDICATION = 0x0011

/** The nonce of a knock; undefined for any other datagram. */
export function knockIn(datagram: Buffer): Buffer | undefined {
  if (datagram.length !== KNOCK_BYTES || datagram.readUInt16BE() !== BINDING_INDICATION) return undefined
  const nonce = decode(datagram)?.nonce
  return nonce?.length === KNOCK_NONCE_BYTES ? nonce : undefined
}
