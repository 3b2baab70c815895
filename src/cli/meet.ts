// The beginning and the end of every command between two peers: join, connect, and say how that went; leave in order.
//
//   joined … -> strategy passed, failed, path … -> path -> (the command's own work) -> everything closed

import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from '../peer/connection/connection.ts'
import { defaultFolder, type Identity, loadIdentity } from '../peer/identity/identity.ts'
import { KnownPeers, parsePeer } from '../peer/identity/known-peers.ts'
import { persist } from '../peer/patience.ts'
import {
  type ForwardNews,
  type PathNotice,
  Peer,
  type PeerOptions,
  type StrategyReport,
  type TwinNews
} from '../peer/peer.ts'
import { formatDuration, formatRate } from '../units.ts'
import type { Verdict } from '../verdict.ts'
import { formatEndpoint } from '../wire/endpoint.ts'
import { checkName } from '../wire/name.ts'
import type { Run } from './door.ts'
import { followPath, type GatewayState, GatewayWatch } from './follow.ts'
import { type JoinOptions, joinToken } from './options.ts'
import { type Event, formatMs, type Output, wrap } from './text/output.ts'
import { howOf } from './text/path-text.ts'
import { becauseText } from './text/verdict-text.ts'

/**
 * How long the gateway's last words on a path are waited for, in milliseconds. They come a round trip after the path, or
 * never.
 */
const NOTICE_MS = 1000

export interface Met {
  readonly connection: Connection
  /** The relay's limit, in each direction; undefined on a direct path. */
  readonly bitsPerSecond: number | undefined
  /** The gateway's verdict on the request. For a relayed path it says why it is relayed. */
  readonly verdict: Verdict | undefined
  /** By this key the caller may read the trace. */
  readonly traceKey: string | undefined
}

type Hooks = Pick<PeerOptions, 'accepts' | 'onConnection' | 'onState' | 'keepsTrying'>

/** Joins, and leaves when `work` is done, however it ends. */
export async function withPeer(
  options: JoinOptions,
  hooks: Hooks,
  run: Run,
  work: (peer: Peer) => Promise<void>
): Promise<void> {
  const peer = await join(options, hooks, run)
  try {
    tellJoined(peer, options, run.output)
    await work(peer)
  } finally {
    await peer.close()
  }
}

/** Joins as this computer. Whoever has the peer closes it. */
export async function join(
  options: JoinOptions,
  hooks: Hooks,
  { output, signal }: Pick<Run, 'output' | 'signal'>
): Promise<Peer> {
  const { gateway, name, insecure = false, ca, port, public: forwarded, map = true, mtu, relayOnly } = options
  const { excludeInterface: excludeInterfaces = [], resume } = options
  const token = joinToken(options)
  if (name !== undefined) checkName(name)
  const folder = defaultFolder()
  const warn = (sentence: string) => tellWarning(sentence, output)
  const identity = await loadIdentity(folder, warn)
  const known = new KnownPeers(folder, warn)
  const onForward = (news: ForwardNews) => tellForward(news, output)
  const onTwin = (news: TwinNews) => tellTwin(news, identity, output)
  const onDraining = (ms: number) => tellDraining(ms, output)
  const reach = {
    port,
    public: forwarded,
    map,
    mtu,
    relayOnly,
    onForward,
    onTwin,
    onDraining,
    excludeInterfaces,
    ...(resume === undefined ? {} : { resumeMs: resume })
  }
  const joining = { gateway, token, name, insecure, ca, identity, known, onWaiting: waitingTeller(output) }
  return await Peer.join({ ...hooks, ...reach, ...joining }, signal)
}

/** Joins as a peer that accepts no connections, connects to `to`, and closes both when `work` is done. */
export async function withConnection(
  to: string,
  options: JoinOptions,
  run: Run,
  work: (met: Met) => Promise<void>
): Promise<void> {
  const callee = parsePeer(to)
  const gateway = new GatewayWatch(run.output, options.gateway)
  const onState = (state: GatewayState) => gateway.heard(state)
  await withPeer(options, { accepts: false, onState }, run, async peer => {
    const { promise: notice, resolve } = Promise.withResolvers<PathNotice>()
    const connecting = {
      onStrategy: (report: StrategyReport) => tellStrategy(report, run.output),
      onPath: resolve,
      ...traceOfCaller(),
      signal: run.signal
    }
    const waiting = { onWaiting: waitingTeller(run.output), signal: run.signal }
    const connection = await persist(() => peer.connect(callee, connecting), waiting)
    const told = await Promise.race([notice, sleep<PathNotice>(NOTICE_MS, {}, { ref: false })])
    gateway.connection = connection
    followPath(connection, run.output, gateway)
    const { bitsPerSecond, verdict, traceKey } = told
    await work({ connection, bitsPerSecond, verdict, traceKey })
  })
}

