// The configuration of a gateway: one YAML file, checked as a whole before anything is opened.
//
//   file -> located YAML -> schema (defaults, types, units) -> Config, or every mistake with its line and column
//
// The schema says what each option means, takes and defaults to; config/postern.yaml says the same to people, and
// config/postern.schema.json to editors. Which strategies exist and what options they take is known to
// plugins/load.ts, so a strategy leaves here with its position and its options as they were written.

import { readFileSync } from 'node:fs'
import { isIP, isIPv4 } from 'node:net'
import { dirname, resolve } from 'node:path'
import { stringify } from 'yaml'
import { z } from 'zod'
import { PosternError } from '../errors.ts'
import { aDuration, aSize, formatDuration, formatSize, parseDuration, parseSize } from '../units.ts'
import { type Endpoint, formatEndpoint } from '../wire/endpoint.ts'
import { didYouMean } from './closest.ts'
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

export interface Config {
  readonly listen: {
    /** Port 0 lets the system choose. */
    readonly http: Endpoint
    readonly udp: UdpListen
  }
  /** Empty: to be made up and printed. */
  readonly join: { readonly token: string }
  readonly admin: {
    readonly token: string
    /** When pages, API and metrics take no token: to local requests where all that listens is bound to loopback only. */
    readonly open: 'loopback' | 'never'
  }
  /** Absolute path of the folder where names and fingerprints persist. */
  readonly state: string
  readonly deadlineMs: number
  readonly strategies: readonly StrategyEntry[]
  readonly limits: Limits
  readonly traces: Traces
  readonly log: { readonly level: LogLevel }
}

export interface UdpListen {
  /** One or two, IPv4; the unspecified address 0.0.0.0 stands alone. */
  readonly addresses: readonly string[]
  /** One or two; port 0 lets the system choose. */
  readonly ports: readonly number[]
  /** What peers are told instead of `addresses`, in the same order; or empty. */
  readonly public: readonly string[]
}

export interface Traces {
  /** Bytes of traces kept in memory; 0: none. */
  readonly memory: number
  /** Absolute path of a file of JSON lines that outlives a restart; empty: none. */
  readonly file: string
  /** Whether addresses are cut to their subnet (/24, /48) before they are recorded. */
  readonly addresses: 'full' | 'subnet'
}

/** What strangers can fill or ask for, each bounded. */
export interface Limits {
  readonly peers: number
  readonly names: number
  readonly sessions: number
  readonly sessionsPerPeer: number
  /** STUN requests per second from one source address, over all sockets. */
  readonly bindingsPerSource: number
  /** Probes per minute at guessed ports of one public address, over all sessions. */
  readonly probesPerAddress: number
  /** Probes per minute at guessed ports of all addresses together. */
  readonly probesInAll: number
  /** Signalling messages per second from one peer. */
  readonly messagesPerSecond: number
}

/** One entry of the list. The options are as written (YAML scalars are strings); plugins/load.ts gives them their types. */
export interface StrategyEntry {
  /** The name of a built-in or of an npm package, or the absolute path of a plugin's file. */
  readonly use: { readonly kind: 'name'; readonly name: string } | { readonly kind: 'file'; readonly file: string }
  readonly options: Readonly<Record<string, unknown>>
  readonly at: Position
  readonly optionAt: Readonly<Record<string, Position>>
}

/** What is no path and matches this may be the name of an npm package: `postern-plugin-x` or `@scope/x`. */
export const packageName = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/
const pathName = /^\.{0,2}\//

const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]

// Peers bind IPv4 sockets: what is opened on IPv6 would hear nobody.
const anAddress = 'an IPv4 address (UDP is IPv4 only for now)'

// Cheapest first: an own address costs nothing, an observed one a round trip, the relay the gateway's bandwidth.
const defaultStrategies = ['direct', 'stun', 'predict', 'spray', 'relay']

/**
 * Reads and checks a configuration file.
 * @throws PosternError bad-config, a line `file:line:column: key: what is wrong; expected what` for each mistake.
 */
export function loadConfig(file: string, env: Environment = process.env): Config {
  return parseConfig(readText(file), file, env)
}

