// YAML that remembers where each value stood, so that every error message can point at it.
//
//   text -> YAML nodes -> plain values (strings, lists, maps; ${NAME} replaced) + a position for each path
//
// The failsafe schema keeps every scalar as the string that was written. So a token 0123 keeps its zero, and a number from an
// environment variable is the same as one from the file. The code that reads a value knows which type it must be.

import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLError } from 'yaml'
import { PosternError } from '../errors.ts'
import { printable } from '../wire/text.ts'

/** A place in a file, or what else a value came from: a variable of the environment, or a flag. */
export interface Position {
  /** The file, the name of the variable, or the flag as it was given. */
  readonly file: string
  /** From 1; left out where it was no file. */
  readonly line?: number
  readonly column?: number
}

export interface Problem {
  readonly at: Position
  readonly text: string
}

export type Path = readonly PropertyKey[]

export interface LocatedYaml {
  readonly value: unknown
  /** Mistakes in the YAML itself and in its environment variables. */
  readonly problems: readonly Problem[]
  /** The position of the value at a path, or of the nearest thing around it. */
  at(path: Path): Position
  /** The position of the key at the end of a path. */
  keyAt(path: Path): Position
  /** Where the very value at a path was written; undefined where it was left out. */
  sourceOf(path: Path): Position | undefined
  /** The value at a path as it was written, before variables were put in; shortened. */
  written(path: Path): string
}

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Throws `bad-config` where lists and maps are nested so deeply that no reader has room for them.
 * @param env variables that are put in; left out, the text is taken as it stands
 */
export function readYaml(text: string, file: string, env?: Environment): LocatedYaml {
  try {
    return located(text, file, env)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new PosternError('bad-config', `${file}:1:1: not valid YAML: ${TOO_DEEP}`, { cause })
  }
}

const NO_ANCHORS = 'nothing is read twice here; expected the value itself, written out'

const ANCHORED = `got an anchor; ${NO_ANCHORS}`

const TOO_DEEP = 'it is nested too deeply; expected a configuration as config/postern.yaml shows it'

function located(text: string, file: string, env: Environment | undefined): LocatedYaml {
  const lines = new LineCounter()
  const document = parseDocument(text, { schema: 'failsafe', lineCounter: lines, prettyErrors: false })
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  // Only the first syntax error is told. The others follow from it, and the values behind it cannot be judged.
  const syntax = document.errors.find(fault => fault.code !== 'DUPLICATE_KEY')
  const faults = syntax ? [syntax] : [...document.errors, ...document.warnings]
  const problems = faults.map(fault => ({ at: position(fault.pos[0]), text: explain(fault, text) }))
  const keys = new Map<string, Position>()
  const values = new Map<string, { at: Position; written: string }>()

  function read(node: Node | null, path: Path): unknown {
    if (!node || isEmpty(node)) return undefined
    values.set(id(path), { at: position(node.range?.[0] ?? 0), written: written(node) })
    if (node.anchor) return report(path, ANCHORED)
    if (isMap<Node, Node | null>(node)) return Object.fromEntries(node.items.map(pair => readPair(pair, path)))
    if (isSeq<Node | null>(node)) return node.items.map((item, index) => read(item, [...path, index]))
    if (isScalar(node)) return readScalar(String(node.value), path)
    return report(path, `got an alias; ${NO_ANCHORS}`)
  }

  function readPair({ key, value }: Pair<Node, Node | null>, path: Path): [string, unknown] {
    const name = isScalar(key) ? String(key.value) : '?'
    keys.set(id([...path, name]), position(key.range?.[0] ?? 0))
    if (name === '<<') return [name, report([...path, name], `got a merge key; ${NO_ANCHORS}`)]
    return [name, read(value, [...path, name])]
  }

  function readScalar(text: string, path: Path): string | undefined {
    const { result, wrong } = env ? expand(text, env) : { result: text, wrong: undefined }
    return wrong ? report(path, wrong) : result
  }

  // A value that could not be read counts as left out, so that one mistake is told once.
  function report(path: Path, wrong: string): undefined {
    problems.push({ at: at(path), text: `${keyOf(path)}${wrong}` })
  }

  function at(path: Path): Position {
    const found = values.get(id(path))?.at ?? keys.get(id(path))
    if (found) return found
    return path.length === 0 ? { file, line: 1, column: 1 } : at(path.slice(0, -1))
  }

  const value = syntax ? undefined : read(document.contents as Node | null, [])
  return {
    value,
    problems,
    at,
    keyAt: path => keys.get(id(path)) ?? at(path),
    sourceOf: path => values.get(id(path))?.at,
    written: path => values.get(id(path))?.written ?? 'nothing'
  }
}

