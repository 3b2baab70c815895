// A trace as plain text: how it ended and why, then a waterfall of both peers and the gateway on the gateway's clock. The
// first letter of a row says whose step it is.
//
//   alice → bob  relayed by relay in 28.3 ms
//   2026-11-23 12:40:27 UTC  trace 4bf92f3577b34da6a3ce929d0e0e4736
//
//   both-random: both NATs choose their ports at random     verdict-text.ts
//
//     start      ms  step                     0 ms      10        20        trace-bars.ts
//   G   0.0    28.3  connect  path            ━━━━━━━━━━━━━━━━━━━━━━━━━━━
//   A   3.2    20.1      handover  path          ━━━━◆━━━━◆━━
//                          what it says of itself, wrapped          trace-details.ts
//
//   words                                                              what is not plain
//     handover  the port on which …

import { courseLine } from '../../trace/record/course.ts'
import { fateOf, type Row, treeOf } from '../../trace/record/fate.ts'
import { wordsIn } from '../../trace/record/glossary.ts'
import { read } from '../../trace/record/reader.ts'
import type { SpanRecord, TraceRecord } from '../../trace/record/record.ts'
import { abridged, fit, formatMoment, type Paint, signed, unpainted, wrap } from './output.ts'
import { type Axis, axisOf, barOf, rulerOf } from './trace-bars.ts'
import { detailsOf } from './trace-details.ts'
import { lossesText, verdictText } from './verdict-text.ts'

/** Whose step a span is. */
type Lane = 'A' | 'B' | 'G'

const laneStyles = { A: ['cyan'], B: ['magenta'], G: [] } as const

/** The column at which the title begins, behind letter, start and duration. */
const TITLE_COLUMN = 19

/** Columns for the title. Longer titles, of plugins with long names, are shortened. */
const TITLE_COLUMNS = { least: 24, most: 34 }

/** Spans beneath each other that are indented. Real ones have four levels. */
const LEVELS = 8

/** With fewer columns than these, bars would not show the course of events. */
const LEAST_CELLS = 10

/** @param width in columns; 80 if left out. */
export function renderTrace(
  trace: TraceRecord,
  { width = 80, paint = unpainted }: { width?: number; paint?: Paint } = {}
): string {
  const rows = treeOf(trace.spans)
  const titles = columnsFor(rows, width)
  const cells = Math.max(LEAST_CELLS, width - TITLE_COLUMN - titles - 1)
  const axis = axisOf(trace, cells)
  const head = `  ${'start'.padStart(7)} ${'ms'.padStart(7)}  ${fit('step', titles)} ${rulerOf(axis)}`
  return [
    ...header(trace, width, paint),
    '',
    verdictText(trace.verdict, blamedIn(trace), { width, paint }),
    '',
    ...apart(lossesText(trace, { width, paint })),
    ...notes(trace, width, paint),
    '',
    paint('dim', head.trimEnd()),
    ...rows.flatMap(row => rowLines(row, { axis, titles, width, paint })),
    ...glossary(trace, width, paint)
  ].join('\n')
}

const apart = (lines: readonly string[]): readonly string[] => (lines.length > 0 ? [...lines, ''] : [])

/** What the words mean that are not plain, where there are any. */
function glossary({ spans }: TraceRecord, width: number, paint: Paint): string[] {
  const words = wordsIn(spans)
  if (words.size === 0) return []
  const longest = Math.max(...[...words.keys()].map(word => word.length))
  const line = ([word, meaning]: [string, string]) =>
    wrap(`  ${paint('dim', word.padEnd(longest))}  ${meaning}`, width, longest + 4)
  return ['', paint('dim', 'words'), ...[...words].map(line)]
}

/** How a request ended, in one word, and its colour. */
export function outcomeOf(trace: Pick<TraceRecord, 'outcome' | 'path'>) {
  const word = fateOf(trace)
  return { word, style: fateStyles[word] }
}

const fateStyles = { failed: 'red', relayed: 'yellow', direct: 'green' } as const

/** The two sides, how the request ended, and which trace it is. */
export function header(trace: TraceRecord, width: number, paint: Paint): string[] {
  const { id, startMs, ms, by, reason } = trace
  const course = courseLine(trace)
  const { word, style } = outcomeOf(trace)
  const how = word === 'failed' ? `${word}: ${by}` : by === 'relay' ? word : `${word}, by ${by}`
  return [
    wrap(`${paint('bold', partiesOf(trace))}  ${paint(style, how)}  in ${number(ms)} ms`, width, 2),
    wrap(`${formatMoment(startMs)}  trace ${id}`, width, 2),
    ...(course === undefined ? [] : [wrap(`${paint('dim', 'since')}  ${course}`, width, 2)]),
    ...(word === 'failed' && !isToldBelow(trace) ? [wrap(`  ${abridged(reason)}`, width, 2)] : [])
  ]
}

/** Whether the reason is told further below: by the verdict or, if strategies were tried, by each of them. */
function isToldBelow({ by, reason, verdict }: TraceRecord): boolean {
  return by === 'no-path' || ['', verdict.sentence, ...verdict.evidence].includes(reason)
}

/** `alice → bob`, or the peer that wanted to join. */
const partiesOf = ({ caller, callee, continues }: Pick<TraceRecord, 'caller' | 'callee' | 'continues'>): string =>
  callee ? `${caller} → ${callee}${continues === undefined ? '' : ', again'}` : `${caller || 'a peer'} joins`

