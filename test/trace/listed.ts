// docs/tracing.md as data: what it lists, and what spans have that it does not.

import { readFileSync } from 'node:fs'
import type { SpanRecord } from '../../src/trace/record/record.ts'

const text = readFileSync(new URL('../../docs/tracing.md', import.meta.url), 'utf8')

/** Rows of the table below a heading, cell by cell. */
function rowsOf(heading: string): string[][] {
  const [, section = ''] = text.split(`## ${heading}\n`)
  const [own = ''] = section.split('\n## ')
  const rows = own.split('\n').filter(line => line.startsWith('| `'))
  return rows.map(row => row.slice(2, -2).split(' | '))
}

/** Names between backticks; one that begins with a dot takes the place of the last part of the one before. */
function namesIn(cell: string): string[] {
  const names: string[] = []
  for (const [, name = ''] of cell.matchAll(/`([^`]+)`/g))
    names.push(name.startsWith('.') ? (names.at(-1) ?? '').replace(/\.[^.]*$/, name) : name)
  return names.flatMap(name =>
    name.includes('SIDE') ? ['caller', 'callee'].map(side => name.replace('SIDE', side)) : name
  )
}

const spans = rowsOf('Spans').flatMap(([names = '']) => namesIn(names).map(name => name))
const events = rowsOf('Events').flatMap(([names = '', on = '']) =>
  on.split(', ').flatMap(place => namesIn(names).map(name => `postern.${place}: ${name}`))
)
const attributes = rowsOf('Attributes').flatMap(([names = '', on = '']) =>
  on.split(', ').flatMap(place => namesIn(names).map(name => `postern.${place} ${name}`))
)

/** `span`, `span: event`, `span attribute` and `span: event attribute`, as the document has them. */
export const listed: ReadonlySet<string> = new Set([...spans, ...events, ...attributes])

/** The same of what was recorded. */
export function recorded(all: readonly SpanRecord[]): Set<string> {
  const named = (place: string, given: Readonly<Record<string, unknown>>) => [
    place,
    ...Object.keys(given).map(name => `${place} ${name}`)
  ]
  return new Set(
    all.flatMap(({ name, attributes, events }) => [
      ...named(name, attributes),
      ...events.flatMap(event => named(`${name}: ${event.name}`, event.attributes))
    ])
  )
}

export const unlisted = (all: readonly SpanRecord[]): string[] => [...recorded(all)].filter(one => !listed.has(one))

const parents = new Map(
  rowsOf('Spans').flatMap(([names = '', beneath = '']) => namesIn(names).map(name => [name, namesIn(beneath)] as const))
)

/** Spans of one request or more, each as `span beneath span`, that stand where the document does not have them. */
export function misplaced(all: readonly SpanRecord[]): string[] {
  const names = new Map(all.map(({ id, name }) => [id, name]))
  const within = all.filter(({ parent }) => parent !== undefined && names.has(parent))
  const places = within.map(({ name, parent = '' }) => ({ name, above: names.get(parent) ?? '' }))
  return places
    .filter(({ name, above }) => !parents.get(name)?.includes(above))
    .map(one => `${one.name} beneath ${one.above}`)
}
