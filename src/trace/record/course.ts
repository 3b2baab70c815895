// What became of a connection's path, from its record: by what its peers told, and by searches for another path. Both peers tell
// of one loss and of one move, each by its own clock, so the nth loss that one of them tells is the nth that the other tells.
//
//   lost after 12 s: nothing was heard for 1.2 s, seen by the caller; relayed after 140 ms; direct again after 3 s

import { roughly } from '../../units.ts'
import type { SideName } from '../../wire/side.ts'
import { fateOf } from './fate.ts'
import { type Reader, read } from './reader.ts'
import type { SpanRecord, TraceRecord } from './record.ts'

type Kind = 'direct' | 'relay'

/** A turn in the life of a path. */
export interface Happening {
  readonly what: 'lost' | 'moved' | 'resumed' | 'narrow' | 'ended'
  readonly atMs: number
  /** Since the turn before, or since there was a path. */
  readonly afterMs: number
  /** What the streams run over from then on, or what was lost or ended. */
  readonly kind: Kind | undefined
  readonly door: string | undefined
  readonly seenBy: SideName | undefined
  readonly reason: string | undefined
  /** It runs over this kind once more. */
  readonly isAgain: boolean
}

/** A search that found nothing. */
const isVain = (span: SpanRecord) => span.name === 'postern.again' && read(span).text('outcome') === 'failed'

/** The turns, oldest first; none where nothing was told. */
export function courseOf({
  spans,
  startMs,
  ms,
  path
}: Pick<TraceRecord, 'spans' | 'startMs' | 'ms' | 'path'>): Happening[] {
  const turns: Happening[] = []
  const told = new Told()
  const had = new Set([path])
  let [kind, lastMs]: [Kind | undefined, number] = [path, startMs + ms]
  for (const span of spans.filter(({ name }) => name === 'postern.change').toSorted((a, b) => a.startMs - b.startMs)) {
    const said = read(span)
    const what = told.turnOf(said)
    if (!what) continue
    if (what !== 'narrow') kind = kindOf(said) ?? kind
    const atMs = Math.max(lastMs, span.startMs)
    const isAgain = had.has(kind)
    turns.push({
      ...{ what, atMs, afterMs: atMs - lastMs, kind, isAgain, door: said.text('door') },
      ...{ seenBy: said.side('side'), reason: said.text('reason') }
    })
    had.add(kind)
    lastMs = atMs
  }
  return turns
}

const kindOf = (said: Reader): Kind | undefined => {
  const kind = said.text('path')
  return kind === 'direct' || kind === 'relay' ? kind : undefined
}

/** What each side has told so far: a turn is one that neither of them has told as often before. */
class Told {
  readonly #turns: Partial<Record<string, number>> = {}
  readonly #told: Partial<Record<string, number>> = {}

  /** Undefined where the other side has told it already, and for what no peer told. */
  turnOf(said: Reader): Happening['what'] | undefined {
    const [what, by] = [whatOf(said), said.text('told_by')]
    if (!what || !by || this.#turns.ended) return undefined
    const kind = what === 'resumed' ? 'moved' : what
    const times = (this.#told[`${by} ${kind}`] ?? 0) + 1
    this.#told[`${by} ${kind}`] = times
    if (times <= (this.#turns[kind] ?? 0)) return undefined
    this.#turns[kind] = times
    return what
  }
}

const whatOf = (said: Reader): Happening['what'] | undefined => whats.find(what => what === said.text('change'))

const whats = ['lost', 'moved', 'resumed', 'narrow', 'ended'] as const

/** The course in one line; undefined where nothing was told. */
export function courseLine(
  record: Pick<TraceRecord, 'spans' | 'startMs' | 'ms' | 'path' | 'outcome'>
): string | undefined {
  const turns = courseOf(record)
  const vain = record.spans.filter(isVain).length
  if (fateOf(record) === 'failed' || (turns.length === 0 && vain === 0)) return undefined
  const searches = vain === 0 ? [] : [`${vain} ${vain === 1 ? 'search' : 'searches'} for another path in vain`]
  return [...turns.map(phraseOf), ...searches].join('; ')
}

function phraseOf({ what, afterMs, kind, door, seenBy, reason, isAgain }: Happening): string {
  const after = `after ${roughly(afterMs)}`
  const why = reason ? `: ${reason}` : ''
  const path = kind === 'relay' ? `relayed${door && door !== 'udp' ? ` by ${door}` : ''}` : (kind ?? 'on another path')
  switch (what) {
    case 'lost':
      return `lost ${after}${why}${seenBy ? `, seen by the ${seenBy}` : ''}`
    case 'narrow':
      return `another path left ${after}${why}`
    case 'ended':
      return `ended ${after}${why}`
    case 'moved':
    case 'resumed':
      return `${path}${isAgain ? ' again' : ''} ${after}`
  }
}

/** What a list says of paths that were lost: `lost: nat-forgot, address-changed twice`. */
export function lostLine(codes: readonly string[]): string {
  const times = Map.groupBy(codes, code => code)
  const words = ([code, { length }]: [string, readonly string[]]) =>
    length === 1 ? code : `${code} ${length === 2 ? 'twice' : `${length} times`}`
  return `lost: ${[...times].map(words).join(', ')}`
}
