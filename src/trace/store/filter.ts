// Which traces a list shows. The query of a URL becomes a filter, and a filter says yes or no to a trace. The API and the
// pages read the same words.

import { PosternError } from '../../errors.ts'
import { aDuration, parseDuration } from '../../units.ts'
import { verdicts } from '../../verdict.ts'
import { wordNow } from '../../vocabulary.ts'
import type { TraceSummary } from '../record/record.ts'

export interface TraceFilter {
  /** If several of `failed`, `relayed` and `direct` are given, any of them matches. */
  readonly failed?: boolean
  readonly relayed?: boolean
  readonly direct?: boolean
  /** Name of either side. */
  readonly peer?: string
  readonly verdict?: string
  /** The trace began at or after the first, and before the second (for the next page). Milliseconds since the epoch. */
  readonly sinceMs?: number
  readonly beforeMs?: number
  readonly limit: number
}

/** Traces in one answer of the list, if the query does not say, and at most. */
const LIMIT = 200
const MOST = 1000

type Query = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * `failed`, `relayed`, `direct`, `peer=NAME`, `verdict=CODE`, `since=1h` or a time, `before=` a time, `limit=n`. The first
 * three take no value. Any other with an empty value, as a form sends it, counts as left out. Throws `bad-config`.
 */
export function filterOf(query: Query, atMs: number): TraceFilter {
  const wanted = (name: string) => single(query, name) || undefined
  const peer = wanted('peer')
  const verdict = wanted('verdict')
  const since = wanted('since')
  const before = wanted('before')
  return {
    ...(flag(query, 'failed') ? { failed: true } : {}),
    ...(flag(query, 'relayed') ? { relayed: true } : {}),
    ...(flag(query, 'direct') ? { direct: true } : {}),
    ...(peer ? { peer } : {}),
    ...(verdict ? { verdict: known(verdict) } : {}),
    ...(since ? { sinceMs: momentOf('since', since, atMs) } : {}),
    ...(before ? { beforeMs: momentOf('before', before, atMs) } : {}),
    limit: limitOf(wanted('limit'))
  }
}

export function matches(trace: TraceSummary, filter: TraceFilter): boolean {
  const { failed, relayed, direct, peer, verdict, sinceMs = -Infinity, beforeMs = Infinity } = filter
  const ended = [
    failed && trace.outcome === 'failed',
    relayed && trace.path === 'relay',
    direct && trace.path === 'direct'
  ]
  return (
    (!(failed || relayed || direct) || ended.includes(true)) &&
    (peer === undefined || trace.caller === peer || trace.callee === peer) &&
    (verdict === undefined || trace.verdict.code === verdict) &&
    trace.startMs >= sinceMs &&
    trace.startMs < beforeMs
  )
}

function single(query: Query, name: string): string | undefined {
  const given = query[name]
  if (given === undefined || typeof given === 'string') return given
  throw wrong(`${name} is given ${given.length} times; expected it once`)
}

/** The presence of the parameter is enough. */
function flag(query: Query, name: string): boolean {
  const given = single(query, name)
  if (given === undefined || given === 'false') return false
  if (given === '' || given === 'true' || given === 'on') return true
  throw wrong(`${name} is "${given}"; expected it without a value`)
}

/** A word of a former release will do as well. */
function known(code: string): string {
  const now = wordNow(code)
  if (Object.hasOwn(verdicts, now)) return now
  throw wrong(`there is no verdict "${code}"; expected one of ${Object.keys(verdicts).join(', ')}`)
}

function momentOf(name: string, text: string, atMs: number): number {
  const agoMs = parseDuration(text)
  if (agoMs !== undefined) return atMs - agoMs
  const ms = /^\d{1,15}(\.\d+)?$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isFinite(ms)) return ms
  throw wrong(`${name} is "${text}"; expected ${aDuration}, a time as 2026-01-31T12:00:00Z, or milliseconds since 1970`)
}

function limitOf(text: string | undefined): number {
  const limit = text === undefined ? LIMIT : Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= MOST) return limit
  throw wrong(`limit is "${text}"; expected a whole number from 1 to ${MOST}`)
}

const wrong = (message: string) => new PosternError('bad-config', message)
