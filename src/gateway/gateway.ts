// Puts the gateway together: plugins, traces, UDP ports that observe and relay, sessions, and the HTTP side that peers join
// through. Everything is opened here, and closed in the opposite order.
//
//   plugins ─► tracing ─► ports ─► peers, memory, relay ─► sessions ─► what arrives over UDP ─► doors besides it ─► HTTP

import type { X509Certificate } from 'node:crypto'
import { AlwaysOffSampler, TracerProvider } from '@opentelemetry/sdk-trace'
import { type Logger, pino } from 'pino'
import type { Config } from '../config/config.ts'
import { knownStrategies, startPlugins } from '../plugins/built-in.ts'
import { exposures } from '../state-file.ts'
import type { Strategy } from '../strategy/turn.ts'
import { type ExportCounters, exporting } from '../trace/export/export.ts'
import { masking } from '../trace/export/mask.ts'
import type { TraceRecord } from '../trace/record/record.ts'
import { TraceFile } from '../trace/store/file.ts'
import { TraceStore } from '../trace/store/store.ts'
import { judge } from '../trace/verdict/judge.ts'
import { judgeLosses } from '../trace/verdict/losses/judge.ts'
import { version } from '../version.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { Doors } from './doors/doors.ts'
import { listenTcp } from './doors/listen.ts'
import { Access, openTo } from './http/access.ts'
import { isBuilt, notBuilt } from './http/built/built.ts'
import { Certificate } from './http/certificate.ts'
import { serveHttp } from './http/http.ts'
import { linkPath } from './http/login.ts'
import { Metrics } from './http/metrics.ts'
import { type GatewayStatus, statusOf } from './http/status.ts'
import { Budget, mostProbes } from './memory/budget.ts'
import { History } from './memory/history.ts'
import { Outcomes } from './memory/outcomes.ts'
import { Paths } from './memory/paths.ts'
import { Visits } from './nettest/visits.ts'
import { Directory } from './peers/directory.ts'
import { GuardedToken } from './peers/guarded-token.ts'
import { Names } from './peers/names.ts'
import { Places } from './peers/places.ts'
import { ownLinks, Sources } from './peers/sources.ts'
import { type Purpose, token, tokenFile } from './peers/tokens.ts'
import { Twins } from './peers/twins.ts'
import { type Recording, Refusals } from './recording/refusals.ts'
import { logSession } from './recording/session-line.ts'
import { TraceKeys } from './recording/trace-keys.ts'
import { openUdp } from './relay/engine.ts'
import { LocalRelay, type Relay } from './relay/relay.ts'
import { Rooms } from './rooms/rooms.ts'
import { logSearch } from './session/again/search-line.ts'
import { presenceOf } from './session/presence.ts'
import { Rates } from './session/relayed/rates.ts'
import { Sessions } from './session/sessions.ts'
import { Judging } from './shares/judging.ts'
import { Shares } from './shares/shares.ts'
import { noneYet } from './signalling/counters.ts'
import { Pace } from './signalling/pace.ts'
import type { Reception } from './signalling/reception.ts'
import { RefusalLog } from './signalling/refusal-log.ts'
import { receive } from './signalling/signalling.ts'
import { NatDesk } from './survey/nat-desk.ts'
import { Binding, type Forwarder } from './udp/binding.ts'
import type { Credential } from './udp/desk.ts'
import { Forwards } from './udp/forwards.ts'
import { type Listening, sendOnce } from './udp/listen.ts'
import { UdpObserver } from './udp/observe.ts'
import { Overload } from './udp/overload.ts'
import type { StrangerLimits } from './udp/strangers.ts'