/** As loadConfig, from text. `file` names it in messages, and relative paths start from its folder. */
export function parseConfig(text: string, file: string, env: Environment = process.env): Config {
  const yaml = readYaml(text, file, env)
  const folder = dirname(resolve(file))
  const result = schema(env).safeParse(yaml.value ?? {})
  const strategies = readStrategies(strategiesIn(yaml.value), yaml, folder)
  const wrong = result.error?.issues.flatMap(issue => problemsOf(issue, yaml)) ?? []
  throwProblems([...yaml.problems, ...wrong, ...strategies.problems])
  if (!result.success) throw new PosternError('internal', `${file} is wrong, and nothing says how`)
  const { deadline, state, traces, ...rest } = result.data
  const traceFile = traces.file && resolve(folder, traces.file)
  return {
    ...rest,
    state: resolve(folder, state),
    deadlineMs: deadline,
    strategies: strategies.list,
    traces: { ...traces, file: traceFile }
  }
}

/** The JSON schema of the file, for editors. With the built-in plugins given, their names and options are in it. */
export function configSchema(builtIns: Readonly<Record<string, { readonly defaults: object }>> = {}): object {
  const whole = jsonSchema()
  const strategies = { ...whole.properties?.strategies, items: { anyOf: strategyShapes(builtIns) } }
  return { ...whole, title: 'postern gateway', properties: { ...whole.properties, strategies } }
}

/** The effective configuration as YAML that could be loaded again, with whatever is secret masked. */
export function showConfig(config: Config): string {
  const { listen, join, admin, state, deadlineMs, strategies, limits, traces, ...rest } = config
  return stringify({
    listen: { http: formatEndpoint(listen.http), udp: listen.udp },
    join: { token: mask(join.token) },
    admin: { ...admin, token: mask(admin.token) },
    state,
    deadline: formatDuration(deadlineMs),
    strategies: strategies.map(showStrategy),
    limits,
    traces: { ...traces, memory: formatSize(traces.memory) },
    ...rest
  })
}

function schema(env: Environment) {
  return section({
    listen: section({
      http: leaf(parseListen, 'an IP address and a port such as 0.0.0.0:8080 or [::]:8080')
        .prefault('0.0.0.0:8080')
        .describe('API, WebSocket and pages'),
      udp: section({
        addresses: list(leaf(parseAddress, anAddress), 'one or two IPv4 addresses', 1)
          .prefault(['0.0.0.0'])
          .describe('One or two addresses of this host; 0.0.0.0 counts as one'),
        ports: list(integer(0, 65535), 'one or two ports', 1)
          .prefault([3478, 3479])
          .describe('One or two UDP ports, opened on each address'),
        public: list(leaf(parseAddress, anAddress), 'as many IPv4 addresses as listen.udp.addresses, or none', 0)
          .prefault([])
          .describe('The addresses peers are told, where they differ from `addresses`')
      }).superRefine(checkUdp)
    }),
    join: section({
      token: token(env.POSTERN_TOKEN).describe('What a peer must show to join; empty: made up and printed')
    }),
    admin: section({
      token: token(env.POSTERN_ADMIN_TOKEN).describe(
        'What reading traces and metrics takes; empty: made up and printed'
      ),
      open: choice('loopback', 'never').describe(
        'When no token is needed: to local requests where all that listens is on loopback, or never'
      )
    }),
    state: leaf(text => text || undefined, 'a folder')
      .prefault(env.POSTERN_STATE || './state')
      .describe('Folder for names and fingerprints, relative to this file'),
    deadline: leaf(parseDeadline, `${aDuration}, from 100ms to 10m`)
      .prefault('10s')
      .describe('Time for the strategies of one connection; the relay gets its turn after it'),
    strategies: z
      .array(z.unknown(), { error: 'expected a list of strategies' })
      .min(1, { error: 'expected at least one strategy' })
      .prefault(defaultStrategies)
      .describe('Tried from the top; the first path that opens wins'),
    limits: section({
      peers: integer(1, 1e6).prefault(1000).describe('Peers joined at once'),
      names: integer(1, 1e7).prefault(10000).describe('Names bound to a fingerprint for good'),
      sessions: integer(1, 1e6).prefault(1000).describe('Connect requests and relayed connections at once'),
      sessionsPerPeer: integer(1, 1e6).prefault(32).describe('The same, in which one peer takes part'),
      bindingsPerSource: integer(1, 1e6).prefault(1000).describe('STUN requests per second from one source address'),
      probesPerAddress: integer(1, 1e9)
        .prefault(8192)
        .describe('Probes per minute at guessed ports of one public address, over all sessions'),
      probesInAll: integer(1, 1e9)
        .prefault(200000)
        .describe('Probes per minute at guessed ports of all addresses together'),
      messagesPerSecond: integer(1, 1e6).prefault(200).describe('Signalling messages per second from one peer')
    }),
    traces: section({
      memory: leaf(parseSize, aSize)
        .prefault('64 MiB')
        .describe('Traces kept in memory; the oldest goes first, direct paths before the rest; 0 B: none'),
      file: leaf(text => text, 'a file')
        .prefault('')
        .describe('JSON lines that outlive a restart, relative to this file; empty: none'),
      addresses: choice('full', 'subnet').describe(
        'Whether addresses are recorded in full, or cut to their subnet (/24 or /48)'
      )
    }).superRefine(checkTraces),
    log: section({
      level: leaf(parseLevel, `one of ${logLevels.join(', ')}`, { enum: [...logLevels] })
        .prefault('info')
        .describe('Least severe level written to the log')
    })
  })
}