/**
 * A script that is traced hands on its context in TRACEPARENT, as OpenTelemetry defines it for programs. Anything else in it
 * is ignored.
 */
function traceOfCaller(): { traceparent?: string } {
  const traceparent = process.env.TRACEPARENT ?? ''
  return /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent) ? { traceparent } : {}
}

/** @param rttMs a round trip over the path. */
export function pathEvent({ connection, verdict, traceKey }: Met, rttMs: number): Event {
  const { by, kind, door, local, remote, ms, trace, mtu } = connection.path
  const why = { ...(verdict ? { verdict } : {}), ...(traceKey ? { traceKey } : {}) }
  const way = { by, kind, ...(door ? { door } : {}), local, remote }
  return { event: 'path', ...way, ms, rttMs: tenths(rttMs), mtu, trace, ...why }
}

/** Says which path it is, and below that why it is not a direct one. */
export function describePath({ connection, bitsPerSecond, verdict }: Met, output: Output): string {
  const { kind, local, remote, ms } = connection.path
  const limit = bitsPerSecond === undefined ? '' : `, limited to ${formatRate(bitsPerSecond)}`
  const paint = output.paint.bind(output)
  const how = `${howOf(connection.path, { paint, wasDirect: false })}${limit}`
  const path = `path to ${connection.peer.name}: ${how}, in ${formatMs(ms)} (${local} to ${remote})`
  const look = { width: output.width, paint }
  const because = kind === 'relay' && verdict ? [becauseText(verdict, look)] : []
  return [wrap(path, output.width, 2), ...because].join('\n')
}

function tellJoined(peer: Peer, { gateway }: JoinOptions, output: Output): void {
  const { fingerprint } = peer.identity
  output.tell({ event: 'joined', name: peer.name, fingerprint, gateway }, `joined ${gateway} as ${peer.name}`)
}

function tellWarning(sentence: string, output: Output): void {
  output.tell({ event: 'warning', sentence }, wrap(`${output.paint('yellow', 'note:')} ${sentence}`, output.width, 2))
}

/** Says what is in the way of joining: once, however often it is tried. */
function waitingTeller(output: Output): NonNullable<PeerOptions['onWaiting']> {
  const told = new Set<string>()
  return ({ code, message }) => {
    // The same with another number of seconds is nothing new.
    const sentence = message.replace(/\d+(?= s\b)/g, '')
    if (told.has(sentence)) return
    told.add(sentence)
    const text = `${message}; trying again`
    output.tell({ event: 'waiting', code, reason: message }, wrap(output.paint('yellow', text), output.width, 2))
  }
}

function tellForward({ endpoint, port, by, proved, reason }: ForwardNews, output: Output): void {
  const at = formatEndpoint(endpoint)
  const text = proved ? `${at} leads here, as the gateway has tested` : `${at} does not lead here: ${reason}`
  output.tell(
    { event: 'forward', endpoint: at, port, by, proved, reason },
    wrap(proved ? text : output.paint('yellow', text), output.width, 2)
  )
}

function tellDraining(ms: number, output: Output): void {
  const text = `the gateway is about to stop: what it relays ends in ${formatDuration(ms)}, unless a direct path is found; direct connections go on`
  output.tell({ event: 'draining', ms }, wrap(output.paint('yellow', text), output.width, 2))
}

/** @param identity whose file was copied */
function tellTwin({ name, from }: TwinNews, { path }: Identity, output: Output): void {
  const text = `another computer has joined as ${name} with the key of this one, from ${from}: what is sent to ${name} goes to one of the two; if one was cloned from the other, move ${path} away there; if not, somebody has this key: make a new one`
  output.tell({ event: 'twin', name, from }, wrap(output.paint('red', text), output.width, 2))
}

function tellStrategy({ name, outcome, reason, ms }: StrategyReport, output: Output): void {
  const styles = { path: 'green', passed: 'dim', failed: 'yellow' } as const
  const word = output.paint(styles[outcome], outcome.padEnd(6))
  const line = `  ${name.padEnd(8)} ${word} ${formatMs(ms).padStart(8)}  ${reason}`
  output.tell({ event: 'strategy', name, outcome, reason, ms }, wrap(line, output.width, 28))
}

export const tenths = (ms: number): number => Math.round(ms * 10) / 10
