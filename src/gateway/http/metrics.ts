// What Prometheus reads. It has two sources: each finished trace is counted here by what its spans say, and the counters that
// the gateway has anyway are read when somebody asks. Labels are bounded: they come from tables and from the configured
// strategies, and name no peer.
//
//   finished trace ─► ended ─┐
//                            ├─► registry ─► text
//   status, when asked ──────┘
//
// Every series whose labels are known beforehand is there from the start, at zero. Prometheus would not see the first event of
// a series that appears with it: `increase()` needs a value before.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { kinds } from '../../nat/assignment.ts'
import { behaviours } from '../../nat/profile.ts'
import type { ShortName } from '../../trace/record/conventions.ts'
import { read } from '../../trace/record/reader.ts'
import type { Loss, SpanRecord, TraceRecord } from '../../trace/record/record.ts'
import { lossVerdicts, verdicts } from '../../verdict.ts'
import { doorKinds, streams } from '../../wire/doors/door.ts'
import { warningCodes } from '../peers/sources.ts'
import { Stalls } from './stalls.ts'
import type { GatewayStatus } from './status.ts'

/** In seconds, from a direct path on one link to a relayed path after every deadline. */
const CONNECT_BUCKETS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30]

/** The label for a word that is in none of the tables. */
const OTHER = 'other'

const outcomes = ['path', 'passed', 'failed']

/** The label of a NAT whose port assignment was not judged. */
const UNKNOWN = 'unknown'

