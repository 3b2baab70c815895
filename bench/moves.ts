// A hundred and fifty changes of path in a row under one transfer, each beside the path before or after it was lost: nothing is lost or
// repeated, and what is held afterwards is no more than what as many bare node-datachannel connections leave. The paths are
// real transports on loopback; no gateway looks for them.
//
// What is compared is the growth after a warm-up, while nothing is under way, in a process whose allocator has one arena and gives
// freed messages back to the system. Even so most of it is free memory that glibc holds: asked itself (malloc_info), it had
// 13.4 MB in use after 50 changes and 12.9 after 150, while the resident memory grew by 14 MB, of which malloc_trim gave all but
// 2.6 back. So the goal is a coarse one, between that and 300 kB a change; that no message is kept is held by carry.test.ts.
//
//   node bench/moves.ts [changes]

import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Connection } from '../src/peer/connection/connection.ts'
import type { Stream } from '../src/peer/connection/streams/stream.ts'
import { connectedPair, openPair } from '../test/peer/loopback.ts'
import { goal, summary } from './means/figures.ts'

const ALLOCATOR = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '8192', MALLOC_MMAP_MAX_: '1000000' }
if (process.env.MALLOC_ARENA_MAX !== ALLOCATOR.MALLOC_ARENA_MAX) {
  const env = { ...process.env, ...ALLOCATOR }
  const child = spawn(process.execPath, [import.meta.filename, ...process.argv.slice(2)], { env, stdio: 'inherit' })
  const [code, signal] = await once(child, 'exit')
  if (signal) console.error(`ended by ${signal}`)
  process.exit(code ?? 1)
}

const changes = Number(process.argv[2] ?? 150)
/** Until then it still grows: the allocator, and the machine code of JavaScript. */
const WARM_UP = 150
/** A path that was left behind is closed after a second. */
const REST_MS = 3_000
const PIECE = randomBytes(65_536)

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

interface Footprint {
  readonly heapKilobytes: number
  readonly residentKilobytes: number
  readonly descriptors: number
}

async function footprint(): Promise<Footprint> {
  await sleep(REST_MS)
  collect()
  await sleep(100)
  collect()
  const status = readFileSync('/proc/self/status', 'utf8')
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return {
    heapKilobytes: Math.round((heapUsed + arrayBuffers) / 1024),
    residentKilobytes: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]),
    descriptors: readdirSync('/proc/self/fd').length
  }
}

/** What so many turns leave, once some have gone before. */
async function growth(turn: (index: number) => Promise<void>): Promise<Footprint> {
  for (let index = 0; index < WARM_UP; index++) await turn(index)
  const before = await still(footprint)
  for (let index = 0; index < changes; index++) await turn(index)
  const after = await still(footprint)
  return {
    heapKilobytes: after.heapKilobytes - before.heapKilobytes,
    residentKilobytes: after.residentKilobytes - before.residentKilobytes,
    descriptors: after.descriptors - before.descriptors
  }
}

/** The transfer waits for it. */
let waitsFor: Promise<unknown> = Promise.resolve()

function still(measure: () => Promise<Footprint>): Promise<Footprint> {
  const measured = measure()
  waitsFor = measured
  return measured
}

/** They carry data as well, and are closed while some is under way. */
const bare = await growth(async () => {
  const { alice, bob } = await openPair()
  bob.transport.onDataChannel(channel => {
    channel.onMessage(() => {})
    channel.onClosed(() => {})
  })
  const channel = alice.transport.createDataChannel('pour')
  channel.onClosed(() => {})
  channel.onOpen(() => {
    for (let piece = 0; piece < 256 && channel.isOpen(); piece++) channel.sendMessageBinary(PIECE.subarray(0, 16_384))
  })
  await sleep(50)
  alice.transport.close()
  bob.transport.close()
})

const { alice, bob } = await connectedPair(60_000)
await Promise.all([alice.ping(), bob.ping()])
const served = Promise.withResolvers<Stream>()
bob.serve('pour', served.resolve)
const stream = await alice.open('pour')
const hash = { sent: createHash('sha256'), read: createHash('sha256') }
let bytes = 0
const reading = (async () => {
  for await (const piece of (await served.promise) as AsyncIterable<Buffer>) {
    hash.read.update(piece)
    bytes += piece.length
  }
})()
let isOver = false
const writing = (async () => {
  while (!isOver) {
    await waitsFor
    hash.sent.update(PIECE)
    if (!stream.write(PIECE)) await once(stream, 'drain')
  }
  stream.end()
})()

const pauses: number[] = []
let current: { transport: { close(): void } } | undefined
let sessions = 0
const moved = (connection: Connection) => once(connection, 'path')
const ours = await growth(async index => {
  const paths = await openPair(`session ${sessions++}`)
  if (index % 2 === 1 && current) {
    const lost = Promise.all([moved(alice), moved(bob)])
    current.transport.close()
    await lost
  }
  const before = bytes
  const startMs = performance.now()
  await Promise.all([alice.carry(paths.alice), bob.carry(paths.bob)])
  while (bytes === before) await sleep(1)
  pauses.push(performance.now() - startMs)
  current = paths.alice
  await sleep(50)
})
isOver = true
await writing
await reading
served.promise.then(far => far.end())
stream.resume()
await stream.settled
console.log(`${changes} changes of path under one transfer of ${(bytes / 2 ** 20).toFixed(0)} MiB`)
console.log('from the new path to the next new byte', summary(pauses))
console.log(
  `they left ${ours.residentKilobytes} kB, ${ours.heapKilobytes} kB of it in JavaScript, as many bare connections ${bare.residentKilobytes} kB`
)
goal('transfers that were not whole', hash.sent.digest('hex') === hash.read.digest('hex') ? 0 : 1, { atMost: 0 })
goal('descriptors more than before', ours.descriptors, { atMost: 0 })
const more = ours.residentKilobytes - Math.max(0, bare.residentKilobytes)
goal('kB more than bare, for each change', more / changes, { atMost: 100 })
await Promise.all([alice.close(), bob.close()])
process.exit()
