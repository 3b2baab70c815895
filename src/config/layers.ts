// What an operator says besides the file: variables of the environment, and flags. Each sets one option as a whole.
//
//   defaults < file < POSTERN_… < --set
//
// The variable of an option is its path: `limits.sessionsPerPeer` is POSTERN_LIMITS_SESSIONS_PER_PEER. A list is one value in YAML;
// everything else is taken as it stands, since a variable is no place for quotes.

import { didYouMean } from './closest.ts'
import {
  atOnePlace,
  type Environment,
  type LocatedYaml,
  type Path,
  type Position,
  type Problem,
  readYaml
} from './located-yaml.ts'
import { isRecord } from './strategies.ts'

export interface Layers {
  readonly env: Environment
  /** As they were given to `--set`, such as `limits.peers=50`. */
  readonly flags: readonly string[]
}

/** An option by its path, such as `['limits', 'peers']`. */
export interface Option {
  readonly path: readonly string[]
  readonly isList: boolean
}

/** What sets one option. */
interface Setting extends Option {
  /** The variable, or the flag. */
  readonly origin: string
  readonly text: string
}

/** The file, with what variables and flags say laid over it. */
export function layered(yaml: LocatedYaml, { env, flags }: Layers, options: readonly Option[]): LocatedYaml {
  const read = flags.map(flag => ofFlag(flag, options))
  const isSetting = (one: Setting | Problem): one is Setting => 'path' in one
  const isProblem = (one: Setting | Problem): one is Problem => !isSetting(one)
  const problems = [...misnamed(env, options), ...read.filter(isProblem)]
  const file: LocatedYaml = { ...yaml, problems: [...yaml.problems, ...problems] }
  return [ofVariables(env, options), read.filter(isSetting)].reduce(overlaid, file)
}

/** The variables of an option, the one that counts first. */
export function variablesOf(path: Path): string[] {
  const name = `POSTERN_${path.map(part => String(part).replaceAll(/[A-Z]/g, '_$&').toUpperCase()).join('_')}`
  // What peers have their token in is the gateway's, too.
  return path[0] === 'join' ? [name, name.replace('_JOIN', '')] : [name]
}

/** An empty variable is as good as none: that is how those who start containers leave one out. */
function ofVariables(env: Environment, options: readonly Option[]): Setting[] {
  return options.flatMap(option => {
    const origin = variablesOf(option.path).find(name => env[name])
    return origin === undefined ? [] : [{ ...option, origin, text: env[origin] ?? '' }]
  })
}

/** Kubernetes gives each container such variables for the services beside it, whatever these are called. */
const OF_A_SERVICE = /_(SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_\d+_(TCP|UDP)\w*)$/

/** Variables that begin like the name of a section, and are no option's: what was meant would be left out without a word. */
function misnamed(env: Environment, options: readonly Option[]): Problem[] {
  const known = options.flatMap(({ path }) => variablesOf(path))
  const sections = [...new Set(options.flatMap(({ path }) => (path.length > 1 ? variablesOf(path.slice(0, 1)) : [])))]
  const isMeant = (name: string) => sections.some(section => section !== 'POSTERN' && name.startsWith(`${section}_`))
  return Object.keys(env)
    .filter(name => env[name] && isMeant(name) && !known.includes(name) && !OF_A_SERVICE.test(name))
    .map(name => ({ at: { file: name }, text: `there is no such option${didYouMean(name, known)}` }))
}

function ofFlag(flag: string, options: readonly Option[]): Setting | Problem {
  const [, name = '', text] = /^([^=]*)=(.*)$/s.exec(flag) ?? [undefined, flag]
  const origin = `--set ${name}`
  const wrong = (text: string): Problem => ({ at: { file: origin }, text })
  const names = options.map(({ path }) => path.join('.'))
  const option = options[names.indexOf(name)]
  if (!option) {
    const inside = names.filter(other => other.startsWith(`${name}.`))
    return wrong(
      inside.length > 0
        ? `that is a section; expected one of its options: ${inside.join(', ')}`
        : `there is no such option${didYouMean(name, names)}; expected one that config/postern.yaml has`
    )
  }
  if (text === undefined) return wrong('got no value; expected an option and its value, such as limits.peers=500')
  if (option.path.at(-1) === 'token') {
    const [variable] = variablesOf(option.path).toReversed()
    return wrong(`everybody on this computer can read what is in a command; expected ${variable}, or ${name}File`)
  }
  return { ...option, origin, text }
}

/** One layer over all beneath it. */
function overlaid(beneath: LocatedYaml, layer: readonly Setting[]): LocatedYaml {
  const isSet = (path: Path) => layer.some(setting => samePath(setting.path, path))
  const hidden = layer.map(({ path }) => insteadOf(path)).filter(path => path && !isSet(path)) as string[][]
  const value = hidden.reduce((whole, path) => placed(whole, path, undefined), beneath.value)
  return layer.reduce(set, { ...beneath, value })
}

/** A token and the file that it is in stand for each other: a layer that has one has nothing to do with the other of one beneath. */
function insteadOf(path: readonly string[]): string[] | undefined {
  const [section, name] = [path.slice(0, -1), path.at(-1)]
  if (name === 'token') return [...section, 'tokenFile']
  return name === 'tokenFile' ? [...section, 'token'] : undefined
}

function set(beneath: LocatedYaml, { path, isList, origin, text }: Setting): LocatedYaml {
  const at: Position = { file: origin }
  const own = isList ? atOnePlace(readYaml(text, origin), at) : scalar(text, at)
  const rest = (other: Path) => (samePath(other.slice(0, path.length), path) ? other.slice(path.length) : undefined)
  const from = <T>(other: Path, of: (yaml: LocatedYaml, path: Path) => T): T => {
    const inside = rest(other)
    return inside ? of(own, inside) : of(beneath, other)
  }
  return {
    value: placed(beneath.value, path, own.value),
    problems: [...beneath.problems, ...own.problems],
    at: other => from(other, (yaml, path) => yaml.at(path)),
    keyAt: other => from(other, (yaml, path) => yaml.keyAt(path)),
    sourceOf: other => from(other, (yaml, path) => yaml.sourceOf(path)),
    written: other => from(other, (yaml, path) => yaml.written(path))
  }
}

const scalar = (text: string, at: Position): LocatedYaml => ({
  ...{ value: text, problems: [], at: () => at, keyAt: () => at, sourceOf: () => at },
  written: () => JSON.stringify(text)
})

/** The same, but for the value at a path. Where a section is no map, that is a mistake, and is told as one. */
function placed(whole: unknown, [first, ...rest]: Path, value: unknown): unknown {
  if (first === undefined) return value
  if (whole !== undefined && !isRecord(whole)) return whole
  return { ...whole, [String(first)]: placed((whole as Record<string, unknown>)?.[String(first)], rest, value) }
}

const samePath = (a: Path, b: Path): boolean => a.length === b.length && a.every((part, index) => part === b[index])