export class Metrics implements Disposable {
  readonly #strategies: () => readonly string[]
  /** All that were configured since the start: what began by one of before a reload ends after it. */
  readonly #known = new Set<string>()
  readonly #register = new Registry()
  readonly #attempts = this.#counter('attempts', 'Turns of strategies', ['strategy', 'outcome'])
  readonly #paths = this.#counter('paths', 'Connect requests that ended with a path', ['kind'])
  readonly #profiles = this.#counter('profiles', 'NATs judged', ['mapping', 'filtering', 'allocation'])
  readonly #verdicts = this.#counter('verdicts', 'Finished traces', ['verdict', 'outcome'])
  readonly #losses = this.#counter('path_losses', 'Paths of connections that were lost', ['cause'])
  readonly #seconds = new Histogram({
    name: 'postern_connect_seconds',
    help: 'From the call to the path, by the strategy that found it',
    labelNames: ['strategy'],
    buckets: CONNECT_BUCKETS,
    registers: [this.#register]
  })
  /** Each brings a figure that another part counts up to date for a scrape. */
  readonly #readings: ((status: GatewayStatus) => void)[] = []
  readonly #stalls = new Stalls()

  readonly contentType = this.#register.contentType

  /** @param strategies names of the configured ones, as they are now */
  constructor({ strategies }: { readonly strategies: () => readonly string[] }) {
    this.#strategies = strategies
    this.#begin()
    this.#readGauges()
    this.#readCounters()
    this.#readLimits()
    this.#readStalls()
  }

  /** Nothing is measured any more. */
  [Symbol.dispose](): void {
    this.#stalls[Symbol.dispose]()
  }

  /** A request, or a refused join, has ended. */
  ended({ outcome, by, path, ms, continues, verdict, spans }: TraceRecord): void {
    // A connection that stands is no new one.
    if (continues !== undefined) return
    this.#beginStrategies()
    const code = Object.hasOwn(verdicts, verdict.code) ? verdict.code : OTHER
    this.#verdicts.inc({ verdict: code, outcome: oneOf(outcomes, outcome) })
    if (path) this.#paths.inc({ kind: path })
    if (path) this.#seconds.observe({ strategy: oneOf([...this.#known], by) }, ms / 1000)
    for (const span of spans) this.#count(span)
  }

  /** A path of a connection was lost, and no more will be learnt of why. */
  lost({ code }: Loss): void {
    this.#losses.inc({ cause: Object.hasOwn(lossVerdicts, code) ? code : OTHER })
  }

  /** The text that a scrape gets, with what the gateway counts now. */
  async text(status: GatewayStatus): Promise<string> {
    this.#beginStrategies()
    for (const read of this.#readings) read(status)
    return await Registry.merge([this.#register, processRegister()]).metrics()
  }

  /** What may be counted begins at zero. */
  #begin(): void {
    for (const kind of ['direct', 'relay']) this.#paths.inc({ kind }, 0)
    for (const cause of Object.keys(lossVerdicts)) this.#losses.inc({ cause }, 0)
    for (const verdict of Object.keys(verdicts))
      for (const outcome of ['path', 'failed']) this.#verdicts.inc({ verdict, outcome }, 0)
    this.#beginStrategies()
    for (const mapping of behaviours)
      for (const filtering of behaviours)
        for (const allocation of [...kinds, UNKNOWN]) this.#profiles.inc({ mapping, filtering, allocation }, 0)
  }

  /** A reload may bring others. */
  #beginStrategies(): void {
    for (const strategy of this.#strategies()) {
      if (this.#known.has(strategy)) continue
      this.#known.add(strategy)
      this.#seconds.zero({ strategy })
      for (const outcome of outcomes) this.#attempts.inc({ strategy, outcome }, 0)
    }
  }

  #count(span: SpanRecord): void {
    const { name } = span
    const said = (what: ShortName, known: readonly string[]) => oneOf(known, read(span).text(what))
    if (name === 'postern.plugin')
      this.#attempts.inc({ strategy: said('plugin', [...this.#known]), outcome: said('outcome', outcomes) })
    if (name === 'postern.profile')
      this.#profiles.inc({
        mapping: said('mapping', behaviours),
        filtering: said('filtering', behaviours),
        allocation: read(span).text('allocation') === undefined ? UNKNOWN : said('allocation', kinds)
      })
  }

  #readGauges(): void {
    this.#readGauge('peers', 'Peers joined', status => status.peers)
    this.#readGauge('connections', 'TCP connections open', status => status.http.open)
    this.#readGauge('hidden_sources', 'Peers joined whose sources are hidden', status => status.hidden)
    this.#readGauge('names', 'Names that belong to a certificate', status => status.names.known)
    this.#readGauge('rooms', 'Rooms that are open', status => status.rooms.open)
    this.#readGauge('room_guests', 'Guests inside rooms', status => status.rooms.inside)
    this.#readGauge('sessions', 'Connect requests under way and relayed connections', status => status.sessions.now)
    this.#readGauge('relayed', 'Relayed connections, and those about to be', status => status.sessions.relayed)
    this.#readGauge('draining', 'Whether the gateway is about to stop', status => status.drain.begun)
    this.#readWarnings()
    this.#readDoors()
    this.#readGauge('traces', 'Traces kept', status => status.traces.kept)
    this.#readGauge('traces_bytes', 'Bytes of the traces kept', status => status.traces.bytes)
    this.#readGauge('spans_waiting', 'Spans that wait for the collector', ({ collector }) => collector.waiting)
    this.#readGauge('spans_waiting_bytes', 'Memory of these', ({ collector }) => collector.bytes)
  }

  /** A gauge with one label. */
  #readGaugeOf<Label extends string>(
    [name, help, label]: readonly [name: string, help: string, label: string],
    values: readonly Label[],
    of: (status: GatewayStatus, value: Label) => number
  ): void {
    const gauge = new Gauge({ name: `postern_${name}`, help, labelNames: [label], registers: [this.#register] })
    this.#readings.push(status => {
      for (const value of values) gauge.set({ [label]: value }, of(status, value))
    })
  }

  #readWarnings(): void {
    const help = 'What the operator should mend now; the same as in /healthz'
    this.#readGaugeOf(['warning', help, 'code'], warningCodes, ({ warnings }, code) => Number(warnings.includes(code)))
  }

  #readDoors(): void {
    const help = 'Sides of relayed connections, by the door through which they come'
    this.#readGaugeOf(['relayed_sides', help, 'door'], doorKinds, ({ doors: { latched } }, door) => latched[door])
    this.#readCounter('door_connections', 'Connections that brought datagrams', ['door'], ({ doors }) =>
      streams.map(door => [{ door }, doors[door].opened])
    )
  }

  #readCounters(): void {
    this.#readCounter('traces_evicted', 'Traces that went because the store was full', [], ({ traces }) => [
      [{}, traces.evicted]
    ])
    this.#readCounter('spans', 'Spans for the collector', ['outcome'], ({ spans }) =>
      Object.entries(spans).map(([outcome, count]) => [{ outcome }, count])
    )
    this.#readCounter('reloads', 'Configurations that were read again', ['outcome'], ({ reloads }) =>
      Object.entries(reloads).map(([outcome, count]) => [{ outcome }, count])
    )
    this.#readCounter('collector_retries', 'Tries to send spans that were in vain for now', ['wait'], status => [
      [{ wait: 'retry-after' }, status.collector.retryAfter],
      [{ wait: 'backoff' }, status.collector.retries - status.collector.retryAfter]
    ])
    this.#readCounter('relay_bytes', 'UDP payload relayed, by the side it came from', ['from'], ({ relay }) =>
      Object.entries(relay).map(([from, { sentBytes }]) => [{ from }, sentBytes])
    )
    this.#readCounter('relay_delayed', 'Relayed datagrams that waited for a limit', ['from'], ({ relay }) =>
      Object.entries(relay).map(([from, { delayed }]) => [{ from }, delayed])
    )
    this.#readCounter('relay_delay_seconds', 'How long these waited, all together', ['from'], ({ relay }) =>
      Object.entries(relay).map(([from, { delayedMs }]) => [{ from }, delayedMs / 1000])
    )
    this.#readCounter('relay_limits_told', 'How often a side was told what passes now', [], ({ sessions }) => [
      [{}, sessions.limits]
    ])
    this.#readCounter('stun_answers', 'Answers to STUN clients without a token', ['answer'], ({ udp }) => [
      [{ answer: 'plain' }, udp.plain],
      [{ answer: 'discovery' }, udp.discovery],
      [{ answer: 'unhonoured' }, udp.unhonoured],
      [{ answer: 'challenge' }, udp.challenged]
    ])
    this.#readCounter('joins', 'Joins', ['outcome'], ({ signalling: { joined, refused } }) => [
      [{ outcome: 'joined' }, joined],
      [{ outcome: 'refused' }, refused]
    ])
    this.#readCounter('again', 'Searches for another path of a connection', ['only', 'outcome'], ({ sessions }) =>
      (['relay', 'direct'] as const).flatMap(only =>
        (['moved', 'failed'] as const).map(outcome => [{ only, outcome }, sessions.again[only][outcome]])
      )
    )
    this.#readCounter(
      'proxy_headers',
      'Requests and connections with headers of proxies that were not taken, or without one that was due',
      ['outcome'],
      ({ proxies }) => Object.entries(proxies).map(([outcome, count]) => [{ outcome }, count])
    )
    this.#readCounter('tests', 'Tests of networks that ended with a result', ['verdict'], ({ tests }) =>
      Object.entries(tests.done).map(([verdict, count]) => [{ verdict }, count])
    )
    this.#readCounter('news', 'What peers told of their paths', ['outcome'], ({ sessions: { again } }) =>
      Object.entries(again.news).map(([outcome, count]) => [{ outcome }, count])
    )
    this.#readCounter(
      'drops',
      'Datagrams, messages, names, rooms, probes, requests and claims that were not let through',
      ['reason'],
      status => Object.entries(dropsOf(status)).map(([reason, count]) => [{ reason }, count])
    )
  }

  /** What was bounded of connections, joins and messages. */
  #readLimits(): void {
    this.#readCounter('limits', 'How often a limit was reached, and what became of it', ['limit', 'outcome'], status =>
      limitsOf(status).map(([limit, outcome, count]) => [{ limit, outcome }, count])
    )
  }

  #readStalls(): void {
    const gauge = (name: string, help: string) =>
      new Gauge({ name: `postern_stall_${name}_seconds`, help, registers: [this.#register] })
    const max = gauge('max', 'Longest time that the event loop was held up since the last scrape')
    const p999 = gauge(
      'p999',
      'Time for which the event loop was held up that 1 in 1000 looks since the last scrape exceed'
    )
    this.#readings.push(() => {
      const taken = this.#stalls.take()
      max.set(taken.max)
      p999.set(taken.p999)
    })
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name: `postern_${name}_total`, help, labelNames, registers: [this.#register] })
  }

  #readCounter<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    read: (status: GatewayStatus) => [Partial<Record<Label, string>>, number][]
  ): void {
    const counter = this.#counter(name, help, labelNames)
    this.#readings.push(status => {
      counter.reset()
      for (const [labels, count] of read(status)) counter.inc(labels, count)
    })
  }

  #readGauge(name: string, help: string, read: (status: GatewayStatus) => number): void {
    const gauge = new Gauge({ name: `postern_${name}`, help, registers: [this.#register] })
    this.#readings.push(status => gauge.set(read(status)))
  }
}

function dropsOf({
  relay,
  checks,
  doors,
  udp,
  overload,
  probes,
  signalling,
  names,
  rooms,
  forwards,
  sessions,
  judgements
}: GatewayStatus): Record<string, number> {
  const relayed = (reason: keyof typeof relay.caller.dropped) =>
    relay.caller.dropped[reason] + relay.callee.dropped[reason]
  return {
    'relay-session': relayed('session'),
    'relay-peer': relayed('peer'),
    'relay-network': relayed('network'),
    'relay-total': relayed('total'),
    'relay-unlatched': relayed('unlatched'),
    'check-refused': checks.refused,
    'check-limited': checks.limited,
    'door-late': doors.tcp.dropped + doors.websocket.dropped,
    'overload-received': overload.received,
    'overload-unrelayed': overload.strangers,
    'overload-sent': overload.sent,
    'binding-limited': udp.limited,
    'discovery-limited': udp.discoveryLimited,
    'binding-refused': udp.refused,
    'binding-foreign': udp.foreign,
    'message-malformed': signalling.malformed,
    'names-refused': names.full + names.limited,
    'names-unkept': names.unkept,
    'rooms-refused': rooms.refused,
    'rooms-unkept': rooms.unkept,
    'probes-refused': probes.refused,
    'probes-behind-refused': probes.refusedInBackground,
    'searches-refused': sessions.again.refused,
    'requests-refused': sessions.refused,
    'judgements-refused': judgements.refused,
    'claims-refused': forwards.refused + forwards.limited
  }
}

const limitsOf = ({ http, doors, signalling, access, tests }: GatewayStatus): [string, string, number][] => [
  ['connections', 'shed', http.shed],
  ['descriptors', 'shed', http.starved],
  ['requests', 'refused', http.busy],
  ['answers', 'cut', http.unread],
  ['door-frames', 'cut', doors.tcp.broken + doors.websocket.broken],
  ['door-silence', 'cut', doors.tcp.idle + doors.websocket.idle],
  ['admin-tokens', 'refused', access.limited],
  ['join-tokens', 'wait', signalling.full.wrongTokens],
  ['knocks', 'wait', signalling.full.knocks],
  ['peers', 'wait', signalling.full.peers],
  ['joins-per-certificate', 'wait', signalling.full.joinsPerCertificate],
  ['messages', 'slowed', signalling.slowed],
  ['messages', 'cut', signalling.flooded],
  ['refusals', 'unrecorded', signalling.unrecorded],
  ['tests', 'wait', tests.limited + tests.full + tests.busy],
  ['tests', 'cut', tests.late + tests.malformed]
]

const oneOf = (known: readonly string[], word: unknown): string => known.find(one => one === word) ?? OTHER

/**
 * The metrics of the process. All its gateways share them, because what watches the garbage collector and the event loop
 * cannot be stopped again. They are made when somebody asks for the first time.
 */
let ofProcess: Registry | undefined

/** Gauges whose names say that they are counters. Their sums are those of `nodejs_active_resources` and its like. */
const misnamed = ['resources', 'handles', 'requests'].map(what => `nodejs_active_${what}_total`)

function processRegister(): Registry {
  if (!ofProcess) {
    ofProcess = new Registry()
    collectDefaultMetrics({ register: ofProcess, eventLoopMonitoringPrecision: 100 })
    for (const name of misnamed) ofProcess.removeSingleMetric(name)
  }
  return ofProcess
}
