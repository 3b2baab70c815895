// The list of traces as a table with a row for each. Below a row that did not end on a direct path it says why, as far as
// there is room, and below one whose path was lost why that was.
//
//   TIME     TRACE    CALLER CALLEE OUTCOME BY      MS VERDICT
//   12:40:27 4bf92f35 alice  bob    relayed relay   28 both-random
//     both NATs choose their ports at random

import { lostLine } from '../../trace/record/course.ts'
import type { TraceSummary } from '../../trace/record/record.ts'
import { fit, formatMoment, type Paint, unpainted } from './output.ts'
import { outcomeOf } from './trace-text.ts'

/** Characters of an id that are enough to tell traces apart in practice. If they are not, more are shown. */
const ID_CHARACTERS = 8

const DAY_MS = 86_400_000

/** Columns that are shortened if there is no room: both names, and the strategy. */
const shrinkable = [2, 3, 5]
const NARROWEST = 6

/** Numbers stand at the right of this column. */
const MS_COLUMN = 6

const OUTCOME_COLUMN = 4

/** @param width in columns; if left out, nothing is shortened. */
export function tracesTable(
  traces: readonly TraceSummary[],
  { width = Number.POSITIVE_INFINITY, nowMs = Date.now(), paint = unpainted }: TableLook = {}
): string[] {
  const head = ['TIME', 'TRACE', 'CALLER', 'CALLEE', 'OUTCOME', 'BY', 'MS', 'VERDICT']
  const characters = uniqueLength(traces.map(({ id }) => id))
  const rows = traces.map(trace => cellsOf(trace, characters, nowMs))
  const widths = fitted([head, ...rows], width)
  const line = (cells: readonly string[], style: (column: number, text: string) => string = (_, text) => text) =>
    cells
      .map((cell, column) => style(column, aligned(cell, column, widths[column] ?? 0)))
      .join(' ')
      .trimEnd()
  return [
    paint('dim', line(head)),
    ...traces.flatMap((trace, index) => [
      line(rows[index] ?? [], (column, text) =>
        column === OUTCOME_COLUMN ? paint(outcomeOf(trace).style, text) : text
      ),
      ...sentenceOf(trace, width, paint)
    ])
  ]
}

export interface TableLook {
  readonly width?: number
  readonly nowMs?: number
  readonly paint?: Paint
}

function cellsOf(
  { id, startMs, caller, callee, by, ms, verdict, ...rest }: TraceSummary,
  characters: number,
  nowMs: number
): string[] {
  const { word } = outcomeOf(rest)
  // The outcome already says that a direct path is direct.
  return [
    timeOf(startMs, nowMs),
    id.slice(0, characters),
    caller || '(a peer)',
    callee || '(joins)',
    word,
    // Of a failure it would be the error, which the verdict explains.
    word === 'failed' ? '' : by,
    milliseconds(ms),
    word === 'direct' ? '' : verdict.code
  ]
}

function sentenceOf({ verdict, lost, ...rest }: TraceSummary, width: number, paint: Paint): string[] {
  const isDirect = outcomeOf(rest).word === 'direct'
  const lines = [...(isDirect ? [] : [verdict.sentence]), ...(lost ? [lostLine(lost)] : [])].map(text => `  ${text}`)
  return lines.map(text => paint('dim', text.length > width ? fit(text, width) : text))
}

/** The time of day. If that was not within the last day, the date stands with it; for another year the date stands alone. */
function timeOf(startMs: number, nowMs: number): string {
  const moment = formatMoment(startMs)
  if (nowMs - startMs < DAY_MS) return moment.slice(11, 19)
  return moment.slice(0, 4) === formatMoment(nowMs).slice(0, 4) ? moment.slice(5, 16) : moment.slice(0, 10)
}

/** Whole milliseconds from a hundred on. */
const milliseconds = (ms: number): string => (ms < 100 ? ms.toFixed(1) : `${Math.round(ms)}`)

/** The fewest characters by which no two ids are the same. Requests of one trace have the same id. */
function uniqueLength(ids: readonly string[]): number {
  const different = new Set(ids)
  let characters = ID_CHARACTERS
  while (characters < 32 && new Set([...different].map(id => id.slice(0, characters))).size < different.size)
    characters++
  return characters
}

function aligned(cell: string, column: number, width: number): string {
  return column === MS_COLUMN ? cell.padStart(width) : fit(cell, width)
}

function fitted(rows: readonly (readonly string[])[], width: number): number[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const excess = () => widths.reduce((sum, one) => sum + one + 1, -1) - width
  while (excess() > 0) {
    const widest = shrinkable.reduce((a, b) => ((widths[b] ?? 0) > (widths[a] ?? 0) ? b : a))
    if ((widths[widest] ?? 0) <= NARROWEST) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}
