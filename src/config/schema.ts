// The meaning, the type and the default of each option. config/postern.yaml says the same to people, and
// config/postern.schema.json to editors.

import { isIP, isIPv4 } from 'node:net'
import { z } from 'zod'
import { aDuration, aSize, parseDuration, parseSize } from '../units.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { placeOf } from '../wire/place.ts'
import { MOST_HOURS } from '../wire/room/places.ts'
import type { Option } from './layers.ts'
import { networkIn } from './networks.ts'
import { defaultStrategies, isRecord } from './strategies.ts'

/** Files in PEM, both or neither; empty: none. */
export interface TlsListen {
  readonly cert: string
  readonly key: string
}

export interface UdpListen {
  /** One or two IPv4 addresses; the unspecified address 0.0.0.0 can only stand alone. */
  readonly addresses: readonly string[]
  /** One to three ports; port 0 lets the system choose. */
  readonly ports: readonly number[]
  /** What peers are told instead of `addresses`, in the same order; or empty. */
  readonly public: readonly PublicAddress[]
}

/** How peers reach what is bound to one of the addresses. */
export interface PublicAddress {
  /** An IPv4 address, or a name that has one. */
  readonly host: string
  /** One for each of the ports; left out where they are the same. */
  readonly ports?: readonly number[]
}

export interface Traces {
  /** Bytes of traces kept in memory; 0: none. */
  readonly memory: number
  /** Absolute path of a file of JSON lines that outlives a restart; empty: none. */
  readonly file: string
  /** Whether addresses are cut to their subnet (/24, /48) before they are recorded. */
  readonly addresses: 'full' | 'subnet'
}

/** Limits on everything that strangers can fill or ask for. */
export interface Limits {
  readonly peers: number
  readonly names: number
  readonly sessions: number
  readonly sessionsPerPeer: number
  /** STUN requests per second from one source address, over all sockets; of clients without a token, from one /24. */
  readonly bindingsPerSource: number
  /** Probes per minute at guessed ports of one public address, over all sessions. */
  readonly probesPerAddress: number
  /** Probes per minute at guessed ports of all addresses together. */
  readonly probesInAll: number
  /** Signalling messages per second from one peer, over all links of its certificate. */
  readonly messagesPerSecond: number
}

const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

export type LogLevel = (typeof logLevels)[number]

/** A gateway has few names; the rest would be a mistake. */
const URLS = 16

/** The proxies of a large provider come from some dozens of networks. */
const PROXIES = 256

const ifAll = 'if everybody were trusted, anybody could say who asks'
const theProxies = `the addresses and networks of your own proxies, such as [127.0.0.1, 10.0.0.0/8]; ${ifAll}`
const aProxy = `an address or a network such as 127.0.0.1, 10.0.0.0/8 or fd00::/8; ${ifAll}`

/** What may carry relayed datagrams. */
export const engines = ['batch', 'dgram'] as const
export type Engine = (typeof engines)[number]

/** Two that show a mapping, and one for those that can be relayed by neither. */
const UDP_PORTS = 3

const aPlace = 'a URL such as https://postern.example.org'

// Peers bind IPv4 sockets, so they could not reach a socket on IPv6.
const anAddress = 'an IPv4 address (UDP is IPv4 only for now)'

const aPublicAddress =
  'an IPv4 address or a name, and where the ports are published at others these, such as 203.0.113.7:40000-40002 (UDP is IPv4 only for now)'

/** It is made once, which takes as long as to read a whole file. */
export const schema = (): ReturnType<typeof makeSchema> => {
  made.schema ??= makeSchema()
  return made.schema
}

