// A certificate and its key, in two files in PEM, as listen.tls names them: whether they can be used, or what is wrong with which.
// Nothing is said of dates here: a certificate that is over can be used, and its gateway says so (gateway/http/certificate.ts).

import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { certificatesIn } from '../wire/identity/certificate.ts'
import { textIn } from './text-file.ts'

/** Absolute paths. */
export interface PairFiles {
  readonly cert: string
  readonly key: string
}

/** Both in PEM; behind the certificate may be those that lead from it to an authority. */
export interface Pair extends PairFiles {
  /** The certificate itself. */
  readonly leaf: X509Certificate
}

export interface PairProblem {
  readonly wrong: keyof PairFiles
  /** What is wrong with that file, which it names; and what was expected. */
  readonly text: string
}

/** Reads both files, while nothing else is done: they are small, and read at the start and when they have changed. */
export function readPair(files: PairFiles): Pair | PairProblem {
  const cert = textIn(files.cert)
  if (typeof cert !== 'string') return problem('cert', files, cert.trouble, aCertificate)
  const [leaf, ...more] = readable(cert)
  if (!leaf) return problem('cert', files, 'it holds no certificate in PEM', aCertificate)
  const key = textIn(files.key)
  if (typeof key !== 'string') return problem('key', files, key.trouble, aKey)
  const read = privateKey(key)
  if (typeof read === 'string') return problem('key', files, read, aKey)
  if (!leaf.checkPrivateKey(read)) {
    const isBelow = more.some(other => other.checkPrivateKey(read))
    if (isBelow) return problem('cert', files, 'the certificate of the key is not the first in it', aCertificate)
    return problem(
      'key',
      files,
      `it does not belong to the certificate in ${files.cert}`,
      'the key of that certificate'
    )
  }
  const refused = refusal({ cert, key })
  return refused ? problem('cert', files, refused, 'another certificate') : { cert, key, leaf }
}

const aCertificate = "a certificate in PEM, the gateway's own first and those in between after it (fullchain.pem)"

const aKey = 'a private key in PEM without a passphrase'

const problem = (wrong: keyof PairFiles, files: PairFiles, text: string, expected: string): PairProblem => ({
  wrong,
  text: `${files[wrong]}: ${text}; expected ${expected}`
})

function readable(pem: string): X509Certificate[] {
  try {
    return certificatesIn(pem)
  } catch {
    return []
  }
}

/** The key, or what is wrong with it. */
function privateKey(pem: string): KeyObject | string {
  try {
    return createPrivateKey(pem)
  } catch {
    return /ENCRYPTED/.test(pem) ? 'it is encrypted' : 'it holds no private key in PEM'
  }
}

/** What OpenSSL has against a pair that is right in itself, such as a key that is too short. */
function refusal(pair: PairFiles): string | undefined {
  try {
    createSecureContext(pair)
    return undefined
  } catch (error) {
    return `OpenSSL refuses it (${(error as Error).message})`
  }
}
