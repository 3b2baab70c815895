// The relay, by what it is asked for:
//
//   limits    files and bare datagrams at limits of 1, 4, 40 and 200 Mbit/s, symmetric-random against port-restricted, without delay: how
//             near to the limit it comes on the wire (UDP payload, as the kernel counts it at the gateway) and in files, and how long
//             datagrams wait in it when more is offered than the limit lets through
//   line      how many datagrams its engines carry on one core, beside TURN servers that are named
//   fairness  fifty sessions on a total that is worth ten of them
//   idle      memory for each session that says nothing
//   busy      newcomers and /healthz while a gateway is at its total
//   floods    what is relayed, and honest requests, while the ports are flooded
//
//   node bench/relay.ts [--only NAME]... [--trials 5] [--beside "turnserver=PATH OPTIONS"]...

import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Driven } from '../test/lab/driven.ts'
import { openRig, type Rig, type RigPeer } from '../test/lab/rig.ts'
import type { Host, Site } from '../test/lab/world.ts'
import type { SocketDeeds } from './means/bare-socket.ts'
import { goal, percentile, summary } from './means/figures.ts'
import { busyGateway, floods, idlePairs } from './relaying/busy-gateway.ts'
import { fairness } from './relaying/fairness.ts'
import { idleSessions } from './relaying/idle.ts'
import { coturn, lineRate } from './relaying/line-rate.ts'

/** In Mbit/s. */
const LIMITS = [1, 4, 40, 200]
/** The first second of a transfer is SCTP's slow start. */
const SETTLE_MS = 1500
const WINDOW_MS = 8000
/** What is sent at once lasts longer than what is waited for. */
const FILE_MS = 14_000
/** IPv4 and UDP. */
const HEADER_BYTES = 28

const { values: given } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    trials: { type: 'string', default: '5' },
    beside: { type: 'string', multiple: true, default: [] }
  }
})

const parts: Readonly<Record<string, () => Promise<void>>> = {
  limits: async () => {
    for (const limit of LIMITS) await atLimit(limit)
  },
  line: async () => {
    const others = given.beside.map(each => coturn(each.replace(/^turnserver=/, '')))
    await lineRate(others, Number(given.trials))
  },
  fairness,
  idle: async () => {
    await idleSessions()
    await idlePairs()
  },
  busy: busyGateway,
  floods
}
const names = given.only ?? Object.keys(parts)
for (const name of names)
  if (!parts[name]) throw new Error(`--only takes ${Object.keys(parts).join(', ')}, not ${name}`)
for (const name of names) await parts[name]?.()

async function atLimit(mbits: number): Promise<void> {
  await using rig = await openRig({
    sites: [{ nat: 'symmetric-random' }, { nat: 'port-restricted' }],
    strategies: `[relay: { perSession: ${mbits} Mbit/s, perPeer: 1 Gbit/s, total: 1 Gbit/s }]`
  })
  const [caller, callee] = rig.peers as [RigPeer, RigPeer]
  const limited: Limited = { rig, caller, callee, limit: 1e6 * mbits }
  console.log(`\nrelayed at a limit of ${mbits} Mbit/s (seed ${rig.world.seed})`)
  await caller.connect(callee, 0)
  await file(limited)
  await echo(limited)
  await overload(limited)
}

interface Limited {
  readonly rig: Rig
  readonly caller: RigPeer
  readonly callee: RigPeer
  /** In bits per second. */
  readonly limit: number
}

async function file(limited: Limited): Promise<void> {
  const { caller, callee, limit } = limited
  const sending = caller.process.do('send', { to: callee.name, bytes: (FILE_MS * limit) / 8000 })
  const { toCallee } = await onTheWire(limited)
  const { ms, bytes } = await sending
  console.log('\none file from caller to callee')
  judgeWire('on the wire', toCallee, limit)
  goal('goodput', (8 * bytes) / (ms / 1000) / limit, { atLeast: 0.92 })
}

async function echo(limited: Limited): Promise<void> {
  const { caller, callee, limit } = limited
  const bytes = (FILE_MS * limit) / 8000
  const echoing = caller.process.do('echo', { to: callee.name, bytes })
  const { toCaller, toCallee } = await onTheWire(limited)
  const ms = await echoing
  console.log('\nboth directions at once')
  judgeWire('on the wire to the callee', toCallee, limit)
  judgeWire('on the wire to the caller', toCaller, limit)
  // Each direction also carries the acknowledgements of the other, 4 % of it, and the last bytes come back last.
  goal('goodput, each direction', (8 * bytes) / (ms / 1000) / limit, { atLeast: 0.8 })
}

/** Sockets instead of WebRTC, which would slow down: half as much again as the limit, both ways. */
async function overload(limited: Limited): Promise<void> {
  const { rig, limit } = limited
  const [a, b] = rig.world.sites.map(site => openSocket(site.hosts[0] as Host)) as [Socket, Socket]
  await using _a = a
  await using _b = b
  await Promise.all([a.do('join', { ...rig.door, name: 'a' }), b.do('join', { ...rig.door, name: 'b' })])
  await a.do('connect', { to: 'b' })
  await Promise.all([a.do('ready', {}), b.do('ready', {})])
  const load = { bitsPerSecond: 1.5 * limit, payloadBytes: 1200, forMs: SETTLE_MS + WINDOW_MS + 1000 }
  const flooding = [a.do('flood', load), b.do('flood', load)]
  const { toCaller, toCallee } = await onTheWire(limited)
  await Promise.all(flooding)
  console.log(`\nboth directions offered ${load.bitsPerSecond / 1e6} Mbit/s`)
  judgeWire('on the wire to the callee', toCallee, limit)
  judgeWire('on the wire to the caller', toCaller, limit)
  for (const [side, socket] of [['callee', b] as const, ['caller', a] as const]) {
    const delays = await socket.do('delays', {})
    console.log(`on the way to the ${side}:`, summary(delays))
    goal(`99th percentile of the delay to the ${side}, ms`, percentile(delays, 99), { atMost: limit <= 1e6 ? 80 : 60 })
  }
}

type Socket = Driven<SocketDeeds>

function openSocket(host: Host): Socket {
  return new Driven<SocketDeeds>(host, new URL('means/bare-socket.ts', import.meta.url))
}

/** Bits of UDP payload per second that leave the gateway for each site, in a window within a transfer. */
async function onTheWire({ rig, caller, callee }: Limited): Promise<{ toCaller: number; toCallee: number }> {
  await sleep(SETTLE_MS)
  const before = await Promise.all([caller, callee].map(({ site }) => payloadTo(rig, site)))
  await sleep(WINDOW_MS)
  const after = await Promise.all([caller, callee].map(({ site }) => payloadTo(rig, site)))
  const [toCaller, toCallee] = after.map(({ bits, atMs }, index) => {
    const start = before[index] as (typeof after)[number]
    return (bits - start.bits) / ((atMs - start.atMs) / 1000)
  })
  return { toCaller: toCaller ?? 0, toCallee: toCallee ?? 0 }
}

/** The count, and the middle of the time it took to ask for it. */
async function payloadTo(rig: Rig, site: Site): Promise<{ bits: number; atMs: number }> {
  const startMs = performance.now()
  const { bytesOut, packetsOut } = await rig.world.gatewayCounters(site)
  return { bits: 8 * (bytesOut - HEADER_BYTES * packetsOut), atMs: (startMs + performance.now()) / 2 }
}

function judgeWire(what: string, bitsPerSecond: number, limit: number): void {
  goal(what, bitsPerSecond / limit, { atLeast: 0.97 })
  goal(what, bitsPerSecond / limit, { atMost: 1 })
}
