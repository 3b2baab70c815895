// A thread of the relay. It waits for datagrams, has each direction take its own, leaves the rest to the gateway, and sends. It never
// goes back to its event loop: what the gateway says is read when the event says that there is something.
//
//   wait ─► what the gateway says ─► runs of each socket ─┬─► directions ─► outboxes ─► sent
//     ▲                                                   └─► strangers ─► the gateway
//     └──────────────── those that wait have their turns ◄────────────────────┘

import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Asker } from '../../shares/shares.ts'
import { type Bucket, type LimitName, TokenBucket } from '../limit.ts'
import { Scheduler, type Time } from '../scheduler.ts'
import { Blocks } from './blocks.ts'
import { DealtBucket } from './dealt.ts'
import { Flow, type Ground } from './flow.ts'
import { Flows, Names } from './flows.ts'
import type { Beginning, Carry, FromThread, ToThread } from './messages.ts'
import { Packer } from './packed.ts'
import { Inbox, NAME_WORDS, Outbox, Raw, RUNS, Waiting } from './raw.ts'
import { Account, SharedBucket, TOTAL } from './shared.ts'

/** Rounds of receiving from one socket before the others have theirs. */
const ROUNDS = 4

/** The longest wait, in milliseconds: a process that ends at once waits for its threads. */
const IDLE_MS = 250

/** The most datagrams on their way to the gateway: what it works off in some tens of milliseconds. */
const MOST_STRANGERS = 4096

/** One alarm, which the thread looks at itself. */
class Alarm implements Time {
  #nowMs = 0
  #dueMs = Number.POSITIVE_INFINITY
  #run: () => void = () => {}
  readonly #offsetMs: number

  constructor(originMs: number) {
    this.#offsetMs = performance.timeOrigin - originMs
    this.look()
  }

  look(): void {
    this.#nowMs = performance.now() + this.#offsetMs
  }

  now(): number {
    return this.#nowMs
  }

  after(waitMs: number, run: () => void): () => void {
    this.#dueMs = this.#nowMs + waitMs
    this.#run = run
    return () => {
      this.#dueMs = Number.POSITIVE_INFINITY
    }
  }

