// Reads a record from a file. It may be torn, of another version, or no record at all.

import { z } from 'zod'
import { blamed } from '../../verdict.ts'
import { wordNow } from '../../vocabulary.ts'
import type { AttributeName } from './conventions.ts'
import type { SpanRecord, TraceRecord } from './record.ts'

/** Milliseconds since the epoch, within what a date can be: pages and tables write them as one. */
const moment = z.number().min(-8.64e15).max(8.64e15)

const isPlain = (value: unknown) => typeof value !== 'object' || value === null

/** A text, a number, a flag, or a list of them (OpenTelemetry has no others). */
const isAttribute = (value: unknown) => (Array.isArray(value) ? value.every(isPlain) : isPlain(value))

/** What is no attribute is left out: whoever reads the others takes it for missing. */
const attributes = z.record(z.string(), z.unknown()).transform(given => {
  const odd = Object.values(given).some(value => !isAttribute(value))
  return odd ? Object.fromEntries(Object.entries(given).filter(([, value]) => isAttribute(value))) : given
})

const span = z.object({
  id: z.string(),
  parent: z.string().optional(),
  name: z.string(),
  startMs: moment,
  endMs: moment,
  attributes,
  events: z.array(z.object({ name: z.string(), atMs: moment, attributes }))
})

const verdict = z.object({
  code: z.string(),
  sentence: z.string(),
  side: z.enum(blamed),
  evidence: z.array(z.string()),
  advice: z.string(),
  also: z.array(z.string())
})

const loss = verdict.extend({
  atMs: moment,
  path: z.enum(['direct', 'relay']).optional(),
  settled: z.boolean()
})

const record = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  startMs: moment,
  ms: z.number(),
  caller: z.string(),
  callee: z.string(),
  outcome: z.string(),
  by: z.string(),
  reason: z.string(),
  path: z.enum(['direct', 'relay']).optional(),
  continues: z.string().optional(),
  verdict,
  losses: z.array(loss).optional(),
  spans: z.array(span).min(1)
})

/** Undefined if it is no record. Words of former releases become those of today. */
export function asRecord(value: unknown): TraceRecord | undefined {
  const { data } = record.safeParse(value)
  return data && withWordsOfToday(data as TraceRecord)
}

function withWordsOfToday({ verdict, spans, ...rest }: TraceRecord): TraceRecord {
  return {
    ...rest,
    verdict: { ...verdict, code: wordNow(verdict.code), also: verdict.also.map(wordNow) },
    spans: spans.map(span => ({ ...span, attributes: attributesOfToday(span.attributes) }))
  }
}

/** The attributes whose values are words. */
const wordy: readonly AttributeName[] = ['postern.cause', 'postern.verdict', 'postern.verdict.also']

function attributesOfToday(given: SpanRecord['attributes']): SpanRecord['attributes'] {
  const now = (value: unknown): unknown =>
    typeof value === 'string' ? wordNow(value) : Array.isArray(value) ? value.map(now) : value
  const words = wordy.filter(name => Object.hasOwn(given, name)).map(name => [name, now(given[name])] as const)
  return words.length === 0 ? given : { ...given, ...Object.fromEntries(words) }
}

/** The same, from its JSON. */
export function readRecord(json: string): TraceRecord | undefined {
  try {
    return asRecord(JSON.parse(json))
  } catch {
    return undefined
  }
}
