// One side's network as planners saw it, in full, so that a trace can be asked again with other strategies.

import { nowMs } from '../../clock.ts'
import type { Assignment } from '../../nat/assignment.ts'
import type { Claim, Side } from '../../strategy/scene.ts'
import type { SpanAttributes } from '../../trace/record/conventions.ts'
import { observedLine } from '../../trace/record/observed.ts'
import { formatEndpoint } from '../../wire/endpoint.ts'
import type { ForwardOrigin } from '../../wire/forward.ts'
import type { SideName } from '../../wire/side.ts'
import type { Remapped } from '../peers/observer.ts'
import type { Beneath } from './step.ts'

/** Mappings that a trace names, the latest ones: as many as models look at (assignment/observation.ts). */
const OBSERVED = 32

export function recordProfile(step: Beneath, which: SideName, side: Side, remapped?: Remapped): void {
  const startTime = nowMs()
  const attributes = {
    'postern.side': which,
    ...networkAttributes(side, startTime),
    ...profileAttributes(side),
    ...remappedAttribute(remapped, startTime)
  }
  const span = step.begin('postern.profile', attributes, startTime)
  for (const { via, mapped, atMs } of side.profile.samples)
    span.addEvent('sample', { 'postern.via': formatEndpoint(via), 'postern.mapped': formatEndpoint(mapped) }, atMs)
  span.end(nowMs())
}

const networkAttributes = (
  { mapped, port, addresses, rttMs, probes, observations, open, claim, router }: Side,
  atMs: number
): SpanAttributes => ({
  ...(open ? forwardAttributes('proved', open.by) : {}),
  ...(open ? { 'postern.forward.endpoint': formatEndpoint(open.endpoint) } : {}),
  ...(claim ? forwardAttributes(claim.state, claim.by) : {}),
  ...(router ? { 'postern.router': router.answer } : {}),
  ...(router?.outside ? { 'postern.router.outside': router.outside } : {}),
  'postern.mapped': formatEndpoint(mapped),
  'postern.port': port,
  'postern.links': addresses.map(({ address, prefix }) => `${address}/${prefix}`),
  'postern.rtt': rttMs,
  'postern.probes_left': probes,
  'postern.observed': observations.slice(-OBSERVED).map(observation => observedLine(observation, atMs))
})

/** A change from longer ago says nothing of what happens now, in milliseconds. */
const LATELY_MS = 60_000

const remappedAttribute = (remapped: Remapped | undefined, atMs: number): SpanAttributes =>
  remapped && atMs - remapped.atMs < LATELY_MS
    ? {
        'postern.remapped': `${formatEndpoint(remapped.was)} ${formatEndpoint(remapped.mapped)} ${Math.round(atMs - remapped.atMs)}`
      }
    : {}

const forwardAttributes = (state: Claim['state'] | 'proved', by: ForwardOrigin): SpanAttributes => ({
  'postern.forward': state,
  'postern.forward.by': by
})

const profileAttributes = ({ profile, gateway }: Side): SpanAttributes => ({
  'postern.mapping': profile.mapping,
  'postern.filtering': profile.filtering,
  'postern.translated': profile.translated,
  ...(profile.hidden ? { 'postern.hidden': true, 'postern.reached': formatEndpoint(gateway) } : {}),
  ...(profile.remaps === undefined ? {} : { 'postern.remaps': profile.remaps }),
  ...(profile.assignment ? assignmentAttributes(profile.assignment) : {})
})

const assignmentAttributes = (assignment: Assignment): SpanAttributes => {
  const { kind, confidence, evidence, step, driftPerSecond, block, range } = assignment
  return {
    'postern.allocation': kind,
    'postern.confidence': confidence,
    'postern.evidence': evidence,
    ...(step === undefined ? {} : { 'postern.step': step }),
    ...(driftPerSecond === undefined ? {} : { 'postern.drift': driftPerSecond }),
    ...(block ? { 'postern.block': `${block.low}-${block.high}` } : {}),
    ...(range ? { 'postern.range': `${range.low}-${range.high}` } : {})
  }
}
