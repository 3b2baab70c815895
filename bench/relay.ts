// The relay at a limit of 4 Mbit/s, symmetric-random against port-restricted, without delay: how near to the limit it
// comes on the wire (UDP payload, as the kernel counts it at the gateway) and in files, and how long datagrams wait in
// it when more is offered than the limit lets through.
//
// And how many datagrams its engines carry on one core, beside TURN servers that are named:
//
//   node bench/relay.ts [--only limits|line] [--trials 5] [--beside "turnserver=PATH OPTIONS"]...

import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Driven } from '../test/lab/driven.ts'
import { openRig, type RigPeer } from '../test/lab/rig.ts'
import type { Host, Site } from '../test/lab/world.ts'
import type { SocketDeeds } from './means/bare-socket.ts'
import { goal, percentile, summary } from './means/figures.ts'
import { coturn, lineRate } from './relaying/line-rate.ts'

const LIMIT = 4_000_000
/** The first second of a transfer is SCTP's slow start. */
const SETTLE_MS = 1500
const WINDOW_MS = 8000
/** 14 s at the limit: longer than what is waited for. */
const FILE_BYTES = 7_000_000
const ECHO_BYTES = 6_000_000
/** IPv4 and UDP. */
const HEADER_BYTES = 28

const { values: given } = parseArgs({
  options: {
    only: { type: 'string' },
    trials: { type: 'string', default: '5' },
    beside: { type: 'string', multiple: true, default: [] }
  }
})
if (given.only !== 'limits') {
  const others = given.beside.map(each => coturn(each.replace(/^turnserver=/, '')))
  await lineRate(others, Number(given.trials))
}
if (given.only === 'line') process.exit()

await using rig = await openRig({
  sites: [{ nat: 'symmetric-random' }, { nat: 'port-restricted' }],
  strategies: '[relay: { perSession: 4 Mbit/s }]'
})
const [caller, callee] = rig.peers as [RigPeer, RigPeer]
console.log(`relayed at a limit of ${LIMIT / 1e6} Mbit/s (seed ${rig.world.seed})`)
await caller.connect(callee, 0)
await file()
await echo()
await overload()

async function file(): Promise<void> {
  const sending = caller.process.do('send', { to: callee.name, bytes: FILE_BYTES })
  const { toCallee } = await onTheWire()
  const { ms, bytes } = await sending
  console.log('\none file from caller to callee')
  judgeWire('on the wire', toCallee)
  goal('goodput', (8 * bytes) / (ms / 1000) / LIMIT, { atLeast: 0.9 })
}

async function echo(): Promise<void> {
  const echoing = caller.process.do('echo', { to: callee.name, bytes: ECHO_BYTES })
  const { toCaller, toCallee } = await onTheWire()
  const ms = await echoing
  console.log('\nboth directions at once')
  judgeWire('on the wire to the callee', toCallee)
  judgeWire('on the wire to the caller', toCaller)
  // Each direction also carries the acknowledgements of the other, 4 % of it, and the last bytes come back last.
  goal('goodput, each direction', (8 * ECHO_BYTES) / (ms / 1000) / LIMIT, { atLeast: 0.8 })
}

/** Sockets instead of WebRTC, which would slow down: half as much again as the limit, both ways. */
async function overload(): Promise<void> {
  const [a, b] = rig.world.sites.map(site => openSocket(site.hosts[0] as Host)) as [Socket, Socket]
  await using _a = a
  await using _b = b
  await Promise.all([a.do('join', { ...rig.door, name: 'a' }), b.do('join', { ...rig.door, name: 'b' })])
  await a.do('connect', { to: 'b' })
  await Promise.all([a.do('ready', {}), b.do('ready', {})])
  const load = { bitsPerSecond: 1.5 * LIMIT, payloadBytes: 1200, forMs: SETTLE_MS + WINDOW_MS + 1000 }
  const flooding = [a.do('flood', load), b.do('flood', load)]
  const { toCaller, toCallee } = await onTheWire()
  await Promise.all(flooding)
  console.log(`\nboth directions offered ${load.bitsPerSecond / 1e6} Mbit/s`)
  judgeWire('on the wire to the callee', toCallee)
  judgeWire('on the wire to the caller', toCaller)
  for (const [side, socket] of [['callee', b] as const, ['caller', a] as const]) {
    const delays = await socket.do('delays', {})
    console.log(`on the way to the ${side}:`, summary(delays))
    goal(`99th percentile of the delay to the ${side}, ms`, percentile(delays, 99), { atMost: 60 })
  }
}

type Socket = Driven<SocketDeeds>

function openSocket(host: Host): Socket {
  return new Driven<SocketDeeds>(host, new URL('means/bare-socket.ts', import.meta.url))
}

/** Bits of UDP payload per second that leave the gateway for each site, in a window within a transfer. */
async function onTheWire(): Promise<{ toCaller: number; toCallee: number }> {
  await sleep(SETTLE_MS)
  const before = await Promise.all([caller, callee].map(({ site }) => payloadTo(site)))
  await sleep(WINDOW_MS)
  const after = await Promise.all([caller, callee].map(({ site }) => payloadTo(site)))
  const [toCaller, toCallee] = after.map(({ bits, atMs }, index) => {
    const start = before[index] as (typeof after)[number]
    return (bits - start.bits) / ((atMs - start.atMs) / 1000)
  })
  return { toCaller: toCaller ?? 0, toCallee: toCallee ?? 0 }
}

/** The count, and the middle of the time it took to ask for it. */
async function payloadTo(site: Site): Promise<{ bits: number; atMs: number }> {
  const startMs = performance.now()
  const { bytesOut, packetsOut } = await rig.world.gatewayCounters(site)
  return { bits: 8 * (bytesOut - HEADER_BYTES * packetsOut), atMs: (startMs + performance.now()) / 2 }
}

function judgeWire(what: string, bitsPerSecond: number): void {
  goal(what, bitsPerSecond / LIMIT, { atLeast: 0.97 })
  goal(what, bitsPerSecond / LIMIT, { atMost: 1 })
}
