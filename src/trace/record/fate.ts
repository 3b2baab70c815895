// What the pages and the terminal both tell of a record: in one word how a request ended, and its spans as a tree.

import type { VerdictCode } from '../../verdict.ts'
import type { SpanRecord, TraceSummary } from './record.ts'

export type Fate = 'direct' | 'relayed' | 'failed'

export const fateOf = ({ outcome, path }: Pick<TraceSummary, 'outcome' | 'path'>): Fate =>
  outcome !== 'path' ? 'failed' : path === 'relay' ? 'relayed' : 'direct'

/** Verdicts on requests for which there was nobody to connect to, or nobody who may: no network stood in their way. */
const pointless: readonly string[] = [
  'unknown-peer',
  'peer-offline',
  'silent-peer',
  'self-connect',
  'fingerprint-mismatch',
  'over-quota'
] satisfies VerdictCode[]

/** A request for a connection that could have had a path, by who its two sides were. Of these shares are told. */
export const isAttempt = ({
  callee,
  continues,
  verdict
}: Pick<TraceSummary, 'callee' | 'continues' | 'verdict'>): boolean =>
  callee !== '' && continues === undefined && !pointless.includes(verdict.code)

export interface Row {
  readonly span: SpanRecord
  readonly depth: number
}

/**
 * The tree, depth first. Spans of one parent stay in the order given, which is the order of their start.
 * @param root it stands on top, and spans whose parent is missing stand beneath it; if left out, these stand on their own
 */
export function treeOf(spans: readonly SpanRecord[], root?: SpanRecord): Row[] {
  const ids = new Set(spans.map(({ id }) => id))
  const above = (span: SpanRecord) => {
    if (span === root) return ''
    return span.parent && ids.has(span.parent) ? span.parent : (root?.id ?? '')
  }
  const below = Map.groupBy(spans, above)
  const rows: Row[] = []
  const next: Row[] = []
  const take = (id: string, depth: number) => {
    for (const span of (below.get(id) ?? []).toReversed()) next.push({ span, depth })
    // Each is taken once: in a file that somebody wrote, spans may be their own parents.
    below.delete(id)
  }
  take('', 0)
  for (let row = next.pop(); row; row = next.pop()) {
    rows.push(row)
    take(row.span.id, row.depth + 1)
  }
  return rows
}
