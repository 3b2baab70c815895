// What a guest signs by the entry key of a room, in its hello.

import { PROTOCOL, type Proof } from '../identity/proof.ts'
import { fold } from '../name.ts'

/** What a guest proves: that it has the secret of this room, at this gateway, now, and as whom. */
export interface Entry extends Proof {
  readonly room: string
  /** Of the certificate, or the key, by which the guest is known. */
  readonly fingerprint: string
}

/**
 * Words that keep the signature from meaning anything elsewhere, a hello included, then what it is about. None of them holds the end
 * of a line.
 */
export const entryProof = ({ room, place, nonce, fingerprint, dtls }: Entry): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(['postern room', PROTOCOL, fold(room), place, nonce, fingerprint, dtls].join('\n'))
