// The bars of a waterfall, and the ruler above them. The ruler spans the request itself. A step before or after it (a join, a
// change of path) is an arrow at the edge, so that it takes no room from the request.
//
//   0 ms      10        20
//   ·  ━━━━━━◆━━━       ·

import type { SpanRecord, TraceRecord } from '../../trace/record/record.ts'
import { roundStep } from '../../units.ts'

export interface Axis {
  readonly startMs: number
  readonly ms: number
  readonly cells: number
  readonly ticks: readonly { readonly cell: number; readonly label: string }[]
}

/** Columns of a label and the gap behind it. */
const TICK_CELLS = 9

export function axisOf({ startMs, ms }: Pick<TraceRecord, 'startMs' | 'ms'>, cells: number): Axis {
  const whole = Math.max(ms, 0.001)
  const stepMs = roundStep((whole * TICK_CELLS) / cells)
  const [unit, unitMs] = whole >= 10_000 ? ['s', 1000] : ['ms', 1]
  const count = Math.floor(whole / stepMs) + 1
  const ticks = Array.from({ length: count }, (_, index) => ({
    cell: Math.floor((index * stepMs * cells) / whole),
    // Steps are 1, 2 or 5 times a power of ten, so twelve digits leave out all rounding errors of the product.
    label: `${labelOf(Number(((index * stepMs) / unitMs).toPrecision(12)))}${index === 0 ? ` ${unit}` : ''}`
  }))
  return { startMs, ms: whole, cells, ticks: ticks.filter(({ cell, label }) => cell + label.length <= cells) }
}

/** A record may say that it took any time: `2e18`. */
function labelOf(value: number): string {
  const text = `${value}`
  return text.length < TICK_CELLS - 1 ? text : value.toExponential().replace('+', '')
}

export function rulerOf({ ticks }: Axis): string {
  return ticks.reduce((line, { cell, label }) => `${line.padEnd(cell)}${label}`, '')
}

/** A span that took no visible time still gets a cell; an event is a mark on it. */
export function barOf(
  { startMs, endMs, events }: SpanRecord,
  axis: Axis,
  paint: { bar(text: string): string; grid(text: string): string }
): string {
  const cell = (atMs: number) => Math.floor(((atMs - axis.startMs) * axis.cells) / axis.ms)
  const [first, last] = [cell(startMs), Math.max(cell(startMs), cell(endMs) - 1)]
  const marks = new Set(events.map(({ atMs }) => cell(atMs)).map(at => (at === axis.cells ? at - 1 : at)))
  const glyph = (at: number) => {
    if (at === 0 && first < 0) return '◂'
    if (at === axis.cells - 1 && last >= axis.cells) return '▸'
    if (marks.has(at)) return '◆'
    return at >= first && at <= last ? '━' : undefined
  }
  const grid = new Set(axis.ticks.map(({ cell }) => cell))
  const cells = Array.from({ length: axis.cells }, (_, at) => glyph(at) ?? (grid.has(at) ? '·' : ' '))
  return cells
    .join('')
    .replaceAll(/[◂▸◆━]+/g, paint.bar)
    .replaceAll(/·/g, paint.grid)
    .trimEnd()
}
