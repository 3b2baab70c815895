// The pairs of the matrix of browsers: who is behind which NAT, who calls, and how long they look at each other. All of it follows
// from a seed, so that a run that was interrupted goes on with the same pairs.

import { between, type Dice, dice } from '../../../bench/means/allocators.ts'
import { coreTypes, type NatType } from '../nat.ts'

export const parts = ['chromium-node', 'chromium-chromium', 'firefox'] as const
export type Part = (typeof parts)[number]

export type Kind = 'chromium' | 'firefox' | 'node'

export interface Pair {
  /** Of this seed, the only one that is called so. */
  readonly id: string
  readonly part: Part
  /** The first is a browser: rows of the table are its NATs. */
  readonly kinds: readonly [Kind, Kind]
  readonly nats: readonly [NatType, NatType]
  /** Which of the two calls. */
  readonly caller: 0 | 1
  /** For so many seconds both send sound and pictures. */
  readonly mediaS: number
}

/** Of Firefox with each of the three kinds in turn. */
const FIREFOX_PAIRS = 24

/** Spread over the table, so many are looked at for longer. */
const LONG_PAIRS = 12
const MEDIA_S = { short: 3, long: 10 }

/**
 * Chromium's rows that are gone through together, a column after the other: of Chromium with Chromium a browser for each of
 * these rows stays, and one for each column comes and goes.
 */
const ROWS_TOGETHER = 3

/** All pairs, in the order in which they are tried. */
export function pairsOf(seed: number): Pair[] {
  const roll = dice(seed)
  const firefox = drawn(roll)
  const all = [
    ...crossed(coreTypes, coreTypes).map(nats => pair('chromium-node', ['chromium', 'node'], nats)),
    ...triangle().map(nats => pair('chromium-chromium', ['chromium', 'chromium'], nats)),
    ...firefox.map((nats, at) => pair('firefox', ['firefox', others[at % others.length] as Kind], nats))
  ]
  const long = new Set(
    Array.from({ length: LONG_PAIRS }, (_, at) => Math.floor(((at + 0.5) * all.length) / LONG_PAIRS))
  )
  return all.map((one, at) => ({
    ...one,
    caller: roll() < 0.5 ? 0 : 1,
    mediaS: long.has(at) ? MEDIA_S.long : MEDIA_S.short
  }))
}

const others: readonly Kind[] = ['node', 'chromium', 'firefox']

type Nats = Pair['nats']

function pair(part: Part, kinds: Pair['kinds'], nats: Nats): Pick<Pair, 'id' | 'part' | 'kinds' | 'nats'> {
  return { id: kinds.map((kind, at) => `${kind}:${nats[at]}`).join(' '), part, kinds, nats }
}

const crossed = (rows: readonly NatType[], columns: readonly NatType[]): Nats[] =>
  rows.flatMap(row => columns.map((column): Nats => [row, column]))

/** Each two types once, and each with itself. */
function triangle(): Nats[] {
  const isAbove = ([row, column]: Nats) => coreTypes.indexOf(row) <= coreTypes.indexOf(column)
  const bands = coreTypes
    .map((_, at) => coreTypes.slice(at, at + ROWS_TOGETHER))
    .filter((_, at) => at % ROWS_TOGETHER === 0)
  return bands.flatMap(rows => coreTypes.flatMap(column => crossed(rows, [column]).filter(isAbove)))
}

/** Of all ordered pairs of types some, none of them twice; in the order of the table, in which a browser may stay. */
function drawn(roll: Dice): Nats[] {
  const left = crossed(coreTypes, coreTypes)
  const taken = Array.from(
    { length: FIREFOX_PAIRS },
    () => left.splice(between(roll, 0, left.length - 1), 1)[0] as Nats
  )
  const placeOf = ([row, column]: Nats) => coreTypes.indexOf(row) * coreTypes.length + coreTypes.indexOf(column)
  return taken.sort((one, other) => placeOf(one) - placeOf(other))
}