/** The side at fault in words; empty if there is none. */
export function blamedIn({ verdict, caller, callee }: TraceRecord): string {
  switch (verdict.side) {
    case 'none':
      return ''
    case 'caller':
      return callee ? `${caller}, the caller` : caller || 'the peer'
    case 'callee':
      return `${callee}, the callee`
    case 'both':
      return 'both sides'
    case 'gateway':
      return 'the gateway'
    case 'path':
      return 'the network between the two'
  }
}

/** What the letters mean, and how far the clocks were apart. */
function notes({ caller, callee, spans }: TraceRecord, width: number, paint: Paint): string[] {
  const letter = (lane: Lane) => paint(['bold', ...laneStyles[lane]], lane)
  const lanes = [
    `${letter('A')} ${caller || 'the peer'}`,
    ...(callee ? [`${letter('B')} ${callee}`] : []),
    `${letter('G')} the gateway`
  ]
  const clocks = (['caller', 'callee'] as const).flatMap((side, index) =>
    clockOf(spans[0], side, index === 0 ? 'A' : 'B')
  )
  return [
    wrap(`${paint('dim', 'lanes'.padEnd(9))}${lanes.join('   ')}`, width, 9),
    ...(clocks.length > 0
      ? [wrap(`${paint('dim', 'clocks'.padEnd(9))}${clocks.join(', ')} (the gateway's less its own)`, width, 9)]
      : [])
  ]
}

function clockOf(root: SpanRecord | undefined, side: 'caller' | 'callee', lane: Lane): string[] {
  const offset = root?.attributes[`postern.${side}.clock.offset`]
  const uncertainty = root?.attributes[`postern.${side}.clock.uncertainty`]
  if (typeof offset !== 'number') return []
  const within = typeof uncertainty === 'number' ? ` ±${uncertainty.toFixed(1)}` : ''
  return [`${lane} ${signed(offset)} ms${within}`]
}

function columnsFor(rows: readonly Row[], width: number): number {
  const longest = rows.reduce(
    (most, row) => Math.max(most, indentOf(row).length + titleOf(row.span, unpainted).length),
    0
  )
  const room = width - TITLE_COLUMN - 1 - LEAST_CELLS
  return Math.max(TITLE_COLUMNS.least, Math.min(TITLE_COLUMNS.most, longest, room))
}

const indentOf = ({ depth }: Row): string => '  '.repeat(Math.min(depth, LEVELS))

interface Sheet {
  readonly axis: Axis
  readonly titles: number
  readonly width: number
  readonly paint: Paint
}

function rowLines(row: Row, { axis, titles, width, paint }: Sheet): string[] {
  const { span } = row
  const lane = laneOf(span)
  const style = laneStyles[lane]
  const indent = indentOf(row)
  const room = titles - indent.length
  const bare = titleOf(span, unpainted)
  const title = bare.length > room ? fit(bare, room) : `${titleOf(span, paint)}${' '.repeat(room - bare.length)}`
  const numbers = [span.startMs - axis.startMs, span.endMs - span.startMs].map(ms => number(ms).padStart(7)).join(' ')
  const bar = barOf(span, axis, { bar: text => paint([...style], text), grid: text => paint('dim', text) })
  const rest = Math.min(TITLE_COLUMN + indent.length + 2, Math.floor(width / 2))
  const below = (text: string) => {
    const gap = ' '.repeat(rest)
    return paint('dim', `${gap}${wrap(text, width - rest, 2).replaceAll('\n', `\n${gap}`)}`)
  }
  return [
    `${paint(['bold', ...style], lane)} ${numbers}  ${indent}${title} ${bar}`.trimEnd(),
    ...detailsOf(span).map(below)
  ]
}

/** A step that a peer did itself stands in the peer's lane. What the gateway did about it stands in the gateway's lane. */
function laneOf(span: SpanRecord): Lane {
  if (!/^postern\.(join|probe|handover)$/.test(span.name)) return 'G'
  return read(span).text('side') === 'callee' ? 'B' : 'A'
}

function titleOf(span: SpanRecord, paint: Paint): string {
  const step = stepOf(span)
  const title = step === 'plugin' ? read(span).shown('plugin') || step : step
  const outcome = read(span).shown('outcome')
  const styles = { path: 'green', passed: 'dim', failed: 'yellow' } as const
  const painted = outcome in styles ? paint(styles[outcome as keyof typeof styles], outcome) : outcome
  return [paint('bold', title), aboutOf(span), painted].filter(text => text !== '').join('  ')
}

/** What the step is about. A side's own steps need no name here, because they have their letter. */
function aboutOf(span: SpanRecord): string {
  switch (stepOf(span)) {
    case 'plan':
    case 'relay':
      return read(span).shown('order')
    case 'change':
      return read(span).shown('change')
    case 'again':
      return read(span).shown('only')
    case 'profile':
      return read(span).shown('side')
    default:
      return read(span).shown('sides')
  }
}

const stepOf = ({ name }: SpanRecord): string => name.replace(/^postern\./, '')

/** In seven columns, where a moment of the record may be any date: `12.3`, `90000`, `1.8e12`. */
function number(ms: number): string {
  const text = Math.abs(ms) < 10_000 ? ms.toFixed(1) : `${Math.round(ms)}`
  return text.length > 7 ? ms.toExponential(1).replace('+', '') : text
}
