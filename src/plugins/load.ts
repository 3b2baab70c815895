// Turns the strategies of the YAML list into plugins with their options. Built-ins and installed packages are found by
// their name, a user's own file by its path.
//
//   strategy -> plugin (looked up, or imported) -> contract checked -> options held against its defaults -> loaded
//
// Every plugin passes through this one place, so it is checked here, loudly, and nowhere else. All mistakes of the list are
// told at once, each at its place in the YAML.

import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { closest, didYouMean } from '../config/closest.ts'
import { type Position, type Problem, throwProblems } from '../config/located-yaml.ts'
import { isRecord, type StrategyEntry } from '../config/strategies.ts'
import type { OptionRange, Plugin } from '../strategy/plugin.ts'
import { aDuration, aRate, formatDuration, formatRate, parseDuration, parseRate } from '../units.ts'
import { findPackage } from './installed.ts'

export interface LoadedPlugin {
  readonly plugin: Plugin
  /** Every option of the plugin, the user's or the default, durations in milliseconds and rates in bits per second. */
  readonly options: object
}

interface Entry extends LoadedPlugin {
  readonly at: Position
}

/** @throws PosternError bad-config, a line `file:line:column: …` for each mistake in the list. */
export async function loadPlugins(
  strategies: readonly StrategyEntry[],
  builtIns: Readonly<Record<string, Plugin>>
): Promise<LoadedPlugin[]> {
  const { plugins, problems } = await checkPlugins(strategies, builtIns)
  throwProblems(problems)
  return plugins
}

/** The same, but gives the mistakes beside the plugins that are right. */
export async function checkPlugins(
  strategies: readonly StrategyEntry[],
  builtIns: Readonly<Record<string, Plugin>>
): Promise<{ plugins: LoadedPlugin[]; problems: Problem[] }> {
  const loaded: Entry[] = []
  const problems: Problem[] = []
  for (const strategy of strategies) {
    const found = await findPlugin(strategy, builtIns)
    const wrong = typeof found === 'string' ? found : nameTaken(found, loaded)
    if (typeof found === 'string' || wrong) {
      problems.push({ at: strategy.at, text: `strategies: ${wrong}` })
      continue
    }
    const checked = checkOptions(found, strategy)
    problems.push(...checked.problems)
    loaded.push({ plugin: found, options: checked.options, at: strategy.at })
  }
  const plugins = loaded.map(({ plugin, options }) => ({ plugin, options }))
  return { plugins, problems: [...problems, ...notLast(loaded)] }
}

/** A last resort gets its turn when all else has failed: what comes after it would never be asked in time. */
function notLast(loaded: readonly Entry[]): Problem[] {
  const lastOther = loaded.findLastIndex(({ plugin }) => !plugin.lastResort)
  return loaded
    .slice(0, lastOther + 1)
    .filter(({ plugin }) => plugin.lastResort)
    .map(({ plugin, at }) => ({
      at,
      text: `strategies: ${plugin.name} must be the last; expected no strategy after it`
    }))
}

// The plugin, or a string that says what is wrong.
async function findPlugin(
  { use, folder }: StrategyEntry,
  builtIns: Readonly<Record<string, Plugin>>
): Promise<Plugin | string> {
  if (use.kind === 'file') {
    if (!existsSync(use.file)) return `there is no file ${use.file}; expected a plugin`
    return importPlugin(use.file, pathToFileURL(use.file).href)
  }
  if (Object.hasOwn(builtIns, use.name)) return builtIns[use.name] ?? ''
  return (await installedPlugin(use.name, folder)) ?? unknownName(use.name, Object.keys(builtIns))
}

// Undefined if no package of this name is installed.
async function installedPlugin(name: string, folder: string): Promise<Plugin | string | undefined> {
  const subject = `the package ${name}`
  try {
    const url = findPackage(name, folder)
    return url === undefined ? undefined : await importPlugin(subject, url)
  } catch (thrown) {
    return notImported(subject, thrown)
  }
}

