// What traces cost: the time to connect, and the throughput of the relay, of three gateways side by side, on loopback and in
// processes of their own. One records nothing, one records, one exports to a collector as well. They take their turns trial
// by trial, so that all meet the same machine. Without delay and without NATs a connection is as fast as it gets, and what
// is spent on it weighs most.
//
//   node bench/tracing.ts [trials]
//
// Then the collector refuses connections for 10 s, and for another 10 s it accepts them and never answers.

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadIdentity } from '../src/peer/identity/identity.ts'
import { KnownPeers } from '../src/peer/identity/known-peers.ts'
import { Peer } from '../src/peer/peer.ts'
import { goal, median, summary } from './means/figures.ts'
import { type GatewayProcess, type Opening, openGatewayProcess } from './means/gateway-process.ts'

const trials = Number(process.argv[2] ?? 400)
const OUTAGE_MS = 10_000
/** The batches leave every 5 s. */
const RECOVERY_MS = 30_000
const TRANSFERS = 7
const BYTES = 32 << 20
const BLOCK = 64 << 10

const config = `
listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1, 127.0.0.2], ports: [0, 0] } }
limits: { sessionsPerPeer: 1000, bindingsPerSource: 100000, messagesPerSecond: 100000 }
`
const direct = `${config}strategies: [direct, stun, predict, spray, relay]`
const relayed = `${config}strategies: [relay: { perSession: 2 Gbit/s, perPeer: 2 Gbit/s, total: 2 Gbit/s }]`

interface Door {
  readonly gateway: GatewayProcess
  readonly caller: Peer
}

/** Takes whatever comes. */
class Sink {
  batches = 0
  answers = true
  #port = 0
  #server: Server | undefined

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start(): Promise<void> {
    this.#server = createServer((request, response) => {
      request.resume().on('end', () => {
        if (!this.answers) return
        this.batches++
        response.end()
      })
    }).listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  stop(): void {
    this.#server?.close()
    this.#server?.closeAllConnections()
  }
}

const folder = await mkdtemp(join(tmpdir(), 'postern-tracing-'))
const collector = new Sink()
await collector.start()

await using opened = new AsyncDisposableStack()
await connects()
await relays()
collector.stop()
await opened.disposeAsync()
await rm(folder, { recursive: true })
process.exit()

async function connects(): Promise<void> {
  const off = await openDoor('off', { config: direct, recording: false })
  const on = await openDoor('on', { config: direct })
  const exported = await openDoor('exported', { config: direct, collector: collector.url })
  await inTurns([off, on, exported], enough(20))
  console.log(`${trials} connections each, without a NAT and without delay`)
  const [without = [], recorded = [], sent = []] = await inTurns([off, on, exported], enough(trials))
  console.log('nothing recorded ', summary(without))
  console.log('recorded         ', summary(recorded))
  console.log('and exported     ', summary(sent))
  goal('median recorded beside not recorded', median(recorded) / median(without), { atMost: 1.05 })
  goal('median exported beside not recorded', median(sent) / median(without), { atMost: 1.05 })
  await outage(off, exported)
}

/** No connection waits for the collector, and what it did not get is counted. */
async function outage(off: Door, exported: Door): Promise<void> {
  const figures: number[][] = [[], []]
  const during = async () => {
    const times = await inTurns([off, exported], until(performance.now() + OUTAGE_MS))
    for (const [index, all] of times.entries()) figures[index]?.push(...all)
  }
  collector.stop()
  await during()
  collector.answers = false
  await collector.start()
  await during()
  const { batches } = collector
  collector.answers = true
  const [without = [], sent = []] = figures
  console.log(`\n${OUTAGE_MS / 1000} s of a collector that refuses, ${OUTAGE_MS / 1000} s of one that never answers`)
  console.log('nothing recorded ', summary(without))
  console.log('and exported     ', summary(sent))
  goal('median exported beside not recorded', median(sent) / median(without), { atMost: 1.05 })
  await inTurns([exported], enough(1))
  const endMs = performance.now() + RECOVERY_MS
  while (collector.batches === batches && performance.now() < endMs) await sleep(100)
  const counts = (await exported.gateway.do('status', {}))?.spans
  console.log(`spans ${JSON.stringify(counts)}`)
  goal('spans of the outage counted as lost', (counts?.expired ?? 0) + (counts?.dropped ?? 0), { atLeast: 1 })
  goal('batches that arrived after it', collector.batches - batches, { atLeast: 1 })
}

async function relays(): Promise<void> {
  const off = await openDoor('relay-off', { config: relayed, recording: false })
  const on = await openDoor('relay-on', { config: relayed })
  const figures: [number[], number[]] = [[], []]
  for (let turn = 0; turn < TRANSFERS; turn++) {
    figures[0].push(await transfer(off))
    figures[1].push(await transfer(on))
  }
  console.log(`\n${BYTES >> 20} MiB through the relay, ${TRANSFERS} times each, MB/s`)
  const [without, recorded] = figures.map(median) as [number, number]
  console.log(`nothing recorded ${without.toFixed(1)}, recorded ${recorded.toFixed(1)}`)
  goal('throughput recorded beside not recorded', recorded / without, { atLeast: 0.95 })
}

async function openDoor(name: string, opening: Opening): Promise<Door> {
  const gateway = opened.use(openGatewayProcess())
  const door = await gateway.do('open', opening)
  const join = async (who: string) => {
    const own = `${folder}/${name}-${who}`
    const options = { gateway: door.url, token: door.token, accepts: true, insecure: false, name: who }
    const peer = await Peer.join({
      ...options,
      identity: await loadIdentity(own),
      known: new KnownPeers(own),
      onConnection: connection => connection.serve('sink', stream => void stream.on('end', () => stream.end()).resume())
    })
    opened.defer(() => peer.close())
    return peer
  }
  await join('callee')
  return { gateway, caller: await join('caller') }
}

function enough(count: number): (round: number) => boolean {
  return round => round < count
}

function until(endMs: number): () => boolean {
  return () => performance.now() < endMs
}

/** Milliseconds of each connection, by door. Each round begins with another. */
async function inTurns(doors: readonly Door[], goesOn: (round: number) => boolean): Promise<number[][]> {
  const times = doors.map(() => [] as number[])
  for (let round = 0; goesOn(round); round++)
    for (let turn = 0; turn < doors.length; turn++) {
      const at = (round + turn) % doors.length
      times[at]?.push(await connect(doors[at] as Door))
    }
  return times
}

async function connect({ caller }: Door): Promise<number> {
  const connection = await caller.connect({ name: 'callee' })
  await connection.close()
  return connection.path.ms
}

/** MB/s. */
async function transfer({ caller }: Door): Promise<number> {
  const connection = await caller.connect({ name: 'callee' })
  const stream = await connection.open('sink')
  const block = Buffer.alloc(BLOCK)
  const startMs = performance.now()
  for (let sent = 0; sent < BYTES; sent += BLOCK) if (!stream.write(block)) await once(stream, 'drain')
  stream.end()
  await once(stream.resume(), 'end')
  const ms = performance.now() - startMs
  await connection.close()
  return BYTES / 1000 / ms
}
