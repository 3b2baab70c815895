// `postern traces` and `postern trace`: how connections came about as the gateway recorded it, and why they are no better.
//
//   options -> query of /api/traces -> table; where it is empty, which filter was in the way
//   id, or the beginning of one -> /api/traces/ID -> waterfall, JSON, or a file

import { writeFile } from 'node:fs/promises'
import { Command, InvalidArgumentError } from 'commander'
import { closest, didYouMean } from '../config/closest.ts'
import { PosternError } from '../errors.ts'
import type { TraceRecord, TraceSummary } from '../trace/record/record.ts'
import { parseDuration } from '../units.ts'
import { verdicts } from '../verdict.ts'
import { ask } from './api.ts'
import { perform, type Run } from './door.ts'
import { type AdminOptions, wholeNumber, withAdminOptions } from './options.ts'
import { renderTrace } from './text/trace-text.ts'
import { tracesTable } from './text/traces-table.ts'

interface ListOptions extends AdminOptions, Filters {
  readonly limit: number
}

interface Filters {
  readonly failed?: boolean
  readonly relayed?: boolean
  readonly peer?: string
  readonly verdict?: string
  readonly since?: string
}

interface ShowOptions extends AdminOptions {
  readonly save?: string
  readonly key?: string
}

/** Rows of the list if `--limit` does not say otherwise: about a screen. */
const ROWS = 20

/** The most rows that a gateway answers with. */
const MOST_ROWS = 1000

export function tracesCommand(): Command {
  return withAdminOptions(new Command('traces'))
    .summary('list the latest connections')
    .description('Lists the latest connections, the newest first: what became of them, and why.')
    .option('--failed', 'only those for which no path was found')
    .option('--relayed', 'only those that were relayed; with --failed: those and the failed ones')
    .option('--peer <name>', 'only those of this peer, on either side')
    .option('--verdict <code>', 'only those with this verdict', aVerdict)
    .option('--since <duration>', 'only those of the last 30m, 2h, 1d …, or since a time', aMoment)
    .option('--limit <n>', `how many at most, up to ${MOST_ROWS}`, wholeNumber(1, MOST_ROWS), ROWS)
    .addHelpText(
      'after',
      `
Examples:
  postern traces
  postern traces --failed --relayed --since 1h
  postern traces --peer bob --verdict both-random
  postern trace 4bf92f35                   one of them in full`
    )
    .action((options: ListOptions) => perform(options, run => list(options, run)))
}

export function traceCommand(): Command {
  return withAdminOptions(new Command('trace'))
    .summary('show how one connection came about, and why not better')
    .description(
      'Shows one connection: why it ended as it did, then each step of both peers and\nthe gateway, on one clock.'
    )
    .argument('<id>', 'id of the trace, or the beginning of it')
    .option('--save <file>', 'keep it in a file, for `postern explain`')
    .option('--key <key>', 'in place of the admin token: what a failed command printed with the id', aKey)
    .addHelpText(
      'after',
      `
Examples:
  postern trace 4bf92f35
  postern trace 4bf92f35 --save bad.json   for others, and postern explain
  postern trace ID --key KEY               one's own, without the admin token`
    )
    .action((id: string, options: ShowOptions) => perform(options, run => show(id, options, run)))
}

async function list({ limit, ...options }: ListOptions, { output, signal }: Run): Promise<void> {
  const traces = await found(options, options, limit, signal)
  for (const trace of traces) output.tell({ event: 'trace', ...trace })
  if (traces.length === 0) return output.line(await whyNone(options, signal))
  const width = output.live ? output.width : Number.POSITIVE_INFINITY
  for (const line of tracesTable(traces, { width, paint: output.paint.bind(output) })) output.line(line)
  if (traces.length === limit) output.line(output.paint('dim', `the latest ${limit}; --limit shows more`))
}

async function found(options: AdminOptions, filters: Filters, limit: number, signal: AbortSignal) {
  const { failed, relayed, peer, verdict, since } = filters
  const query = new URLSearchParams({
    ...(failed ? { failed: '' } : {}),
    ...(relayed ? { relayed: '' } : {}),
    ...(peer === undefined ? {} : { peer }),
    ...(verdict === undefined ? {} : { verdict }),
    ...(since === undefined ? {} : { since }),
    limit: `${limit}`
  })
  return (await ask(options, `/api/traces?${query}`, { signal })) as TraceSummary[]
}

