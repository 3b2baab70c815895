// A process on a host of the laboratory: a gateway or a peer of the real code, told what to do over the channel to its
// parent. rig.ts is the other end.

import { createHash, randomBytes } from 'node:crypto'
import { access, mkdir, mkdtemp, open, readdir, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { kindOf, renderNat } from '../../src/cli/text/nat-text.ts'
import { asPosternError } from '../../src/errors.ts'
import type { Gateway } from '../../src/gateway/gateway.ts'
import type { Connection } from '../../src/peer/connection/connection.ts'
import type { Stream } from '../../src/peer/connection/streams/stream.ts'
import { loadIdentity } from '../../src/peer/identity/identity.ts'
import { KnownPeers } from '../../src/peer/identity/known-peers.ts'
import { createCertificate } from '../../src/peer/identity/self-signed.ts'
import { type ForwardNews, type PathNotice, Peer, type PeerOptions } from '../../src/peer/peer.ts'
import { receive } from '../../src/peer/services/receive.ts'
import { type Sent, send } from '../../src/peer/services/send.ts'
import type { Verdict } from '../../src/verdict.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import type { FromPeer } from '../../src/wire/signal.ts'
import { rtp } from '../peer/connection/tracks/rtp.ts'
import { until } from '../until.ts'
import { serveDeeds } from './driven.ts'

export interface Tried {
  readonly path?: {
    by: string
    kind: 'direct' | 'relay'
    door?: string
    local: string
    remote: string
    ms: number
    trace: string
  }
  readonly failed?: { code: string; reason: string }
  /** The gateway's record of it, and what the gateway told of that: where it began one, and where there is no direct path. */
  readonly trace?: string | undefined
  readonly verdict?: Verdict | undefined
  readonly strategies: readonly { name: string; outcome: string; reason: string; ms: number }[]
  /** Whether the bytes arrived as they were sent. */
  readonly intact: boolean
  readonly transferMs: number
}

/** What a peer has noticed of its link and of its host. */
export type Noticed = 'joined' | 'lost' | 'changed' | 'woke'

const noticed: Noticed[] = []

const folder = await mkdtemp(join(tmpdir(), 'postern-lab-'))
let gateway: Gateway | undefined
let peer: Peer | undefined
const held: Connection[] = []
/** RTP packets that have come and gone back. */
const heard = { audio: 0, video: 0 }
/** What the peer has told of forwards since it joined. */
const forwards: ForwardNews[] = []

/** The gateway's last word on a path comes a round trip after it, or never: the longest line of the laboratory, and more. */
const NOTICE_MS = 1000

/** What a peer has found out about its NAT, and told its gateway. */
export type News = 'filter' | 'remaps'

/** What the peer has told since it joined. It tells nobody else, so its link is listened to. */
const told = new Set<News>()
let claims = 0
let isRouted = false
let isListening = false

function listen(): void {
  told.clear()
  claims = 0
  isRouted = false
  if (isListening) return
  isListening = true
  const note = (message: FromPeer) => {
    if (message.type === 'claim') claims++
    if (message.type === 'router') isRouted = true
    if (message.type !== 'filtering') return
    told.add('filter')
    if (message.remaps !== undefined) told.add('remaps')
  }
  WebSocket.prototype.send = new Proxy(WebSocket.prototype.send, {
    apply(send, link, given) {
      // What is no text goes to the relay.
      if (typeof given[0] === 'string') note(JSON.parse(given[0]) as FromPeer)
      return Reflect.apply(send, link, given)
    }
  })
}

/** What the parent may ask for, by name. */
export const deeds = {
  /** Another one takes the place of the one before, with what that has kept. */
  async gateway({ config }: { config: string }) {
    await gateway?.close()
    // Most processes are peers, and start in half the time without the gateway's code.
    const { parseConfig } = await import('../../src/config/config.ts')
    const { openGateway } = await import('../../src/gateway/gateway.ts')
    gateway = await openGateway(parseConfig(config, join(folder, 'postern.yaml')))
    return { http: gateway.http, joinToken: gateway.joinToken }
  },

  async status(_given: object) {
    return gateway?.status()
  },

  /** What a health check of it answers. */
  async health(_given: object): Promise<unknown> {
    const { address, port } = gateway?.http ?? { address: '', port: 0 }
    return await (await fetch(`http://${address}:${port}/healthz`)).json()
  },

  async trace({ id }: { id: string }) {
    return gateway?.traces.get(id)[0]
  },

  /** Of the requests that are over, the one that began last. */
  async newest(_given: object) {
    const [newest] = gateway?.traces.list({ limit: 1 }) ?? []
    return newest && gateway?.traces.get(newest.id)[0]
  },

  /** Joins, and leaves where it was joined before. */
  async join(given: Joining) {
    await peer?.close()
    listen()
    peer = await joined(given)
    return { name: peer.name }
  },

  /** Resolves when the peer has joined so many times, with its name, and what it has noticed by then. */
  async joins({ count }: { count: number }) {
    await until(() => noticed.filter(what => what === 'joined').length >= count, 20_000)
    return { name: peer?.name ?? '', noticed }
  },

  /** Resolves when the peer has noticed this. */
  async notices({ what }: { what: Noticed }) {
    await until(() => noticed.includes(what), 30_000)
    return { noticed }
  },

  /** Resolves when the peer has told its gateway: its socket is warm by then, too. */
  async told({ news }: { news: News }) {
    await until(() => told.has(news), 20_000)
    return {}
  },

  /** Resolves when the peer has claimed so many times that a forward leads to its idle socket. */
  async claims({ count }: { count: number }) {
    await until(() => claims >= count, 20_000)
    return {}
  },

  /** Resolves when the peer has told what its router said. */
  async routed(_given: object) {
    await until(() => isRouted, 20_000)
    return {}
  },

  /** Whether it has told that by now. */
  async isRouted(_given: object): Promise<boolean> {
    return isRouted
  },

  /** What the peer's user was told last of a forward, once there is something. */
  async forward(_given: object): Promise<ForwardNews> {
    return await until(() => forwards.at(-1), 20_000)
  },

  /** Joins where it may be refused, and leaves again where it is not. */
  async tryToJoin(given: Joining): Promise<Tried> {
    try {
      await (await joined(given, giveUp)).close()
      return { strategies: [], intact: true, transferMs: 0 }
    } catch (thrown) {
      return failed(thrown)
    }
  },

  /** Makes a room, and gives its link. */
  async room({ name }: { name: string }): Promise<string> {
    if (!peer) throw new Error('not joined')
    return (await peer.makeRoom(name)).link
  },

  /** Leaves, and stays. */
  async leave(_given: object) {
    await peer?.close()
    peer = undefined
  },

  /** The folder of its identity and of the peers it knows. */
  async folder(_given: object) {
    return folder
  },

  /** What its network is like, as `postern nat` tells it. */
  async nat({ sockets = 2 }: { sockets?: number }) {
    if (!peer) throw new Error('not joined')
    const findings = await peer.nat({ sockets })
    return { ...kindOf(findings), text: renderNat(findings) }
  },

  /** Connects, sends `bytes` random bytes, and compares the digest the far side answers with. */
  async connect({ to, bytes, pin, hold = false, serves = false }: Connecting): Promise<Tried> {
    const strategies: Tried['strategies'][number][] = []
    const notice = Promise.withResolvers<PathNotice>()
    try {
      if (!peer) throw new Error('not joined')
      const connection = await peer.connect(
        { name: to, ...(pin ? { pin } : {}) },
        {
          onStrategy: ({ name, outcome, reason, ms }) => strategies.push({ name, outcome, reason, ms }),
          onPath: notice.resolve
        }
      )
      if (serves) serve(connection)
      const startMs = performance.now()
      const intact = bytes === 0 || (await sendBytes(connection, bytes))
      const transferMs = performance.now() - startMs
      const { path } = connection
      const { verdict } = await Promise.race([notice.promise, sleep<PathNotice>(NOTICE_MS, {}, { ref: false })])
      if (hold) held.push(connection)
      else await connection.close()
      return { path, trace: path.trace, verdict, strategies, intact, transferMs }
    } catch (thrown) {
      return { ...failed(thrown), strategies }
    }
  },

  /**
   * Sends audio and video that come back, a packet of each every 5 ms; resolves with the path, and with how many of each came back
   * as they left.
   */
  async film({ to, packets, bytes }: { to: string; packets: number; bytes: number }) {
    if (!peer) throw new Error('not joined')
    const connection = await peer.connect({ name: to })
    const back = { audio: 0, video: 0 }
    let offered = 0
    connection.on('track', track => {
      offered++
      track.on('packet', packet => {
        if (packet.length === bytes && packet.subarray(12).every(byte => byte === track.kind.length)) back[track.kind]++
      })
    })
    const sent = [
      await connection.addTrack({ kind: 'audio', codec: 'opus' }),
      await connection.addTrack({ kind: 'video', codec: 'h264' })
    ]
    await until(() => offered === 2, 10_000)
    for (let sequence = 0; sequence < packets; sequence++) {
      for (const track of sent) track.write(rtp({ sequence, bytes }, track.kind.length))
      await sleep(5)
    }
    await until(() => back.audio + back.video === 2 * packets, 2_000).catch(() => {})
    const { path } = connection
    await connection.close()
    return { path, back }
  },

  /** RTP packets of each kind that have come so far, on all connections. */
  async heard(_given: object) {
    return heard
  },

  /** Closes the connections that were held. */
  async release(_given: object) {
    await Promise.all(held.splice(0).map(connection => connection.close()))
  },

  /** Sends a file of random bytes with the services of a peer: from disk to disk, verified by the far side. */
  async send({ to, bytes }: { to: string; bytes: number }): Promise<Sent> {
    if (!peer) throw new Error('not joined')
    const path = await randomFile(bytes)
    const connection = await peer.connect({ name: to })
    const [sent] = await send(connection, [path])
    await connection.close()
    if (sent?.outcome !== 'sent') throw new Error('the file was not sent')
    return sent
  },

  /** Sends bytes that come back at once, so that both directions are busy; resolves with the time it took, in ms. */
  async echo({ to, bytes }: { to: string; bytes: number }): Promise<number> {
    if (!peer) throw new Error('not joined')
    const connection = await peer.connect({ name: to })
    const stream = await connection.open('echo')
    const startMs = performance.now()
    const sending = pipeline(Readable.from(blocks(bytes)), stream)
    let left = bytes
    for await (const chunk of stream) left -= chunk.length
    await sending
    const ms = performance.now() - startMs
    await connection.close()
    if (left !== 0) throw new Error(`${left} bytes did not come back`)
    return ms
  },

  /**
   * Sends 1 kB that comes back, so many times, first on an idle path and then while another stream fills it; resolves with the
   * times that it took, in ms, and with what the other stream carried meanwhile.
   */
  async small({ to, requests }: { to: string; requests: number }) {
    if (!peer) throw new Error('not joined')
    const connection = await peer.connect({ name: to })
    const stream = await connection.open('echo')
    const idle = await roundTrips(stream, requests)
    const bulk = await connection.open('digest')
    let sentBytes = 0
    const counted = async function* (source: AsyncIterable<Buffer>) {
      for await (const block of source) {
        sentBytes += block.length
        yield block
      }
    }
    const filling = pipeline(Readable.from(blocks(2 ** 40)), counted, bulk).catch(() => {})
    await sleep(2_000)
    const startMs = performance.now()
    const before = sentBytes
    const busy = await roundTrips(stream, requests)
    const megabytesPerSecond = (sentBytes - before) / 1000 / (performance.now() - startMs)
    bulk.destroy()
    await filling
    stream.end()
    await connection.close()
    return { idle, busy, megabytesPerSecond }
  },

  /** Opens `count` connections that are open at the same time, then closes them; the reasons of those that failed. */
  async openAtOnce({ to, count }: { to: string; count: number }): Promise<string[]> {
    const joined = peer
    if (!joined) throw new Error('not joined')
    const tried = await Promise.allSettled(Array.from({ length: count }, () => joined.connect({ name: to })))
    await Promise.all(tried.map(one => one.status === 'fulfilled' && one.value.close()))
    return tried.flatMap(one => (one.status === 'rejected' ? [String(one.reason)] : []))
  },

  /** Leaves nothing in reserve: a young generation that has grown by 30 MB is not a leak. */
  async collect(_given: object) {
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  },

  /** What this process holds open: descriptors in all, and the sockets among them. */
  async descriptors(_given: object): Promise<{ open: number; sockets: number }> {
    const held = await Promise.all((await readdir('/proc/self/fd')).map(linkOf))
    const open = held.filter(link => link !== undefined) // the folder itself is closed again
    return { open: open.length, sockets: open.filter(link => link.startsWith('socket:')).length }
  },

  async close(_given: object) {
    await peer?.close()
    await gateway?.close()
    await rm(folder, { recursive: true, force: true })
    return {}
  }
}

export type Drives = typeof deeds

interface Joining {
  readonly url: string
  readonly token: string
  /** If left out, it is a guest. */
  readonly name?: string
  readonly port?: number | readonly [number, number]
  readonly public?: Endpoint
  /** It may ask its router for a port; it does not if this is left out, since most routers of the laboratory answer nobody. */
  readonly map?: boolean
  /** Once it has joined, it proves itself to other peers with another certificate than to the gateway. */
  readonly impostor?: boolean
  /** Names of interfaces that it tells nobody of. */
  readonly exclude?: readonly string[]
  /** It shows its address to no other peer. */
  readonly relayOnly?: boolean
  /** The authority of the gateway's certificate, in PEM. */
  readonly ca?: string
}

interface Connecting {
  readonly to: string
  readonly bytes: number
  /** The only fingerprint that is taken. */
  readonly pin?: string
  /** The connection stays open. */
  readonly hold?: boolean
  /** The far side is served there as where it had called. */
  readonly serves?: boolean
}

/** Nobody waits for a gateway that says to come again later. */
const giveUp: NonNullable<PeerOptions['onWaiting']> = error => {
  throw error
}

async function joined(joining: Joining, onWaiting?: PeerOptions['onWaiting']): Promise<Peer> {
  const { url, token, name, impostor = false, map = false, exclude = [], ...reach } = joining
  const own = await loadIdentity(folder)
  const identity = { ...own }
  const known = new KnownPeers(folder)
  const options = { gateway: url, token, name, identity, known, accepts: name !== undefined, insecure: true }
  forwards.length = 0
  noticed.length = 0
  const peer = await Peer.join({
    ...options,
    ...reach,
    map,
    excludeInterfaces: exclude,
    onConnection: serve,
    onState: ({ joined }) => noticed.push(joined ? 'joined' : 'lost'),
    ...(onWaiting ? { onWaiting } : {}),
    onForward: news => forwards.push(news)
  })
  for (const event of ['changed', 'woke'] as const) peer.network.on(event, () => noticed.push(event))
  if (impostor) Object.assign(identity, createCertificate())
  return peer
}

function failed(thrown: unknown): Tried {
  const { code, message, trace, verdict } = asPosternError(thrown)
  return { failed: { code, reason: message }, trace, verdict, strategies: [], intact: false, transferMs: 0 }
}

/** A request of 1 kB every few milliseconds, so that each meets the path in another state. */
async function roundTrips(stream: Stream, requests: number): Promise<number[]> {
  const times: number[] = []
  for (let request = 0; request < requests; request++) {
    const startMs = performance.now()
    let left = 1_000
    const answered = new Promise<void>(resolve => {
      const take = (bytes: Buffer) => {
        left -= bytes.length
        if (left > 0) return
        stream.off('data', take)
        resolve()
      }
      stream.on('data', take)
    })
    stream.write(Buffer.alloc(1_000, request))
    await answered
    times.push(performance.now() - startMs)
    await sleep(5 + (request % 7))
  }
  return times
}

function serve(connection: Connection): void {
  connection.serve('digest', async stream => {
    const hash = createHash('sha256')
    for await (const chunk of stream) hash.update(chunk)
    stream.end(hash.digest())
  })
  connection.serve('echo', stream => pipeline(stream, stream))
  connection.on('track', async track => {
    const back = await connection.addTrack(track)
    track.on('packet', packet => {
      heard[track.kind]++
      back.write(packet)
    })
    back.on('keyframe', () => track.requestKeyframe())
    track.on('end', () => back.end())
  })
  connection.serve('send', async stream => {
    const into = join(folder, 'received')
    await mkdir(into, { recursive: true })
    const received = await receive(stream, { folder: into, from: connection.peer.fingerprint })
    await Promise.all(received.map(({ file }) => rm(join(into, file))))
  })
}

const linkOf = (descriptor: string): Promise<string | undefined> =>
  readlink(`/proc/self/fd/${descriptor}`).catch(() => undefined)

/** Made once, and on the disk: writing it must not go on while it is sent. */
async function randomFile(bytes: number): Promise<string> {
  const path = join(folder, `${bytes}.bin`)
  if (
    await access(path).then(
      () => true,
      () => false
    )
  )
    return path
  await using handle = await open(path, 'w')
  for (const block of blocks(bytes)) await handle.write(block)
  await handle.sync()
  return path
}

function* blocks(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= 1 << 20) yield randomBytes(Math.min(left, 1 << 20))
}

async function sendBytes(connection: Connection, bytes: number): Promise<boolean> {
  const stream = await connection.open('digest')
  const data = randomBytes(bytes)
  await pipeline(Readable.from([data]), stream, { end: true, signal: AbortSignal.timeout(60_000) }).catch(() => {})
  const answer: Buffer[] = []
  for await (const chunk of stream) answer.push(chunk)
  return Buffer.concat(answer).equals(createHash('sha256').update(data).digest())
}

serveDeeds(deeds)
