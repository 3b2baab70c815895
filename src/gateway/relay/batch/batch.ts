// UDP ports whose sockets belong to threads of the relay. What is of no direction comes to the gateway's event loop as from any port, and
// what the gateway sends leaves by the same sockets, at once.
//
//   datagram ─► thread ─┬─► a direction that it carries ─► out
//                       └─► the gateway ─► Binding ─► latch ─► splice ─► carry ─► thread

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { PosternError } from '../../../errors.ts'
import type { Endpoint } from '../../../wire/endpoint.ts'
import type { Listening, Port, Receive } from '../../udp/listen.ts'
import type { Carried, FastPath, Way } from '../fast.ts'
import type { Bucket, LimitName, ShaperCounters } from '../limit.ts'
import { DealtBucket } from './dealt.ts'
import type { Beginning, FromThread, ToThread } from './messages.ts'
import { Numbers } from './numbers.ts'
import { unpacked } from './packed.ts'
import { Event, endpointOf, nameOf, Raw, type RawSocket } from './raw.ts'
import { Account, SharedBucket, TOTAL } from './shared.ts'

export interface BatchOptions {
  readonly addresses: readonly string[]
  readonly ports: readonly number[]
  /** Left out: one. */
  readonly threads?: number
  /** The most sessions at once. */
  readonly sessions: number
}

/**
 * Kernel buffer of each socket. A thread that works off a million datagrams a second has it empty within milliseconds; and a flood of 50,000
 * small ones a second fills it, at some 770 bytes each, in a tenth of a second in which the thread has no processor.
 */
const BUFFER_BYTES = 2 * 2 ** 20

/** One thread, its sockets, and how it is talked to. */
class Member {
  readonly ports: readonly BatchPort[]
  readonly #worker: Worker
  readonly #event: Event
  readonly #raw: Raw
  readonly #exited: Promise<void>
  /** Resolves when it receives: what comes before waits, and a peer takes what is late for blocked. */
  readonly ready: Promise<void>
  readonly #pending: Int32Array

