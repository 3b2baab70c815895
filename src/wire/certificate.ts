// Reads certificates. The fingerprint is a peer's identity, and the key signs the hello.

import { createHash, type KeyObject, verify, X509Certificate } from 'node:crypto'
import { PosternError } from '../errors.ts'

/**
 * SHA-256 of the certificate's DER: `AA:BB:…`.
 * @throws PosternError bad-message where the text is no certificate in PEM.
 */
export function fingerprintOf(certificatePem: string): string {
  const der = parseCertificate(certificatePem).raw
  return normaliseFingerprint(createHash('sha256').update(der).digest('hex')) ?? ''
}

/** Whether the P-256 key of a certificate made this signature. Anything malformed gives false, because strangers send it. */
export function verifySignature(certificatePem: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  try {
    const { publicKey } = parseCertificate(certificatePem)
    // Peers make no other keys. A huge RSA key would let anybody cause much work.
    return isP256(publicKey) && verify('sha256', bytes, publicKey, signature)
  } catch {
    return false
  }
}

/** `AA:BB:…` from 64 hexadecimal digits in any case, with or without colons; undefined for anything else. */
export function normaliseFingerprint(text: string): string | undefined {
  const digits = /^[0-9a-f]{2}(?::[0-9a-f]{2}){31}$/i.test(text) ? text.replaceAll(':', '') : text
  if (!/^[0-9a-f]{64}$/i.test(digits)) return undefined
  return digits.toUpperCase().match(/../g)?.join(':')
}

/** The fingerprint as it stands behind the name of a pinned peer: 64 digits. */
export const pinOf = (fingerprint: string): string => fingerprint.replaceAll(':', '').toLowerCase()

/** @throws PosternError bad-message where the text is no certificate in PEM. */
export function parseCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw new PosternError('bad-message', 'expected a certificate in PEM', { cause })
  }
}

/** Whether the key is of the kind that peers make. */
export function isP256(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1'
}
