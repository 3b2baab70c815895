// A verdict says why a connection was relayed or failed, or why its path was lost later: a code, a sentence, and what to do about
// it. This file only has the words; trace/verdict finds the verdict.

import { wordsFor } from './vocabulary.ts'

/** Each code of a verdict and what it means. */
export const verdicts = wordsFor(
  'direct',
  'unknown-peer',
  'peer-offline',
  'peer-lost',
  'peer-left',
  'self-connect',
  'bad-token',
  'join-refused',
  'fingerprint-mismatch',
  'udp-blocked',
  'wrong-family',
  'silent-peer',
  'dead-port',
  'gateway-ports',
  'hidden-sources',
  'one-address',
  'carrier-above-home',
  'both-random',
  'prediction-missed',
  'spray-too-small',
  'budget-shared-out',
  'no-sample',
  'never-obeyed',
  'one-way',
  'hairpin',
  'own-address',
  'nothing-through',
  'mapping-timed-out',
  'remapped',
  'handover-gap',
  'handover-lost',
  'dtls-fingerprint',
  'too-narrow',
  'relay-full',
  'over-quota',
  'relay-off',
  'relay-only',
  'deadline',
  'plugin-threw',
  'not-tried',
  'unexplained'
)

export type VerdictCode = keyof typeof verdicts

/** Each code of the verdict on a path that was lost. */
export const lossVerdicts = wordsFor(
  'address-changed',
  'nat-forgot',
  'one-way',
  'path-cut',
  'udp-blocked',
  'too-narrow',
  'gateway-away',
  'slept',
  'vanished',
  'interrupted',
  'unexplained'
)

export type LossCode = keyof typeof lossVerdicts

/** The side or thing that stood in the way. `path` is the network between the two sides; `none` means that nothing did. */
export const blamed = ['caller', 'callee', 'both', 'gateway', 'path', 'none'] as const
export type Blamed = (typeof blamed)[number]

/**
 * A verdict as traces have it and as peers are told it. Sentences are at most 512 characters long, lists at most 8 entries.
 */
export interface Verdict {
  /** A `VerdictCode`. A newer gateway or an older trace may have another word. */
  readonly code: string
  /** A clause that could follow "because". */
  readonly sentence: string
  readonly side: Blamed
  /** The recorded facts that show it, one fact a line. */
  readonly evidence: readonly string[]
  /** What to do about it. */
  readonly advice: string
  /** Codes of what else stood in the way; the weightiest comes first. */
  readonly also: readonly string[]
}