  constructor(raw: Raw, ports: readonly BatchPort[], shared: Shared, hear: Hear) {
    this.ports = ports
    this.#raw = raw
    this.#event = new Event(raw)
    const strangers = new SharedArrayBuffer(12)
    const beginning: Beginning = {
      ...shared,
      sockets: ports.map(({ socket }) => socket),
      event: this.#event.fd,
      strangers,
      originMs: performance.timeOrigin
    }
    const program = new URL(import.meta.url.endsWith('.ts') ? 'thread.ts' : 'thread.js', import.meta.url)
    this.#worker = new Worker(program, {
      workerData: beginning,
      name: 'relay',
      resourceLimits: { maxYoungGenerationSizeMb: 4 }
    })
    const pending = new Int32Array(strangers)
    const ready = Promise.withResolvers<void>()
    this.ready = ready.promise
    this.#worker.on('message', (message: FromThread) => {
      if (message.type === 'ready') return ready.resolve()
      if (message.type === 'strangers') Atomics.sub(pending, 0, message.count)
      hear(this, message)
    })
    // Without its threads the gateway relays nothing, so it ends, and whoever watches over it begins it anew.
    this.#worker.on('error', error => {
      throw new PosternError('internal', `a thread of the relay ended: ${error.message}`, { cause: error })
    })
    this.#exited = new Promise(resolve => this.#worker.once('exit', () => resolve()))
    this.#pending = pending
  }

  get strangersLost(): number {
    return Atomics.load(this.#pending, 1)
  }

  get sendsLost(): number {
    return Atomics.load(this.#pending, 2)
  }

  say(message: ToThread): void {
    this.#worker.postMessage(message)
    this.#event.happens()
  }

  async close(): Promise<void> {
    this.say({ type: 'close' })
    await this.#exited
    for (const { socket } of this.ports) this.#raw.close(socket.fd)
    this.#raw.close(this.#event.fd)
  }
}

/** Memory of all threads, and the number of one. */
type Shared = Pick<Beginning, 'accounts' | 'buckets' | 'deal' | 'thread'>

/** What is of concern once a thread is ready. */
type Heard = Exclude<FromThread, { readonly type: 'ready' }>
type Hear = (member: Member, message: Heard) => void

/** A port, as one thread has it. */
class BatchPort implements Port {
  readonly door = 'udp'
  readonly local: Endpoint
  readonly row: number
  readonly column: number
  readonly socket: RawSocket
  /** Its place among the sockets of its thread. */
  readonly index: number
  member!: Member
  readonly #raw: Raw

  constructor(
    raw: Raw,
    socket: RawSocket,
    place: { readonly row: number; readonly column: number; readonly index: number }
  ) {
    this.#raw = raw
    this.socket = socket
    this.local = socket.local
    this.row = place.row
    this.column = place.column
    this.index = place.index
  }

  send(datagram: Uint8Array, to: Endpoint): void {
    if (to.port > 0) this.#raw.sendTo(this.socket.fd, datagram, nameOf(to))
  }
}

/** A direction that a thread carries, seen from the gateway. */
class Direction implements Carried {
  readonly #batch: Batch
  readonly #member: Member
  readonly #flow: number

  constructor(batch: Batch, member: Member, flow: number) {
    this.#batch = batch
    this.#member = member
    this.#flow = flow
  }

  get counters(): ShaperCounters {
    return this.#batch.account(this.#flow).counters
  }

  get heardMs(): number {
    return this.#batch.account(this.#flow).heardMs
  }

  moves(way: Way): boolean {
    if (!(way.to instanceof BatchPort) || !(way.from instanceof BatchPort)) return false
    if (way.from.member !== this.#member) return false
    this.says(way)
    return true
  }

  says({ from, source, to, target, holder, bitsPerSecond, shared, queueMs }: Way): void {
    this.#member.say({
      type: 'carry',
      ...{ flow: this.#flow, holder, bitsPerSecond, queueMs },
      shared: shared.map(bucket => [bucket.name, bucket instanceof SharedBucket ? bucket.number : TOTAL]),
      ...{ socket: (from as BatchPort).index, source: nameOf(source) },
      ...{ exit: (to as BatchPort).index, target: nameOf(target) }
    })
  }

  stop(): Promise<ShaperCounters> {
    return this.#batch.stop(this.#member, this.#flow)
  }
}

export class Batch implements Listening, FastPath {
  onDatagram: Receive = () => {}
  readonly ports: readonly Port[]
  readonly #members: readonly Member[]
  readonly #accounts: SharedArrayBuffer
  readonly #flows: Numbers
  readonly #buckets: SharedArrayBuffer
  readonly #limits: Numbers
  readonly #total: DealtBucket
  /** What is done once a direction is not counted any more, by its number. */
  readonly #stopping = new Map<number, () => void>()

  private constructor(
    raw: Raw,
    sockets: readonly (readonly RawSocket[])[],
    { addresses, ports, sessions }: BatchOptions
  ) {
    this.library = raw.foreign.name
    this.#flows = new Numbers(3 * sessions)
    this.#accounts = Account.memory(3 * sessions)
    // Each session has two peers and a network, and all share a total. What is over is given back a moment later.
    const limits = 4 * sessions + 1
    this.#limits = new Numbers(limits)
    this.#buckets = SharedBucket.memory(limits)
    const deal = DealtBucket.memory(1 + sockets.length)
    this.#total = new DealtBucket(this.#shared('total'), 0, deal)
    this.#members = sockets.map((own, at) => {
      const places = addresses.flatMap((_, row) => ports.map((_, column) => ({ row, column })))
      const mine = own.map(
        (socket, index) => new BatchPort(raw, socket, { ...(places[index] as (typeof places)[0]), index })
      )
      const shared = { accounts: this.#accounts, buckets: this.#buckets, deal, thread: 1 + at }
      const member = new Member(raw, mine, shared, (from, message) => this.#hear(from, message))
      for (const port of mine) port.member = member
      return member
    })
    this.ports = this.#members[0]?.ports ?? []
  }

  /**
   * Binds every address with every port, and resolves when all threads receive. Throws `port-in-use` or `io` and leaves nothing open.
   * Gives the reason where this system has no such sockets.
   */
  static async open(options: BatchOptions): Promise<Batch | string> {
    const raw = Raw.open()
    if (typeof raw === 'string') return raw
    const threads = Math.min(options.threads ?? 1, Math.max(1, availableParallelism()))
    const bound: RawSocket[][] = []
    try {
      const first: RawSocket[] = []
      bound.push(first)
      for (const address of options.addresses)
        for (const port of options.ports) {
          // That somebody else has a port, who would share it too, is told by a socket that shares it with nobody.
          if (threads > 1 && port > 0) raw.close(raw.bind({ address, port }, BUFFER_BYTES).fd)
          first.push(raw.bind({ address, port }, BUFFER_BYTES, threads > 1))
        }
      for (let more = 1; more < threads; more++)
        bound.push(first.map(({ local }) => raw.bind(local, BUFFER_BYTES, true)))
    } catch (error) {
      for (const { fd } of bound.flat()) raw.close(fd)
      throw error
    }
    const batch = new Batch(raw, bound, options)
    await Promise.all(batch.#members.map(({ ready }) => ready))
    return batch
  }

  get threads(): number {
    return this.#members.length
  }

  /** By what it calls the kernel, for people. */
  readonly library: string

  get strangersLost(): number {
    return this.#members.reduce((sum, member) => sum + member.strangersLost, 0)
  }

  get sendsLost(): number {
    return this.#members.reduce((sum, member) => sum + member.sendsLost, 0)
  }

  carry(way: Way): Carried | undefined {
    const { from, to } = way
    if (!(from instanceof BatchPort) || !(to instanceof BatchPort)) return undefined
    const flow = this.#flows.take()
    if (flow === undefined) return undefined
    this.account(flow).begin()
    const carried = new Direction(this, from.member, flow)
    carried.says(way)
    return carried
  }

  bucket(name: LimitName, bitsPerSecond: number): Bucket {
    if (name !== 'total') return this.#shared(name).begin(bitsPerSecond, performance.now())
    this.#total.begin(bitsPerSecond, performance.now())
    return this.#total
  }

  partOf(network: string): number {
    return this.#total.partOf(network)
  }

  release(bucket: Bucket): void {
    if (bucket instanceof SharedBucket) this.#limits.giveBack(bucket.number)
  }

  #shared(name: LimitName): SharedBucket {
    const number = this.#limits.take()
    if (number === undefined) throw new PosternError('internal', 'the relay has more limits than sessions')
    return new SharedBucket(name, this.#buckets, number)
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map(member => member.close()))
    for (const done of this.#stopping.values()) done()
  }

  /** Made where it is asked for: one that is kept for each direction would take as much as what it counts. */
  account(flow: number): Account {
    return new Account(this.#accounts, flow)
  }

  /** Resolves with what was counted until the thread carried it no more. */
  stop(member: Member, flow: number): Promise<ShaperCounters> {
    return new Promise(resolve => {
      this.#stopping.set(flow, () => {
        this.#stopping.delete(flow)
        resolve(this.account(flow).counters)
        this.#flows.giveBack(flow)
      })
      member.say({ type: 'stop', flow })
    })
  }

  #hear({ ports }: Member, message: Heard): void {
    if (message.type === 'stopped') return this.#stopping.get(message.flow)?.()
    for (const [index, words, at, datagram] of unpacked(message.packed)) {
      const port = ports[index]
      if (!port) continue
      const { address, port: number } = endpointOf(words, at)
      const family = address.includes(':') ? 'IPv6' : 'IPv4'
      this.onDatagram(port, { address, port: number, family, size: datagram.length }, datagram)
    }
  }
}
