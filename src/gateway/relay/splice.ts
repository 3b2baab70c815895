// The relay. A session has two sides; a side is latched to a source that has proved itself (key and address, checked in
// binding.ts) at one of the gateway's ports, or at a way in through another door (doors/way.ts). From then on, datagrams from one
// latched source go to the other, out of where the other side latched. There is no allocation and no address to choose: a
// stranger's datagram is not forwarded, and nothing is ever sent to an endpoint that did not ask for it.
//
// A side has one way. A few datagrams are held for a side that is late: some agents send their first check once.
//
//   caller ──► port it latched at ──► shaper of the caller ──► port the callee latched at ──► callee
//
// arm ─► latch (again after a change of network) ─► forward … ─► disarm, or by itself after idleMs of silence.
//
// Where there is a fast path (fast.ts), it carries a direction as long as both sides are latched at its ports.

import { PosternError } from '../../errors.ts'
import type { RelayLimits } from '../../strategy/plan.ts'
import type { DoorKind } from '../../wire/doors/door.ts'
import { type Endpoint, sameEndpoint } from '../../wire/endpoint.ts'
import { otherSide, type SideName, sideNames } from '../../wire/side.ts'
import { type Full, later } from '../peers/full.ts'
import { type Asker, type Bound, boundOf, Shares } from '../shares/shares.ts'
import type { Exit } from '../udp/listen.ts'
import { addUp, type DirectionCounters, less, nothing, type SpliceCounters, sum } from './counters.ts'
import type { Carried, FastPath } from './fast.ts'
import { type Bucket, Counting, Gate, type LimitName, Shaper, type ShaperCounters, TokenBucket } from './limit.ts'
import { type Direction, Parts } from './parts.ts'
import { Scheduler, systemTime, type Time } from './scheduler.ts'

/** Where a side is latched, and through which door. */
export interface LatchedAt extends Endpoint {
  readonly door: DoorKind
}

/** What passes of what each side sends, in bits of UDP payload per second. */
export type Passing = Readonly<Record<SideName, number>>

/** Where sides are latched; a side that is not latched is left out. */
export type Latched = Partial<Readonly<Record<SideName, LatchedAt>>>

export interface SpliceOptions {
  maxSessions: Bound
  queueMs?: number
  /** Armed sessions without a datagram from either side are disarmed after this time. */
  idleMs?: number
  onIdle?: (session: string, counters: SpliceCounters) => void
  /** A side that was latched comes from another source now. */
  onRelatch?: (session: string, side: SideName, source: LatchedAt) => void
  time?: Time
  /** Left out: every datagram is forwarded here. */
  fast?: FastPath | undefined
}

export class SpliceTable {
  readonly #maxSessions: Bound
  readonly #places: Shares
  readonly #queueMs: number
  readonly #idleMs: number
  readonly #onIdle: (session: string, counters: SpliceCounters) => void
  readonly #onRelatch: (session: string, side: SideName, source: LatchedAt) => void
  readonly #time: Time
  readonly #scheduler: Scheduler
  readonly #sessions = new Map<string, Session>()
  readonly #sources = new Sources()
  readonly #peers: SharedLimits
  readonly #networks: SharedLimits
  readonly #parts = new Parts()
  readonly #fast: FastPath | undefined
  #total: Bucket | undefined
  /** Counters of the sessions that ended. */
  #ended: SpliceCounters = { caller: nothing(), callee: nothing() }