  /** In whole milliseconds, for the wait. */
  get restMs(): number {
    return Math.min(IDLE_MS, Math.max(0, Math.ceil(this.#dueMs - this.#nowMs)))
  }

  rings(): void {
    if (this.#nowMs < this.#dueMs) return
    this.#dueMs = Number.POSITIVE_INFINITY
    this.#run()
  }
}

class Thread {
  readonly #gateway: MessagePort
  readonly #beginning: Beginning
  readonly #inbox: Inbox
  readonly #outboxes: readonly Outbox[]
  readonly #waiting: Waiting
  readonly #time: Alarm
  readonly #scheduler: Scheduler
  readonly #blocks: Blocks
  readonly #table = new Flows()
  readonly #ground: Ground
  readonly #flows: (Flow | undefined)[] = []
  /** Where each comes from, by its number. */
  readonly #sources = new Names()
  readonly #total: Bucket
  readonly #limits: SharedBucket[] = []
  #lastHolder: Asker = { network: '', certificate: '' }
  readonly #packer = new Packer()
  readonly #strangers: Int32Array
  #isOver = false

  constructor(gateway: MessagePort, beginning: Beginning) {
    const raw = Raw.open()
    if (typeof raw === 'string') throw new Error(raw)
    this.#gateway = gateway
    this.#beginning = beginning
    this.#inbox = new Inbox(raw)
    this.#outboxes = beginning.sockets.map(socket => new Outbox(raw, socket))
    this.#waiting = new Waiting(raw, beginning.sockets, beginning.event)
    this.#time = new Alarm(beginning.originMs)
    const { buckets, thread, deal } = beginning
    const total = new DealtBucket(new SharedBucket('total', buckets, TOTAL), thread, deal)
    this.#total = total
    this.#scheduler = new Scheduler(this.#time, network => total.partOf(network))
    this.#blocks = new Blocks(raw.foreign)
    this.#ground = { scheduler: this.#scheduler, blocks: this.#blocks, inbox: this.#inbox, targets: new Names() }
    this.#strangers = new Int32Array(beginning.strangers)
  }

  run(): void {
    const { sockets } = this.#beginning
    this.#say({ type: 'ready' })
    while (!this.#isOver) {
      this.#waiting.wait(this.#time.restMs)
      this.#time.look()
      if (this.#waiting.takesEvent()) this.#listen()
      for (let socket = 0; socket < sockets.length; socket++) if (this.#waiting.isReady(socket)) this.#receive(socket)
      this.#time.rings()
      this.#flush()
      this.#leave()
    }
  }

  #receive(number: number): void {
    const socket = this.#beginning.sockets[number]
    if (!socket) return
    for (let round = 0; round < ROUNDS; round++) {
      const runs = this.#inbox.receive(socket)
      for (let run = 0; run < runs; run++) this.#take(number, run)
      // Runs are sent by reference, so they have to be gone before others come in their place.
      this.#flush()
      if (runs < RUNS) return
    }
  }

  #take(socket: number, run: number): void {
    const { names, data } = this.#inbox
    const at = run * NAME_WORDS
    const number = this.#table.find(socket, names, at)
    const flow = number < 0 ? undefined : this.#flows[number]
    const [offset, bytes, segment] = [this.#inbox.offset(run), this.#inbox.bytes(run), this.#inbox.segment(run)]
    if (flow && !hasForGateway(data, offset, bytes, segment)) return flow.take(run, this.#time.now())
    for (let from = 0; from < bytes || from === 0; from += segment || 1) {
      const length = Math.min(segment, bytes - from)
      if (flow && !isForGateway(data, offset + from, length)) flow.takeOne(offset + from, length, this.#time.now())
      else this.#stranger(socket, names, at, data.subarray(offset + from, offset + from + length))
    }
  }

  #stranger(socket: number, names: Uint32Array, at: number, datagram: Uint8Array): void {
    const pending = Atomics.load(this.#strangers, 0) + this.#packer.count
    if (pending >= MOST_STRANGERS || !this.#packer.add(socket, names, at, datagram)) Atomics.add(this.#strangers, 1, 1)
  }

  #flush(): void {
    for (const outbox of this.#outboxes) {
      if (outbox.isEmpty) continue
      outbox.flush()
      if (outbox.refused > 0) Atomics.add(this.#strangers, 2, outbox.refused)
      outbox.refused = 0
    }
    this.#blocks.sent()
  }

  #leave(): void {
    const { count } = this.#packer
    if (count === 0) return
    Atomics.add(this.#strangers, 0, count)
    const packed = this.#packer.take()
    this.#say({ type: 'strangers', packed, count }, [packed.buffer])
  }

  #say(message: FromThread, transferred: ArrayBuffer[] = []): void {
    this.#gateway.postMessage(message, transferred)
  }

  #listen(): void {
    for (let got = receiveMessageOnPort(this.#gateway); got; got = receiveMessageOnPort(this.#gateway)) {
      const message = got.message as ToThread
      switch (message.type) {
        case 'carry':
          this.#carry(message)
          break
        case 'stop':
          this.#stop(message.flow)
          break
        case 'close':
          this.#isOver = true
      }
    }
  }

  #carry({ flow: number, socket, source, exit, target, bitsPerSecond, shared, holder, queueMs }: Carry): void {
    const out = this.#outboxes[exit]
    if (!out) return
    const known = this.#flows[number]
    if (known) {
      this.#table.delete(known.socket, this.#sources.of(number))
      known.socket = socket
      known.exit = out
    } else {
      const account = new Account(this.#beginning.accounts, number)
      const own = new TokenBucket('session', bitsPerSecond, this.#time.now())
      // An array that is spread keeps room for many more.
      const buckets = [own as Bucket].concat(shared.map(each => this.#limit(each)))
      // Both directions of a session come one after the other, each with a copy.
      if (!isSameHolder(holder, this.#lastHolder)) this.#lastHolder = holder
      const limited = { number, account, buckets, holder: this.#lastHolder, queueMs }
      this.#flows[number] = new Flow(this.#ground, limited, { socket, exit: out })
    }
    this.#sources.set(number, source)
    this.#ground.targets.set(number, target)
    this.#table.set(socket, this.#sources.of(number), number)
  }

  /** One object for all directions that share it. A number that was given back may be that of a limit of another kind. */
  #limit([name, number]: readonly [LimitName, number]): Bucket {
    if (number === TOTAL) return this.#total
    const known = this.#limits[number]
    if (known?.name === name) return known
    const made = new SharedBucket(name, this.#beginning.buckets, number)
    this.#limits[number] = made
    return made
  }

  #stop(number: number): void {
    const flow = this.#flows[number]
    if (flow) this.#table.delete(flow.socket, this.#sources.of(number))
    flow?.close()
    this.#flows[number] = undefined
    this.#say({ type: 'stopped', flow: number })
  }
}

const isSameHolder = (one: Asker, other: Asker): boolean =>
  one.network === other.network && one.certificate === other.certificate

/**
 * Whether a datagram from the source of a direction is for the gateway all the same: a Binding request whose USERNAME the gateway has
 * given out (binding.ts looks at it more closely).
 */
const isForGateway = (data: Uint8Array, at: number, bytes: number): boolean =>
  bytes >= 28 &&
  data[at] === 0 &&
  data[at + 1] === 1 &&
  data[at + 4] === 0x21 &&
  data[at + 5] === 0x12 &&
  data[at + 20] === 0 &&
  data[at + 21] === 6 &&
  data[at + 25] === 0x3a

function hasForGateway(data: Uint8Array, offset: number, bytes: number, segment: number): boolean {
  for (let from = 0; from < bytes; from += segment)
    if (data[offset + from] === 0 && isForGateway(data, offset + from, Math.min(segment, bytes - from))) return true
  return false
}

if (parentPort) new Thread(parentPort, workerData as Beginning).run()
