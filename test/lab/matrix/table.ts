// What came of a run, for a terminal of 80 columns: a table of NATs for each of Chromium's parts, a list for Firefox's, the counts
// beside those of plain ICE, and the goals.

import { wrap } from '../../../src/cli/text/output.ts'
import { coreTypes, type NatType } from '../nat.ts'
import type { Pair, Part } from './pairs.ts'
import type { IceRow, Row } from './row.ts'

export interface Results {
  readonly pairs: readonly Pair[]
  readonly rows: ReadonlyMap<string, Row>
  readonly ice: ReadonlyMap<string, IceRow>
}

const WIDTH = 80

/** A request whose strategies promised as much, or whom plain ICE joins directly, should not have been relayed. */
const LIKELY = 0.5

const titles: Readonly<Record<Part, string>> = {
  'chromium-node': 'Chromium (rows) and Node (columns)',
  'chromium-chromium': 'Chromium and Chromium',
  firefox: 'Firefox (first) with each'
}

/** All lines of the report on these pairs. */
export function report({ pairs, rows, ice }: Results): string[] {
  const parts = [...Map.groupBy(pairs, ({ part }) => part)]
  const tables = parts.flatMap(([part, of]) => [
    '',
    titles[part],
    ...(part === 'firefox' ? listed(of, { rows, ice }) : grid(of, { rows, ice }))
  ])
  return [
    ...tables,
    '',
    ...legend,
    '',
    counted('', 'pairs', 'direct', 'expect', 'ICE', 'relay', 'failed', 'median', 'slowest'),
    ...parts.map(([part, of]) => countsOf(part, of, { rows, ice })),
    ...parts.map(([part, of]) => slowestOf(part, of, rows)).filter(line => line !== ''),
    ...whyRelayed(pairs, rows),
    ...surprises(pairs, { rows, ice })
  ].map(line => (line.length > WIDTH ? wrap(line, WIDTH, 4) : line))
}

const letters: Readonly<Record<string, string>> = {
  direct: 'd',
  stun: 's',
  map: 'm',
  predict: 'p',
  spray: 'y',
  relay: 'r'
}

const legend = [
  'd direct  s stun  m map  p predict  y spray  r relay  F failed  ? not tried',
  '+ plain ICE with coturn is direct  - it is relayed  ! it fails'
]

type Both = Pick<Results, 'rows' | 'ice'>

function grid(pairs: readonly Pair[], both: Both): string[] {
  const rows = coreTypes.filter(type => pairs.some(({ nats }) => nats[0] === type))
  const columns = coreTypes.filter(type => pairs.some(({ nats }) => nats[1] === type))
  const width = Math.max(...coreTypes.map(type => type.length)) + 3
  const label = (type: NatType) => `${String(coreTypes.indexOf(type) + 1).padStart(2)} ${type}`.padEnd(width)
  const head = `${' '.repeat(width)}${columns.map(type => String(coreTypes.indexOf(type) + 1).padStart(4)).join('')}`
  const cell = (row: NatType, column: NatType) => {
    const pair = pairs.find(({ nats }) => nats[0] === row && nats[1] === column)
    return (pair ? markOf(pair, both) : '').padStart(4)
  }
  return [head, ...rows.map(row => `${label(row)}${columns.map(column => cell(row, column)).join('')}`.trimEnd())]
}

function markOf({ id }: Pair, { rows, ice }: Both): string {
  const row = rows.get(id)
  const ours = !row ? '?' : row.outcome === 'failed' ? 'F' : (letters[row.by ?? ''] ?? '*')
  const theirs = { direct: '+', relay: '-', failed: '!', untested: ' ' }[ice.get(id)?.outcome ?? 'untested']
  return `${ours}${theirs}`
}

function listed(pairs: readonly Pair[], both: Both): string[] {
  return pairs.map(pair => {
    const { kinds, nats, caller } = pair
    const row = both.rows.get(pair.id)
    const [from, to] = [`${nats[0]} ${caller === 0 ? '>' : '<'}`, `${nats[1]}`]
    return `${kinds[1].padEnd(9)} ${from.padEnd(24)} ${to.padEnd(22)} ${markOf(pair, both)} ${milliseconds(row?.ms)}`.trimEnd()
  })
}

const counted = (name: string, ...cells: readonly string[]): string =>
  `${name.padEnd(17)}${cells.map(cell => cell.padStart(7)).join(' ')}`.trimEnd()

