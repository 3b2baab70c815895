// A search for another path of a connection that stands, and what peers tell of its path: both are recorded in the trace of the
// request that made the connection, beneath its root. There may be any number of them, so who records says how much of each
// may still be recorded (session/again/standing.ts).

import { type Context, INVALID_SPAN_CONTEXT, type Span, type Tracer, trace } from '@opentelemetry/api'
import { nowMs } from '../../clock.ts'
import type { Strategy } from '../../strategy/turn.ts'
import type { AttributeName, SpanAttributes } from '../../trace/record/conventions.ts'
import { otherSide, type SideName } from '../../wire/side.ts'
import type { Continues, FromPeer, Message } from '../../wire/signal.ts'
import type { Member } from '../peers/member.ts'
import type { Clock } from '../peers/peer-clock.ts'
import { onOurClock } from './on-our-clock.ts'
import { sourceAttribute } from './request-span.ts'
import { beneath } from './step.ts'

interface Asked {
  /** Undefined where the gateway does not know who had called. */
  readonly asker: SideName | undefined
  readonly strategies: readonly Strategy[]
  /** When the gateway began, in milliseconds since the epoch. */
  readonly beganMs: number
}

/** What a search begins with. The names are those of its own sides: `mirrored` turns them round where the callee asks. */
export const againAttributes = (
  { id, caller, callee }: Readonly<{ id: string; caller: Member; callee: Member }>,
  { session, only, mtu }: Continues,
  { asker, strategies, beganMs }: Asked
): SpanAttributes => ({
  'postern.caller': caller.name,
  'postern.callee': callee.name,
  'postern.session': id,
  'postern.continues': session,
  'postern.only': only,
  ...(mtu === undefined ? {} : { 'postern.mtu': mtu }),
  // Whoever asks is the caller of the search.
  ...(asker ? { 'postern.asker': 'caller' } : {}),
  ...sourceAttribute(caller.account.network),
  'postern.strategies': strategies.map(({ name }) => name),
  'postern.gateway.up': Math.round(nowMs() - beganMs),
  ...joinedAttribute('caller', caller),
  ...joinedAttribute('callee', callee)
})

/** A side that joined a moment ago had lost its link, or was not there. */
const joinedAttribute = (side: SideName, { arrival: { helloMs } }: Pick<Member, 'arrival'>): SpanAttributes => ({
  [`postern.${side}.joined`]: Math.round(nowMs() - helloMs)
})

/** Who tells something, and since when it may have happened. */
export interface Teller {
  readonly side: SideName
  readonly clock: Clock | undefined
  readonly sinceMs: number
}

/** Records what a peer tells as a moment beneath the root of its connection. */
export function recordNews(tracer: Tracer, root: Context, news: Message<FromPeer, 'news'>, teller: Teller): void {
  const heardMs = nowMs()
  const atMs = onOurClock(news.atMs, teller.clock, [Math.min(teller.sinceMs, heardMs), heardMs]) ?? heardMs
  const late = heardMs - atMs > LATE_MS ? { 'postern.late': Math.round(heardMs - atMs) } : {}
  const attributes = { ...newsAttributes(news, teller.side), ...late }
  beneath(tracer, root).begin('postern.change', attributes, atMs).end(atMs)
}

/** News take no longer than this where the link of the side that tells is up, in milliseconds. */
const LATE_MS = 1000

/** What `ms` is of each. */
const lasting: Readonly<Record<Message<FromPeer, 'news'>['what'], AttributeName>> = {
  lost: 'postern.silence',
  moved: 'postern.pause',
  resumed: 'postern.pause',
  proved: 'postern.pause',
  narrow: 'postern.pause',
  slept: 'postern.slept',
  network: 'postern.pause',
  ended: 'postern.pause'
}

const newsAttributes = (
  { what, reason, kind, door, seen, ms, askedMs, quietMs, back, code, resentBytes, mtu }: Message<FromPeer, 'news'>,
  teller: SideName
): SpanAttributes => ({
  'postern.change': what,
  'postern.side': seen === 'there' ? otherSide(teller) : teller,
  'postern.told_by': teller,
  ...(reason === undefined ? {} : { 'postern.reason': reason }),
  ...(kind === undefined ? {} : { 'postern.path': kind }),
  ...(door === undefined ? {} : { 'postern.door': door }),
  ...(ms === undefined ? {} : { [lasting[what]]: ms }),
  ...(askedMs === undefined ? {} : { 'postern.unanswered': askedMs }),
  ...(quietMs === undefined || what === 'lost' ? {} : { 'postern.silence': quietMs }),
  ...(back === undefined ? {} : { 'postern.back': back }),
  ...(code === undefined ? {} : { 'postern.code': code }),
  ...(resentBytes === undefined ? {} : { 'postern.resent': resentBytes }),
  ...(mtu === undefined ? {} : { 'postern.mtu': mtu })
})

/** All of a search is recorded, that there was one and how it ended, or nothing. */
export type Detail = 'all' | 'outline' | 'nothing'

/** Spans of an outline. */
const outlined: readonly string[] = ['postern.again', 'postern.change']

/** A tracer that records as much. What is not recorded is in the same trace all the same, for who is told its id. */
export function tracerOf(tracer: Tracer, detail: Detail): Tracer {
  if (detail === 'all') return tracer
  const isKept = (name: string) => detail === 'outline' && outlined.includes(name)
  return {
    startSpan: (name, options, context) =>
      isKept(name) ? tracer.startSpan(name, options, context) : unrecorded(context),
    startActiveSpan: () => {
      throw new Error('spans are not made active here: their contexts are handed on by hand')
    }
  }
}

const unrecorded = (context: Context | undefined): Span =>
  trace.wrapSpanContext((context && trace.getSpanContext(context)) ?? INVALID_SPAN_CONTEXT)