function makeSchema() {
  return section({
    listen: listenSection().superRefine(checkProxies, beside),
    stun: section({
      discovery: flag()
        .prefault('true')
        .describe('Whether any STUN client may find out what its NAT does, where there are two addresses and ports')
    }),
    join: section({
      token: token('POSTERN_TOKEN').describe('What a peer must show to join; empty: made up and kept'),
      tokenFile: tokenFile()
    }).superRefine(checkToken, beside),
    admin: section({
      token: token('POSTERN_ADMIN_TOKEN').describe('What reading traces and metrics takes; empty: made up and kept'),
      tokenFile: tokenFile(),
      open: choice('never', 'loopback').describe(
        'When no token is needed: never, or to local requests where all that listens is on loopback'
      )
    }).superRefine(checkToken, beside),
    state: leaf(text => text || undefined, 'a folder')
      .prefault('./state')
      .describe('Folder for names and fingerprints, relative to this file'),
    call: section({
      enabled: flag()
        .prefault('false')
        .describe('Whether whoever has joined may make rooms, whose links let others in'),
      rooms: integer(1, 10_000).prefault(1000).describe('Rooms at once; each network and certificate has a share'),
      hours: integer(1, MOST_HOURS).prefault(24).describe('How long the link of a room is good at most')
    }),
    test: section({
      enabled: flag()
        .prefault('false')
        .describe('Whether anybody may have the network of a browser judged, on a page of the gateway')
    }),
    deadline: leaf(parseDeadline, `${aDuration}, from 100ms to 10m`)
      .prefault('10s')
      .describe('Time for the strategies of one connection; the relay gets its turn after it'),
    drain: leaf(parseDrain, `${aDuration}, up to 10m, or 0s`)
      .prefault('30s')
      .describe('How long relayed connections may go on after SIGTERM; they are told to find other ways meanwhile'),
    strategies: z
      .array(z.unknown(), { error: 'expected a list of strategies' })
      .min(1, { error: 'expected at least one strategy' })
      .prefault([...defaultStrategies])
      .describe('Tried from the top; the first path that opens wins'),
    relay: section({
      engine: choice('auto', ...engines).describe(
        'What carries relayed datagrams: threads with calls for many at once (Linux), or the event loop'
      ),
      threads: integer(1, 64).prefault(1).describe('Threads of the engine batch')
    }),
    limits: limitsSection(),
    traces: tracesSection(),
    log: section({
      level: leaf(parseLevel, `one of ${logLevels.join(', ')}`, { enum: [...logLevels] })
        .prefault('info')
        .describe('Least severe level written to the log'),
      format: choice('auto', 'json', 'pretty').describe(
        'Lines of the log: JSON for programs, or text for people; auto: text where standard error is a terminal'
      )
    })
  })
}

const listenSection = () =>
  section({
    http: leaf(parseListen, 'an IP address and a port such as 0.0.0.0:8080 or [::]:8080')
      .prefault('0.0.0.0:8080')
      .describe('API, WebSocket and pages'),
    tls: section({
      cert: leaf(text => text, 'a file')
        .prefault('')
        .describe(
          'Certificate of the HTTP port in PEM with those in between, relative to this file; empty: http without TLS'
        ),
      key: leaf(text => text, 'a file')
        .prefault('')
        .describe('Its key in PEM, without a passphrase, relative to this file')
    }).superRefine(checkTls, beside),
    url: list(leaf(placeOf, aPlace), 'a list of public URLs', 0, URLS)
      .prefault([])
      .describe(
        'The URLs by which peers dial this gateway: others are refused; empty: those that cannot be checked are taken'
      ),
    udp: section({
      addresses: list(leaf(parseAddress, anAddress), 'one or two IPv4 addresses', 1)
        .prefault(['0.0.0.0'])
        .describe('One or two addresses of this host; 0.0.0.0 counts as one'),
      ports: list(integer(0, 65535), 'one to three ports', 1, UDP_PORTS)
        .prefault([3478, 3479, 3480])
        .describe('UDP ports, opened on each address: STUN and the relay share two; browsers are relayed by the third'),
      public: list(leaf(parsePublic, aPublicAddress), 'as many addresses or names as listen.udp.addresses, or none', 0)
        .prefault([])
        .describe(
          'What peers are told, where it differs from `addresses`: addresses or names, with ports if these differ'
        )
    }).superRefine(checkUdp, beside),
    tcp: list(integer(0, 65535), 'at most two ports', 0)
      .prefault([])
      .describe(
        'TCP ports for relayed peers whose UDP is blocked, on each of listen.udp.addresses, besides listen.http'
      ),
    trustProxy: list(leaf(networkIn, aProxy), theProxies, 0, PROXIES)
      .prefault([])
      .describe('The proxies whose word on who asks is taken: addresses and networks; empty: nobody is believed'),
    proxyProtocol: flag()
      .prefault('false')
      .describe('Whether each TCP connection of listen.trustProxy begins with a header of PROXY protocol v2')
  })

const limitsSection = () =>
  section({
    peers: integer(1, 1e6).prefault(2000).describe('Peers joined at once; of one network nine tenths at most'),
    names: integer(1, 1e7).prefault(10000).describe('Names bound to a fingerprint for good'),
    sessions: integer(1, 1e6).prefault(1000).describe('Connect requests at once, and as many relayed connections'),
    sessionsPerPeer: integer(1, 1e6)
      .prefault(32)
      .describe('Requests and relayed connections in which one peer takes part'),
    bindingsPerSource: integer(1, 1e6)
      .prefault(1000)
      .describe('STUN requests per second from one source address; of clients without a token, from one /24'),
    probesPerAddress: integer(1, 1e9)
      .prefault(8192)
      .describe('Probes per minute at guessed ports of one public address, over all sessions'),
    probesInAll: integer(1, 1e9)
      .prefault(200000)
      .describe('Probes per minute at guessed ports of all addresses together'),
    messagesPerSecond: integer(1, 1e6)
      .prefault(200)
      .describe('Signalling messages per second from one peer, over all links of its certificate')
  })

