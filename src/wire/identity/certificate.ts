// Reads certificates. The fingerprint is a peer's identity, and the key signs the hello.

import { type KeyObject, verify, X509Certificate } from 'node:crypto'
import { PosternError } from '../../errors.ts'

/** A certificate in PEM; or as it was read, which takes a third of the time that a signature takes to be verified. */
export type Certificate = string | X509Certificate

/**
 * SHA-256 of the certificate's DER: `AA:BB:…`.
 * @throws PosternError bad-message where the text is no certificate in PEM.
 */
export const fingerprintOf = (certificate: Certificate): string => read(certificate).fingerprint256

/** Whether the P-256 key of a certificate made this signature. Anything malformed gives false, because strangers send it. */
export function verifySignature(certificate: Certificate, bytes: Uint8Array, signature: Uint8Array): boolean {
  try {
    const { publicKey } = read(certificate)
    // Peers make no other keys. A huge RSA key would let anybody cause much work.
    return isP256(publicKey) && verify('sha256', bytes, publicKey, signature)
  } catch {
    return false
  }
}

const read = (certificate: Certificate): X509Certificate =>
  typeof certificate === 'string' ? parseCertificate(certificate) : certificate

/** @throws PosternError bad-message where the text is no certificate in PEM. */
export function parseCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw new PosternError('bad-message', 'expected a certificate in PEM', { cause })
  }
}

/**
 * Every certificate in a text in PEM, in its order; none where it holds none. What stands between them is passed over.
 * @throws PosternError bad-message where one of them cannot be read.
 */
export function certificatesIn(pem: string): X509Certificate[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []).map(parseCertificate)
}

/** Whether the key is of the kind that peers make. */
export function isP256(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1'
}
