// The relay. A session has two sides; a side is latched to a source that has proved itself (key and address, checked in
// binding.ts) at one of the gateway's ports. From then on, datagrams from one latched source go to the other, out of the
// port the other side latched at. There is no allocation and no address to choose: a stranger's datagram is not
// forwarded, and nothing is ever sent to an endpoint that did not ask for it.
//
//   caller ──► port it latched at ──► shaper of the caller ──► port the callee latched at ──► callee
//
// arm ─► latch (again after a change of network) ─► forward … ─► disarm, or by itself after idleMs of silence.

import { PosternError } from '../../errors.ts'
import type { RelayLimits } from '../../strategy/plan.ts'
import { type Endpoint, sameEndpoint } from '../../wire/endpoint.ts'
import { otherSide, type SideName, sideNames } from '../../wire/side.ts'
import { type Full, later } from '../peers/full.ts'
import { type Asker, Shares } from '../shares/shares.ts'
import type { Port } from '../udp/listen.ts'
import { type LimitName, Shaper, type ShaperCounters, TokenBucket } from './limit.ts'
import { Scheduler, systemTime, type Time } from './scheduler.ts'

/** What the splice needs of a port: a way out. */
export type Exit = Pick<Port, 'send'>

export interface DirectionCounters extends ShaperCounters {
  /** By the limit that was short; `unlatched` because the other side had not latched. */
  dropped: Record<LimitName | 'unlatched', number>
}

/** Counters by the side the datagrams came from. */
export type SpliceCounters = Record<SideName, DirectionCounters>

/** Where sides are latched; a side that is not latched is left out. */
export type Latched = Partial<Readonly<Record<SideName, Endpoint>>>

export interface SpliceOptions {
  maxSessions: number
  queueMs?: number
  /** Armed sessions without a datagram from either side are disarmed after this time. */
  idleMs?: number
  onIdle?: (session: string, counters: SpliceCounters) => void
  /** A side that was latched comes from another source now. */
  onRelatch?: (session: string, side: SideName, source: Endpoint) => void
  time?: Time
}

export class SpliceTable {
  readonly #maxSessions: number
  readonly #places: Shares
  readonly #queueMs: number
  readonly #idleMs: number
  readonly #onIdle: (session: string, counters: SpliceCounters) => void
  readonly #onRelatch: (session: string, side: SideName, source: Endpoint) => void
  readonly #time: Time
  readonly #scheduler: Scheduler
  readonly #sessions = new Map<string, Session>()
  readonly #sources = new Sources()
  readonly #peers = new Map<string, { bucket: TokenBucket; sessions: number }>()
  #total: TokenBucket | undefined
  /** Counters of the sessions that ended. */
  #ended: SpliceCounters = { caller: nothing(), callee: nothing() }

  // Consent to send expires after 30 s without an answer (RFC 7675, 5.1), so both agents have given up by then.
  constructor(options: SpliceOptions) {
    const { maxSessions, queueMs = 50, idleMs = 30_000, time = systemTime } = options
    const { onIdle = () => {}, onRelatch = () => {} } = options
    this.#maxSessions = maxSessions
    this.#places = new Shares({ capacity: maxSessions })
    this.#queueMs = queueMs
    this.#idleMs = idleMs
    this.#onIdle = onIdle
    this.#onRelatch = onRelatch
    this.#time = time
    this.#scheduler = new Scheduler(time)
  }

  get size(): number {
    return this.#sessions.size
  }