async function importPlugin(subject: string, url: string): Promise<Plugin | string> {
  try {
    const module: { default?: unknown } = await import(url)
    const missing = missingIn(module.default)
    return missing ? `${subject} is no plugin: ${missing}` : (module.default as Plugin)
  } catch (thrown) {
    return notImported(subject, thrown)
  }
}

function notImported(subject: string, thrown: unknown): string {
  const isTypeScript = isRecord(thrown) && thrown.code === 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING'
  const why = thrown instanceof Error ? thrown.message : String(thrown)
  return `${subject} cannot be imported: ${isTypeScript ? 'it is TypeScript, and a package must be JavaScript' : why}`
}

function missingIn(made: unknown): string | undefined {
  if (!isRecord(made)) return 'expected an object as its default export'
  if (typeof made.name !== 'string' || !/^[a-z][a-z0-9-]*$/.test(made.name)) {
    return 'expected a name of lower-case letters, digits and hyphens'
  }
  if (!isRecord(made.defaults)) return 'expected defaults, an object with each option and its default ({} for none)'
  const odd = Object.entries(made.defaults).find(([, value]) => !isOptionValue(value))
  if (odd) return `expected the default of ${odd[0]} to be a string, a number, a boolean or a list of them`
  const unbounded = Object.keys(isRecord(made.ranges) ? made.ranges : {}).find(name => !hasRange(made, name))
  if (unbounded)
    return `expected the range of ${unbounded} to have the least and the most of an option that is a number or has a unit`
  if (typeof made.start !== 'function') return 'expected a function start(options, toolbox)'
}

function hasRange({ defaults, ranges }: Record<string, unknown>, name: string): boolean {
  const [byDefault, range] = [defaults, ranges].map(all => (isRecord(all) ? all[name] : undefined))
  return typeof own(byDefault) === 'number' && isRecord(range) && [range.least, range.most].every(Number.isFinite)
}

function nameTaken(plugin: Plugin, loaded: readonly LoadedPlugin[]): string | undefined {
  const taken = loaded.some(other => other.plugin.name === plugin.name)
  return taken ? `another strategy is called "${plugin.name}" already; expected each name once` : undefined
}

function unknownName(name: string, known: readonly string[]): string {
  const others = closest(name, known) ? '' : ', or an installed package, or a path such as ./plugins/mine.ts'
  return `there is no "${name}"${didYouMean(name, known)}; expected one of ${known.join(', ')}${others}`
}

interface Checked {
  readonly options: Readonly<Record<string, unknown>>
  readonly problems: readonly Problem[]
}

function checkOptions(plugin: Plugin, strategy: StrategyEntry): Checked {
  const defaults: Readonly<Record<string, unknown>> = { ...plugin.defaults }
  const ranges: Readonly<Record<string, OptionRange | undefined>> = { ...plugin.ranges }
  const problems: Problem[] = []
  const options = Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, own(value)]))
  for (const [name, given] of Object.entries(strategy.options)) {
    const complain = (text: string) =>
      problems.push(problemAt(strategy.optionAt[name] ?? strategy.at, plugin, name, text))
    if (!Object.hasOwn(defaults, name)) {
      complain(unknownOption(name, Object.keys(defaults)))
      continue
    }
    // An option that is left empty has its default.
    if (given === undefined) continue
    const { expected, parse } = within(ranges[name], ruleOf(name, defaults[name]))
    const value = parse(given)
    if (value === undefined) complain(`got ${shown(given)}; expected ${expected}`)
    else options[name] = value
  }
  return { options, problems }
}

interface Rule {
  readonly expected: string
  /** The value as the plugin gets it; undefined if it is not what was expected. */
  parse(given: unknown): unknown
}

