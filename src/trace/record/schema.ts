// A record from a file, which may be torn, of another version, or no record at all.

import { z } from 'zod'
import type { TraceRecord } from './record.ts'

/** Milliseconds since the epoch that are a date: pages and tables write them as one. */
const moment = z.number().min(-8.64e15).max(8.64e15)

const attributes = z.record(z.string(), z.unknown())

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
  side: z.enum(['caller', 'callee', 'both', 'gateway', 'path', 'none']),
  evidence: z.array(z.string()),
  advice: z.string(),
  also: z.array(z.string())
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
  verdict,
  spans: z.array(span).min(1)
})

/** Undefined where it is none. */
export function asRecord(value: unknown): TraceRecord | undefined {
  const { data } = record.safeParse(value)
  return data as TraceRecord | undefined
}

/** The same, from its JSON. */
export function readRecord(json: string): TraceRecord | undefined {
  try {
    return asRecord(JSON.parse(json))
  } catch {
    return undefined
  }
}