  /** Counters over all sessions there ever were. */
  totals(): SpliceCounters {
    return [...this.#sessions.values()].map(countersOf).reduce(sum, this.#ended)
  }

  /**
   * Makes room for a session. `peers` are the ids under which the sides' own limits are kept over all their sessions.
   * Limits are in bits of UDP payload per second: of each direction, of all that a peer sends, and of all sessions together.
   * Where buckets are shared, the latest limits hold. Throws `relay-full` beyond maxSessions, or a share of them.
   * @param holder who asked for the session: it is his share of places, and of a short total in both directions
   */
  arm(
    session: string,
    peers: Readonly<Record<SideName, string>>,
    limits: RelayLimits,
    holder: Asker = { network: '', certificate: peers.caller }
  ): void {
    if (this.#sessions.has(session)) throw new PosternError('internal', `session ${session} is relayed already`)
    if (!this.#places.take(holder)) throw this.#full()
    const total = this.#totalBucket(limits.total)
    const side = (which: SideName) =>
      this.#side(which, () => armed, {
        holder,
        shared: [this.#peerBucket(peers[which], limits.perPeer), total],
        limits
      })
    const armed: Session = {
      id: session,
      peers,
      holder,
      caller: side('caller'),
      callee: side('callee'),
      heardMs: this.#time.now(),
      cancelIdle: this.#time.after(this.#idleMs, () => this.#checkIdle(armed))
    }
    this.#sessions.set(session, armed)
  }

  /** The counters of a session so far; undefined where it is not armed. */
  counters(session: string): SpliceCounters | undefined {
    const armed = this.#sessions.get(session)
    return armed && countersOf(armed)
  }

  latched(session: string): Latched {
    const armed = this.#sessions.get(session)
    const sources = sideNames.map(side => [side, armed?.[side].source] as const)
    return Object.fromEntries(sources.filter(([, source]) => source !== undefined))
  }

  /**
   * Binds a side to a source that proved itself; a source it had before stops counting at once. Returns false if the session
   * is not armed, or if the source at this port belongs to another side already.
   */
  latch(session: string, which: SideName, port: Exit, source: Endpoint): boolean {
    const armed = this.#sessions.get(session)
    const side = armed?.[which]
    if (!armed || !side) return false
    const holder = this.#sources.get(port, source)
    if (holder && holder !== side) return false
    const before = side.source
    this.#unlatch(side)
    side.port = port
    side.source = { address: source.address, port: source.port }
    this.#sources.set(port, side.source, side)
    armed.heardMs = this.#time.now()
    if (before && !sameEndpoint(before, side.source)) this.#onRelatch(session, which, side.source)
    return true
  }

  /**
   * Returns false if the datagram is not from a latched source, and leaves it to somebody else then. Keeps the buffer while
   * the datagram waits.
   */
  forward(port: Exit, source: Endpoint, datagram: Buffer): boolean {
    const side = this.#sources.get(port, source)
    if (!side) return false
    const session = side.session()
    session.heardMs = this.#time.now()
    if (session[otherSide(side.name)].source) side.shaper.offer(datagram)
    else countUnlatched(side, datagram)
    return true
  }

  /** Ends a session and gives its final counts; undefined where it is not armed. */
  disarm(session: string): SpliceCounters | undefined {
    const armed = this.#sessions.get(session)
    if (!armed) return undefined
    this.#sessions.delete(session)
    this.#places.giveBack(armed.holder)
    armed.cancelIdle()
    for (const side of sideNames) {
      this.#unlatch(armed[side])
      armed[side].shaper.close()
      this.#releasePeer(armed.peers[side])
    }
    const counters = countersOf(armed)
    this.#ended = sum(this.#ended, counters)
    return counters
  }

  close(): void {
    for (const session of this.#sessions.keys()) this.disarm(session)
  }

  #full(): Full {
    const { used } = this.#places
    const why = used < this.#maxSessions ? 'keeps the rest for other networks' : 'has no room for another'
    return later(
      'relay',
      `the relay carries ${used} of ${this.#maxSessions} sessions and ${why}`,
      this.#places.retryMs()
    )
  }

  #side(side: SideName, session: () => Session, { holder, shared, limits }: Shaping): Side {
    const own = new TokenBucket('session', limits.perSession, this.#time.now())
    const send = (datagram: Buffer) => {
      const { port, source } = session()[otherSide(side)]
      if (port && source) port.send(datagram, source)
    }
    const shaper = new Shaper({
      ...{ scheduler: this.#scheduler, buckets: [own, ...shared], holder, queueMs: this.#queueMs, send }
    })
    return { name: side, session, shaper, unlatched: 0, unlatchedBytes: 0, port: undefined, source: undefined }
  }

  #unlatch(side: Side): void {
    if (side.port && side.source) this.#sources.delete(side.port, side.source)
    side.port = undefined
    side.source = undefined
  }

  #checkIdle(session: Session): void {
    const restMs = session.heardMs + this.#idleMs - this.#time.now()
    if (restMs > 0) session.cancelIdle = this.#time.after(restMs, () => this.#checkIdle(session))
    else {
      const counters = this.disarm(session.id)
      if (counters) this.#onIdle(session.id, counters)
    }
  }

  #totalBucket(bitsPerSecond: number): TokenBucket {
    this.#total ??= new TokenBucket('total', bitsPerSecond, this.#time.now())
    this.#total.retune(bitsPerSecond)
    return this.#total
  }

