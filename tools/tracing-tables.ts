// The tables of docs/tracing.md, written from the names that the code goes by (src/trace/record/conventions.ts). A test holds the two
// together; `npm run docs` brings the document up to date.

import { readFileSync, writeFileSync } from 'node:fs'
import { attributes, events, spans } from '../src/trace/record/conventions.ts'

type Table = Readonly<Record<string, readonly [where: string, meaning: string]>>

const document = new URL('../docs/tracing.md', import.meta.url)

const tables: readonly (readonly [heading: string, columns: string, table: Table])[] = [
  ['Spans', '| span | beneath | what it covers |', spans],
  ['Events', '| event | on | when |', events],
  ['Attributes', '| attribute | on | type and meaning |', attributes]
]

const tableOf = (columns: string, table: Table): string =>
  [
    columns,
    '|---|---|---|',
    ...Object.entries(table).map(([name, cells]) => `| \`${name}\` | ${cells.join(' | ')} |`)
  ].join('\n')

/** The document with its tables as they should be. */
export function upToDate(text: string): string {
  return tables.reduce((before, [heading, columns, table]) => {
    const start = before.indexOf('\n| ', before.indexOf(`\n## ${heading}\n`)) + 1
    const length = /^(\|.*\n)*/.exec(before.slice(start))?.[0].length ?? 0
    return `${before.slice(0, start)}${tableOf(columns, table)}\n${before.slice(start + length)}`
  }, text)
}

export const tracingDocument = (): string => readFileSync(document, 'utf8')

if (import.meta.main) writeFileSync(document, upToDate(tracingDocument()))