const tracesSection = () =>
  section({
    memory: leaf(parseSize, aSize)
      .prefault('64 MiB')
      .describe('Traces kept in memory; the oldest goes first, direct paths before the rest; 0 B: none'),
    file: leaf(text => text, 'a file')
      .prefault('')
      .describe('JSON lines that outlive a restart, relative to this file; empty: none'),
    addresses: choice('full', 'subnet').describe(
      'Whether addresses are recorded in full, or cut to their subnet (/24 or /48)'
    )
  }).superRefine(checkTraces, beside)

// Each leaf's message starts with "expected". The wrong value is added where its position is known. Editors check `shape`,
// and `parse` does the rest of the check.
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
  // A string is allowed for an environment variable that will turn into a number.
  const shape = { type: ['integer', 'string'], minimum: least, maximum: most, pattern: '\\$\\{' }
  return leaf(parse, `a whole number from ${least} to ${most}`, shape)
}

function flag() {
  const parse = (text: string) => (text === 'true' || text === 'false' ? text === 'true' : undefined)
  return leaf(parse, 'true or false', { type: ['boolean', 'string'], pattern: '^(true|false)$|\\$\\{' })
}

/** One of a few words; the first is the default. */
function choice<const Word extends string>(...words: readonly [Word, ...Word[]]) {
  const parse = (text: string) => words.find(word => word === text)
  return leaf(parse, `one of ${words.join(', ')}`, { enum: [...words] }).prefault(words[0])
}

function list<T extends z.ZodType>(item: T, expected: string, least: number, most = 2) {
  const error = `expected ${expected}`
  // Not by `min` and `max`, whose errors would keep what is checked beside them from being told.
  const isLong = (items: readonly unknown[]) => items.length >= least && items.length <= most
  return z.array(item, { error }).refine(isLong, { error }).meta({ minItems: least, maxItems: most })
}

/** A shorter token could be guessed. */
const TOKEN_CHARACTERS = 16

export const guessable = `a token under ${TOKEN_CHARACTERS} characters could be guessed`

/** Printable ASCII, because a token travels in a header and on command lines. */
export const tokenShape = new RegExp(`^[\\x21-\\x7e]{${TOKEN_CHARACTERS},}$`)

/** May be empty. It is never shown in a message. */
function token(variable: string) {
  const parse = (text: string) => (/^[\x21-\x7e]*$/.test(text) ? text : undefined)
  const shape = { type: 'string', pattern: `^$|${tokenShape.source}|\\$\\{` }
  const tooShort = `${guessable}; expected a longer one, here or in ${variable}`
  return leaf(parse, 'a token of letters, digits and signs without spaces', shape)
    .refine(text => text === '' || tokenShape.test(text), { error: tooShort })
    .prefault('')
}

const tokenFile = () =>
  leaf(text => text, 'a file')
    .prefault('')
    .describe('A file that holds the token, relative to this file, and is read again at SIGHUP; empty: none')

function checkToken({ token, tokenFile }: { token: string; tokenFile: string }, context: z.RefinementCtx): void {
  const message = 'the token is given already; expected token or tokenFile, not both'
  if (token && tokenFile) context.addIssue({ code: 'custom', path: ['tokenFile'], message })
}

function section<Shape extends z.ZodRawShape>(shape: Shape) {
  const error: z.core.$ZodErrorMap = issue => (issue.code === 'invalid_type' ? 'expected a map of options' : undefined)
  const object = z.strictObject(shape, { error })
  return object.prefault({} as z.input<typeof object>)
}

/** These checks are made beside mistakes in the same section, of which nothing is there, so that all are told together. */
const beside = { when: ({ value }: { value: unknown }) => isRecord(value) }

/** The file holds the same traces as memory: see trace/store/file.ts. */
function checkTraces({ memory, file }: Traces, context: z.RefinementCtx): void {
  const message = 'what is not kept in memory cannot be kept in a file; expected traces.memory above 0 B'
  if (file && memory === 0) context.addIssue({ code: 'custom', path: ['file'], message })
}

function checkTls({ cert, key }: TlsListen, context: z.RefinementCtx): void {
  const missing = cert && key === '' ? 'key' : key && cert === '' ? 'cert' : undefined
  if (missing) context.addIssue({ code: 'custom', path: [missing], message: 'expected both cert and key, or neither' })
}

interface Proxied {
  readonly trustProxy: readonly string[]
  readonly proxyProtocol: boolean
}

