// Fingerprints as texts: SHA-256 of a certificate, or of a key, by which a peer is known.

/** `AA:BB:…` from 64 hexadecimal digits in any case, with or without colons; undefined for anything else. */
export function normaliseFingerprint(text: string): string | undefined {
  const digits = /^[0-9a-f]{2}(?::[0-9a-f]{2}){31}$/i.test(text) ? text.replaceAll(':', '') : text
  if (!/^[0-9a-f]{64}$/i.test(digits)) return undefined
  return digits.toUpperCase().match(/../g)?.join(':')
}

/** The fingerprint as it stands behind the name of a pinned peer: 64 digits. */
export const pinOf = (fingerprint: string): string => fingerprint.replaceAll(':', '').toLowerCase()

/** SHA-256 of the DTLS certificates of a path, `AA:BB:…`. */
export interface Certificates {
  /** The one that this side has. */
  readonly local: string
  /** The one that the transport holds the far side to. */
  readonly remote: string
}