const milliseconds = (ms: number | undefined): string => (ms === undefined ? '' : `${Math.round(ms)}ms`.padStart(7))

const outcomes = (pairs: readonly Pair[], rows: ReadonlyMap<string, Row | IceRow>, wanted: string): number =>
  pairs.filter(({ id }) => rows.get(id)?.outcome === wanted).length

function countsOf(part: Part, pairs: readonly Pair[], { rows, ice }: Both): string {
  const times = pairs.flatMap(({ id }) => rows.get(id)?.ms ?? []).sort((one, other) => one - other)
  const expected = pairs.reduce((sum, { id }) => sum + (rows.get(id)?.expected ?? 0), 0)
  return counted(
    part,
    String(pairs.length),
    String(outcomes(pairs, rows, 'direct')),
    expected.toFixed(1),
    String(outcomes(pairs, ice, 'direct')),
    String(outcomes(pairs, rows, 'relay')),
    String(outcomes(pairs, rows, 'failed')),
    milliseconds(times[(times.length - 1) >> 1]),
    milliseconds(times.at(-1))
  )
}

function slowestOf(part: Part, pairs: readonly Pair[], rows: ReadonlyMap<string, Row>): string {
  const timed = pairs.filter(({ id }) => rows.get(id)?.ms !== undefined)
  const [slowest] = timed.toSorted((one, other) => (rows.get(other.id)?.ms ?? 0) - (rows.get(one.id)?.ms ?? 0))
  return slowest ? `the slowest of ${part}: ${told(slowest)}` : ''
}

/** How often each verdict was given on a relayed path. */
function whyRelayed(pairs: readonly Pair[], rows: ReadonlyMap<string, Row>): string[] {
  const relayed = pairs.filter(({ id }) => rows.get(id)?.outcome === 'relay')
  const codes = [...Map.groupBy(relayed, ({ id }) => rows.get(id)?.verdict ?? 'no verdict')]
  const words = codes.map(([code, { length }]) => `${code} ${length}`)
  return words.length > 0 ? [`relayed by verdict: ${words.join(', ')}`] : []
}

/** What was relayed and should not have been, what failed and what could not be tried, each with the reason. */
function surprises(pairs: readonly Pair[], { rows, ice }: Both): string[] {
  return pairs.flatMap(pair => {
    const row = rows.get(pair.id)
    const found = row && surpriseOf(row, ice.get(pair.id))
    return found ? [`${told(pair)}: ${found}`] : []
  })
}

/** Undefined where all is as it should be. */
export function surpriseOf(row: Row, ice: IceRow | undefined): string | undefined {
  const { outcome, why = '', verdict = 'no verdict', expected = 0 } = row
  if (outcome === 'untested') return `not tried: ${why}`
  // What was tried before is in the file.
  if (outcome === 'failed') return `failed, ${verdict}: ${why.split('; ').at(-1)}`
  if (outcome === 'direct') return undefined
  const chance = `${(100 * expected).toFixed(0)} % expected`
  if (ice?.outcome === 'direct') return `relayed, ${verdict}, ${chance}; plain ICE is direct`
  return expected >= LIKELY ? `relayed, ${verdict}, ${chance}` : undefined
}

/** Who calls whom. */
export function told({ kinds, nats, caller }: Pair): string {
  const [one, other] = kinds.map((kind, at) => `${kind} ${nats[at]}`)
  return caller === 0 ? `${one} > ${other}` : `${other} > ${one}`
}

export interface Goal {
  readonly what: string
  readonly isMet: boolean
}

/** Of parts that are not there as a whole nothing is judged but that no pair failed. */
export function goalsOf({ pairs, rows, ice }: Results, whole: ReadonlySet<Part>): Goal[] {
  const of = (part: Part) => pairs.filter(pair => pair.part === part)
  const direct = (part: Part) => outcomes(of(part), rows, 'direct')
  const least = (part: Part, count: number, why = ''): Goal[] =>
    whole.has(part)
      ? [{ what: `${part}: ${direct(part)} direct (at least ${count}${why})`, isMet: direct(part) >= count }]
      : []
  const good = outcomes(pairs, rows, 'direct') + outcomes(pairs, rows, 'relay')
  return [
    ...least('chromium-node', 110),
    ...least('chromium-chromium', 50),
    ...least('firefox', outcomes(of('firefox'), ice, 'direct'), ', as plain ICE'),
    { what: `${good} of ${pairs.length} direct or relayed, with bytes and media`, isMet: good === pairs.length }
  ]
}