  // Consent to send expires after 30 s without an answer (RFC 7675, 5.1), so both agents have given up by then.
  constructor(options: SpliceOptions) {
    const { maxSessions, queueMs = 50, idleMs = 30_000, time = systemTime } = options
    const { onIdle = () => {}, onRelatch = () => {} } = options
    this.#fast = options.fast
    const bucket = (name: LimitName, bitsPerSecond: number) => this.#bucket(name, bitsPerSecond)
    const release = (bucket: Bucket) => this.#fast?.release(bucket)
    this.#peers = new SharedLimits(bitsPerSecond => bucket('peer', bitsPerSecond), release)
    this.#networks = new SharedLimits(bitsPerSecond => bucket('network', bitsPerSecond), release)
    this.#maxSessions = maxSessions
    this.#places = new Shares({ capacity: maxSessions })
    this.#queueMs = queueMs
    this.#idleMs = idleMs
    this.#onIdle = onIdle
    this.#onRelatch = onRelatch
    this.#time = time
    this.#scheduler = new Scheduler(time, network => options.fast?.partOf(network) ?? 1)
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
   * Limits are in bits of UDP payload per second: of each direction, of all that a peer sends, of what a network has asked for, and of all
   * sessions together.
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
        shared: [
          this.#peers.share(peers[which], limits.perPeer),
          this.#networks.share(holder.network, limits.perNetwork ?? limits.total),
          total
        ],
        limits
      })
    const direction = (which: SideName) => ({ peer: peers[which], holder, bitsPerSecond: limits.perSession })
    const armed: Session = {
      id: session,
      peers,
      holder,
      directions: { caller: direction('caller'), callee: direction('callee') },
      caller: side('caller'),
      callee: side('callee'),
      armedMs: this.#time.now(),
      cancelIdle: this.#time.after(this.#idleMs, () => this.#checkIdle(armed))
    }
    this.#sessions.set(session, armed)
    for (const which of sideNames) this.#parts.add(armed.directions[which], limits)
  }

  /** What each side of a session can count on now; undefined where it is not armed. */
  passing(session: string): Passing | undefined {
    const { caller, callee } = this.#sessions.get(session)?.directions ?? {}
    return caller && callee && { caller: this.#parts.of(caller), callee: this.#parts.of(callee) }
  }

  /** The counters of a session so far; undefined where it is not armed. */
  counters(session: string): SpliceCounters | undefined {
    const armed = this.#sessions.get(session)
    return armed && countersOf(armed)
  }

  latched(session: string): Latched {
    const armed = this.#sessions.get(session)
    const places = sideNames.map(side => [side, armed && placeOf(armed[side])] as const)
    return Object.fromEntries(places.filter(([, place]) => place !== undefined))
  }

  /** Through which doors the sides that are latched now have come, and how many through each. */
  doors(): Record<DoorKind, number> {
    const counts = { udp: 0, tcp: 0, websocket: 0 }
    for (const session of this.#sessions.values())
      for (const side of sideNames) {
        const { port } = session[side]
        if (port) counts[port.door]++
      }
    return counts
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
    const before = placeOf(side)
    this.#moveTo(side, port, { address: source.address, port: source.port })
    this.#hears(side)
    for (const each of sideNames) this.#carry(armed[each])
    const now = placeOf(side)
    if (before && now && !(sameEndpoint(before, now) && before.door === now.door)) this.#onRelatch(session, which, now)
    // What was held comes behind the answer to this proof.
    if (armed[otherSide(which)].held.length > 0) this.#time.after(0, () => this.#flush(armed[otherSide(which)]))
    return true
  }

  has(session: string): boolean {
    return this.#sessions.has(session)
  }

  /** How long nothing came from the source of a side, in milliseconds; undefined where it is not latched, or its way is cut. */
  silentMs(session: string, which: SideName): number | undefined {
    const side = this.#sessions.get(session)?.[which]
    return side?.source && !side.port?.isCut ? this.#time.now() - heardMs(side) : undefined
  }

  /** A side has to prove itself anew; nothing comes from it or goes to it until then. */
  unlatch(session: string, which: SideName): void {
    const side = this.#sessions.get(session)?.[which]
    if (side) this.#unlatch(side, 'replaced')
  }

  #hears(side: Side): void {
    side.heardMs = this.#time.now()
  }

  /** Has the fast path carry what comes from this side, or carry it another way, if both are where it can. */
  #carry(side: Side): void {
    const to = side.session()[otherSide(side.name)]
    if (!this.#fast || !side.port || !side.source || !to.port || !to.source) return this.#carryNoMore(side)
    const { holder, bitsPerSecond } = side.session().directions[side.name]
    const way = {
      ...{ from: side.port, source: side.source, to: to.port, target: to.source },
      ...{ holder, bitsPerSecond, shared: side.shared, queueMs: this.#queueMs }
    }
    if (side.carried?.moves(way)) return
    this.#carryNoMore(side)
    side.carried = this.#fast.carry(way)
  }

  /** What is counted until the last moment belongs to the session, or to the totals if that is over by then. */
  #carryNoMore(side: Side): void {
    const { carried } = side
    if (!carried) return
    side.carried = undefined
    const before = carried.counters
    side.before = addUp(side.before, before)
    side.stopping = carried.stop().then(last => {
      const rest = less(last, before)
      if (this.#sessions.get(side.session().id) === side.session()) side.before = addUp(side.before, rest)
      else this.#ended = sum(this.#ended, { caller: nothing(), callee: nothing(), [side.name]: directionOf(rest) })
    })
  }

  #moveTo(side: Side, port: Exit, source: Endpoint): void {
    const left = side.port
    if (side.port && side.source) this.#sources.delete(side.port, side.source)
    side.port = port
    side.source = source
    this.#sources.set(port, source, side)
    if (left === port) return
    left?.released?.('replaced')
    port.latched?.()
  }

  /**
   * Returns false if the datagram is not from a latched source, and leaves it to somebody else then. Keeps the buffer while
   * the datagram waits.
   */
  forward(port: Exit, source: Endpoint, datagram: Buffer): boolean {
    const side = this.#sources.get(port, source)
    if (!side) return false
    const session = side.session()
    this.#hears(side)
    if (session[otherSide(side.name)].source) side.shaper.offer(datagram)
    else hold(side, datagram)
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
      this.#unlatch(armed[side], 'over')
      armed[side].shaper.close()
      this.#parts.delete(armed.directions[side])
      void armed[side].stopping.then(() => {
        this.#peers.leave(armed.peers[side])
        this.#networks.leave(armed.holder.network)
      })
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
    const most = boundOf(this.#maxSessions)
    const why = used < most ? 'keeps the rest for other networks' : 'has no room for another'
    return later('relay', `the relay carries ${used} of ${most} sessions and ${why}`, this.#places.retryMs())
  }

  #side(side: SideName, session: () => Session, { holder, shared, limits }: Shaping): Side {
    const own = new TokenBucket('session', limits.perSession, this.#time.now())
    const send = (datagram: Buffer) => {
      const { port, source } = session()[otherSide(side)]
      if (port && source) port.send(datagram, source)
    }
    const tally = new Counting()
    const gate = new Gate([own, ...shared], tally)
    const shaper = new Shaper<Buffer>({ scheduler: this.#scheduler, gate, holder, queueMs: this.#queueMs, send })
    return {
      name: side,
      session,
      shaper,
      shared,
      counters: tally.counters,
      before: new Counting().counters,
      carried: undefined,
      stopping: Promise.resolve(),
      held: [],
      unlatched: 0,
      unlatchedBytes: 0,
      heardMs: 0,
      port: undefined,
      source: undefined
    }
  }

  #unlatch(side: Side, why: 'replaced' | 'over'): void {
    const { port, source } = side
    if (port && source) this.#sources.delete(port, source)
    side.port = undefined
    side.source = undefined
    for (const each of sideNames) this.#carryNoMore(side.session()[each])
    for (const datagram of side.held.splice(0)) countUnlatched(side, datagram)
    port?.released?.(why)
  }

  /** Sends what was held of a side, now that the other one has come. */
  #flush(side: Side): void {
    if (side.session()[otherSide(side.name)].source)
      for (const datagram of side.held.splice(0)) side.shaper.offer(datagram)
  }

  #checkIdle(session: Session): void {
    const heard = Math.max(session.armedMs, ...sideNames.map(side => heardMs(session[side])))
    const restMs = heard + this.#idleMs - this.#time.now()
    if (restMs > 0) session.cancelIdle = this.#time.after(restMs, () => this.#checkIdle(session))
    else {
      const counters = this.disarm(session.id)
      if (counters) this.#onIdle(session.id, counters)
    }
  }

  #totalBucket(bitsPerSecond: number): Bucket {
    this.#total ??= this.#bucket('total', bitsPerSecond)
    this.#total.retune(bitsPerSecond)
    return this.#total
  }

  #bucket(name: LimitName, bitsPerSecond: number): Bucket {
    return this.#fast?.bucket(name, bitsPerSecond) ?? new TokenBucket(name, bitsPerSecond, this.#time.now())
  }
}

