// `postern traces` and `postern trace`: how connections came about, as the gateway recorded it.

import { Command } from 'commander'
import { PosternError } from '../errors.ts'
import type { TraceRecord } from '../gateway/trace/store.ts'
import { ask } from './api.ts'
import { perform, type Run } from './door.ts'
import { type AdminOptions, withAdminOptions } from './options.ts'
import { fit, formatMs, type Output } from './output.ts'
import { renderTrace } from './trace-text.ts'

type Summary = Omit<TraceRecord, 'spans'>

interface Options extends AdminOptions {
  readonly failed?: boolean
}

export function tracesCommand(): Command {
  return withAdminOptions(new Command('traces'))
    .summary('list the latest connections')
    .description('Lists the latest connections, the newest first, and what became of them.')
    .option('--failed', 'only those for which no path was found')
    .addHelpText(
      'after',
      `
Examples:
  postern traces
  postern traces --failed
  postern trace 4bf92f35                   one of them in full`
    )
    .action((options: Options) => perform(options, run => list(options, run)))
}

export function traceCommand(): Command {
  return withAdminOptions(new Command('trace'))
    .summary('show how one connection came about')
    .description('Shows each step of one connection: when, on which side, with what outcome and why.')
    .argument('<id>', 'id of the trace, or the beginning of it')
    .addHelpText(
      'after',
      `
Example:
  postern trace 4bf92f3577b34da6a3ce929d0e0e4736`
    )
    .action((id: string, options: AdminOptions) => perform(options, run => show(id, options, run)))
}

async function list(options: Options, { output, signal }: Run): Promise<void> {
  const traces = (await ask(options, `/api/traces${options.failed ? '?failed' : ''}`, { signal })) as Summary[]
  for (const trace of traces) output.tell({ event: 'trace', ...trace })
  if (traces.length === 0) output.line(options.failed ? 'no connection has failed' : 'no connection was asked for yet')
  else for (const line of table(traces, output)) output.line(line)
}

async function show(id: string, options: AdminOptions, { output, signal }: Run): Promise<void> {
  const full = /^[0-9a-f]{32}$/i.test(id) ? id.toLowerCase() : await complete(id.toLowerCase(), options, signal)
  const traces = (await ask(options, `/api/traces/${full}`, { signal })) as TraceRecord[]
  for (const [index, trace] of traces.entries()) {
    const text = renderTrace(trace, { width: output.width, paint: output.paint.bind(output) })
    output.tell({ event: 'trace', ...trace }, index === 0 ? text : `\n${text}`)
  }
}

async function complete(start: string, options: AdminOptions, signal: AbortSignal): Promise<string> {
  if (!/^[0-9a-f]+$/.test(start))
    throw new PosternError('bad-config', `${start} is no id of a trace; expected hex digits`)
  const traces = (await ask(options, '/api/traces', { signal })) as Summary[]
  const [first, second] = new Set(traces.map(({ id }) => id).filter(id => id.startsWith(start)))
  if (!first) throw new PosternError('bad-config', `no trace is kept whose id begins with ${start}`)
  if (second) throw new PosternError('bad-config', `the ids of several traces begin with ${start}`)
  return first
}

/** Columns that are shortened, names first, where the terminal is narrow; a file gets them whole. */
function table(traces: readonly Summary[], output: Output): string[] {
  const rows = [
    ['TIME', 'TRACE', 'CALLER', 'CALLEE', 'OUTCOME', 'BY', 'MS'],
    ...traces.map(({ id, startMs, caller, callee, outcome, by, ms }) => [
      new Date(startMs).toTimeString().slice(0, 8),
      id,
      caller,
      callee,
      outcome,
      by,
      formatMs(ms).replace(' ms', '')
    ])
  ]
  const widths = fitted(rows, output.live ? output.width : Number.POSITIVE_INFINITY)
  return rows.map(row =>
    row
      .map((cell, column) => fit(cell, widths[column] ?? 0))
      .join(' ')
      .trimEnd()
  )
}

const shrinkable = [2, 3, 5]
const narrowest = 6

function fitted(rows: readonly string[][], width: number): number[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const excess = () => widths.reduce((sum, one) => sum + one + 1, -1) - width
  while (excess() > 0) {
    const widest = shrinkable.reduce((a, b) => ((widths[b] ?? 0) > (widths[a] ?? 0) ? b : a))
    if ((widths[widest] ?? 0) <= narrowest) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}
