// Spans around the steps of a connect request. Names and attributes are listed in ARCHITECTURE.md; contexts are handed on
// by hand, since a session knows its own parent.

import { type Attributes, type Context, context, type Span, type Tracer, trace } from '@opentelemetry/api'
import { nowMs } from '../../clock.ts'
import type { Order } from '../../wire/signal.ts'
import type { Allocation } from '../ports.ts'
import type { Profile } from '../profile.ts'
import type { Plan, Role } from '../scene.ts'
import type { SideResult } from '../trial.ts'

export interface Step {
  readonly span: Span
  readonly context: Context
}

/** Runs `work` within a span; an error is recorded and thrown on. */
export async function within<T>(
  tracer: Tracer,
  parent: Context,
  name: string,
  attributes: Attributes,
  work: (step: Step) => Promise<T>
): Promise<T> {
  const span = tracer.startSpan(name, { attributes, startTime: nowMs() }, parent)
  try {
    return await work({ span, context: trace.setSpan(parent, span) })
  } catch (error) {
    span.setAttributes({
      'postern.outcome': 'failed',
      'postern.reason': error instanceof Error ? error.message : String(error)
    })
    throw error
  } finally {
    span.end(nowMs())
  }
}

/** The caller's own trace goes on where it sent a W3C `traceparent`. */
export function parentOf(traceparent: string | undefined): Context {
  const match = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent ?? '')
  if (!match?.[1] || !match[2] || /^0+$/.test(match[1]) || /^0+$/.test(match[2])) return context.active()
  const remote = {
    traceId: match[1],
    spanId: match[2],
    traceFlags: Number.parseInt(match[3] ?? '0', 16) | 1,
    isRemote: true
  }
  return trace.setSpanContext(context.active(), remote)
}

export function recordProfile(tracer: Tracer, parent: Context, side: Role, profile: Profile): void {
  const startTime = nowMs()
  const span = tracer.startSpan('postern.profile', { attributes: profileAttributes(side, profile), startTime }, parent)
  for (const { via, mapped, atMs } of profile.samples)
    span.addEvent(
      'sample',
      { 'postern.via': `${via.address}:${via.port}`, 'postern.mapped': `${mapped.address}:${mapped.port}` },
      atMs
    )
  span.end(nowMs())
}

const profileAttributes = (side: Role, { mapping, filtering, translated, allocation }: Profile): Attributes => ({
  'postern.side': side,
  'postern.mapping': mapping,
  'postern.filtering': filtering,
  'postern.translated': translated,
  ...(allocation ? allocationAttributes(allocation) : {})
})

const allocationAttributes = ({ kind, confidence, evidence, step, driftPerSecond }: Allocation): Attributes => ({
  'postern.allocation': kind,
  'postern.confidence': confidence,
  'postern.evidence': evidence,
  ...(step === undefined ? {} : { 'postern.step': step }),
  ...(driftPerSecond === undefined ? {} : { 'postern.drift': driftPerSecond })
})

/** What is tried, and how much of it: the ports themselves would be thousands. */
export function planAttributes(plan: Plan): Attributes {
  return {
    'postern.order': plan.caller.kind,
    'postern.why': plan.why,
    ...(plan.expected === undefined ? {} : { 'postern.expected': plan.expected }),
    ...effortAttributes('caller', plan.caller),
    ...effortAttributes('callee', plan.callee)
  }
}

function effortAttributes(role: Role, order: Order): Attributes {
  if (order.kind === 'splice' || order.probes === undefined) return {}
  const ports = (order.guesses ?? []).flatMap(guess => guess.ports)
  return {
    [`postern.${role}.sockets`]: order.sockets ?? 1,
    [`postern.${role}.probes`]: order.probes,
    [`postern.${role}.ports`]: ports.length,
    ...(ports.length > 0 ? { [`postern.${role}.first_ports`]: ports.slice(0, FIRST_PORTS) } : {})
  }
}

/** Ports named one by one in a trace: a prediction fits, of a spray it shows where it began. */
const FIRST_PORTS = 32

/** A peer's own steps, from what it reported: milliseconds since the order reached it, which its last word dates. */
export function recordHandover(tracer: Tracer, parent: Context, side: Role, result: SideResult, rttMs: number): void {
  if (!result.report) return
  const { steps, sent, received, flows } = result.report
  const endMs = result.atMs - rttMs / 2
  const orderMs = endMs - (steps.at(-1)?.[1] ?? 0)
  const attributes = {
    'postern.side': side,
    'postern.sent': sent,
    'postern.received': received,
    ...(flows === undefined ? {} : { 'postern.flows': flows }),
    'postern.outcome': result.remote ? 'path' : 'failed',
    ...(result.reason ? { 'postern.reason': result.reason } : {}),
    ...(result.local ? { 'network.local.address': result.local.address, 'network.local.port': result.local.port } : {}),
    ...(result.remote ? { 'network.peer.address': result.remote.address, 'network.peer.port': result.remote.port } : {})
  }
  const span = tracer.startSpan('postern.handover', { attributes, startTime: orderMs }, parent)
  for (const [name, ms] of steps) span.addEvent(name, {}, orderMs + ms)
  span.end(endMs)
}