export interface Gateway {
  readonly http: Endpoint
  /** The certificate of the HTTP port as it is now; undefined where that speaks no TLS. */
  readonly certificate: X509Certificate | undefined
  /** Reads the certificate and its key from their files again, and says in the log what became of it. */
  renewCertificate(): void
  readonly joinToken: string
  readonly adminToken: string
  /** Path of a page that logs a browser in without the token: good for one login, within ten minutes. Each call makes another one. */
  loginLink(): string
  /** Whether local requests need no token. */
  readonly open: boolean
  readonly endpoints: readonly Endpoint[]
  /** What carries relayed datagrams, for people. */
  readonly engine: string
  /** TCP ports of the relay alone. */
  readonly tcp: readonly Endpoint[]
  /** What its operator should know of how it is set up. */
  readonly notes: readonly string[]
  readonly strategies: readonly Pick<Strategy, 'name' | 'lastResort'>[]
  readonly traces: TraceStore
  /** Counters of everything that is limited or dropped. */
  status(): Promise<GatewayStatus>
  close(): Promise<void>
}

export interface GatewayOptions {
  readonly log?: Logger
  /** False records no spans, so there are no traces, verdicts or counts of them. It serves to measure what they cost. */
  readonly recording?: boolean
}

/** Opens a gateway. Throws `bad-config`, `port-in-use` or `io`; in that case nothing is left open. */
export async function openGateway(config: Config, options: GatewayOptions = {}): Promise<Gateway> {
  const { log = pino({ level: 'silent' }), recording = true } = options
  const { limits } = config
  await using opened = new AsyncDisposableStack()
  const certificate = config.listen.tls && opened.use(await Certificate.open(config.listen.tls, { log }))
  const { strategies } = opened.use(await startPlugins(config.strategies, log))
  const tracing = opened.use(await openTracing(config.traces, { strategies, log, recording }))
  const { udp, fast, engine } = await openUdp(config, log)
  opened.defer(() => udp.close())
  const overload = opened.use(new Overload({ ports: () => udp.ports, engine: fast }))
  const tcp = await listenTcp({ addresses: config.listen.udp.addresses, ports: config.listen.tcp })
  opened.defer(() => tcp.close())

  const names = await Names.open(config.state, { max: limits.names, log })
  opened.defer(() => names.close())
  const directory = new Directory(names, limits.peers)
  const observer = new UdpObserver({
    ports: () => udp.ports,
    public: config.listen.udp.public,
    peers: limits.peers
  })
  const relay = opened.use(new LocalRelay({ maxSessions: limits.sessions, fast }))
  const sources = new Sources({ observer, log })
  const judging = new Judging()
  const watch = { observer, sources, history: new History(), budget: new Budget(limits), judging, commander: directory }
  const memory = { paths: new Paths(), outcomes: new Outcomes(), deadlineMs: config.deadlineMs }
  const sessions = new Sessions({ ...tracing.recording, ...watch, ...memory, relay, strategies }, limits, search =>
    logSearch(log, search)
  )
  const stun = { ...config.stun, perSecond: limits.bindingsPerSource }
  const visits = config.test.enabled
    ? new Visits({ ...{ observer, strategies, judging }, tcp: [...new Set(tcp.ports)], probes: mostProbes(limits) })
    : undefined
  const binding = receiveUdp(udp, { observer, sessions, relay, visits, stun })
  const doors = opened.use(new Doors((way, source, datagram) => binding.receive(way, source, datagram)))

  const forwards = forwardsOf(udp, observer, config.listen.udp.public)
  const nat = new NatDesk(watch, strategies)
  const places = new Places({
    urls: config.listen.url,
    scheme: certificate ? 'https:' : 'http:',
    told: config.listen.udp.public,
    log
  })
  const twins = new Twins({ log })
  const tokens = await tokensOf(config, log)
  const counters = noneYet()
  const guarded = new GuardedToken(tokens.join)
  const { enabled, rooms: max, hours } = config.call
  const rooms = enabled ? opened.use(await Rooms.open(config.state, guarded, { max, hours, log })) : undefined
  const reception: Reception = {
    door: {
      ...{ token: guarded, rooms, directory, names: directory.names, observer, places },
      peers: limits.peers,
      seats: new Shares({ capacity: limits.peers }),
      relayPorts: [...new Set(tcp.ports)]
    },
    desk: { members: directory, sessions, sources, twins, nat, forwards, rooms, url: urlOf(config.listen) },
    pace: new Pace(limits.messagesPerSecond, limits.peers),
    refusalLog: opened.use(new RefusalLog({ log })),
    ...{ log, counters, refusals: new Refusals(tracing.recording, counters) }
  }
  const access = new Access({ token: tokens.admin, open: openTo(config), keys: tracing.keys })
  const parts = {
    visits,
    ...{ directory, sources, sessions, relay, binding, doors, signalling: counters, budget: watch.budget },
    ...{ access, forwards, twins, nat, rooms, overload, ...tracing }
  }
  const rates = new Rates()
  const status = () => statusOf({ ...parts, http: http.counters })
  const http = await serveHttp(config.listen.http, {
    ...{ access, status, log, traces: tracing.traces, names: directory.names, metrics: tracing.metrics },
    present: () => presenceOf({ ...parts, rates }),
    warnings: () => [
      ...sources.warnings,
      ...places.warnings,
      ...twins.warnings,
      ...(certificate?.warnings ?? []),
      ...overload.warnings()
    ],
    peers: limits.peers,
    calls: enabled,
    tests: visits && {
      results: visits.results,
      udp: portsOf(udp),
      receive: (ws, newcomer) => visits.receive(ws, newcomer)
    },
    urls: config.listen.url,
    certificate,
    join: (ws, newcomer) => receive(ws, newcomer, reception),
    doors
  })
  tcp.onConnection = socket => http.bringsDatagrams(socket)
  opened.defer(() => http.close())
  opened.defer(() => rooms?.stop())

  const closing = opened.move()
  return {
    http: http.local,
    get certificate() {
      return certificate?.pair.leaf
    },
    renewCertificate: () => certificate?.renew(),
    joinToken: tokens.join,
    adminToken: tokens.admin,
    loginLink: () => linkPath(access.link()),
    open: openTo(config) === 'loopback',
    endpoints: udp.ports.map(({ local }) => local),
    engine,
    tcp: tcp.endpoints,
    notes: (enabled || config.test.enabled) && !isBuilt() ? [notBuilt] : [],
    strategies,
    traces: tracing.traces,
    status,
    close: () => closing.disposeAsync()
  }
}