/** Says why nothing is listed. It names the filters without which there would be something to see. */
async function whyNone(options: AdminOptions & Filters, signal: AbortSignal): Promise<string> {
  const kept = await found(options, {}, MOST_ROWS, signal)
  if (kept.length === 0) return 'no connection was asked for yet'
  const parts = partsOf(options, kept)
  const whole = parts.map(({ text }) => text).join(' ')
  if (parts.length < 2) return `none of the ${kept.length} kept is ${whole}`
  const guilty = []
  for (const part of parts) {
    const others = parts.filter(other => other !== part).map(({ filters }) => filters)
    if ((await found(options, Object.assign({}, ...others), 1, signal)).length > 0) guilty.push(part.text)
  }
  const hint = guilty.length > 0 ? `; there are some without ${guilty.join(', or without ')}` : ''
  return `none of the ${kept.length} kept is ${whole}${hint}`
}

function partsOf({ failed, relayed, peer, verdict, since }: Filters, kept: readonly TraceSummary[]) {
  const names = [...new Set(kept.flatMap(({ caller, callee }) => [caller, callee]))]
  const meant = peer === undefined || names.includes(peer) ? '' : didYouMean(peer, names)
  const kinds = [...(failed ? ['--failed'] : []), ...(relayed ? ['--relayed'] : [])].join(' ')
  return [
    ...(kinds ? [{ text: kinds, filters: { ...(failed ? { failed } : {}), ...(relayed ? { relayed } : {}) } }] : []),
    ...(peer === undefined ? [] : [{ text: `--peer ${peer}${meant}`, filters: { peer } }]),
    ...(verdict === undefined ? [] : [{ text: `--verdict ${verdict}`, filters: { verdict } }]),
    ...(since === undefined ? [] : [{ text: `--since ${since}`, filters: { since } }])
  ]
}

async function show(id: string, options: ShowOptions, { output, signal }: Run): Promise<void> {
  const traces = await recordsOf(id.toLowerCase(), options, signal)
  for (const [index, trace] of traces.entries()) {
    const text = renderTrace(trace, { width: output.width, paint: output.paint.bind(output) })
    output.tell({ event: 'trace', ...trace }, index === 0 ? text : `\n${text}`)
  }
  if (options.save === undefined) return
  await save(options.save, traces)
  output.line(`\nkept in ${options.save}; ask again with: postern explain ${options.save}`)
}

/** Throws `bad-config` if no trace, or more than one, begins with `id`. */
async function recordsOf(id: string, { key, ...options }: ShowOptions, signal: AbortSignal): Promise<TraceRecord[]> {
  if (!/^[0-9a-f]{1,32}$/.test(id))
    throw new PosternError('bad-config', `${id} is no id of a trace; expected hex digits`)
  if (key && id.length < 32) throw new PosternError('bad-config', 'with --key the whole id is needed: 32 hex digits')
  const full = id.length === 32 ? id : await completed(id, options, signal)
  return (await ask(options, `/api/traces/${full}`, { key, signal })) as TraceRecord[]
}

async function completed(start: string, options: AdminOptions, signal: AbortSignal): Promise<string> {
  const traces = await found(options, {}, MOST_ROWS, signal)
  const [first, second] = new Set(traces.map(({ id }) => id).filter(id => id.startsWith(start)))
  if (!first)
    throw new PosternError('bad-config', `no trace is kept whose id begins with ${start}; see: postern traces`)
  if (second) throw new PosternError('bad-config', `the ids of several traces begin with ${start}`)
  return first
}

/** Saves the traces as the gateway told them. Throws `io`. */
async function save(file: string, traces: readonly TraceRecord[]): Promise<void> {
  await writeFile(file, `${JSON.stringify(traces, undefined, 2)}\n`).catch(cause => {
    throw new PosternError('io', `${file} cannot be written: ${cause.message}`, { cause })
  })
}

function aVerdict(code: string): string {
  const known = Object.keys(verdicts)
  if (known.includes(code)) return code
  const meant = closest(code, known)
  throw new InvalidArgumentError(
    `There is no such verdict${meant ? ` (did you mean "${meant}"?)` : `; expected one of ${known.join(', ')}`}.`
  )
}

/** It stands in a header. */
function aKey(text: string): string {
  if (/^[\w-]+$/.test(text)) return text
  throw new InvalidArgumentError('Expected the key as it was printed.')
}

/** A duration is sent as it is, because it counts on the gateway's clock. */
function aMoment(text: string): string {
  if (parseDuration(text) !== undefined) return text
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isFinite(ms)) return new Date(ms).toISOString()
  throw new InvalidArgumentError('Expected a duration such as 30m, 2h or 1d, or a time such as 2026-01-31T12:00.')
}
