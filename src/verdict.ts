// Why a connection was relayed or failed, in one code, one sentence, and what to do about it. The words alone: how a verdict
// is found is trace/verdict.

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
  'gateway-ports',
  'one-address',
  'both-random',
  'prediction-missed',
  'spray-too-small',
  'budget-shared-out',
  'no-sample',
  'never-obeyed',
  'one-way',
  'nothing-through',
  'mapping-timed-out',
  'remapped',
  'handover-lost',
  'dtls-fingerprint',
  'relay-full',
  'over-quota',
  'relay-off',
  'deadline',
  'plugin-threw',
  'not-tried',
  'unexplained'
)

export type VerdictCode = keyof typeof verdicts

/** Who or what stood in the way. `path` is the network between the two sides, `none` where nothing did. */
export const blamed = ['caller', 'callee', 'both', 'gateway', 'path', 'none'] as const
export type Blamed = (typeof blamed)[number]

/** As traces have it and peers are told it. Sentences are at most 512 characters long, lists at most 8. */
export interface Verdict {
  /** A `VerdictCode`; of a newer gateway or an older trace perhaps another word. */
  readonly code: string
  /** A clause that could follow "because". */
  readonly sentence: string
  readonly side: Blamed
  /** What was recorded that shows it, one fact a line. */
  readonly evidence: readonly string[]
  /** What to do about it. */
  readonly advice: string
  /** Codes of what else stood in the way, weightiest first. */
  readonly also: readonly string[]
}
