// Makes the only kind of certificate that a peer needs: X.509 v3, ECDSA P-256, self-signed, without extensions, as WebRTC
// stacks make them. Node reads certificates and cannot write them. The packages that can write them weigh 5 to 9 MB, while
// one sequence is enough here.
//
//   Certificate    ::= SEQUENCE { tbsCertificate, signatureAlgorithm, BIT STRING }                     RFC 5280 §4.1
//   TBSCertificate ::= SEQUENCE { [0] version, serial, algorithm, issuer, validity, subject, publicKey }

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

export interface KeyAndCertificate {
  readonly keyPem: string
  readonly certificatePem: string
}

// Only the DTLS stack looks at the dates of a pinned certificate, and it must never refuse one for its age.
const VALID_YEARS = 100

// The clock of the other side may be behind.
const VALID_BEFORE_MS = 24 * 3600 * 1000

/** A new key and its self-signed certificate, valid for 100 years from a day before `now`. */
export function createCertificate(now = new Date()): KeyAndCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const toBeSigned = describe(publicKey, new Date(now.getTime() - VALID_BEFORE_MS))
  const signature = sign('sha256', toBeSigned, privateKey)
  const certificate = sequence(toBeSigned, ecdsaWithSha256(), bitString(signature))
  return {
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificatePem: pem(certificate)
  }
}

function describe(publicKey: KeyObject, notBefore: Date): Buffer {
  const notAfter = new Date(notBefore)
  notAfter.setUTCFullYear(notBefore.getUTCFullYear() + VALID_YEARS)
  const validity = sequence(time(notBefore), time(notAfter))
  const key = publicKey.export({ type: 'spki', format: 'der' })
  return sequence(version3(), serial(), ecdsaWithSha256(), commonName(), validity, commonName(), key)
}

function version3(): Buffer {
  return element(0xa0, element(0x02, Buffer.of(2)))
}

// RFC 5280 §4.1.2.2: positive, at most 20 octets. Our first octet is 64 to 127, so no padding is ever needed.
function serial(): Buffer {
  const octets = randomBytes(16)
  octets[0] = 0x40 | ((octets[0] ?? 0) & 0x3f)
  return element(0x02, octets)
}

// RFC 5758 §3.2: 1.2.840.10045.4.3.2, without parameters.
function ecdsaWithSha256(): Buffer {
  return sequence(element(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
}

// The name is the same for every peer, because a name of its own would tell strangers whose certificate it is. 2.5.4.3 is
// commonName.
function commonName(): Buffer {
  const attribute = sequence(element(0x06, Buffer.from('550403', 'hex')), element(0x0c, Buffer.from('postern')))
  return sequence(element(0x31, attribute))
}

// RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050.
function time(date: Date): Buffer {
  const digits = `${date.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`
  return date.getUTCFullYear() < 2050 ? element(0x17, Buffer.from(digits.slice(2))) : element(0x18, Buffer.from(digits))
}

function bitString(content: Buffer): Buffer {
  return element(0x03, Buffer.concat([Buffer.of(0), content]))
}

function sequence(...parts: Buffer[]): Buffer {
  return element(0x30, Buffer.concat(parts))
}

// X.690 §8.1: tag, length (one octet below 128, else the count of length octets and these), content. Ours stay below 64 KiB.
function element(tag: number, content: Buffer): Buffer {
  const { length } = content
  const header = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...header), content])
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}
