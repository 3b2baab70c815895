// Which authorities a gateway's certificate may be from: those that Node trusts (its own, and those of NODE_EXTRA_CA_CERTS), and
// besides them those that the user names. There is no way to trust none of them and connect all the same.

import { getCACertificates } from 'node:tls'
import { PosternError } from '../../errors.ts'
import { certificatesIn } from '../../wire/identity/certificate.ts'

/**
 * All certificates that are trusted where those in `ca`, a text in PEM, are trusted as well; undefined where that is left out: Node's.
 * @param name what `ca` is called in an error
 * @throws PosternError bad-config where `ca` holds none, or one that cannot be read.
 */
export function trustedWith(ca: string | undefined, name = 'ca'): string[] | undefined {
  if (ca === undefined) return undefined
  const named = read(ca, name).map(String)
  if (named.length > 0) return [...getCACertificates(), ...named]
  throw new PosternError('bad-config', `${name}: it holds no certificate; expected certificates in PEM`)
}

function read(ca: string, name: string) {
  try {
    return certificatesIn(ca)
  } catch (cause) {
    throw new PosternError('bad-config', `${name}: a certificate in it cannot be read; expected certificates in PEM`, {
      cause
    })
  }
}
