// The doors of the relay beside each other, under the same limit: how much of a transfer comes through, and how long datagrams wait
// where half as much again is offered. UDP is the measure. The same again over lines that delay and lose packets, where TCP has to
// repeat them.
//
//   node bench/doors.ts [--rounds 3]

import { parseArgs } from 'node:util'
import { Driven } from '../test/lab/driven.ts'
import { forwarding } from '../test/lab/drop.ts'
import { openRig, type Rig, type RigPeer } from '../test/lab/rig.ts'
import type { Host, Line, Site } from '../test/lab/world.ts'
import type { SocketDeeds } from './means/bare-socket.ts'
import { goal, median, percentile } from './means/figures.ts'

const { rounds } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } }).values
const SECONDS = 6
const FLOOD_MS = 5000

/**
 * A frame with a STUN request, by the bytes behind a TCP header with timestamps: whoever begins with one is reset, as by a proxy that
 * knows nothing but HTTP.
 */
const NO_FRAMES = 'iifname lan tcp dport 8080 @th,256,8 0 @th,272,16 1 reject with tcp reset'

/** So many connections may come about by another door than the one that is measured. */
const MOST_OTHERS = 5

const doors = ['udp', 'tcp', 'websocket'] as const
type DoorName = (typeof doors)[number]
type Figures = Record<DoorName, { goodput: number; delayMs: number }>

await measured('without delay', 4, {})
await measured('without delay', 50, {})
await measured('20 ms to the gateway and back, 1 % lost each way', 4, { delayMs: 10, lossPercent: 1 })

async function measured(what: string, megabits: number, line: Line): Promise<void> {
  const rate = `${megabits} Mbit/s`
  await using rig = await openRig({
    sites: [
      ...[0, 1].map(() => ({ nat: 'port-restricted' as const, line })),
      ...[0, 1, 2, 3].map(() => ({ nat: 'udp-blocked' as const, line }))
    ],
    strategies: `[relay: { perSession: ${rate}, perPeer: ${rate}, total: 1 Gbit/s }]`
  })
  for (const { boxes } of rig.world.sites.slice(4) as Site[])
    for (const box of boxes.slice(0, 1)) await forwarding(box, NO_FRAMES)
  console.log(`\n${rate}, ${what} (seed ${rig.world.seed})`)
  const figures: Partial<Figures> = {}
  for (const [index, door] of doors.entries()) {
    const [caller, callee] = rig.peers.slice(2 * index, 2 * index + 2) as [RigPeer, RigPeer]
    const goodput = await goodputOf(door, caller, callee, megabits * 1e6)
    figures[door] = { goodput, delayMs: await delayOf(rig, door, caller, callee, megabits * 1e6) }
  }
  judge(figures as Figures)
}

async function goodputOf(door: DoorName, caller: RigPeer, callee: RigPeer, limit: number): Promise<number> {
  const bytes = (limit / 8) * SECONDS
  const shares: number[] = []
  let others = 0
  while (shares.length < Number(rounds)) {
    const { path, failed, transferMs } = await caller.connect(callee, bytes)
    if (path?.door === door) {
      shares.push((8 * bytes) / (transferMs / 1000) / limit)
      continue
    }
    // Where a packet of one door's handshake is lost, the other one opens first.
    if (!path || ++others > MOST_OTHERS) throw new Error(`${failed?.reason ?? path?.door} instead of ${door}`)
  }
  const goodput = median(shares)
  const all = shares.map(share => share.toFixed(2)).join(' ')
  console.log(`${door.padEnd(9)} goodput ${goodput.toFixed(3)} of the limit (${all})`)
  return goodput
}

/** Sockets instead of WebRTC, which would slow down. */
async function delayOf(rig: Rig, door: DoorName, caller: RigPeer, callee: RigPeer, limit: number): Promise<number> {
  const [a, b] = [caller, callee].map(({ site }) => openSocket(site.hosts[0] as Host)) as [Socket, Socket]
  await using _a = a
  await using _b = b
  const by = door === 'udp' ? {} : { door }
  await Promise.all([a, b].map((one, at) => one.do('join', { ...rig.door, name: `${door}-${at}`, ...by })))
  await a.do('connect', { to: `${door}-1` })
  await Promise.all([a.do('ready', {}), b.do('ready', {})])
  await a.do('flood', { bitsPerSecond: 1.5 * limit, payloadBytes: 1200, forMs: FLOOD_MS })
  const delays = await b.do('delays', {})
  const [middle, late] = [50, 99].map(p => percentile(delays, p)) as [number, number]
  console.log(`${''.padEnd(9)} delay median ${middle.toFixed(1)} ms, p99 ${late.toFixed(1)} ms (n ${delays.length})`)
  return late
}

type Socket = Driven<SocketDeeds>

function openSocket(host: Host): Socket {
  return new Driven<SocketDeeds>(host, new URL('means/bare-socket.ts', import.meta.url))
}

function judge({ udp, ...others }: Figures): void {
  for (const [door, { goodput, delayMs }] of Object.entries(others)) {
    goal(`goodput of ${door} by that of udp`, goodput / udp.goodput, { atLeast: 0.8 })
    goal(`99th percentile of the delay by ${door} above that by udp, ms`, delayMs - udp.delayMs, { atMost: 100 })
  }
}
