// A hundred reloads of a gateway under load, and its end: connections carry data all the while, direct and relayed, and new ones are made between
// reloads. Nothing may break, every tenth file has a mistake and may change nothing, and what is relayed when the gateway is told to stop, and
// can be finished within `drain`, is not cut. The gateway is the real command in a process of its own.
//
//   node bench/reloads.ts [reloads]

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from '../src/peer/connection/connection.ts'
import type { Stream } from '../src/peer/connection/streams/stream.ts'
import { loadIdentity } from '../src/peer/identity/identity.ts'
import { KnownPeers } from '../src/peer/identity/known-peers.ts'
import { Peer } from '../src/peer/peer.ts'
import { tokens, World } from '../test/cli/world.ts'
import { endNative } from '../test/end-native.ts'
import { goal, summary } from './means/figures.ts'

const reloads = Number(process.argv[2] ?? 100)
/** Connections of each kind that carry data all the while. */
const STANDING = 4
/** Every so many reloads the file has a mistake. */
const WRONG = 10
const PIECE = randomBytes(16_384)
/** Between two pieces, in milliseconds: about 800 kB a second, more than a relayed connection carries. */
const PAUSE_MS = 20
const DRAIN_S = 20
/** What passes of a relayed connection in a second, in bytes. */
const PER_SECOND = 500_000

await using world = await World.open()

/** Each reload has other values; the kind of path that connections get is what tells which one counts. */
const yaml = (strategy: 'direct' | 'relay', turn: number) => `
listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1], ports: [0, 0] } }
strategies: [${strategy === 'direct' ? `direct: { waitMs: ${1000 + turn}ms }` : `relay: { perSession: 4 Mbit/s, perPeer: 400 Mbit/s, total: ${400 + turn} Mbit/s }`}]
limits: { peers: ${100 + turn}, sessionsPerPeer: ${500 + turn}, messagesPerSecond: ${500 + turn} }
drain: ${DRAIN_S}s
`

const put = (text: string) => writeFile(join(world.folder, 'some.yaml'), text)

await put(yaml('relay', 0))
const gateway = world.start(['gateway', '--config', join(world.folder, 'some.yaml'), '--json'])
world.url = String((await gateway.event('listening')).url)

/** A connection that carries data until it is told to end, and what became of it. */
class Load {
  readonly connection: Connection
  readonly #hashes = [createHash('sha256'), createHash('sha256')] as const
  readonly #bytes: number
  readonly #lost: string[] = []
  /** A relayed connection goes on directly as soon as a reload brings a strategy that can. */
  moves = 0
  isOver = false
  sent = 0
  read = 0
  readonly done: Promise<unknown>

  /** @param bytes at most so many */
  constructor(connection: Connection, far: Promise<Stream>, bytes = Number.POSITIVE_INFINITY) {
    this.connection = connection
    this.#bytes = bytes
    connection.on('path', news => {
      if (news.what === 'lost') this.#lost.push(news.reason)
      if (news.what === 'moved') this.moves++
    })
    this.done = Promise.all([this.#write(), far.then(stream => this.#read(stream))])
    this.done.catch(() => {})
  }

  /** No byte was lost, and no path. */
  get isWhole(): boolean {
    const [written, read] = this.#hashes.map(hash => hash.copy().digest('hex'))
    return this.sent === this.read && written === read && this.#lost.length === 0 && !this.connection.closed.aborted
  }

  async #write(): Promise<void> {
    const stream = await this.connection.open('pour')
    stream.resume()
    while (!this.isOver && this.sent < this.#bytes) {
      this.#hashes[0].update(PIECE)
      this.sent += PIECE.length
      if (!stream.write(PIECE)) await once(stream, 'drain')
      // The computer has other things to do as well: without a pause a direct path takes all of it.
      await sleep(PAUSE_MS)
    }
    stream.end()
    await stream.settled
  }

  async #read(stream: Stream): Promise<void> {
    for await (const piece of stream as AsyncIterable<Buffer>) {
      this.#hashes[1].update(piece)
      this.read += piece.length
    }
    stream.end()
  }
}

const peers: Peer[] = []
const arrived = new Map<string, (connection: Connection) => void>()

async function joined(name: string): Promise<Peer> {
  const folder = join(world.folder, name)
  const peer = await Peer.join({
    ...{ gateway: world.url, token: tokens.join, name, accepts: true, insecure: false },
    identity: await loadIdentity(folder),
    known: new KnownPeers(folder),
    onConnection: connection => arrived.get(name)?.(connection)
  })
  peers.push(peer)
  return peer
}