/** The same, but said to stand at one place, of which nothing inside can be told. */
export const atOnePlace = (yaml: LocatedYaml, at: Position): LocatedYaml => ({
  ...yaml,
  problems: yaml.problems.map(({ text }) => ({ at, text })),
  at: () => at,
  keyAt: () => at,
  sourceOf: path => yaml.sourceOf(path) && at
})

/** The name of a path, such as `strategies[2].relay`; empty for the whole file. */
export const nameOf = (path: Path): string =>
  path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i ? '.' : ''}${String(part)}`)).join('')

/** The same as a message begins with it: `strategies[2].relay: `. */
export const keyOf = (path: Path): string => (path.length > 0 ? `${nameOf(path)}: ` : '')

/** @throws PosternError bad-config with one `file:line:column: …` line for each place, in the order of the file. */
export function throwProblems(problems: readonly Problem[]): void {
  if (problems.length > 0) throw new PosternError('bad-config', inOrderOf(problems).map(formatProblem).join('\n'))
}

/** One problem for each place, in the order of the file. */
export function inOrderOf(problems: readonly Problem[]): Problem[] {
  const inOrder = [...problems].sort(({ at: a }, { at: b }) => lineOf(a) - lineOf(b) || columnOf(a) - columnOf(b))
  const places = new Set<string>()
  // Problems that follow from a mistake are found at the same place, after it. So only the first one at each place is told.
  return inOrder.filter(({ at }) => places.size < places.add(formatPosition(at)).size)
}

/** What is in no file comes first. */
const lineOf = ({ line = 0 }: Position): number => line
const columnOf = ({ column = 0 }: Position): number => column

/** `postern.yaml:3:5`, or the name of a variable. */
export const formatPosition = ({ file, line, column }: Position): string =>
  line === undefined ? file : `${file}:${line}:${column}`

function formatProblem({ at, text }: Problem): string {
  return `${printable(formatPosition(at), Number.POSITIVE_INFINITY)}: ${printable(text, Number.POSITIVE_INFINITY)}`
}

/** Mistakes that are made often, as people know them. */
const plainly: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  DUPLICATE_KEY: 'the option is there twice in this map; expected each one once',
  TAB_AS_INDENT: 'a tab stands where a line is indented; expected spaces',
  MULTIPLE_DOCS: 'a second document begins here (---); expected one'
}

function explain({ code, message, pos }: YAMLError, text: string): string {
  const line = text.slice(text.lastIndexOf('\n', pos[0] - 1) + 1).split('\n', 1)[0] ?? ''
  const bracket = line.search(/[[{]/)
  const hint =
    bracket >= 0 && line.includes('${', bracket + 1) ? '; expected quotes around a variable inside { } or [ ]' : ''
  return `not valid YAML: ${message.includes('call stack') ? TOO_DEEP : (plainly[code] ?? message)}${hint}`
}

function expand(text: string, env: Environment): { result: string; wrong?: string } {
  let wrong: string | undefined
  const result = text.replaceAll(/\$\{([^}]*)\}?/g, (all, inside: string) => {
    const match = /^([A-Za-z_]\w*)(?::-(.*))?$/.exec(inside)
    const name = match?.[1]
    if (!name || !all.endsWith('}')) wrong ??= `got ${quote(all)}; expected \${NAME} or \${NAME:-default}`
    else if (match[2] !== undefined) return env[name] || match[2]
    else if (env[name] === undefined) {
      wrong ??= `the environment variable ${name} is not set; expected it to be, or \${${name}:-default}`
    }
    return env[name ?? ''] ?? ''
  })
  return wrong ? { result, wrong } : { result }
}

// `limits:` with everything below it commented out keeps its defaults.
function isEmpty(node: Node): boolean {
  return isScalar(node) && node.value === '' && (node.type === undefined || node.type === 'PLAIN')
}

function written(node: Node): string {
  if (isMap(node)) return 'a map'
  if (isSeq(node)) return node.items.length > 0 ? 'a list' : 'an empty list'
  return isScalar(node) ? quote(String(node.value)) : 'an alias'
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}

function id(path: Path): string {
  return JSON.stringify(path)
}
