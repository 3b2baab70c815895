// How a session is recorded, and by which strategies it looks for a path: a request for a connection by all of them, a search for
// another path of one by some (session/again/again.ts).

import type { Context, Tracer } from '@opentelemetry/api'
import type { Strategy } from '../../strategy/turn.ts'
import type { SpanAttributes, SpanName } from '../../trace/record/conventions.ts'
import type { SideName } from '../../wire/side.ts'
import type { Member } from '../peers/member.ts'
import { requestAttributes } from './request-span.ts'
import { parentOf } from './step.ts'

export interface Trail {
  readonly tracer: Tracer
  readonly parent: Context
  /** Of the span that all others stand beneath. */
  readonly name: SpanName
  readonly attributes: (session: Recorded) => SpanAttributes
  readonly strategies: readonly Strategy[]
  /** It is a record of its own, not a part of the record of another session. */
  readonly isOwn: boolean
}

type Recorded = Readonly<Record<SideName, Member>> & { readonly id: string }

/** @param traceparent the caller's own span, as W3C writes it */
export const requestTrail = (
  { tracer, ...house }: Readonly<{ tracer: Tracer; strategies: readonly Strategy[]; deadlineMs: number }>,
  traceparent: string | undefined
): Trail => ({
  tracer,
  parent: parentOf(traceparent),
  name: 'postern.connect',
  attributes: session => requestAttributes(session, house),
  strategies: house.strategies,
  isOwn: true
})