// Each leaf's message starts with "expected": what was got instead is added where its position is known.
// `shape` is what editors check; the rest of the check is `parse`.
function leaf<T>(parse: (text: string) => T | undefined, expected: string, shape: JsonShape = { type: 'string' }) {
  const error = `expected ${expected}`
  const text = z.custom<string | number>(value => typeof value === 'string' || typeof value === 'number', { error })
  return text.meta(shape).transform((written, context): T => {
    const value = parse(String(written))
    if (value === undefined) context.addIssue(error)
    return value ?? z.NEVER
  })
}

type JsonShape = Readonly<Record<string, unknown>>

function integer(least: number, most: number) {
  const inRange = (value: number) => (value >= least && value <= most ? value : undefined)
  const parse = (text: string) => (/^\d+$/.test(text) ? inRange(Number(text)) : undefined)
  // A text is for an environment variable that will turn into a number.
  const shape = { type: ['integer', 'string'], minimum: least, maximum: most, pattern: '\\$\\{' }
  return leaf(parse, `a whole number from ${least} to ${most}`, shape)
}

/** One of a few words, the first being the default. */
function choice<const Word extends string>(...words: readonly [Word, ...Word[]]) {
  const parse = (text: string) => words.find(word => word === text)
  return leaf(parse, `one of ${words.join(', ')}`, { enum: [...words] }).prefault(words[0])
}

function list<T extends z.ZodType>(item: T, expected: string, least: number) {
  const error = `expected ${expected}`
  return z.array(item, { error }).min(least, { error }).max(2, { error })
}

// Never shown in a message. It travels in a header and on command lines, hence the printable ASCII.
function token(fallback = '') {
  const parse = (text: string) => (/^[\x21-\x7e]*$/.test(text) ? text : undefined)
  return leaf(parse, 'a token of letters, digits and signs without spaces').prefault(fallback)
}

function section<Shape extends z.ZodRawShape>(shape: Shape) {
  const error: z.core.$ZodErrorMap = issue => (issue.code === 'invalid_type' ? 'expected a map of options' : undefined)
  const object = z.strictObject(shape, { error })
  return object.prefault({} as z.input<typeof object>)
}

/** The file holds what memory has: see trace/store/file.ts. */
function checkTraces({ memory, file }: Traces, context: z.RefinementCtx): void {
  const message = 'what is not kept in memory cannot be kept in a file; expected traces.memory above 0 B'
  if (file && memory === 0) context.addIssue({ code: 'custom', path: ['file'], message })
}

