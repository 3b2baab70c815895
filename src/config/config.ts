// The configuration of a gateway: one YAML file, checked as a whole before anything is opened.
//
//   file -> located YAML -> schema (defaults, types, units) -> Config, or every mistake with its line and column
//
// The schema says what each option means, which values it takes, and what its default is. config/postern.yaml says the same
// to people, and config/postern.schema.json to editors. Only plugins/load.ts knows which strategies there are and which
// options they take. So a strategy leaves here with its position, and with its options as they were written.

import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { stringify } from 'yaml'
import type { z } from 'zod'
import { PosternError } from '../errors.ts'
import { formatDuration, formatSize } from '../units.ts'
import { type Endpoint, formatEndpoint, isLoopback } from '../wire/endpoint.ts'
import { didYouMean } from './closest.ts'
import {
  type Environment,
  keyOf,
  type LocatedYaml,
  type Path,
  type Problem,
  readYaml,
  throwProblems
} from './located-yaml.ts'
import { type PairFiles, readPair } from './pair.ts'
import {
  type Engine,
  type JsonSchema,
  jsonSchema,
  type Limits,
  type LogLevel,
  schema,
  type Traces,
  type UdpListen
} from './schema.ts'
import {
  mask,
  readStrategies,
  type Shaped,
  type StrategyEntry,
  showStrategy,
  strategiesIn,
  strategyShapes
} from './strategies.ts'

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
  readonly strategies: readonly StrategyEntry[]
  /** What carries relayed datagrams; `auto`: `batch` where it can be had. */
  readonly relay: { readonly engine: 'auto' | Engine; readonly threads: number }
  readonly limits: Limits
  readonly traces: Traces
  readonly log: { readonly level: LogLevel }
}

/**
 * Reads and checks a configuration file.
 * @throws PosternError bad-config, a line `file:line:column: key: what is wrong; expected what` for each mistake.
 */
export function loadConfig(file: string, env: Environment = process.env): Config {
  return parseConfig(readText(file), file, env)
}

/** Like loadConfig, but from text. Messages name `file`, and relative paths start from its folder. */
export function parseConfig(text: string, file: string, env: Environment = process.env): Config {
  const { config, problems } = checkConfig(text, file, env)
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
}

/** Like loadConfig, but gives the mistakes, so that those of its strategies can be told beside them. */
export function checkFile(file: string, env: Environment = process.env): CheckedConfig {
  return checkConfig(readText(file), file, env)
}

function checkConfig(text: string, file: string, env: Environment): CheckedConfig {
  const yaml = readYaml(text, file, env)
  const folder = dirname(resolve(file))
  const result = schema(env).safeParse(yaml.value ?? {})
  const strategies = readStrategies(strategiesIn(yaml.value), yaml, folder)
  const wrong = result.error?.issues.flatMap(issue => problemsOf(issue, yaml)) ?? []
  const problems = [...yaml.problems, ...wrong, ...strategies.problems]
  const config = result.success ? configOf(result.data, strategies.list, folder) : undefined
  if (config?.listen.tls) problems.push(...pairProblems(config.listen.tls, yaml))
  if (config?.call.enabled && !isSecure(config.listen)) problems.push(insecureCalls(yaml))
  return { config: problems.length === 0 ? config : undefined, strategies: strategies.list, problems }
}

type Read = z.output<ReturnType<typeof schema>>

function configOf(read: Read, strategies: readonly StrategyEntry[], folder: string): Config {
  const { listen, deadline, state, traces, ...rest } = read
  const file = traces.file && resolve(folder, traces.file)
  const { cert, key } = listen.tls
  return {
    ...rest,
    listen: { ...listen, tls: cert ? { cert: resolve(folder, cert), key: resolve(folder, key) } : undefined },
    state: resolve(folder, state),
    deadlineMs: deadline,
    strategies,
    traces: { ...traces, file }
  }
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

/** The effective configuration as YAML that could be loaded again, with secrets masked. */
export function showConfig(config: Config): string {
  const { listen, join, admin, call, test, state, deadlineMs, strategies, limits, traces, ...rest } = config
  return stringify({
    listen: { ...listen, http: formatEndpoint(listen.http), tls: listen.tls ?? { cert: '', key: '' } },
    join: { token: mask(join.token) },
    admin: { ...admin, token: mask(admin.token) },
    call,
    test,
    state,
    deadline: formatDuration(deadlineMs),
    strategies: strategies.map(showStrategy),
    limits,
    traces: { ...traces, memory: formatSize(traces.memory) },
    ...rest
  })
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
