// A record as its caller may read it: what both sides did, and why, but not where the callee is. Strategies tell a peer the other's
// addresses only as far as a path needs them, and a record has all of them.

import { isIP } from 'node:net'
import { parseEndpoint } from '../../wire/endpoint.ts'
import { withoutAddresses } from './addresses.ts'
import type { AttributeName } from './conventions.ts'
import { read } from './reader.ts'
import type { Loss, SpanRecord, TraceRecord } from './record.ts'

/** What tells an address or an own port of the side whose span it is on. */
const whereabouts: ReadonlySet<string> = new Set<AttributeName>([
  'postern.mapped',
  'postern.port',
  'postern.links',
  'postern.observed',
  'postern.remapped',
  'postern.forward.endpoint',
  'postern.router.outside',
  'postern.heard',
  'network.local.address',
  'network.local.port',
  'network.peer.address',
  'network.peer.port'
])

/** The same on a span of both sides. */
const latched: AttributeName = 'postern.callee.latched'

export function forCaller({ losses, ...record }: TraceRecord): TraceRecord {
  const kept = {
    ...record,
    ...(losses ? { losses: losses.map(loss => lossForCaller(loss, record.callee)) } : {}),
    spans: record.spans.map(spanForCaller)
  }
  // What peers say in words of their own may have an address as well.
  return read(record.spans[0]).flag('callee.relay_only') ? withoutAddresses(kept) : kept
}

/** A line that begins with a side's name is about that side (verdict/losses/finding.ts). */
const lossForCaller = (loss: Loss, callee: string): Loss => ({
  ...loss,
  evidence: loss.evidence.filter(line => !(line.startsWith(callee.slice(0, SHORTENED)) && hasAddress(line)))
})

/** A line may have a longer name without its end. */
const SHORTENED = 31

const hasAddress = (line: string): boolean =>
  line.split(/[\s,]+/).some(word => isIP(word) !== 0 || parseEndpoint(word) !== undefined)

function spanForCaller(span: SpanRecord): SpanRecord {
  const isCallees = read(span).side('side') === 'callee'
  const kept = (attributes: SpanRecord['attributes']) =>
    Object.fromEntries(
      Object.entries(attributes).filter(([name]) => !(isCallees && whereabouts.has(name)) && name !== latched)
    )
  return {
    ...span,
    attributes: kept(span.attributes),
    events: span.events.map(event => ({ ...event, attributes: kept(event.attributes) }))
  }
}