function checkUdp({ addresses, ports, public: told }: UdpListen, context: z.RefinementCtx): void {
  const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  const [first = '', second] = addresses
  if (second !== undefined) {
    if (addresses.some(isUnspecified))
      complain(
        'addresses',
        `${first} and ${second}: an unspecified address takes all; expected two addresses named one by one`
      )
    else if (first === second) complain('addresses', `${first} is named twice; expected two different addresses`)
  }
  if (ports[0] !== 0 && ports[0] === ports[1])
    complain('ports', `${ports[0]} is named twice; expected two different ports`)
  if (told.some(isUnspecified))
    complain('public', 'an unspecified address cannot be reached; expected addresses peers can send to')
  if (told.length > 0 && told.length !== addresses.length) {
    complain('public', `got ${told.length} for ${addresses.length} in listen.udp.addresses; expected as many, or none`)
  }
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

interface JsonSchema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
}

function jsonSchema(): JsonSchema {
  return z.toJSONSchema(schema({}), {
    io: 'input',
    unrepresentable: 'any',
    // That a section may be left out needs no saying.
    override: ({ jsonSchema }) => {
      if (jsonSchema.type === 'object') delete jsonSchema.default
    }
  }) as JsonSchema
}

function readStrategies(entries: readonly unknown[], yaml: LocatedYaml, folder: string) {
  const list: StrategyEntry[] = []
  const problems: Problem[] = []
  for (const [index, entry] of entries.entries()) {
    const path = ['strategies', index]
    const read = readStrategy(entry, path, yaml, folder)
    if ('text' in read) problems.push(read)
    else if (list.some(other => key(other) === key(read))) problems.push(twice(read, path))
    else list.push(read)
  }
  return { list, problems: [...problems, ...relayNotLast(list)] }
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
  return { use: strategyUse(name, folder), options, at: yaml.at(path), optionAt }
}

function twice(strategy: StrategyEntry, path: Path): Problem {
  return { at: strategy.at, text: `${keyOf(path)}${key(strategy)} is there twice; expected each strategy once` }
}

// Read past the schema, so that their mistakes are told together with all others.
function strategiesIn(value: unknown): readonly unknown[] {
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

// The chain ends with the relay: what comes after it would never be asked.
function relayNotLast(list: readonly StrategyEntry[]): Problem[] {
  const index = list.findIndex(strategy => key(strategy) === 'relay')
  const relay = list[index]
  if (!relay || index === list.length - 1) return []
  return [{ at: relay.at, text: `strategies[${index}]: relay must be the last; expected no strategy after it` }]
}

/** How a strategy is written: its name, or its path. */
export function key({ use }: Pick<StrategyEntry, 'use'>): string {
  return use.kind === 'file' ? use.file : use.name
}

// Which packages are installed no schema can know, so every name that a package may have is a strategy.
function strategyShapes(builtIns: Readonly<Record<string, { readonly defaults: object }>>): object[] {
  const names = Object.keys(builtIns)
  const options = Object.entries(builtIns).map(([name, { defaults }]) => [name, optionsShape(defaults)])
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

function optionsShape(defaults: object): object {
  const properties = Object.entries(defaults).map(([name, value]) => [name, { default: value }])
  return { type: ['object', 'null'], properties: Object.fromEntries(properties), additionalProperties: false }
}

function showStrategy(strategy: StrategyEntry): unknown {
  const options = Object.entries(strategy.options).map(([name, value]) => [
    name,
    isSecret(name) ? mask(String(value)) : value
  ])
  return options.length === 0 ? key(strategy) : { [key(strategy)]: Object.fromEntries(options) }
}

function isSecret(name: string): boolean {
  return /token|secret|password|key$/i.test(name)
}

// As many stars whatever the length: the length is part of the secret.
function mask(secret: string): string {
  return secret && '********'
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

function parseListen(text: string): Endpoint | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text)
  const address = match?.[1] ?? match?.[2] ?? ''
  const port = Number(match?.[3])
  return isIP(address) && port <= 65535 ? { address, port } : undefined
}

function parseAddress(text: string): string | undefined {
  return isIPv4(text) ? text : undefined
}

// Below 100 ms no answer could be back; above ten minutes no one waits.
function parseDeadline(text: string): number | undefined {
  const milliseconds = parseDuration(text)
  return milliseconds !== undefined && milliseconds >= 100 && milliseconds <= 600_000 ? milliseconds : undefined
}

function parseLevel(text: string): LogLevel | undefined {
  return logLevels.find(level => level === text)
}

function isUnspecified(address: string): boolean {
  return address === '0.0.0.0'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
