// A record may hold more than its request: searches for another path of its connection, each with steps like those of a request,
// of other moments. Whoever reads what the request did leaves them out.

import type { SpanRecord } from './record.ts'

/** The spans without those of searches. A search that is a record of its own keeps all of its spans. */
export function ofRequest(spans: readonly SpanRecord[]): readonly SpanRecord[] {
  const searches = spans.slice(1).filter(({ name }) => name === 'postern.again')
  if (searches.length === 0) return spans
  const below = Map.groupBy(spans, ({ parent }) => parent ?? '')
  const out = new Set<SpanRecord>(searches)
  // A set grows while it is gone through, and each span is in it once: spans of a file may be their own parents.
  for (const { id } of out) for (const span of below.get(id) ?? []) if (span !== spans[0]) out.add(span)
  return spans.filter(span => !out.has(span))
}
