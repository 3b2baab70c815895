// The configuration of a gateway: one YAML file, checked as a whole before anything is opened.
//
//   file -> located YAML -> variables and flags over it (layers.ts) -> schema (defaults, types, units) -> Config,
//   or every mistake with its line and column, or its variable
//
// The schema says what each option means, which values it takes, and what its default is. config/postern.yaml says the same
// to people, and config/postern.schema.json to editors. Only plugins/load.ts knows which strategies there are and which
// options they take. So a strategy leaves here with its position, and with its options as they were written.

import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { z } from 'zod'
import { PosternError } from '../errors.ts'
import { type Endpoint, isLoopback } from '../wire/endpoint.ts'
import { didYouMean } from './closest.ts'
import { type Layers, layered } from './layers.ts'
import {
  type Environment,
  keyOf,
  type LocatedYaml,
  type Path,
  type Position,
  type Problem,
  readYaml,
  throwProblems
} from './located-yaml.ts'
import { type PairFiles, readPair } from './pair.ts'
import {
  type Engine,
  guessable,
  type JsonSchema,
  jsonSchema,
  type Limits,
  type LogLevel,
  options,
  schema,
  type Traces,
  tokenShape,
  type UdpListen
} from './schema.ts'
import { readStrategies, type Shaped, type StrategyEntry, strategiesIn, strategyShapes } from './strategies.ts'
import { textIn } from './text-file.ts'

export interface Config {
  readonly listen: {
    /** Port 0 lets the system choose. */
    readonly http: Endpoint
    /** Absolute paths of the certificate and the key of the HTTP port; undefined: it speaks no TLS. */
    readonly tls: PairFiles | undefined
    /** The places where peers find this gateway (wire/place.ts); or empty. */
    readonly url: readonly string[]
    readonly udp: UdpListen
    /** TCP ports of the relay's own, on each of the addresses of `udp`; or empty. */
    readonly tcp: readonly number[]
    /** Addresses and networks (config/networks.ts) of the proxies that are believed when they say who asks; or empty. */
    readonly trustProxy: readonly string[]
    /** Whether each TCP connection of these begins with a header of PROXY protocol v2. */
    readonly proxyProtocol: boolean
  }
  /** Whether STUN clients without a token may find out what their NATs do (RFC 5780, RFC 3489). */
  readonly stun: { readonly discovery: boolean }
  /** If empty, a token is made up and kept. */
  readonly join: { readonly token: string }
  readonly admin: {
    readonly token: string
    /**
     * When pages, API and metrics need no token: never, or for local requests if everything that listens is bound to
     * loopback.
     */
    readonly open: 'loopback' | 'never'
  }
  /** Rooms: most at once, and how long the link of one is good at most, in hours. */
  readonly call: { readonly enabled: boolean; readonly rooms: number; readonly hours: number }
  /** Whether anybody may have the network of a browser judged, on a page of the gateway. */
  readonly test: { readonly enabled: boolean }
  /** Absolute path of the folder where names and fingerprints persist. */
  readonly state: string
  readonly deadlineMs: number
  /** How long relayed connections may go on once the gateway was told to stop. */
  readonly drainMs: number
  readonly strategies: readonly StrategyEntry[]
  /** What carries relayed datagrams; `auto`: `batch` where it can be had. */
  readonly relay: { readonly engine: 'auto' | Engine; readonly threads: number }
  readonly limits: Limits
  readonly traces: Traces
  readonly log: { readonly level: LogLevel; readonly format: 'auto' | 'json' | 'pretty' }
}

/** What is said besides the file; left out, the environment of this process, and no flags. */
export type Besides = Partial<Layers>

/**
 * Reads and checks a configuration file.
 * @throws PosternError bad-config, a line `file:line:column: key: what is wrong; expected what` for each mistake.
 */
export function loadConfig(file: string, env?: Environment): Config {
  return parseConfig(readText(file), file, env)
}

/** Like loadConfig, but from text. Messages name `file`, and relative paths start from its folder. */
export function parseConfig(text: string, file: string, env?: Environment): Config {
  return configIn(checkText(text, file, env && { env }), file)
}

/** The configuration, or `bad-config` with every mistake. */
export function configIn({ config, problems }: CheckedConfig, file: string): Config {
  throwProblems(problems)
  if (!config) throw new PosternError('internal', `${file} is wrong, and nothing says how`)
  return config
}

export interface CheckedConfig {
  /** Undefined where something in the file is wrong. */
  readonly config: Config | undefined
  /** Those that could be read, for whoever knows which strategies there are. */
  readonly strategies: readonly StrategyEntry[]
  readonly problems: readonly Problem[]
  /** Where the value of an option was written; undefined: nowhere, and it has its default. */
  sourceOf(path: Path): Position | undefined
}

/** Like loadConfig, but gives the mistakes, so that those of its strategies can be told beside them. */
export function checkFile(file: string, besides?: Besides): CheckedConfig {
  return checkText(readText(file), file, besides)
}

export function checkText(text: string, file: string, { env = process.env, flags = [] }: Besides = {}): CheckedConfig {
  const yaml = layered(readYaml(text, file, env), { env, flags }, options())
  const folder = dirname(resolve(file))
  const result = schema().safeParse(yaml.value ?? {})
  const strategies = readStrategies(strategiesIn(yaml.value), yaml, folder)
  const wrong = result.error?.issues.flatMap(issue => problemsOf(issue, yaml)) ?? []
  const problems = [...yaml.problems, ...wrong, ...strategies.problems]
  const tokens = result.success ? tokensOf(result.data, yaml, folder) : undefined
  if (tokens) problems.push(...tokens.problems)
  const config = result.success && tokens ? configOf(result.data, tokens, strategies.list, folder) : undefined
  if (config?.listen.tls) problems.push(...pairProblems(config.listen.tls, yaml))
  if (config?.call.enabled && !isSecure(config.listen)) problems.push(insecureCalls(yaml))
  return {
    config: problems.length === 0 ? config : undefined,
    strategies: strategies.list,
    problems,
    sourceOf: path => yaml.sourceOf(result.success ? writtenAt(path, result.data) : path)
  }
}

