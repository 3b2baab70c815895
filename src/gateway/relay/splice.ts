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

import { PosternError } from '../../errors.ts'
import type { RelayLimits } from '../../strategy/plan.ts'
import type { DoorKind } from '../../wire/doors/door.ts'
import { type Endpoint, sameEndpoint } from '../../wire/endpoint.ts'
import { otherSide, type SideName, sideNames } from '../../wire/side.ts'
import { type Full, later } from '../peers/full.ts'
import { type Asker, Shares } from '../shares/shares.ts'
import type { Port } from '../udp/listen.ts'
import { type DirectionCounters, nothing, type SpliceCounters, sum } from './counters.ts'
import { Shaper, TokenBucket } from './limit.ts'
import { type Direction, Parts } from './parts.ts'
import { Scheduler, systemTime, type Time } from './scheduler.ts'

/** What the splice needs of a port: a way out. */
export type Exit = Pick<Port, 'send' | 'door' | 'isCut' | 'latched' | 'released'>

/** Where a side is latched, and through which door. */
export interface LatchedAt extends Endpoint {
  readonly door: DoorKind
}

/** What passes of what each side sends, in bits of UDP payload per second. */
export type Passing = Readonly<Record<SideName, number>>

/** Where sides are latched; a side that is not latched is left out. */
export type Latched = Partial<Readonly<Record<SideName, LatchedAt>>>

export interface SpliceOptions {
  maxSessions: number
  queueMs?: number
  /** Armed sessions without a datagram from either side are disarmed after this time. */
  idleMs?: number
  onIdle?: (session: string, counters: SpliceCounters) => void
  /** A side that was latched comes from another source now. */
  onRelatch?: (session: string, side: SideName, source: LatchedAt) => void
  time?: Time
}

export class SpliceTable {
  readonly #maxSessions: number
  readonly #places: Shares
  readonly #queueMs: number
  readonly #idleMs: number
  readonly #onIdle: (session: string, counters: SpliceCounters) => void
  readonly #onRelatch: (session: string, side: SideName, source: LatchedAt) => void
  readonly #time: Time
  readonly #scheduler: Scheduler
  readonly #sessions = new Map<string, Session>()
  readonly #sources = new Sources()
  readonly #peers = new Map<string, { bucket: TokenBucket; sessions: number }>()
  readonly #parts = new Parts()
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
    const direction = (which: SideName) => ({ peer: peers[which], holder, bitsPerSecond: limits.perSession })
    const armed: Session = {
      id: session,
      peers,
      holder,
      directions: { caller: direction('caller'), callee: direction('callee') },
      caller: side('caller'),
      callee: side('callee'),
      heardMs: this.#time.now(),
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
    return side?.source && !side.port?.isCut ? this.#time.now() - side.heardMs : undefined
  }

  /** A side has to prove itself anew; nothing comes from it or goes to it until then. */
  unlatch(session: string, which: SideName): void {
    const side = this.#sessions.get(session)?.[which]
    if (side) this.#unlatch(side, 'replaced')
  }

  #hears(side: Side): void {
    side.heardMs = this.#time.now()
    side.session().heardMs = side.heardMs
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
    return {
      name: side,
      session,
      shaper,
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
    for (const datagram of side.held.splice(0)) countUnlatched(side, datagram)
    port?.released?.(why)
  }

  /** Sends what was held of a side, now that the other one has come. */
  #flush(side: Side): void {
    if (side.session()[otherSide(side.name)].source)
      for (const datagram of side.held.splice(0)) side.shaper.offer(datagram)
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

function countersOf({ caller, callee }: Session): SpliceCounters {
  return { caller: directionOf(caller), callee: directionOf(callee) }
}

function directionOf({ shaper, unlatched, unlatchedBytes }: Side): DirectionCounters {
  const { dropped, droppedBytes, ...sent } = shaper.counters
  return { ...sent, droppedBytes: droppedBytes + unlatchedBytes, dropped: { ...dropped, unlatched } }
}
