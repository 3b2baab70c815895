// The gateway, put together: UDP ports that watch and relay, a chain of plugins, sessions, and the HTTP side that peers
// join through. Everything is opened here and closed here, in the opposite order.

import { AlwaysOffSampler, TracerProvider } from '@opentelemetry/sdk-trace'
import { type Logger, pino } from 'pino'
import type { WebSocket } from 'ws'
import type { Config } from '../config/config.ts'
import { profile } from '../nat/profile.ts'
import { startPlugins } from '../plugins/built-in.ts'
import { exporting } from '../trace/export/export.ts'
import { masking } from '../trace/export/mask.ts'
import type { TraceRecord } from '../trace/record/record.ts'
import { TraceFile } from '../trace/store/file.ts'
import { TraceStore } from '../trace/store/store.ts'
import { judge } from '../trace/verdict/verdict.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { Access, openTo } from './http/access.ts'
import { serveHttp } from './http/http.ts'
import { Metrics } from './http/metrics.ts'
import { type GatewayStatus, statusOf } from './http/status.ts'
import { Budget } from './memory/budget.ts'
import { History } from './memory/history.ts'
import { Outcomes } from './memory/outcomes.ts'
import { Paths } from './memory/paths.ts'
import { Directory } from './peers/directory.ts'
import { Names } from './peers/names.ts'
import { token } from './peers/tokens.ts'
import { type Recording, Refusals } from './recording/refusals.ts'
import { SpliceTable } from './relay/splice.ts'
import { Sessions } from './session/sessions.ts'
import type { SignallingCounters } from './signalling/reception.ts'
import { receive } from './signalling/signalling.ts'
import { NatDesk } from './survey/nat-desk.ts'
import { Binding, type Claim } from './udp/binding.ts'
import { type Listening, listen } from './udp/listen.ts'
import { UdpObserver } from './udp/observe.ts'

export interface Gateway {
  readonly http: Endpoint
  readonly joinToken: string
  readonly adminToken: string
  /** Whether local requests need no token. */
  readonly open: boolean
  readonly endpoints: readonly Endpoint[]
  readonly traces: TraceStore
  readonly metrics: Metrics
  /** Counters of everything that is limited or dropped. */
  status(): GatewayStatus
  close(): Promise<void>
}

export interface GatewayOptions {
  readonly log?: Logger
  /** False: no spans, so no traces, verdicts or counts of them. For measuring what they cost. */
  readonly recording?: boolean
}

