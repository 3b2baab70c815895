// Sends traces to a collector: OTLP, protobuf over HTTP, to where OTEL_EXPORTER_OTLP_ENDPOINT says. What is sampled waits in
// the outbox (outbox.ts). The gateway's own store and verdicts see every span, whatever the sampler and the limits of `OTEL_*`
// say.

import { TraceFlags } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import {
  AlwaysOnSampler,
  createAlwaysRecordSampler,
  type Sampler,
  SamplingDecision,
  type SpanProcessor
} from '@opentelemetry/sdk-trace'
import { exportSettings } from './environment.ts'
import { type ExportCounters, type ExportLog, noneExported, Outbox, type Patience, patience } from './outbox.ts'
import { gatewayResource } from './told.ts'

export interface Exporting {
  readonly processors: readonly SpanProcessor[]
  readonly sampler: Sampler
  readonly resource: Resource
  readonly counters: ExportCounters
}

/** Reads the `OTEL_*` variables. Throws `bad-config` if one of them is wrong. */
export function exporting(env: NodeJS.ProcessEnv, log: ExportLog, patient: Patience = patience): Exporting {
  const settings = exportSettings(env)
  const counters = noneExported()
  const resource = gatewayResource(settings?.resource ?? {})
  return {
    processors: settings ? [new Outbox({ settings, resource, counters, log, patience: patient })] : [],
    sampler: createAlwaysRecordSampler(alike(settings?.sampler ?? new AlwaysOnSampler())),
    resource,
    counters
  }
}

/** A span that is linked with another from its start on is exported where that one is: it is a part of its story. */
const alike = (sampler: Sampler): Sampler => ({
  shouldSample(context, trace, name, kind, attributes, links) {
    const [link] = links
    if (!link) return sampler.shouldSample(context, trace, name, kind, attributes, links)
    const isSampled = (link.context.traceFlags & TraceFlags.SAMPLED) !== 0
    return { decision: isSampled ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD }
  },
  toString: () => `Alike{${sampler}}`
})