  #peerBucket(peer: string, bitsPerSecond: number): TokenBucket {
    const known = this.#peers.get(peer)
    const { bucket, sessions } = known ?? {
      bucket: new TokenBucket('peer', bitsPerSecond, this.#time.now()),
      sessions: 0
    }
    bucket.retune(bitsPerSecond)
    this.#peers.set(peer, { bucket, sessions: sessions + 1 })
    return bucket
  }

  #releasePeer(peer: string): void {
    const known = this.#peers.get(peer)
    if (known && --known.sessions === 0) this.#peers.delete(peer)
  }
}

/** Whose turns a direction has, and by which limits. */
interface Shaping {
  readonly holder: Asker
  readonly shared: readonly TokenBucket[]
  readonly limits: RelayLimits
}

interface Side {
  readonly name: SideName
  readonly session: () => Session
  /** Shapes what comes from this side. */
  readonly shaper: Shaper
  unlatched: number
  unlatchedBytes: number
  port: Exit | undefined
  source: Endpoint | undefined
}

interface Session extends Record<SideName, Side> {
  readonly id: string
  readonly peers: Readonly<Record<SideName, string>>
  readonly holder: Asker
  heardMs: number
  cancelIdle: () => void
}

/** Sides by port and source. Maps in maps, because a joined key would be made anew for each packet. */
class Sources {
  readonly #ports = new Map<Exit, Map<number, Map<string, Side>>>()

  get(port: Exit, source: Endpoint): Side | undefined {
    return this.#ports.get(port)?.get(source.port)?.get(source.address)
  }

  set(port: Exit, source: Endpoint, side: Side): void {
    const numbers = this.#ports.get(port) ?? new Map<number, Map<string, Side>>()
    const addresses = numbers.get(source.port) ?? new Map<string, Side>()
    this.#ports.set(port, numbers)
    numbers.set(source.port, addresses)
    addresses.set(source.address, side)
  }

  delete(port: Exit, source: Endpoint): void {
    const numbers = this.#ports.get(port)
    const addresses = numbers?.get(source.port)
    addresses?.delete(source.address)
    if (addresses?.size === 0) numbers?.delete(source.port)
    if (numbers?.size === 0) this.#ports.delete(port)
  }
}

function countUnlatched(side: Side, datagram: Buffer): void {
  side.unlatched++
  side.unlatchedBytes += datagram.length
}

function countersOf({ caller, callee }: Session): SpliceCounters {
  return { caller: directionOf(caller), callee: directionOf(callee) }
}

function directionOf({ shaper, unlatched, unlatchedBytes }: Side): DirectionCounters {
  const { dropped, droppedBytes, ...sent } = shaper.counters
  return { ...sent, droppedBytes: droppedBytes + unlatchedBytes, dropped: { ...dropped, unlatched } }
}

const nothing = (): DirectionCounters => ({
  sentBytes: 0,
  sentDatagrams: 0,
  queued: 0,
  droppedBytes: 0,
  dropped: { session: 0, peer: 0, total: 0, unlatched: 0 }
})

function sum(a: SpliceCounters, b: SpliceCounters): SpliceCounters {
  return { caller: sumOf(a.caller, b.caller), callee: sumOf(a.callee, b.callee) }
}

const sumOf = (a: DirectionCounters, b: DirectionCounters): DirectionCounters => ({
  sentBytes: a.sentBytes + b.sentBytes,
  sentDatagrams: a.sentDatagrams + b.sentDatagrams,
  queued: a.queued + b.queued,
  droppedBytes: a.droppedBytes + b.droppedBytes,
  dropped: {
    session: a.dropped.session + b.dropped.session,
    peer: a.dropped.peer + b.dropped.peer,
    total: a.dropped.total + b.dropped.total,
    unlatched: a.dropped.unlatched + b.dropped.unlatched
  }
})
