// What a hello signs, and the version of all messages, which is part of it.

import { PosternError } from '../../errors.ts'

/** Version of the messages in signal.ts. A gateway refuses another version with a sentence that says which one it speaks. */
export const PROTOCOL = 3

/** What a hello proves. */
export interface Proof {
  /** Where the peer dialled the gateway (place.ts). */
  readonly place: string
  /** The gateway's own, of its challenge, in base64. */
  readonly nonce: string
  /** The fingerprint of the certificate that the peer's DTLS connections have. */
  readonly dtls: string
}

/**
 * The bytes that a hello signs: words that keep the signature from meaning anything elsewhere, then where it is meant for, when,
 * and whose connections it is about. None of them holds the end of a line.
 */
export const helloProof = ({ place, nonce, dtls }: Proof): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(['postern hello', PROTOCOL, place, nonce, dtls].join('\n'))

/** The error that the other side is told, or its user, where it does not speak our version. */
export function otherVersion(speaker: 'peer' | 'gateway', v: number): PosternError {
  const listener = speaker === 'peer' ? 'gateway' : 'peer'
  return new PosternError(
    'bad-message',
    `the ${speaker} speaks version ${v} of the protocol, and this ${listener} version ${PROTOCOL}; install a newer postern on the ${v < PROTOCOL ? speaker : listener}`
  )
}
