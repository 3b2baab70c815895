// One side's report as spans: its search, and the handover if there was one. Times in a report count from the arrival of the
// order, which is dated by the peer's clock. If the peer told no time, the order is taken to have needed half a round trip.

import type { Span } from '@opentelemetry/api'
import type { SpanAttributes, SpanName } from '../../trace/record/conventions.ts'
import { formatEndpoint } from '../../wire/endpoint.ts'
import type { Report } from '../../wire/report.ts'
import type { SideName } from '../../wire/side.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import type { Clock } from '../peers/peer-clock.ts'
import { clamped, onOurClock } from './on-our-clock.ts'
import { type Beneath, codeAttributes } from './step.ts'

export type Told = Message<FromPeer, 'opened' | 'failed'>

export interface Reported {
  readonly side: SideName
  /** Its name. */
  readonly peer: string
  readonly told: Told
  readonly clock: Clock | undefined
  /** When the order left and the report arrived, in milliseconds since the epoch. */
  readonly leftMs: number
  readonly arrivedMs: number
  readonly rttMs: number
}

/** Steps that a trace knows; a peer may name others. A peer says `open` when SCTP is done. */
const searching = ['heard', 'answered', 'checked', 'latched', 'beside', 'walked', 'spent'] as const
const handingOver = { refused: 'refused', ice: 'ice', dtls: 'dtls', open: 'sctp' } as const

export function recordReport(plan: Beneath, reported: Reported): void {
  const { side, peer, told, clock, leftMs, arrivedMs, rttMs } = reported
  const { report } = told
  const steps = new Map(report.steps)
  const possible = [leftMs, arrivedMs] as const
  const startMs = onOurClock(report.startedMs, clock, possible) ?? clamped(leftMs + rttMs / 2, possible)
  const at = (ms: number) => Math.min(arrivedMs, startMs + ms)
  const lastMs = at(Math.max(0, ...steps.values(), report.sentMs?.[1] ?? 0, report.receivedMs?.[1] ?? 0))
  const endMs = told.type === 'opened' ? lastMs : Math.max(lastMs, arrivedMs - rttMs / 2)
  const bound = steps.get('bound')
  const isBound = bound !== undefined || told.type === 'opened'
  const boundMs = bound === undefined ? endMs : at(bound)

  const begin = (name: SpanName, fromMs: number, attributes: SpanAttributes): Span =>
    plan.begin(name, { 'postern.side': side, 'postern.peer': peer, ...attributes }, fromMs)
  const search = { ...countAttributes(report), ...(isBound ? found : failureOf(told)) }
  const probe = begin('postern.probe', startMs, search)
  for (const [name, ms] of eventsOf(report)) probe.addEvent(name, {}, at(ms))
  probe.end(boundMs)
  if (!isBound) return
  const handover = begin('postern.handover', boundMs, told.type === 'opened' ? endsOf(told) : failureOf(told))
  for (const [step, name] of Object.entries(handingOver)) {
    const ms = steps.get(step)
    if (ms !== undefined) handover.addEvent(name, {}, at(ms))
  }
  handover.end(endMs)
}

/** Records a side that is joined and was given an order, but never said what came of it. */
export function recordSilence(
  plan: Beneath,
  { side, peer, fromMs, toMs }: { side: SideName; peer: string; fromMs: number; toMs: number }
): void {
  const attributes = {
    'postern.side': side,
    'postern.peer': peer,
    'postern.outcome': 'failed',
    'postern.cause': 'never-obeyed',
    'postern.reason': 'it never said what came of its order'
  }
  plan.begin('postern.probe', attributes, fromMs).end(Math.max(fromMs, toMs))
}

/** Events in the order of their times. */
function eventsOf({ steps, sentMs, receivedMs }: Report): [string, number][] {
  const known = steps.filter(([name]) => searching.some(step => step === name))
  return [...known, ...firstAndLast('sent', sentMs), ...firstAndLast('received', receivedMs)].sort(
    ([, a], [, b]) => a - b
  )
}

const firstAndLast = (name: string, span: Report['sentMs']): [string, number][] =>
  span
    ? [
        [`first_${name}`, span[0]],
        [`last_${name}`, span[1]]
      ]
    : []

const found: SpanAttributes = { 'postern.outcome': 'path' }

const failureOf = (told: Told): SpanAttributes =>
  told.type === 'failed'
    ? { 'postern.outcome': 'failed', ...codeAttributes(told.code), 'postern.reason': told.reason }
    : {}

const endsOf = ({ local, remote }: Extract<Told, { type: 'opened' }>): SpanAttributes => ({
  'postern.outcome': 'path',
  'network.local.address': local.address,
  'network.local.port': local.port,
  'network.peer.address': remote.address,
  'network.peer.port': remote.port
})

const countAttributes = ({ sent, received, flows, held, sockets, heard = [] }: Report): SpanAttributes => ({
  'postern.sent': sent,
  'postern.received': received,
  ...(flows === undefined ? {} : { 'postern.flows': flows }),
  ...(held === undefined ? {} : { 'postern.held': held }),
  ...(sockets === undefined ? {} : { 'postern.sockets': sockets }),
  ...(heard.length > 0 ? { 'postern.heard': heard.map(formatEndpoint) } : {})
})
