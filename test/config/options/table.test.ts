// No option without a row, and no row without an option: what options there are is asked of the schema and of the strategies.

import { readdir, readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import { configSchema } from '../../../src/config/config.ts'
import { builtIns } from '../../../src/plugins/built-in.ts'
import type { Row } from './option.ts'
import { table } from './table.ts'

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: { readonly anyOf?: readonly Schema[] }
  readonly default?: unknown
}

/** Each option with what the schema says of it, by its path. What is nested in the items of a list are options of strategies. */
function optionsOf(schema: Schema, path: readonly string[] = []): [path: string, schema: Schema][] {
  const nested = [schema, ...(schema.items?.anyOf ?? [])].flatMap(({ properties = {} }) =>
    Object.entries(properties).flatMap(([name, below]) => optionsOf(below, [...path, name]))
  )
  const isSection = schema.properties !== undefined
  return isSection ? nested : [[path.join('.'), schema], ...nested]
}

const schemaOf = (plugins: Parameters<typeof configSchema>[0]): Schema => configSchema(plugins) as Schema
const options = optionsOf(schemaOf(builtIns))
const rows: [path: string, row: Row][] = Object.values(table).flatMap(group => Object.entries<Row>(group))

test('every option has a row that tries it with its default and changed, and every row has an option', t => {
  const known = options.map(([path]) => path)
  const tried = rows.map(([path]) => path)
  const without = known.filter(path => !tried.includes(path))
  t.deepEqual(without, [], 'options without a row: add one in test/config/options/rows')
  t.deepEqual(
    tried.filter(path => !known.includes(path)),
    [],
    'rows of options that there are not'
  )
  t.is(new Set(tried).size, tried.length, 'an option has one row')
})

test('each row changes its option, and sees a difference', t => {
  const defaults = new Map(options.map(([path, { default: value }]) => [path, value]))
  for (const [path, { changed, outcomes, beside = {} }] of rows) {
    t.false(isDeepStrictEqual(changed, defaults.get(path)), `${path} is changed to its default`)
    t.false(path in beside, `${path} is not left to its default`)
    t.notDeepEqual(outcomes[0], outcomes[1], path)
  }
})

test('an option that is new, of a section or of a strategy, is noticed', t => {
  const { properties = {} } = schemaOf({ ...builtIns, mine: { defaults: { pace: 5 } } })
  const more = { properties: { ...properties, log: { properties: { ...properties.log?.properties, colours: {} } } } }
  const known = options.map(([path]) => path)
  t.deepEqual(
    optionsOf(more).flatMap(([path]) => (known.includes(path) ? [] : [path])),
    ['strategies.mine.pace', 'log.colours']
  )
})

test('the rows of each file are tests', async t => {
  const folder = new URL('.', import.meta.url)
  const files = (await readdir(new URL('rows', folder))).map(file => file.replace(/\.ts$/, ''))
  t.deepEqual(files.sort(), Object.keys(table).sort())
  for (const name of files)
    t.true((await readFile(new URL(`${name}.test.ts`, folder), 'utf8')).includes(`optionTests(table.${name})`), name)
})