// What the default of an option says about its type: see Defaults in plugin.ts.
function ruleOf(name: string, byDefault: unknown): Rule {
  if (Array.isArray(byDefault)) return listRule(name, byDefault[0] ?? '')
  if (typeof byDefault === 'boolean') return { expected: 'true or false', parse: parseBoolean }
  if (name.endsWith('Ms')) return quantity(aDuration, parseDuration)
  if (/bitsPerSecond$/i.test(name)) return positive(quantity(aRate, parseRate))
  if (typeof byDefault === 'number') return { expected: 'a number', parse: parseNumber }
  if (parseDuration(String(byDefault)) !== undefined) return { expected: aDuration, parse: textual(parseDuration) }
  if (parseRate(String(byDefault)) !== undefined) return { expected: aRate, parse: textual(parseRate) }
  return { expected: 'a text', parse: textual(text => text) }
}

/** What is out of its range is none that was expected. */
function within(range: OptionRange | undefined, rule: Rule): Rule {
  if (!range) return rule
  const { least, most, whole = false } = range
  const isIn = (value: unknown) =>
    typeof value === 'number' && value >= least && value <= most && (!whole || Number.isInteger(value))
  const parse = (given: unknown) => {
    const value = rule.parse(given)
    return isIn(value) ? value : undefined
  }
  return { expected: expectedIn(range, rule.expected), parse }
}

function expectedIn({ least, most, whole }: OptionRange, expected: string): string {
  const format = { [aDuration]: formatDuration, [aRate]: formatRate }[expected]
  if (format) return `${expected}, from ${format(least)} to ${format(most)}`
  return `${whole ? 'a whole number' : 'a number'} from ${least} to ${most}`
}

/** A number that a program gives is in milliseconds or bits per second; a person who writes one has to say its unit. */
function quantity(expected: string, parse: (text: string) => number | undefined): Rule {
  return { expected, parse: given => (typeof given === 'number' ? parseNumber(given) : textual(parse)(given)) }
}

function positive({ expected, parse }: Rule): Rule {
  const above = (value: unknown) => (typeof value === 'number' && value > 0 ? value : undefined)
  return { expected, parse: given => above(parse(given)) }
}

function listRule(name: string, first: unknown): Rule {
  const item = ruleOf(name, first)
  const parse = (given: unknown) => {
    const items = Array.isArray(given) ? given.map(item.parse) : undefined
    return items?.includes(undefined) ? undefined : items
  }
  return { expected: `a list, each item ${item.expected}`, parse }
}

// The default as the plugin gets it: only a quantity differs from what is written.
function own(byDefault: unknown): unknown {
  if (Array.isArray(byDefault)) return byDefault.map(own)
  return typeof byDefault === 'string' ? (parseDuration(byDefault) ?? parseRate(byDefault) ?? byDefault) : byDefault
}

// YAML scalars arrive as strings; options given by a program may have their types already.
function parseNumber(given: unknown): number | undefined {
  const text = typeof given === 'string' && given.trim() !== '' ? given : undefined
  const value = typeof given === 'number' ? given : Number(text ?? Number.NaN)
  return Number.isFinite(value) ? value : undefined
}

function parseBoolean(given: unknown): boolean | undefined {
  if (typeof given === 'boolean') return given
  return given === 'true' ? true : given === 'false' ? false : undefined
}

function textual<T>(parse: (text: string) => T | undefined): (given: unknown) => T | undefined {
  return given => (typeof given === 'string' ? parse(given) : undefined)
}

function unknownOption(name: string, known: readonly string[]): string {
  const expected = known.length > 0 ? known.join(', ') : 'none, it has no options'
  return `there is no such option${didYouMean(name, known)}; expected ${expected}`
}

function problemAt(at: Position, plugin: Plugin, name: string, text: string): Problem {
  return { at, text: `strategies.${plugin.name}.${name}: ${text}` }
}

function shown(given: unknown): string {
  if (Array.isArray(given)) return 'a list'
  return isRecord(given) ? 'a map' : JSON.stringify(given)
}

function isOptionValue(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(item => typeof item === 'string' || typeof item === 'number')
  return ['string', 'number', 'boolean'].includes(typeof value)
}