/** Opens a gateway. Throws `bad-config`, `port-in-use` or `io`, and leaves nothing open then. */
export async function openGateway(config: Config, options: GatewayOptions = {}): Promise<Gateway> {
  const { log = pino({ level: 'silent' }) } = options
  await using opened = new AsyncDisposableStack()
  const over = new AbortController()
  opened.defer(() => over.abort())

  const links = await startPlugins(config.strategies, opened, { log, over })
  const exports = exporting(process.env, log)
  const { memory, file } = config.traces
  const metrics = new Metrics({ strategies: links.map(({ name }) => name), status: () => status() })
  const traces = new TraceStore({
    memory,
    ...(file ? { file: await TraceFile.open(file, { memory, log }) } : {}),
    onEnded: record => counted(metrics, record, log)
  })
  const provider = new TracerProvider({
    resource: exports.resource,
    sampler: options.recording === false ? new AlwaysOffSampler() : exports.sampler,
    spanProcessors: [traces, ...exports.processors]
  })
  opened.defer(() => provider.shutdown())
  await traces.load()

  const names = new Names(config.state, config.limits.names)
  const directory = new Directory(names)
  const splices = new SpliceTable({
    maxSessions: config.limits.sessions,
    onIdle: (session, counters) => sessions.idle(session, counters),
    onRelatch: (session, side, source) => sessions.get(session)?.changed({ kind: 'relatched', side, source })
  })
  opened.defer(() => splices.close())

  let udp: Listening = { ports: [], close: async () => {} }
  const budget = new Budget(config.limits)
  const history = new History()
  const observer = new UdpObserver({ ports: () => udp.ports, public: config.listen.udp.public })
  const recording = recordingOf(provider, { traces, masks: config.traces.addresses === 'subnet' })
  const sessions: Sessions = new Sessions(
    {
      ...recording,
      observer,
      profiler: { profile },
      commander: directory,
      relay: {
        // By certificate: joining again gives no fresh limits.
        arm: ({ id, caller, callee }, limits) =>
          splices.arm(id, { caller: caller.fingerprint, callee: callee.fingerprint }, limits),
        disarm: session => splices.disarm(session)
      },
      links,
      paths: new Paths(),
      outcomes: new Outcomes(),
      history,
      budget,
      deadlineMs: config.deadlineMs
    },
    config.limits
  )
  const binding = new Binding(
    {
      ports: () => udp.ports,
      claim: username => claimOf(username, observer, sessions),
      sample: (claim, port, mapped, proved) => observer.record(claim, port, mapped, proved),
      latch: ({ session, role }, port, source) => splices.latch(session, role, port, source),
      forward: (port, source, datagram) => splices.forward(port, source, datagram)
    },
    config.limits.bindingsPerSource
  )
  udp = await listen(config.listen.udp, (port, source, datagram) => binding.receive(port, source, datagram))
  opened.defer(() => udp.close())

  const nat = new NatDesk({ observer, profiler: { profile }, history, budget }, links)
  const signalling: SignallingCounters = { joined: 0, refused: 0, malformed: 0, slowed: 0, unrecorded: 0 }
  const refusals = new Refusals(recording, signalling)
  const joinToken = token(config.join.token, config.state, 'join')
  const adminToken = token(config.admin.token, config.state, 'admin')
  const open = openTo(config)
  const access = new Access({ token: adminToken, open })
  const strangers = new Map<WebSocket, string>()
  const status = (): GatewayStatus =>
    statusOf({ directory, sessions, splices, binding, signalling, budget, traces, exports, access })
  const http = await serveHttp(config.listen.http, {
    access,
    traces,
    names,
    metrics,
    status,
    log,
    peers: config.limits.peers,
    join: (ws, request) =>
      receive(ws, request, {
        directory,
        names,
        observer,
        sessions,
        nat,
        joinToken,
        limits: config.limits,
        log,
        counters: signalling,
        refusals,
        strangers
      })
  })
  opened.defer(() => http.close())

  const closing = opened.move()
  return {
    http: http.local,
    joinToken,
    adminToken,
    open: open === 'loopback',
    endpoints: udp.ports.map(({ local }) => local),
    traces,
    metrics,
    status,
    close: () => closing.disposeAsync()
  }
}

function recordingOf(
  provider: TracerProvider,
  { traces, masks }: { readonly traces: TraceStore; readonly masks: boolean }
): Recording {
  const tracer = provider.getTracer('postern')
  return {
    tracer: masks ? masking(tracer) : tracer,
    judge: root => (root.isRecording() ? judge(traces.soFar(root)) : undefined)
  }
}

/** A fault in what is counted must not end a connection. */
function counted(metrics: Metrics, record: TraceRecord, log: Logger): void {
  try {
    metrics.ended(record)
  } catch (error) {
    log.error({ trace: record.id }, `a trace was not counted: ${error}`)
  }
}

/** Who a USERNAME is: a peer's socket, a peer's filtering test, or a side of a session. */
function claimOf(username: string, observer: UdpObserver, sessions: Sessions): Claim | undefined {
  const [kind = '', id = '', rest = ''] = username.split(':')
  if (kind !== 's') return observer.claim(kind, id, rest)
  const session = sessions.get(id)
  if (!session || (rest !== 'caller' && rest !== 'callee')) return undefined
  return { kind: 'latch', key: session.keys[rest], session: id, role: rest }
}
