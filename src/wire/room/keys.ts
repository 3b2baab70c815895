// What the secret of a room is good for. Two keys come of it by HKDF-SHA-256 (RFC 5869), with the room's name as the salt:
//
//   secret ─► entry     an Ed25519 key pair (RFC 8032): its public half is left with the gateway, and whoever has the private one may knock
//         └─► members   32 bytes by which those inside prove something to each other; the gateway has nothing of it
//
// It is WebCrypto alone, so that a page and Node do the same.

import { fromBase64Url, toBase64 } from '../../bytes.ts'
import { PosternError } from '../../errors.ts'
import { fold } from '../name.ts'
import type { RoomLink } from './link.ts'

export interface RoomKeys {
  /** Of these 32 bytes the gateway has nothing. */
  readonly members: Uint8Array<ArrayBuffer>
  /** The public half of the entry key, in base64url. */
  entry(): Promise<string>
  /** Signs by the entry key. The signature is in base64. */
  sign(bytes: Uint8Array<ArrayBuffer>): Promise<string>
}

const ENTRY = 'Ed25519'

/** What stands before the seed of an Ed25519 key in PKCS #8 (RFC 8410 section 7). */
const PKCS8 = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20]

/** Throws `unsupported` where a browser has no Ed25519. */
export async function roomKeys({ name, secret }: Pick<RoomLink, 'name' | 'secret'>): Promise<RoomKeys> {
  const { subtle } = crypto
  const salt = new TextEncoder().encode(fold(name))
  const from = await subtle.importKey('raw', fromBase64Url(secret), 'HKDF', false, ['deriveBits'])
  const derived = async (use: string) => {
    const info = new TextEncoder().encode(`postern room ${use}`)
    return new Uint8Array(await subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, from, 256))
  }
  const pkcs8 = Uint8Array.from([...PKCS8, ...(await derived('entry'))])
  const key = await subtle.importKey('pkcs8', pkcs8, ENTRY, true, ['sign']).catch(cause => {
    throw new PosternError('unsupported', 'this browser has no Ed25519, which rooms need; use a newer one', { cause })
  })
  return {
    members: await derived('members'),
    entry: async () => (await subtle.exportKey('jwk', key)).x ?? '',
    sign: async bytes => toBase64(new Uint8Array(await subtle.sign(ENTRY, key, bytes)))
  }
}
