// A trace as plain text: what was asked, how it ended, and a line for each span, drawn as a waterfall.
//
//    offset  duration  bar         what, on which side, its outcome
//      12.3      45.6    ▕██▏      stun  path
//                                  why, wrapped
//                                  what happened within, with offsets from the span's start

import type { SpanRecord, TraceRecord } from '../gateway/trace/store.ts'
import { wrap } from './output.ts'

type Paint = (style: 'bold' | 'dim' | 'green' | 'yellow' | 'red', text: string) => string

const barCells = 14
/** Two numbers of seven columns, the bar, and what parts them. */
const textColumn = 7 + 1 + 7 + 1 + barCells + 1

/** @param width in columns; 80 unless told. */
export function renderTrace(
  trace: TraceRecord,
  { width = 80, paint = (_, text) => text }: { width?: number; paint?: Paint } = {}
): string {
  const head = ['offset', 'ms'].map(text => text.padStart(7)).join(' ')
  return [
    ...header(trace, width, paint),
    '',
    paint('dim', `${head} ${' '.repeat(barCells)} step`),
    ...trace.spans.flatMap(span => spanLines(span, trace, { width, paint }))
  ].join('\n')
}

function header({ id, startMs, ms, caller, callee, outcome, by, reason }: TraceRecord, width: number, paint: Paint) {
  const found = outcome === 'path'
  const result = found ? paint('green', `path by ${by}`) : paint('red', `failed: ${by}`)
  return [
    `trace ${id}  ${new Date(startMs).toISOString().replace('T', ' ').slice(0, 19)} UTC`,
    wrap(`${paint('bold', `${caller} -> ${callee}`)}  ${result}  in ${number(ms)} ms`, width, 2),
    ...(reason ? [wrap(`  ${reason}`, width, 2)] : [])
  ]
}

function spanLines(span: SpanRecord, trace: TraceRecord, { width, paint }: { width: number; paint: Paint }): string[] {
  const offsetMs = span.startMs - trace.startMs
  const durationMs = span.endMs - span.startMs
  const indent = '  '.repeat(depthOf(span, trace))
  const start = `${number(offsetMs).padStart(7)} ${number(durationMs).padStart(7)} ${bar(offsetMs, durationMs, trace.ms)} `
  const rest = textColumn + indent.length + 2
  const below = (text: string) =>
    paint('dim', `${' '.repeat(rest)}${wrap(text, width - rest).replaceAll('\n', `\n${' '.repeat(rest)}`)}`)
  const details = [reasonOf(span), addressesOf(span), eventsOf(span)].filter(text => text !== '')
  return [`${start}${indent}${titleOf(span, paint)}`, ...details.map(below)]
}

/** A span that took no visible time still gets a cell. */
function bar(offsetMs: number, durationMs: number, wholeMs: number): string {
  const scale = barCells / Math.max(wholeMs, 0.001)
  const first = Math.min(barCells - 1, Math.max(0, Math.floor(offsetMs * scale)))
  const cells = Math.min(barCells - first, Math.max(1, Math.round(durationMs * scale)))
  return `${'·'.repeat(first)}${'█'.repeat(cells)}${'·'.repeat(barCells - first - cells)}`
}

function depthOf(span: SpanRecord, { spans }: TraceRecord): number {
  const parent = spans.find(({ id }) => id === span.parent)
  return parent ? 1 + depthOf(parent, { spans } as TraceRecord) : 0
}

function titleOf(span: SpanRecord, paint: Paint): string {
  const step = span.name.replace(/^postern\./, '')
  const name = step === 'plugin' ? said(span, 'plugin') : step
  const outcome = said(span, 'outcome')
  const styles = { path: 'green', passed: 'dim', failed: 'yellow' } as const
  const painted = outcome in styles ? paint(styles[outcome as keyof typeof styles], outcome) : outcome
  const about = step === 'plan' || step === 'relay' ? said(span, 'order') : said(span, 'side') || said(span, 'sides')
  return [paint('bold', name), about, painted].filter(text => text !== '').join('  ')
}

/** Why it ended as it did; for a plan also why it was worth trying, for a profile its verdict. */
function reasonOf(span: SpanRecord): string {
  // The header has it, or the plan that won.
  const told = span.name === 'postern.plugin' && said(span, 'outcome') === 'path'
  if (span.name === 'postern.connect' || told) return ''
  const verdict = ['mapping', 'filtering', 'allocation']
    .filter(key => said(span, key) !== '')
    .map(key => `${key} ${said(span, key)}`)
  const untranslated = span.attributes['postern.translated'] === false ? ['no NAT in the way'] : []
  return [said(span, 'why'), ...verdict, ...untranslated, said(span, 'reason')].filter(text => text !== '').join('; ')
}

function addressesOf({ attributes }: SpanRecord): string {
  const { 'network.local.address': local, 'network.peer.address': peer } = attributes
  if (peer === undefined) return ''
  const sent =
    attributes['postern.sent'] === undefined
      ? ''
      : `, probes ${attributes['postern.sent']} sent, ${attributes['postern.received']} received`
  return `${local}:${attributes['network.local.port']} to ${peer}:${attributes['network.peer.port']}${sent}`
}

/** `bound +1.2, ice +24.0`, or for samples what was seen where. */
function eventsOf({ events, startMs }: SpanRecord): string {
  return events.map(({ name, atMs, attributes }) => eventText(name, atMs - startMs, attributes)).join(', ')
}

function eventText(name: string, offsetMs: number, attributes: SpanRecord['attributes']): string {
  const via = attributes['postern.via']
  return via === undefined ? `${name} +${number(offsetMs)}` : `${via} saw ${attributes['postern.mapped']}`
}

const said = ({ attributes }: SpanRecord, key: string): string => String(attributes[`postern.${key}`] ?? '')

const number = (ms: number): string => (Math.abs(ms) < 10_000 ? ms.toFixed(1) : `${Math.round(ms)}`)