interface Tracing extends AsyncDisposable {
  readonly traces: TraceStore
  readonly metrics: Metrics
  readonly recording: Recording
  /** By these, callers read what was recorded of their own requests. */
  readonly keys: TraceKeys
  /** Counters of the spans for the collector. */
  readonly exported: ExportCounters
}

/** Opens the store of traces, the metrics that count them, and the export to a collector. Throws `bad-config` or `io`. */
async function openTracing(
  { memory, file, addresses }: Config['traces'],
  { strategies, log, recording }: { strategies: readonly Strategy[]; log: Logger; recording: boolean }
): Promise<Tracing> {
  const exports = exporting(process.env, log)
  const metrics = new Metrics({ strategies: strategies.map(({ name }) => name) })
  const known = knownStrategies(strategies)
  const traces = new TraceStore({
    memory,
    judge: spans => judge(spans, known),
    judgeLosses,
    onLoss: loss => metrics.lost(loss),
    ...(file ? { file: await TraceFile.open(file, { memory, log }) } : {}),
    onEnded: record => {
      logSession(log, record)
      counted(metrics, record, log)
    }
  })
  const provider = new TracerProvider({
    resource: exports.resource,
    sampler: recording ? exports.sampler : new AlwaysOffSampler(),
    spanProcessors: [traces, ...exports.processors]
  })
  const tracer = provider.getTracer('postern', version)
  const keys = new TraceKeys()
  try {
    await traces.load()
  } catch (error) {
    metrics[Symbol.dispose]()
    await provider.shutdown()
    throw error
  }
  return {
    traces,
    metrics,
    exported: exports.counters,
    recording: {
      tracer: addresses === 'subnet' ? masking(tracer) : tracer,
      judge: root => (root.isRecording() ? judge(traces.soFar(root), known) : undefined),
      keyOf: root => (root.isRecording() ? keys.keyOf(root.spanContext()) : undefined)
    },
    keys,
    [Symbol.asyncDispose]: async () => {
      metrics[Symbol.dispose]()
      await provider.shutdown()
    }
  }
}

