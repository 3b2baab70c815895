// A key that vouches for a DTLS certificate. A peer with a certificate of its own is known by that. A browser's DTLS certificate
// cannot sign, so it is known by a key that can, and that key says which DTLS certificate is the peer's. The far side checks
// that by itself: what the gateway says of the certificate in use is not taken for granted.

import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { z } from 'zod'
import { placeOf } from '../place.ts'
import { fingerprint, secret } from '../shapes.ts'
import { isP256 } from './certificate.ts'
import { normaliseFingerprint } from './fingerprint.ts'
import { helloProof } from './proof.ts'

/** SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7), in base64: 91 bytes for P-256. */
export const publicKey = z.base64().max(256)

/** The place of a gateway, written in the one way that place.ts has. */
export const place = z
  .string()
  .max(2048)
  .refine(text => placeOf(text) === text, 'expected the place of a gateway')

/** What a hello signed, and the key that did: whoever has all of it can check it again. */
export const vouch = z.strictObject({
  key: publicKey,
  place,
  nonce: secret,
  dtls: fingerprint,
  /** ECDSA with SHA-256 over `helloProof`, as WebCrypto writes it: r and s, 32 bytes each (IEEE P1363). */
  signature: z.base64().max(256)
})

export type Vouch = z.infer<typeof vouch>

/** The fingerprint by which the owner of a key is known: SHA-256 of its SPKI, `AA:BB:…`. */
export const keyFingerprint = (key: string): string =>
  normaliseFingerprint(createHash('sha256').update(Buffer.from(key, 'base64')).digest('hex')) ?? ''

/** Whether the key made the signature, and is a P-256 key. Anything malformed gives false, because strangers send it. */
export function holds({ key, place, nonce, dtls, signature }: Vouch): boolean {
  const parsed = keyOf(key)
  if (!parsed) return false
  const bytes = helloProof({ place, nonce, dtls })
  return verify('sha256', bytes, { key: parsed, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64'))
}

function keyOf(key: string): KeyObject | undefined {
  try {
    const parsed = createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'spki' })
    // A huge RSA key would let anybody cause much work.
    return isP256(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}
