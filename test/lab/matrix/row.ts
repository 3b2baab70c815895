// What became of a pair, as a line of the file says it.

import type { SpanRecord, TraceRecord } from '../../../src/trace/record/record.ts'

/** Of one second: pictures that were decoded and samples of sound that came, or, in Node, RTP packets of each kind. */
export interface Gain {
  readonly frames: number
  readonly samples: number
}

/** `untested`: the pair could not be tried, which says nothing of it; it is tried again when the run goes on. */
export type Outcome = 'direct' | 'relay' | 'failed' | 'untested'

export interface Row {
  readonly what: 'postern'
  readonly pair: string
  readonly outcome: Outcome
  /** The strategy that led to the path. */
  readonly by?: string
  /** From the request to the open connection, as the caller measured it. */
  readonly ms?: number
  /** Of all plans for a direct path that were tried, the sum of the probabilities that they had by the models. */
  readonly expected?: number
  /** Of the gateway's verdict, where the path is not direct. */
  readonly verdict?: string
  /** What failed, in a sentence. */
  readonly why?: string
  /** What both saw of each other, second by second, in the order of the pair. */
  readonly media?: readonly [readonly Gain[], readonly Gain[]]
  /** How long the pair took with all that was tried. */
  readonly tookMs: number
  /** The gateway's, where the path is not direct. */
  readonly record?: TraceRecord
}

export interface IceRow {
  readonly what: 'plain-ice'
  readonly pair: string
  readonly outcome: Outcome
  readonly ms?: number
  /** Of what kind those of the pair that was chosen are: the caller's first. */
  readonly candidates?: readonly string[]
  readonly why?: string
}

/**
 * The sum over all plans for a direct path. Each was tried only because those before it came to nothing, so where the models are right,
 * the sums of many requests add up to the number of their direct paths. A plan that names no probability guesses nothing: it counts
 * as what came of it.
 */
export function expectedOf(record: TraceRecord): number {
  const plans = record.spans.filter(span => span.name === 'postern.plan' && !isAgain(record, span))
  const direct = plans.filter(({ attributes }) => attributes['postern.plugin'] !== 'relay')
  return direct.reduce((sum, { attributes: { 'postern.expected': expected, 'postern.outcome': outcome } }) => {
    return sum + Number(expected ?? (outcome === 'path' ? 1 : 0))
  }, 0)
}

/** Whether it is of a search for another path, once the connection stood. */
function isAgain({ spans }: TraceRecord, span: SpanRecord | undefined): boolean {
  if (!span) return false
  return (
    span.name === 'postern.again' ||
    isAgain(
      { spans } as TraceRecord,
      spans.find(({ id }) => id === span.parent)
    )
  )
}