/** A fault in the metrics must not end a connection. */
function counted(metrics: Metrics, record: TraceRecord, log: Logger): void {
  try {
    metrics.ended(record)
  } catch (error) {
    log.error({ trace: record.id }, `a trace was not counted: ${error}`)
  }
}

interface Receivers {
  readonly observer: UdpObserver
  readonly sessions: Sessions
  readonly relay: Relay
  readonly visits: Visits | undefined
  readonly stun: StrangerLimits
}

/** From now on, datagrams that arrive are observed, latched, forwarded, or answered as any STUN server would answer. */
function receiveUdp(udp: Listening, { observer, sessions, relay, visits, stun }: Receivers): Binding {
  const binding = new Binding(
    {
      ports: () => udp.ports,
      publicOf: port => observer.publicOf(port),
      credentialOf: username => credentialOf(username, observer, sessions),
      sample: (claim, port, mapped, echo) => observer.sees(claim, port, mapped, echo),
      repeats: (port, mapped) => observer.repeats(port, mapped)
    },
    visits ? withVisits(relay, visits) : relay,
    stun
  )
  udp.onDatagram = (port, source, datagram) => binding.receive(port, source, datagram)
  return binding
}

/** What is for no session may be a visitor's. */
const withVisits = (relay: Relay, visits: Visits): Forwarder => ({
  latch: (session, side, port, source) => relay.latch(session, side, port, source),
  forward: (port, source, datagram) => relay.forward(port, source, datagram) || visits.takes(port, source, datagram)
})

/** Those that peers show their mappings at, or are relayed by. */
const portsOf = ({ ports }: Listening): number[] => [...new Set(ports.map(({ local }) => local.port))]

/** The URL that links of rooms begin with, where its operator has said one: https, for browsers, if there is such a one. */
const urlOf = ({ url }: Config['listen']): string | undefined => url.find(one => one.startsWith('https:')) ?? url[0]

/** Proves the endpoints that peers claim, by datagrams from throwaway ports of the address that peers are told first. */
function forwardsOf({ ports }: Listening, observer: UdpObserver, told: readonly string[]): Forwards {
  const [primary] = ports
  return new Forwards({
    observer,
    own: () => [...told, ...ownLinks().map(({ address }) => address)],
    send: (datagram, to) => sendOnce(primary?.local.address ?? '0.0.0.0', datagram, to)
  })
}

/** Whom a USERNAME names: a peer's socket, a peer's filtering test, or a side of a session. */
function credentialOf(username: string, observer: UdpObserver, sessions: Sessions): Credential | undefined {
  const [kind = '', id = '', rest = ''] = username.split(':')
  if (kind !== 's') return observer.credentialOf(kind, id, rest)
  const session = sessions.get(id)
  if (!session || (rest !== 'caller' && rest !== 'callee')) return undefined
  return { kind: 'latch', key: session.keys[rest], session: id, side: rest }
}

/** The tokens as configured; one that is not configured is made up and kept. The log says who else may read it. Throws `io`. */
async function tokensOf({ join, admin, state }: Config, log: Logger): Promise<Record<Purpose, string>> {
  const made = { join: await token(join.token, state, 'join'), admin: await token(admin.token, state, 'admin') }
  const kept = [...(join.token ? [] : ['join' as const]), ...(admin.token ? [] : ['admin' as const])]
  const files = kept.map(purpose => tokenFile(state, purpose))
  for (const warning of await exposures(state, files)) log.warn(warning)
  return made
}
