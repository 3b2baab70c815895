// Who a page's peer is: a key of the browser that nobody can read, not even the page, one for each origin, or for each store that a
// page has (`keptIn`). A browser's DTLS certificate cannot sign, so the key vouches for it in each hello (src/wire/identity/vouch.ts).

import { fromBase64, toBase64, toHex } from '../bytes.ts'
import { normaliseFingerprint } from '../wire/identity/fingerprint.ts'
import { helloProof } from '../wire/identity/proof.ts'
import type { Vouch } from '../wire/identity/vouch.ts'
import type { Store } from './store.ts'

/** ECDSA on P-256, as certificates of peers have it. */
const KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const

/** How long a certificate is good for, and when it is made anew, in milliseconds. Far sides hear of a new one by the vouch. */
const CERTIFICATE_MS = { good: 365 * 86_400_000, least: 30 * 86_400_000 } as const

export interface Identity {
  /** SPKI in base64. */
  readonly key: string
  /** SHA-256 of the key, `AA:BB:…`: by it this peer is known. */
  readonly fingerprint: string
  readonly certificate: RTCCertificate
  /** Of the certificate. */
  readonly dtls: string
  /** In base64, r and s. */
  sign(bytes: Uint8Array<ArrayBuffer>): Promise<string>
}

export async function loadIdentity(store: Store): Promise<Identity> {
  const { privateKey, publicKey } =
    (await store.get<CryptoKeyPair>('identity', 'key')) ??
    (await store.putOnce('identity', 'key', await crypto.subtle.generateKey(KEY, false, ['sign', 'verify'])))
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', publicKey))
  const certificate = await certificateOf(store)
  return {
    key: toBase64(spki),
    fingerprint: await sha256(spki),
    certificate,
    dtls: dtlsOf(certificate),
    sign: async bytes => toBase64(new Uint8Array(await crypto.subtle.sign(SIGNATURE, privateKey, bytes)))
  }
}

async function certificateOf(store: Store): Promise<RTCCertificate> {
  const kept = await store.get<RTCCertificate>('identity', 'certificate')
  if (kept && kept.expires > Date.now() + CERTIFICATE_MS.least) return kept
  const made = await RTCPeerConnection.generateCertificate({ ...KEY, expires: CERTIFICATE_MS.good } as EcKeyGenParams)
  // A browser that does not keep certificates makes one for each page.
  await store.put('identity', 'certificate', made).catch(() => {})
  return made
}

const dtlsOf = (certificate: RTCCertificate): string =>
  normaliseFingerprint(certificate.getFingerprints().find(({ algorithm }) => algorithm === 'sha-256')?.value ?? '') ??
  ''

const sha256 = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  normaliseFingerprint(toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))) ?? ''

/** The fingerprint of whoever has the key, where that has signed what is said. */
export async function vouchedBy({ key, place, nonce, dtls, signature }: Vouch): Promise<string | undefined> {
  try {
    const spki = fromBase64(key)
    const signer = await crypto.subtle.importKey('spki', spki, KEY, false, ['verify'])
    const proof = helloProof({ place, nonce, dtls })
    const holds = await crypto.subtle.verify(SIGNATURE, signer, fromBase64(signature), proof)
    return holds ? await sha256(spki) : undefined
  } catch {
    return undefined
  }
}