/** A connection from one to the other, and its data. */
async function loaded(caller: Peer, to: string, bytes?: number): Promise<Load> {
  const far = Promise.withResolvers<Stream>()
  arrived.set(to, connection => connection.serve('pour', far.resolve))
  return new Load(await caller.connect({ name: to }), far.promise, bytes)
}

/** Milliseconds until the log says what became of it. */
async function reload(text: string, isRight: boolean): Promise<number> {
  await put(text)
  const begunMs = performance.now()
  const line = isRight ? 'the configuration was read again' : 'the configuration is as it was'
  const before = gateway.stderr.split(line).length - 1
  gateway.signal('SIGHUP')
  // Each of so many lines is found in one way only, or the search would take twice as long for each.
  await gateway.said(new RegExp(`^(?:(?:(?!${line})[^])*${line}){${before + 1}}`))
  return performance.now() - begunMs
}

const [ann, ...others] = [
  await joined('ann'),
  ...(await Promise.all(Array.from({ length: STANDING }, (_, at) => joined(`bob${at}`))))
]
const loads: Load[] = []
for (const kind of ['relay', 'direct'] as const) {
  await reload(yaml(kind, 1), true)
  for (let at = 0; at < others.length; at++) loads.push(await loaded(ann as Peer, `bob${at}`))
}
console.log(`${loads.length} connections: ${loads.map(({ connection }) => connection.path.kind).join(', ')}`)

const times: number[] = []
const wrong: string[] = []
let expected: 'direct' | 'relay' = 'direct'
for (let turn = 2; turn < reloads + 2; turn++) {
  const kind = turn % 2 === 0 ? 'relay' : 'direct'
  if (turn % WRONG === 0) await reload(`${yaml(kind, turn)}\ntraces: { memory: much }`, false)
  else {
    times.push(await reload(yaml(kind, turn), true))
    expected = kind
  }
  arrived.set('bob0', () => {})
  const begun = await (ann as Peer).connect({ name: 'bob0' }).catch((error: Error) => error)
  if (begun instanceof Error) wrong.push(`turn ${turn}: ${begun.message}`)
  else {
    if (begun.path.kind !== expected) wrong.push(`turn ${turn}: ${begun.path.kind}, and not ${expected}`)
    await begun.close()
  }
}
for (const load of loads) load.isOver = true
await Promise.all(loads.map(({ done }) => done))
for (const reason of wrong) console.log(reason)
console.log(`from the signal to the line in the log: ${summary(times)}`)
console.log(`carried meanwhile: ${loads.map(({ read }) => `${(read / 2 ** 20).toFixed(0)} MiB`).join(', ')}`)
console.log(`moved to another path, as strategies came and went: ${loads.reduce((sum, { moves }) => sum + moves, 0)}`)
goal('connections that were broken, or lost a path or a byte', loads.filter(load => !load.isWhole).length, {
  atMost: 0
})
goal('requests by another configuration than the last one that was right', wrong.length, { atMost: 0 })
await Promise.all(loads.map(({ connection }) => connection.close()))

// The end: transfers that are over in time, and one that is not.
await reload(yaml('relay', 1), true)
const seconds = Array.from({ length: STANDING - 1 }, (_, at) => ((at + 1) * 0.6 * DRAIN_S) / (STANDING - 1))
const finishing: Load[] = []
for (const [at, long] of seconds.entries())
  finishing.push(await loaded(ann as Peer, `bob${at}`, Math.round(long * PER_SECOND)))
const endless = await loaded(ann as Peer, `bob${STANDING - 1}`)
const toldMs = performance.now()
gateway.signal('SIGTERM')
await Promise.all(finishing.map(({ done }) => done))
const cut = finishing.filter(load => !load.isWhole).length
await Promise.all(finishing.map(({ connection }) => connection.close()))
const code = await gateway.ended
const tookS = (performance.now() - toldMs) / 1000
console.log(
  `transfers of ${seconds.map(long => long.toFixed(0)).join(', ')} s and an endless one; the gateway ended after ${tookS.toFixed(1)} s`
)
goal(`transfers that could be finished within ${DRAIN_S} s and were cut`, cut, { atMost: 0 })
goal('exit code of the gateway', code, { atMost: 0 })
goal('seconds until the gateway ended, with one that could not be finished', tookS, { atMost: DRAIN_S + 5 })
endless.isOver = true
await Promise.all(peers.map(peer => peer.close()))
await endNative()
process.exit()
