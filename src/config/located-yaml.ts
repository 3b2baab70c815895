// YAML that remembers where each value stood, so that every error message can point at it.
//
//   text -> YAML nodes -> plain values (strings, lists, maps; ${NAME} replaced) + a position for each path
//
// The failsafe schema keeps every scalar as the string that was written. So a token 0123 keeps its zero, and a number from an
// environment variable is the same as one from the file. The code that reads a value knows which type it must be.

import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLError } from 'yaml'
import { PosternError } from '../errors.ts'
import { printable } from '../wire/text.ts'

/** Line and column count from 1. */
export interface Position {
  readonly file: string
  readonly line: number
  readonly column: number
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
  /** The value at a path as it was written, before variables were put in; shortened. */
  written(path: Path): string
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Throws `bad-config` where lists and maps are nested so deeply that no reader has room for them. */
export function readYaml(text: string, file: string, env: Environment): LocatedYaml {
  try {
    return located(text, file, env)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new PosternError('bad-config', `${file}:1:1: not valid YAML: ${TOO_DEEP}`, { cause })
  }
}

const TOO_DEEP = 'it is nested too deeply; expected a configuration as config/postern.yaml shows it'

function located(text: string, file: string, env: Environment): LocatedYaml {
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
    if (isMap<Node, Node | null>(node)) return Object.fromEntries(node.items.map(pair => readPair(pair, path)))
    if (isSeq<Node | null>(node)) return node.items.map((item, index) => read(item, [...path, index]))
    if (isScalar(node)) return readScalar(String(node.value), path)
    return report(path, 'got an alias; expected the value itself')
  }

  function readPair({ key, value }: Pair<Node, Node | null>, path: Path): [string, unknown] {
    const name = isScalar(key) ? String(key.value) : '?'
    keys.set(id([...path, name]), position(key.range?.[0] ?? 0))
    return [name, read(value, [...path, name])]
  }

  function readScalar(text: string, path: Path): string | undefined {
    const { result, wrong } = expand(text, env)
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
    written: path => values.get(id(path))?.written ?? 'nothing'
  }
}

/** The name of a path in a message, such as `strategies[2].relay: `; empty for the whole file. */
export function keyOf(path: Path): string {
  const name = path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i ? '.' : ''}${String(part)}`))
    .join('')
  return name && `${name}: `
}

/** @throws PosternError bad-config with one `file:line:column: …` line for each place, in the order of the file. */
export function throwProblems(problems: readonly Problem[]): void {
  if (problems.length > 0) throw new PosternError('bad-config', inOrderOf(problems).map(formatProblem).join('\n'))
}

/** One problem for each place, in the order of the file. */
export function inOrderOf(problems: readonly Problem[]): Problem[] {
  const inOrder = [...problems].sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column)
  // Problems that follow from a mistake are found at the same place, after it. So only the first one at each place is told.
  return inOrder.filter(({ at }, i) => at.line !== inOrder[i - 1]?.at.line || at.column !== inOrder[i - 1]?.at.column)
}

function formatProblem({ at, text }: Problem): string {
  return `${at.file}:${at.line}:${at.column}: ${printable(text, Number.POSITIVE_INFINITY)}`
}

function explain({ message, pos }: YAMLError, text: string): string {
  const line = text.slice(text.lastIndexOf('\n', pos[0] - 1) + 1).split('\n', 1)[0] ?? ''
  const bracket = line.search(/[[{]/)
  const hint =
    bracket >= 0 && line.includes('${', bracket + 1) ? '; expected quotes around a variable inside { } or [ ]' : ''
  return `not valid YAML: ${message.includes('call stack') ? TOO_DEEP : message}${hint}`
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
