// A peer's identity: one key and its certificate, made at the first use and kept for good. The fingerprint of the certificate
// is the identity: the gateway binds names to it, other peers remember or pin it, and DTLS proves it.
//
//   FOLDER/identity.pem    the private key and the certificate, in one file, so that they always belong together
//
// If two processes start at once, one makes the identity and both use it. Nothing ever overwrites it.

import { createPrivateKey, sign } from 'node:crypto'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { PosternError } from '../../errors.ts'
import { createStateFile, exposures, makeStateFolder, readStateFile, troubleOf } from '../../state-file.ts'
import { fingerprintOf, isP256, parseCertificate } from '../../wire/identity/certificate.ts'
import { createCertificate } from './self-signed.ts'

export interface Identity {
  /** The file with key and certificate. */
  readonly path: string
  readonly certificatePem: string
  readonly keyPem: string
  /** SHA-256 of the certificate's DER, `AA:BB:…`, as in SDP (RFC 8122 §5). */
  readonly fingerprint: string
  /** ECDSA over SHA-256 of `bytes`, in DER. */
  sign(bytes: Uint8Array): Buffer
}

/** `POSTERN_HOME`, or `postern` in `XDG_CONFIG_HOME`, or `~/.config/postern`. */
export function defaultFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (env.POSTERN_HOME) return resolve(env.POSTERN_HOME)
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'postern')
}

/**
 * The identity that is kept in a folder. If there is none, it is made (folder 0700, file 0600).
 * @param warn is told a sentence where others can read the key, or write into the folder.
 * @throws PosternError bad-config where the file is broken or key and certificate do not belong together, `io` where it
 * cannot be read or written. The file is left as it is.
 */
export async function loadIdentity(
  folder = defaultFolder(),
  warn: (sentence: string) => void = () => {}
): Promise<Identity> {
  const path = join(folder, 'identity.pem')
  try {
    const text = (await readStateFile(path)) ?? (await create(folder, path))
    for (const sentence of await exposures(folder, [path])) warn(sentence)
    return parseIdentity(text, path)
  } catch (cause) {
    if (cause instanceof PosternError) throw cause
    throw new PosternError('io', `the identity ${path} cannot be read or made: ${troubleOf(cause)}`, { cause })
  }
}

async function create(folder: string, path: string): Promise<string> {
  await makeStateFolder(folder)
  const { keyPem, certificatePem } = createCertificate()
  await createStateFile(path, keyPem + certificatePem)
  return (await readStateFile(path)) ?? ''
}

function parseIdentity(text: string, path: string): Identity {
  const broken = (why: string, cause?: unknown) =>
    new PosternError('bad-config', `${path}: ${why}; restore it, or move it away for a new identity`, { cause })
  const keyPem = block(text, 'PRIVATE KEY')
  const certificatePem = block(text, 'CERTIFICATE')
  if (!keyPem || !certificatePem) throw broken('expected a private key and a certificate in PEM')
  try {
    const key = createPrivateKey(keyPem)
    if (!isP256(key)) throw broken('expected an ECDSA key on P-256')
    if (!parseCertificate(certificatePem).checkPrivateKey(key)) throw broken('the certificate is of another key')
    const fingerprint = fingerprintOf(certificatePem)
    return { path, keyPem, certificatePem, fingerprint, sign: bytes => sign('sha256', bytes, key) }
  } catch (cause) {
    if (cause instanceof PosternError && cause.code === 'bad-config') throw cause
    throw broken('the private key or the certificate is damaged', cause)
  }
}

function block(text: string, label: string): string | undefined {
  return new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----\n?`).exec(text)?.[0]
}
