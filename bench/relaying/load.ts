// The load for a relay, in a process of its own: sessions whose callers and callees send to each other through it, as much as comes
// back, or a given rate. What it measures it says as one line of JSON. It uses the same calls as the relay's threads do, with runs of up
// to 60 datagrams, and carries some 700,000 datagrams a second on one core.
//
//   node bench/relaying/load.ts JSON

import { readFileSync } from 'node:fs'
import { wordsOf } from '../../src/gateway/relay/batch/flows.ts'
import {
  Event,
  Inbox,
  Memory,
  nameOf,
  Outbox,
  Raw,
  type RawSocket,
  Waiting
} from '../../src/gateway/relay/batch/raw.ts'
import { allocated, CHANNEL_NUMBER } from './turn.ts'

export interface Load {
  readonly port: number
  /** Through TURN, with these credentials; left out: through a splice whose sides are latched (serve.ts). */
  readonly turn?: { readonly user: string; readonly password: string }
  readonly sessions: number
  readonly callers: number
  readonly callees: number
  /** The ports of both sides of each session; left out: one after the other, beginning with those two. */
  readonly ports?: readonly (readonly [caller: number, callee: number])[]
  /** UDP payload of a datagram. */
  readonly bytes: number
  /** Datagrams of each direction on their way at most, and of all together: what the kernels' buffers hold, so that none is lost. */
  readonly window: number
  readonly inAll: number
  /** Datagrams in one call at most; 1: single ones. */
  readonly run: number
  /** Datagrams a second over all directions; left out: as many as come through. */
  readonly perSecond?: number
  /** It waits a millisecond between two looks at the clock, and leaves the core to others meanwhile. */
  readonly isResting?: boolean
  readonly settleMs: number
  readonly forMs: number
  /** Whose processor time is read: the relay's process. */
  readonly pid: number
}

export interface Carried {
  /** Datagrams that came through in a second. */
  readonly perSecond: number
  /** Part of what was sent that did not come. */
  readonly lost: number
  /** Processor seconds of the relay for a million datagrams. */
  readonly cpu: number
  /** Round about half the round trip of a window: from sending to coming, in milliseconds. */
  readonly p50: number
  readonly p99: number
}

interface Direction {
  readonly out: Outbox
  readonly to: Uint32Array<ArrayBuffer>
  /** Bytes before the payload: a channel's header. */
  readonly head: number
  sent: number
  heard: number
  lost: number
  heardMs: number
}

const SILENT_MS = 20

const onTheirWay = ({ sent, heard, lost }: Direction): number => sent - heard - lost