type Read = z.output<ReturnType<typeof schema>>

function configOf(read: Read, tokens: Tokens, strategies: readonly StrategyEntry[], folder: string): Config {
  const { listen, join: _, admin, deadline, drain, state, traces, ...rest } = read
  const file = traces.file && resolve(folder, traces.file)
  const { cert, key } = listen.tls
  return {
    ...rest,
    listen: { ...listen, tls: cert ? { cert: resolve(folder, cert), key: resolve(folder, key) } : undefined },
    join: { token: tokens.join },
    admin: { token: tokens.admin, open: admin.open },
    state: resolve(folder, state),
    deadlineMs: deadline,
    drainMs: drain,
    strategies,
    traces: { ...traces, file }
  }
}

/** A token that is kept in a file was written where that is named. */
function writtenAt(path: Path, read: Read): Path {
  const [section, name] = path
  const isKept = name === 'token' && (section === 'join' || section === 'admin') && read[section].tokenFile
  return isKept ? [section, 'tokenFile'] : path
}

interface Tokens extends Record<'join' | 'admin', string> {
  readonly problems: readonly Problem[]
}

/** The tokens, each from the file that it is kept in where there is one. */
function tokensOf(read: Read, yaml: LocatedYaml, folder: string): Tokens {
  const problems: Problem[] = []
  const token = (section: 'join' | 'admin') => {
    const { token, tokenFile } = read[section]
    if (!tokenFile) return token
    const path = [section, 'tokenFile']
    const found = tokenIn(resolve(folder, tokenFile))
    if (typeof found === 'string') return found
    problems.push({ at: yaml.at(path), text: keyOf(path) + found.trouble })
    return ''
  }
  return { join: token('join'), admin: token('admin'), problems }
}

/** Editors, and whoever writes a secret down, put a line break behind it. What the file says is not told. */
function tokenIn(file: string): string | { readonly trouble: string } {
  const text = textIn(file)
  const wrong = (trouble: string) => ({ trouble: `${file}: ${trouble}` })
  if (typeof text !== 'string') return wrong(`${text.trouble}; expected one that holds a token`)
  const token = text.replace(/\r?\n$/, '')
  if (tokenShape.test(token)) return token
  if (/^[\x21-\x7e]+$/.test(token)) return wrong(`${guessable}; expected a longer one`)
  return wrong('it holds no token; expected one line of letters, digits and signs without spaces')
}

/** A gateway whose certificate cannot be used does not start: at its start there is no other that it could keep. */
function pairProblems(files: PairFiles, yaml: LocatedYaml): Problem[] {
  const pair = readPair(files)
  if (!('wrong' in pair)) return []
  const path = ['listen', 'tls', pair.wrong]
  return [{ at: yaml.at(path), text: keyOf(path) + pair.text }]
}

/** Whether browsers take what this gateway serves for secure (Secure Contexts section 3.1). */
const isSecure = ({ http, tls, url }: Config['listen']): boolean =>
  tls !== undefined || isLoopback(http.address) || url.some(one => one.startsWith('https:'))

function insecureCalls(yaml: LocatedYaml): Problem {
  const path = ['call', 'enabled']
  const text =
    'browsers let a page use cameras only where it came by https; expected listen.tls, or an https URL in listen.url, or listen.http on loopback'
  return { at: yaml.at(path), text: keyOf(path) + text }
}

/** The JSON schema of the file, for editors. If the built-in plugins are given, it has their names and options. */
export function configSchema(builtIns: Readonly<Record<string, Shaped>> = {}): object {
  const whole = jsonSchema()
  const strategies = { ...whole.properties?.strategies, items: { anyOf: strategyShapes(builtIns) } }
  return { ...whole, title: 'postern gateway', properties: { ...whole.properties, strategies } }
}

function problemsOf(issue: z.core.$ZodIssue, yaml: LocatedYaml): Problem[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map(key => unknownKey(key, issue.path, yaml))
  const secret = issue.path.at(-1) === 'token'
  const got = secret ? 'a value that cannot be one' : yaml.written(issue.path)
  const text = issue.message.startsWith('expected ') ? `got ${got}; ${issue.message}` : issue.message
  return [{ at: yaml.at(issue.path), text: keyOf(issue.path) + text }]
}

function unknownKey(key: string, path: Path, yaml: LocatedYaml): Problem {
  const known = knownKeys(path)
  const text = `there is no such option${didYouMean(key, known)}; expected ${known.join(', ')}`
  return { at: yaml.keyAt([...path, key]), text: keyOf([...path, key]) + text }
}

function knownKeys(path: Path): string[] {
  let at: JsonSchema | undefined = jsonSchema()
  for (const part of path) at = at?.properties?.[String(part)]
  return Object.keys(at?.properties ?? {})
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const reason =
      cause instanceof Error && 'code' in cause && cause.code === 'ENOENT' ? 'there is no such file' : String(cause)
    throw new PosternError('bad-config', `${file}:1:1: ${reason}; expected a configuration in YAML`, { cause })
  }
}
