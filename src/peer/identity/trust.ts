// What is said where a name has another fingerprint than it should have, the same wherever peers are remembered.

import { PosternError } from '../../errors.ts'
import { normaliseFingerprint } from '../../wire/identity/fingerprint.ts'

/** Throws `fingerprint-mismatch` unless the fingerprint is the pinned one. */
export function isPinned(name: string, shown: string, pin: string): void {
  if (normaliseFingerprint(pin) === shown) return
  const advice = 'pin the new one only if its owner tells you that it changed'
  throw new PosternError('fingerprint-mismatch', `${name} has the fingerprint ${shown} but ${pin} is pinned; ${advice}`)
}

/** A name that has shown another fingerprint than the one that is remembered. */
interface Other {
  /** As it was asked for. */
  readonly as: string
  readonly shown: string
  /** Host and port. */
  readonly gateway: string
  readonly known: { readonly name: string; readonly fingerprint: string }
  /** What to do if its owner tells that it changed. */
  readonly advice: string
  /** The same where both are right, and one name is written in two ways. */
  readonly both?: string
}

export function otherFingerprint({ as, shown, gateway, known, advice, both = '' }: Other): PosternError {
  const before = known.name === as ? 'had' : `${known.name}, which is the same name, had`
  const seen = `${as} at ${gateway} has the fingerprint ${shown} but ${before} ${known.fingerprint} before`
  return new PosternError(
    'fingerprint-mismatch',
    `${seen}; somebody may stand in between; if its owner tells you that it changed, ${advice}${known.name === as ? '' : both}`
  )
}