/** Limits that several directions share, by who it is. */
class SharedLimits {
  readonly #known = new Map<string, { readonly bucket: Bucket; directions: number }>()
  readonly #make: (bitsPerSecond: number) => Bucket
  readonly #release: (bucket: Bucket) => void

  constructor(make: (bitsPerSecond: number) => Bucket, release: (bucket: Bucket) => void) {
    this.#make = make
    this.#release = release
  }

  /** The latest rate holds for all. */
  share(who: string, bitsPerSecond: number): Bucket {
    const known = this.#known.get(who) ?? { bucket: this.#make(bitsPerSecond), directions: 0 }
    known.bucket.retune(bitsPerSecond)
    known.directions++
    this.#known.set(who, known)
    return known.bucket
  }

  leave(who: string): void {
    const known = this.#known.get(who)
    if (!known || --known.directions > 0) return
    this.#known.delete(who)
    this.#release(known.bucket)
  }
}

/** Whose turns a direction has, and by which limits. */
interface Shaping {
  readonly holder: Asker
  readonly shared: readonly Bucket[]
  readonly limits: RelayLimits
}

interface Side {
  readonly name: SideName
  readonly session: () => Session
  /** Shapes what comes from this side. */
  readonly shaper: Shaper<Buffer>
  /** Limits that it shares with other directions. */
  readonly shared: readonly Bucket[]
  /** Of what was forwarded here. */
  readonly counters: ShaperCounters
  /** What the fast path counted of it, until it carried it no more. */
  before: ShaperCounters
  carried: Carried | undefined
  /** Resolves when the fast path counts nothing any more of what it carried. */
  stopping: Promise<void>
  /** What came from it before the other side did, the latest. */
  readonly held: Buffer[]
  unlatched: number
  unlatchedBytes: number
  /** When something came from its source last. */
  heardMs: number
  port: Exit | undefined
  source: Endpoint | undefined
}