async function run(load: Load): Promise<Carried> {
  const raw = Raw.open()
  if (typeof raw === 'string') throw new Error(raw)
  const server = { address: '127.0.0.1', port: load.port }
  /** Where each of the directions comes. */
  const sockets: RawSocket[] = []
  const directions: Direction[] = []
  for (let session = 0; session < load.sessions; session++) {
    const ports = load.ports?.[session] ?? [load.callers + session, load.callees + session]
    const [local, peer] = ports.map(port => ({ address: '127.0.0.1', port })) as [typeof server, typeof server]
    const relayed = load.turn ? await allocated(server, { local, peer, ...load.turn }) : server
    const [caller, callee] = [raw.bind(local, 4 * 2 ** 20), raw.bind(peer, 4 * 2 ** 20)]
    const none = { sent: 0, heard: 0, lost: 0, heardMs: performance.now() }
    const there = { out: new Outbox(raw, caller, 8), to: wordsOf(nameOf(server)), head: load.turn ? 4 : 0, ...none }
    const back = { out: new Outbox(raw, callee, 8), to: wordsOf(nameOf(relayed)), head: 0, ...none }
    directions.push(there, back)
    sockets.push(callee, caller)
  }
  const inbox = new Inbox(raw)
  const memories = new Map([0, 4].map(head => [head, filled(raw, load, head)]))
  const waiting = new Waiting(raw, sockets, new Event(raw).fd)
  const delays: number[] = []
  const startMs = performance.now()
  const fromMs = startMs + load.settleMs
  const untilMs = fromMs + load.forMs
  let [before, cpu, tokens, lastMs, turn]: [number[] | undefined, number, number, number, number] = [
    undefined,
    0,
    0,
    startMs,
    0
  ]
  const count = () => directions.map(({ heard }) => heard)
  for (;;) {
    const nowMs = performance.now()
    if (!before && nowMs >= fromMs) {
      before = count()
      cpu = cpuOf(load.pid)
    }
    if (nowMs >= untilMs) break
    if (load.perSecond) {
      tokens = Math.min(2000, tokens + ((nowMs - lastMs) * load.perSecond) / 1000)
      lastMs = nowMs
      for (; tokens >= load.run; tokens -= load.run)
        send(directions[turn++ % directions.length] as Direction, load.run, nowMs)
    } else {
      let left = load.inAll - directions.reduce((sum, direction) => sum + onTheirWay(direction), 0)
      for (let looked = 0; looked < directions.length && left > 0; looked++) {
        const direction = directions[turn++ % directions.length] as Direction
        const before = onTheirWay(direction)
        if (before > 0 && nowMs - direction.heardMs > SILENT_MS) {
          direction.lost += before
          direction.heardMs = nowMs
        } else if (before <= load.window / 2) {
          const more = Math.min(left, load.window - before)
          send(direction, more, nowMs)
          left -= more
        }
      }
    }
    waiting.wait(load.perSecond && !load.isResting ? 0 : 1)
    for (const [at, socket] of sockets.entries()) if (waiting.isReady(at)) receive(socket, directions[at] as Direction)
  }
  const used = cpuOf(load.pid) - cpu
  const heard = count().reduce((sum, now, at) => sum + now - (before?.[at] ?? 0), 0)
  // What is still on its way comes within a moment.
  for (const lateMs = performance.now() + 300; performance.now() < lateMs; ) {
    waiting.wait(20)
    for (const [at, socket] of sockets.entries()) if (waiting.isReady(at)) receive(socket, directions[at] as Direction)
  }
  const [sent, all] = [
    directions.reduce((sum, { sent }) => sum + sent, 0),
    directions.reduce((sum, { heard }) => sum + heard, 0)
  ]
  delays.sort((a, b) => a - b)
  return {
    perSecond: heard / (load.forMs / 1000),
    lost: (sent - all) / sent,
    cpu: used / (heard / 1e6),
    p50: delays[Math.floor(delays.length / 2)] ?? Number.NaN,
    p99: delays[Math.floor(delays.length * 0.99)] ?? Number.NaN
  }

  function send(direction: Direction, most: number, nowMs: number): void {
    const size = load.bytes + direction.head
    const memory = memories.get(direction.head) as Memory
    for (let left = most; left > 0; ) {
      const datagrams = Math.min(left, load.run)
      stamp(memory, direction.head, nowMs)
      direction.out.put(memory, 0, datagrams * size, size, direction.to, 0)
      direction.out.flush()
      direction.sent += datagrams
      left -= datagrams
    }
  }

  function receive(socket: RawSocket, direction: Direction): void {
    for (let round = 0; round < 4; round++) {
      const runs = inbox.receive(socket)
      const nowMs = performance.now()
      for (let run = 0; run < runs; run++) {
        const segment = Math.max(1, inbox.segment(run))
        direction.heard += Math.ceil(inbox.bytes(run) / segment)
        const head = segment - load.bytes
        const leftMs = stampOf(inbox.data, inbox.offset(run) + head)
        if (leftMs > 0 && delays.length < 2_000_000 && nowMs >= fromMs) delays.push(nowMs - leftMs)
      }
      if (runs > 0) direction.heardMs = nowMs
      if (runs < 32) return
    }
  }
}

/** The first datagram of a run has the time when it left, and the others have zeros. */
const stamps = new Float64Array(1)
const stampBytes = new Uint8Array(stamps.buffer)

function stamp({ bytes }: Memory, head: number, nowMs: number): void {
  stamps[0] = nowMs
  bytes.set(stampBytes, head)
}

function stampOf(bytes: Uint8Array, at: number): number {
  stampBytes.set(bytes.subarray(at, at + 8))
  return stamps[0] as number
}

function filled(raw: Raw, { bytes, run }: Load, head: number): Memory {
  const memory = new Memory(4 * Math.ceil(((bytes + head) * run) / 4), raw.foreign)
  const view = new DataView(memory.bytes.buffer)
  if (head > 0)
    for (let at = 0; at < run; at++) {
      view.setUint16(at * (bytes + head), CHANNEL_NUMBER)
      view.setUint16(at * (bytes + head) + 2, bytes)
    }
  return memory
}

/** Seconds of processor that a process has used, all of its threads together. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number)
  return (user + system) / 100
}

if (process.argv[2]) console.log(JSON.stringify(await run(JSON.parse(process.argv[2]) as Load)))
