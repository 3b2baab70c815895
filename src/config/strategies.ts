// The list of strategies. Each entry is a name or a path, with options as they are written. plugins/load.ts knows which
// strategies there are, and which options they take.

import { resolve } from 'node:path'
import { keyOf, type LocatedYaml, type Path, type Position, type Problem } from './located-yaml.ts'

/** One entry of the list. The options are as written (YAML scalars are strings); plugins/load.ts gives them their types. */
export interface StrategyEntry {
  /** The name of a built-in or of an npm package, or the absolute path of a plugin's file. */
  readonly use: { readonly kind: 'name'; readonly name: string } | { readonly kind: 'file'; readonly file: string }
  /** Absolute path of the folder beside which a package may be installed: that of the configuration file. */
  readonly folder: string
  readonly options: Readonly<Record<string, unknown>>
  readonly at: Position
  readonly optionAt: Readonly<Record<string, Position>>
}

/** A text that is no path and matches this may be the name of an npm package: `postern-plugin-x` or `@scope/x`. */
export const packageName = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/

const pathName = /^\.{0,2}\//

/**
 * The built-in strategies, the cheapest first: an own address costs nothing, an observed or forwarded one a round trip, the
 * relay the gateway's bandwidth. This is the only list of their names, and the order if the configuration has none.
 */
export const defaultStrategies = ['direct', 'stun', 'map', 'predict', 'spray', 'relay'] as const

export function readStrategies(entries: readonly unknown[], yaml: LocatedYaml, folder: string) {
  const list: StrategyEntry[] = []
  const problems: Problem[] = []
  for (const [index, entry] of entries.entries()) {
    const path = ['strategies', index]
    const read = readStrategy(entry, path, yaml, folder)
    if ('text' in read) problems.push(read)
    else if (list.some(other => key(other) === key(read))) problems.push(twice(read, path))
    else list.push(read)
  }
  return { list, problems }
}

function readStrategy(entry: unknown, path: Path, yaml: LocatedYaml, folder: string): StrategyEntry | Problem {
  const complain = (text: string, at: Path) => ({
    at: yaml.at(at),
    text: `${keyOf(path)}got ${yaml.written(at)}; ${text}`
  })
  const parts = strategyParts(entry)
  if (!parts) return complain('expected a name, a path, or one of them with its options', path)
  const { name, options } = parts
  if (!isRecord(options)) return complain(`expected a map of options for ${name}`, [...path, name])
  const optionAt = Object.fromEntries(Object.keys(options).map(key => [key, yaml.keyAt([...path, name, key])]))
  return { use: strategyUse(name, folder), folder, options, at: yaml.at(path), optionAt }
}

function twice(strategy: StrategyEntry, path: Path): Problem {
  return { at: strategy.at, text: `${keyOf(path)}${key(strategy)} is there twice; expected each strategy once` }
}

// The strategies are read past the schema, so that their mistakes are told together with all others.
export function strategiesIn(value: unknown): readonly unknown[] {
  const list = isRecord(value) ? value.strategies : undefined
  return Array.isArray(list) ? list : defaultStrategies
}

// `relay`, `relay:`, or `relay: { … }`.
function strategyParts(entry: unknown): { name: string; options: unknown } | undefined {
  if (typeof entry === 'string') return entry ? { name: entry, options: {} } : undefined
  const [first, ...more] = isRecord(entry) ? Object.entries(entry) : []
  return first?.[0] && more.length === 0 ? { name: first[0], options: first[1] ?? {} } : undefined
}

function strategyUse(name: string, folder: string): StrategyEntry['use'] {
  return pathName.test(name) ? { kind: 'file', file: resolve(folder, name) } : { kind: 'name', name }
}

/** How a strategy is written: its name, or its path. */
export function key({ use }: Pick<StrategyEntry, 'use'>): string {
  return use.kind === 'file' ? use.file : use.name
}

// No schema can know which packages are installed, so it accepts every name that a package may have.
export function strategyShapes(builtIns: Readonly<Record<string, Shaped>>): object[] {
  const names = Object.keys(builtIns)
  const options = Object.entries(builtIns).map(([name, plugin]) => [name, optionsShape(plugin)])
  const others = [packageName.source, pathName.source]
  return [
    ...(names.length > 0 ? [{ type: 'string', enum: names }] : []),
    ...others.map(pattern => ({ type: 'string', pattern })),
    {
      type: 'object',
      minProperties: 1,
      maxProperties: 1,
      properties: Object.fromEntries(options),
      patternProperties: Object.fromEntries(others.map(pattern => [pattern, { type: ['object', 'null'] }])),
      additionalProperties: false
    }
  ]
}

/** What the schema has of a plugin. */
export interface Shaped {
  readonly defaults: object
  /** By the name of an option, its least and its most. */
  readonly ranges?: object
}

function optionsShape({ defaults, ranges = {} }: Shaped): object {
  const bounds = new Map(Object.entries(ranges as Readonly<Record<string, { least: number; most: number }>>))
  const properties = Object.entries(defaults).map(([name, value]) => {
    const range = bounds.get(name)
    // What has a unit is a text.
    return [
      name,
      { default: value, ...(range && typeof value === 'number' ? { minimum: range.least, maximum: range.most } : {}) }
    ]
  })
  return { type: ['object', 'null'], properties: Object.fromEntries(properties), additionalProperties: false }
}

/** @param defaults what its plugin takes for options that are left out, where that is known */
export function showStrategy(strategy: StrategyEntry, defaults: object = {}): unknown {
  const options = Object.entries({ ...defaults, ...withoutEmpty(strategy.options) }).map(([name, value]) => [
    name,
    isSecret(name) ? mask(String(value)) : unquoted(value)
  ])
  return options.length === 0 ? key(strategy) : { [key(strategy)]: Object.fromEntries(options) }
}

/** Whatever was written is a text here. A number or a truth value needs no quotes where it is written again. */
function unquoted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unquoted)
  if (value === 'true' || value === 'false') return value === 'true'
  return value !== '' && String(Number(value)) === value ? Number(value) : value
}

const withoutEmpty = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

function isSecret(name: string): boolean {
  return /(token|secret|password|key)$/i.test(name)
}

// The number of stars is always the same, because the length is part of the secret.
export function mask(secret: string): string {
  return secret && '********'
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