interface Session extends Record<SideName, Side> {
  readonly id: string
  readonly peers: Readonly<Record<SideName, string>>
  readonly holder: Asker
  readonly directions: Readonly<Record<SideName, Direction>>
  readonly armedMs: number
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

/** How many datagrams of a side are held for the other one: what agents send first, and once, fits. */
const HELD = 8

function hold(side: Side, datagram: Buffer): void {
  // A copy, because what is held may wait for long, and must not keep all that came with it.
  side.held.push(Buffer.from(datagram))
  if (side.held.length > HELD) countUnlatched(side, side.held.shift() as Buffer)
}

const placeOf = ({ port, source }: Side): LatchedAt | undefined => port && source && { ...source, door: port.door }

function countUnlatched(side: Side, datagram: Buffer): void {
  side.unlatched++
  side.unlatchedBytes += datagram.length
}

/** When something came from a side last; 0 where nothing has. */
const heardMs = ({ heardMs, carried }: Side): number => Math.max(heardMs, carried?.heardMs ?? 0)

function countersOf({ caller, callee }: Session): SpliceCounters {
  return { caller: countersOfSide(caller), callee: countersOfSide(callee) }
}

function countersOfSide({ counters, before, carried, unlatched, unlatchedBytes }: Side): DirectionCounters {
  const all = addUp(addUp(counters, before), carried?.counters ?? new Counting().counters)
  return directionOf({ ...all, droppedBytes: all.droppedBytes + unlatchedBytes }, unlatched)
}

const directionOf = (counters: ShaperCounters, unlatched = 0): DirectionCounters => ({
  ...counters,
  dropped: { ...counters.dropped, unlatched }
})
