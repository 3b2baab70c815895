// Puts the gateway together: plugins, traces, UDP ports that observe and relay, sessions, and the HTTP side that peers join
// through. Everything is opened here, and closed in the opposite order.
//
//   strategies (current.ts) ─► tracing ─► ports ─► peers, memory, relay ─► sessions ─► what arrives over UDP ─► doors besides it ─► HTTP

import type { X509Certificate } from 'node:crypto'
import { AlwaysOffSampler, TracerProvider } from '@opentelemetry/sdk-trace'
import { type Logger, pino } from 'pino'
import type { Config } from '../config/config.ts'
import { knownStrategies } from '../plugins/built-in.ts'
import { exposures } from '../state-file.ts'
import type { Strategy } from '../strategy/turn.ts'
import { exporting } from '../trace/export/export.ts'
import { masking } from '../trace/export/mask.ts'
import type { ExportCounters } from '../trace/export/outbox.ts'
import type { TraceRecord } from '../trace/record/record.ts'
import { TraceFile } from '../trace/store/file.ts'
import { TraceStore } from '../trace/store/store.ts'
import { judge } from '../trace/verdict/judge.ts'
import { judgeLosses } from '../trace/verdict/losses/judge.ts'
import { version } from '../version.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { Current } from './current.ts'
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
import { unheard } from './peers/unheard.ts'
import { Proxies } from './proxy/proxies.ts'
import { type Recording, Refusals } from './recording/refusals.ts'
import { logSession } from './recording/session-line.ts'
import { TraceKeys } from './recording/trace-keys.ts'
import { openUdp } from './relay/engine.ts'
import { LocalRelay, type Relay } from './relay/relay.ts'
import { Rooms } from './rooms/rooms.ts'
import { logSearch } from './session/again/search-line.ts'
import { Drain } from './session/drain.ts'
import type { House } from './session/house.ts'
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
import { PublicAddresses } from './udp/public.ts'
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
  /**
   * Goes by another configuration from now on, as far as it can be changed while the gateway runs, and gives the names of options that
   * take a restart. Throws `bad-config`; then nothing has changed.
   */
  reload(config: Config): Promise<readonly string[]>
  /** Notes that a configuration could not be used: nothing has changed. */
  notReloaded(): void
  /**
   * Takes nothing new any more, and tells peers to move. Resolves when no session is left, when the time that the configuration gives
   * is over, or when the signal aborts, with the number of sessions that are left.
   */
  drain(signal?: AbortSignal): Promise<number>
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
  await using opened = new AsyncDisposableStack()
  const certificate = config.listen.tls && opened.use(await Certificate.open(config.listen.tls, { log }))
  const current = opened.use(await Current.open(config, log))
  const { limits } = current
  const tracing = opened.use(await openTracing(config.traces, { current, log, recording }))
  const told = opened.use(await PublicAddresses.open(config.listen.udp.public, { log }))
  const { udp, fast, engine, room } = await openUdp(config, log)
  opened.defer(() => udp.close())
  const overload = opened.use(new Overload({ ports: () => udp.ports, engine: fast }))
  const tcp = await listenTcp({ addresses: config.listen.udp.addresses, ports: config.listen.tcp })
  opened.defer(() => tcp.close())

  const names = await Names.open(config.state, { max: () => limits.names, log })
  opened.defer(() => names.close())
  const directory = new Directory(names, limits.peers)
  const observer = new UdpObserver({ ports: () => udp.ports, public: () => told.told, peers: limits.peers })
  const relay = opened.use(new LocalRelay({ maxSessions: () => Math.min(limits.sessions, room), fast }))
  const sources = new Sources({ observer, log })
  const judging = new Judging()
  const watch = { observer, sources, history: new History(), budget: new Budget(limits), judging, commander: directory }
  const house: House = {
    ...{ ...tracing.recording, ...watch, relay, paths: new Paths(), outcomes: new Outcomes() },
    get strategies() {
      return current.strategies
    },
    get deadlineMs() {
      return current.deadlineMs
    }
  }
  const sessions = new Sessions(house, limits, search => logSearch(log, search))
  const stun: StrangerLimits = {
    get discovery() {
      return current.stun.discovery
    },
    get perSecond() {
      return limits.bindingsPerSource
    }
  }
  const visits = config.test.enabled
    ? new Visits({
        ...{ observer, judging, tcp: [...new Set(tcp.ports)] },
        get strategies() {
          return current.strategies
        },
        get probes() {
          return mostProbes(limits)
        }
      })
    : undefined
  const binding = receiveUdp(udp, { observer, sessions, relay, visits, stun })
  const doors = opened.use(new Doors((way, source, datagram) => binding.receive(way, source, datagram)))

  const forwards = forwardsOf(udp, observer, told)
  const nat = new NatDesk(watch, () => current.strategies)
  const places = new Places({
    urls: config.listen.url,
    scheme: certificate ? 'https:' : 'http:',
    told: () => told.addresses,
    log
  })
  const twins = new Twins({ log })
  const tokens = await tokensOf(config, log)
  const counters = noneYet()
  const guarded = new GuardedToken(tokens.join)
  const { enabled } = config.call
  const drain = new Drain()
  const roomsOptions = {
    log,
    get max() {
      return current.call.rooms
    },
    get hours() {
      return current.call.hours
    }
  }
  const rooms = enabled ? opened.use(await Rooms.open(config.state, guarded, roomsOptions)) : undefined
  const refusalLog = opened.use(new RefusalLog({ log }))
  const { trustProxy: trusted, proxyProtocol: introduces } = config.listen
  const proxies = new Proxies({ trusted, introduces, log, refusalLog })
  const reception: Reception = {
    door: {
      ...{ token: guarded, rooms, directory, names: directory.names, observer, places },
      get peers() {
        return limits.peers
      },
      seats: new Shares({ capacity: () => limits.peers }),
      relayPorts: [...new Set(tcp.ports)]
    },
    desk: { members: directory, sessions, sources, twins, nat, forwards, rooms, url: urlOf(config.listen) },
    drain,
    pace: new Pace(
      () => limits.messagesPerSecond,
      () => limits.peers
    ),
    ...{ log, refusalLog, counters, refusals: new Refusals(tracing.recording, counters) }
  }
  const access = new Access({ token: tokens.admin, open: openTo(config), keys: tracing.keys })
  const parts = {
    visits,
    ...{ directory, sources, sessions, relay, binding, doors, signalling: counters, budget: watch.budget },
    ...{ access, forwards, twins, nat, rooms, overload, drain, proxies, reloads: current.counters, ...tracing }
  }
  const rates = new Rates()
  const warnings = () => [
    ...sources.warnings,
    ...places.warnings,
    ...twins.warnings,
    ...(certificate?.warnings ?? []),
    ...overload.warnings(),
    ...unheard(() => directory.peers, observer),
    ...proxies.warnings(),
    ...current.warnings
  ]
  const status = () => statusOf({ ...parts, http: http.counters, warnings: warnings() })
  const http = await serveHttp(config.listen.http, {
    ...{ access, status, log, traces: tracing.traces, names: directory.names, metrics: tracing.metrics },
    present: () => presenceOf({ ...parts, rates }),
    warnings,
    peers: () => limits.peers,
    isDraining: () => drain.hasBegun,
    calls: enabled,
    tests: visits && {
      results: visits.results,
      udp: portsOf(udp),
      receive: (ws, newcomer) => visits.receive(ws, newcomer)
    },
    urls: config.listen.url,
    ...{ proxies, certificate },
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
    get strategies() {
      return current.strategies
    },
    async reload(next) {
      // What may fail comes first.
      const tokens = await tokensOf({ ...next, state: config.state }, log)
      const lasting = await current.change(next, () => sessions.settled())
      guarded.token = tokens.join
      access.change(tokens.admin)
      log.level = next.log.level
      certificate?.renew()
      void told.refresh()
      return lasting
    },
    notReloaded: () => current.refuse(),
    drain: (signal = new AbortController().signal) => drain.run(sessions, current.drainMs, directory.peers, signal),
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
  { current, log, recording }: { current: Current; log: Logger; recording: boolean }
): Promise<Tracing> {
  const exports = exporting(process.env, log)
  const metrics = new Metrics({ strategies: () => current.strategies.map(({ name }) => name) })
  const known = () => knownStrategies(current.strategies)
  const traces = new TraceStore({
    memory,
    judge: spans => judge(spans, known()),
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
      judge: root => (root.isRecording() ? judge(traces.soFar(root), known()) : undefined),
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
function forwardsOf({ ports }: Listening, observer: UdpObserver, told: PublicAddresses): Forwards {
  const [primary] = ports
  return new Forwards({
    observer,
    own: () => [...told.addresses, ...ownLinks().map(({ address }) => address)],
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