function checkProxies({ trustProxy, proxyProtocol }: Proxied, context: z.RefinementCtx): void {
  const message = 'a header is taken of nobody but the proxies in listen.trustProxy; expected their addresses there'
  if (proxyProtocol === true && trustProxy?.length === 0)
    context.addIssue({ code: 'custom', path: ['proxyProtocol'], message })
}

function checkUdp(udp: UdpListen, context: z.RefinementCtx): void {
  const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  const [addresses, ports, told] = [whole(udp.addresses), whole(udp.ports), whole(udp.public)]
  const [first = '', second] = addresses ?? []
  if (second !== undefined) {
    if (addresses?.some(isUnspecified))
      complain(
        'addresses',
        `${first} and ${second}: an unspecified address takes all; expected two addresses named one by one`
      )
    else if (first === second) complain('addresses', `${first} is named twice; expected two different addresses`)
  }
  const twice = ports?.find((port, index) => port !== 0 && ports.indexOf(port) !== index)
  if (twice !== undefined) complain('ports', `${twice} is named twice; expected different ports`)
  if (told?.some(({ host }) => isUnspecified(host)))
    complain('public', 'an unspecified address cannot be reached; expected addresses peers can send to')
  const odd = told?.find(({ ports: published }) => published && ports && published.length !== ports.length)
  if (odd && ports)
    complain(
      'public',
      `${odd.host} has ${odd.ports?.length} ports for ${ports.length} in listen.udp.ports; expected as many`
    )
  if (addresses && told && told.length !== addresses.length)
    complain('public', `got ${told.length} for ${addresses.length} in listen.udp.addresses; expected as many, or none`)
}

/** The list, unless something in it is wrong and is told already. */
const whole = <T>(list: readonly T[]): readonly T[] | undefined =>
  Array.isArray(list) && list.length > 0 && list.every(isRead) ? list : undefined

const isRead = (item: unknown): boolean =>
  typeof item === 'object' ? isRecord(item) && 'host' in item : item !== undefined

export interface JsonSchema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
}

/** It is made once, which takes longer than to read a whole file: each key that there is not asks it for those there are. */
export const jsonSchema = (): JsonSchema => {
  made.json ??= z.toJSONSchema(schema(), {
    io: 'input',
    unrepresentable: 'any',
    // Every section may be left out, so editors need not be shown its default.
    override: ({ jsonSchema }) => {
      if (jsonSchema.type === 'object') delete jsonSchema.default
    }
  }) as JsonSchema
  return made.json
}

const made: { schema?: ReturnType<typeof makeSchema>; json?: JsonSchema } = {}

/** Every option there is, in the order of the schema. The strategies are one, as a whole. */
export function options(of: z.core.$ZodType = schema(), path: readonly string[] = []): Option[] {
  const inner = of instanceof z.ZodPrefault ? of.unwrap() : of
  if (!(inner instanceof z.ZodObject)) return [{ path, isList: inner instanceof z.ZodArray }]
  return Object.entries(inner.shape).flatMap(([name, inside]) => options(inside as z.core.$ZodType, [...path, name]))
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

// Below 100 ms no answer could be back, and nobody waits for more than ten minutes.
function parseDeadline(text: string): number | undefined {
  const milliseconds = parseDuration(text)
  return milliseconds !== undefined && milliseconds >= 100 && milliseconds <= 600_000 ? milliseconds : undefined
}

/** `gw.example.org`, `203.0.113.7:40000-40002`, `203.0.113.7:40000,40005`. Names as RFC 1123 section 2.1 has them. */
function parsePublic(text: string): PublicAddress | undefined {
  const [, host = '', behind] = /^([^:]+)(?::(.+))?$/.exec(text) ?? []
  if (!isIPv4(host) && (!isHostName(host) || /^[\d.]+$/.test(host))) return undefined
  if (behind === undefined) return { host }
  const ports = behind.split(',').map(portsIn)
  return ports.every(part => part !== undefined) ? { host, ports: ports.flat() } : undefined
}

const isHostName = (text: string): boolean =>
  text.length < 254 && text.split('.').every(label => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(label))

/** `40000`, or `40000-40002`. */
function portsIn(text: string): number[] | undefined {
  const [, first = '', last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  const [from, to] = [Number(first), Number(last)]
  if (from < 1 || to < from || to > 65535 || to - from >= UDP_PORTS) return undefined
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

/** As it could be written. */
export const formatPublic = ({ host, ports }: PublicAddress): string => (ports ? `${host}:${ports.join(',')}` : host)

function parseDrain(text: string): number | undefined {
  const milliseconds = parseDuration(text)
  return milliseconds !== undefined && milliseconds <= 600_000 ? milliseconds : undefined
}

function parseLevel(text: string): LogLevel | undefined {
  return logLevels.find(level => level === text)
}

function isUnspecified(address: string): boolean {
  return address === '0.0.0.0'
}
