// A connection to one peer, and the streams on it. It outlives its path: where that is lost, or a better one is found, it is
// carried on over another one, and the streams go on from where they stood.
//
//   first path: (assure) hello, hello ──► streams ──► carry(another path): resume, resume ──► streams move ──► the one before is closed
//                                           └─ lost: streams wait, `resumeMs` at most ─┘
//
// Where both sides have to prove first that nobody stands between, nothing of the far side is heard before that.
//
// The side that asked for the connection leads: it says `resume` on the path that is to be used, and the other side follows. Data
// still goes over the path before until a stream has its channel on the other one, so that nothing waits where both work. Who
// looks for paths, and when, is decided elsewhere (../keeper.ts).
//
// `closed` tells everything that is built on the connection that it is over, with the reason. The streams end with it.
//
// This is the same in Node (connection.ts) and in a browser (src/browser/connection.ts): each has streams of its own.

import { idly, type Timer, within } from '../../clock.ts'
import { asPosternError, PosternError } from '../../errors.ts'
import { roughly } from '../../units.ts'
import { SMALLEST_PACKET_BYTES, smallerThan } from '../../wire/packet-size.ts'
import type { Word } from '../../wire/room/words.ts'
import type { Assuring } from '../room/assuring.ts'
import { type Channel, closeAtOnce } from '../transport/transport.ts'
import { Coming } from './coming.ts'
import type { ControlMessage } from './control-message.ts'
import { Emitter } from './emitter.ts'
import { Lane, type Told } from './lane.ts'
import { Offers, refuse } from './offers.ts'
import type {
  ConnectionParts,
  FarPeer,
  GatewayNotice,
  OpenPath,
  PathNews,
  PathReport,
  PathTold,
  Quiet
} from './path.ts'
import { agreedResumeMs, checkResumeMs, MOST_RESUME_MS } from './resume.ts'
import { ResumeKey } from './resume-key.ts'
import type { Flight } from './stall.ts'
import { Budget } from './streams/budget.ts'
import type { StreamCore, StreamParts } from './streams/core.ts'
import { parseProtocol, protocolText, STREAMS, type StreamName } from './streams/stream-message.ts'
import type { Turns } from './streams/turns.ts'

/**
 * Serves a stream that the far side opened. If it returns a promise, that is awaited; any other value is ignored. If it
 * throws, the stream ends and the far side is told the error's message.
 */
export type Serve<Stream> = (stream: Stream) => unknown

/** A stream as a program has it in its hands. */
export interface AnyStream {
  readonly core: StreamCore
}

/** A connection as whoever keeps a path under it sees it, in Node or in a browser. */
export interface AnyConnection
  extends Pick<
    ConnectionCore<AnyStream>,
    | 'session'
    | 'role'
    | 'closed'
    | 'path'
    | 'isAdrift'
    | 'isNarrow'
    | 'isTrying'
    | 'smaller'
    | 'endNarrow'
    | 'peer'
    | 'close'
    | 'carry'
    | 'pathOver'
    | 'leavePath'
    | 'noticed'
  > {
  on(name: 'path', listener: (news: PathNews) => void): unknown
  on(name: 'quiet', listener: () => void): unknown
}

export type TracksMessage = Extract<ControlMessage, { type: 'tracks' | 'took' }>

/** A path as tracks see it. */
export type TrackLane = Pick<Lane, 'say' | 'media' | 'path'>

/** The tracks of a connection, where the runtime carries any (tracks/tracks.ts). */
export interface AnyTracks {
  /** The far side has said which version of tracks it takes; 0 where it takes none. */
  greeted(version: number): void
  /** May be called before `moved`, where the far side has moved there first. */
  heard(lane: TrackLane, message: TracksMessage): void
  /** The connection is on this path from now on. */
  moved(lane: TrackLane): void
  end(reason: PosternError): void
}

/** The version of tracks that this side takes. */
export const TRACKS = 1

/** Makes a stream, of the kind that the runtime has. */
export type MakeStream<Stream extends AnyStream> = (parts: StreamParts) => Stream

type Resume = Extract<ControlMessage, { type: 'resume' }>

export interface OpenOptions {
  /**
   * How long the stream waits for another path when its own is lost, in milliseconds, 10 minutes at most; as long as the connection
   * if left out. With 0 it ends at once.
   */
  readonly resumeMs?: number
}

/** How long the answer to bye is waited for. */
const BYE_MS = 2_000
/**
 * How long `close` waits until the far side has heard the end of streams that are done here. The streams give up before that.
 */
const SETTLE_MS = 65_000
/** Bounds the memory that a peer can fill, beside the windows of the streams. */
const MAX_STREAMS = 128
/**
 * As many streams again are refused with the reason, which takes a while each. Channels beyond these are closed without a
 * word.
 */
const MAX_STREAMS_AND_REFUSALS = 2 * MAX_STREAMS
/** A silent path that cannot be resumed is lost after so long, in milliseconds. */
const LOST_AFTER_MS = 15_000
/** The other side of a path that was just opened proves itself within this time. */
const PROVE_MS = 5_000
/** Where one path works, another one may have to prove itself for so long before the side that leads says so, in milliseconds. */
export const MOST_PROVE_MS = 60_000
/** More paths are not open at once, those that are being closed included. */
const MOST_LANES = 16
/** After a move the far side has opened its streams' channels there within this time, in milliseconds. */
const REOPEN_MS = 15_000
/** The path before is closed so long after the move: what is on its way there is still of use. */
const LEAVE_BEHIND_MS = 1_000
/**
 * Time without a path is counted in ticks and not by the clock: a computer that sleeps is not waiting.
 */
const ADRIFT_TICK_MS = 500

export interface CarryOptions {
  /** How long the path has to prove itself before streams move there, in milliseconds; it has not to if left out. */
  readonly proveMs?: number
}

export interface ConnectionEvents<Track = unknown> {
  /** The far side sends a track. */
  track: [track: Track]
  /** What became of the path. */
  path: [PathNews]
  /** The gateway has told something of the path that it is on, or it is on another one. */
  notice: [GatewayNotice]
  /** An answer is due on the path, and has not come yet. */
  quiet: []
}

export class ConnectionCore<Stream extends AnyStream, Track = unknown> extends Emitter<ConnectionEvents<Track>> {
  readonly peer: FarPeer
  /** The gateway's id of the session that made it. */
  readonly session: string
  /** This side's part in the connect request. */
  readonly role: 'caller' | 'callee'
  /** Aborted with a PosternError (`io`, `path-lost`, or `too-narrow`) when the connection is over, whoever ended it. */
  readonly closed: AbortSignal
  /** Number of messages that were broken or oversized, proved nothing, or claimed of a stream what cannot be. */
  droppedMessages = 0
  /** Read aloud, they are the same at both sides unless somebody stands between who has the link; undefined where it is of no room. */
  words: readonly Word[] | undefined

  readonly #makeStream: MakeStream<Stream>
  readonly #tracks: AnyTracks | undefined
  readonly #over = new AbortController()
  readonly #key: ResumeKey
  readonly #streams = new Map<number, StreamCore>()
  readonly #services = new Map<string, Serve<Stream>>()
  readonly #lanes = new Set<Lane>()
  /** Those on which the far side is known to hold the connection. */
  readonly #proved = new WeakSet<Lane>()
  readonly #shut = Promise.withResolvers<void>()
  readonly #byeHeard = Promise.withResolvers<void>()
  readonly #budgets = { sending: new Budget(MAX_STREAMS_AND_REFUSALS), receiving: new Budget(MAX_STREAMS_AND_REFUSALS) }
  /** That of the far side, on the first path and on each later one. */
  readonly #certificate: string
  /** Holds back all that comes of the far side until it has proved itself; undefined where it need not. */
  readonly #assuring: Assuring | undefined
  #lane: Lane
  #verdict: GatewayNotice['verdict']
  #coming: Coming | undefined
  #resumeMs: number
  readonly #traceKey: string | undefined
  #nextStream: number
  /** What the far side has opened. */
  readonly #offers: Offers
  #lostAtMs: number | undefined
  /** The path that it is on carries small packets alone. */
  #isNarrow = false
  /** The packets to be tried next, in bytes, where a path of this kind turned out to be too narrow. */
  readonly #smaller = new Map<PathReport['kind'], number>()
  #adriftMs = 0
  #adrift: Timer | undefined
  #leaving: Promise<void> | undefined
  #hasSaidBye = false

  /**
   * Takes over the events of the path. Call `serve` in the same turn, because streams may be waiting already.
   */
  constructor(parts: ConnectionParts, makeStream: MakeStream<Stream>, tracks?: AnyTracks) {
    super()
    this.#makeStream = makeStream
    this.#tracks = tracks
    this.peer = parts.peer
    this.session = parts.session
    this.role = parts.role
    this.closed = this.#over.signal
    this.#key = new ResumeKey(parts.role, parts.session)
    this.#resumeMs = Math.min(parts.resumeMs ?? 0, MOST_RESUME_MS)
    this.#traceKey = parts.traceKey
    this.#nextStream = parts.role === 'caller' ? 0 : 1
    this.#offers = new Offers(1 - this.#nextStream)
    this.#lane = this.#watch(parts)
    this.#proved.add(this.#lane)
    this.#certificate = parts.certificates.remote
    this.#assuring = parts.assure?.({
      ...parts,
      closed: this.closed,
      say: said => this.#lane.say({ type: 'assure', said }),
      assured: words => {
        this.words = words
        this.#greet()
      },
      failed: error => this.#end(error, { shutAfterMs: BYE_MS }),
      dropped: () => this.#dropped()
    })
    if (!this.#assuring) this.#greet()
    this.#lane.begin()
  }

  #greet(): void {
    const takes = this.#tracks ? { tracks: TRACKS } : {}
    this.#lane.say({ type: 'hello', streams: STREAMS, nonce: this.#key.nonce, resumeMs: this.#resumeMs, ...takes })
    this.#tracks?.moved(this.#lane)
  }

  /** Calls `act` once the far side has proved itself, and before anything of it is heard: at once where it need not. */
  whenAssured(act: () => void): void {
    if (!this.#assuring?.holds(act)) act()
  }

  /** The path that it is on, or the last one that it was on. */
  get path(): PathReport {
    return this.#lane.path
  }

  /** What the gateway has told of that path, as far as it has. */
  get notice(): GatewayNotice {
    return { ...this.#lane.passes, verdict: this.#verdict }
  }

  /** Whether it waits for a path. */
  get isAdrift(): boolean {
    return this.#lostAtMs !== undefined
  }

  /** Whether the path that it is on was given up because its packets do not pass. */
  get isNarrow(): boolean {
    return this.#isNarrow
  }

  /** The next smaller packets, in bytes, than those of the last path of this kind that was too narrow; 0 where there are none. */
  smaller(kind: PathReport['kind']): number {
    return this.#smaller.get(kind) ?? 0
  }

  /** How long it waits for another path when its own is lost, in milliseconds; 0: it does not. Both sides agree on it. */
  get resumeMs(): number {
    return this.#resumeMs
  }

  /** Serves streams with this label. A stream whose label nobody serves is refused, and the far side is told so. */
  serve(label: string, serve: Serve<Stream>): void {
    this.#services.set(label, serve)
  }

  /**
   * Opens a stream to the service `label` of the peer. Throws `io` when it is refused or the connection is over, `path-lost` when no
   * path was found in time, and `bad-config` for a wrong `resumeMs`.
   */
  async open(label: string, options: OpenOptions = {}): Promise<Stream> {
    const resumeMs = checkResumeMs(options.resumeMs ?? this.#resumeMs)
    this.closed.throwIfAborted()
    const id = this.#nextStream
    this.#nextStream += 2
    const stream = this.#keep({ stream: id, resumeMs }, label)
    this.#reopen(stream.core, this.#lane)
    await stream.core.accepted
    return stream
  }

  /**
   * The round trip over the control channel, in ms; throws `io` when the connection is over before the answer. Where the path is
   * lost meanwhile, it is asked again on the next one.
   */
  async ping(): Promise<number> {
    this.closed.throwIfAborted()
    const answered = Promise.withResolvers<number>()
    const fail = () => answered.reject(this.closed.reason)
    let asked = this.#lane.ping(answered.resolve)
    const again = ({ what }: PathNews) => {
      if (what !== 'moved') return
      asked.forget()
      asked = this.#lane.ping(answered.resolve)
    }
    this.closed.addEventListener('abort', fail, { once: true })
    this.on('path', again)
    return answered.promise.finally(() => {
      asked.forget()
      this.off('path', again)
      this.closed.removeEventListener('abort', fail)
    })
  }

  /**
   * Goes on over this path once both sides have proved on it that they hold the connection. Resolves when it has moved there.
   * Throws `io` when the connection is over, or the path is gone or was not proved in time; the path is closed then.
   */
  carry(path: OpenPath, { proveMs = 0 }: CarryOptions = {}): Promise<void> {
    const refused = this.#whyNot(path)
    if (refused) {
      path.transport.close()
      return Promise.reject(refused)
    }
    const lane = this.#watch(path)
    this.#reject(this.#coming)
    const coming = new Coming(lane)
    this.#coming = coming
    const isCaller = this.role === 'caller'
    const watchMs = this.isAdrift ? 0 : isCaller ? Math.min(proveMs, MOST_PROVE_MS) : MOST_PROVE_MS
    coming.after(watchMs + PROVE_MS, () => this.#reject(coming))
    if (isCaller && watchMs > 0) this.#try(coming, watchMs)
    lane.begin()
    return coming.moved
  }

  /** Whether another path is there, and is being proved. */
  get isTrying(): boolean {
    return this.#coming !== undefined
  }

  /**
   * A peer has one certificate as long as it is joined. So a gateway that stands between on a later path is found out, although it could
   * hand on the proofs of both: it has not the key of the certificate, which was the far side's own on the first path.
   */
  #whyNot({ certificates }: OpenPath): PosternError | undefined {
    if (this.closed.aborted) return this.closed.reason
    if (this.#hasSaidBye) return new PosternError('io', `the connection to peer ${this.peer.name} is being closed`)
    if (!this.#key.isKnown) return new PosternError('io', 'nothing can be resumed')
    if (certificates.remote !== this.#certificate)
      return new PosternError('fingerprint-mismatch', `peer ${this.peer.name} had another certificate before`)
    if (this.#lanes.size < MOST_LANES) return undefined
    return new PosternError('io', `${MOST_LANES} paths to peer ${this.peer.name} are open, or are being closed`)
  }

  /** The side that leads watches the path for a while, before it says that it is to be used. */
  #try(coming: Coming, watchMs: number): void {
    coming.isWatched = true
    coming.watch()
    coming.after(watchMs, () => {
      coming.isWatched = false
      if (coming.isSized) void this.#resume(coming)
    })
  }

  /** Packets of its size pass on a path. The side that leads goes on there, once it has watched it; the other one follows. */
  #passes(coming: Coming): void {
    coming.isSized = true
    if (this.role === 'caller' && !coming.isWatched) void this.#resume(coming)
  }

  /** The path before is lost. */
  #hurry(coming: Coming): void {
    coming.isWatched = false
    if (coming.lane.isAlive && coming.isSized) void this.#resume(coming)
  }

  /** Resolves when the path that this session found is closed, or if it is not there. */
  pathOver(session: string): Promise<void> {
    return [...this.#lanes].find(lane => lane.session === session)?.shut ?? Promise.resolve()
  }

  /** The gateway has told something of the path that this session found. */
  noticed({ session, bitsPerSecond, incomingBitsPerSecond, verdict }: PathTold): void {
    const lane = [...this.#lanes].find(one => one.session === session)
    if (!lane) return
    lane.passes = { bitsPerSecond, incomingBitsPerSecond }
    this.#verdict ??= verdict
    if (lane === this.#lane) this.emit('notice', this.notice)
  }

  /** Gives up a path on which the connection was to go on. */
  leavePath(session: string): void {
    const lane = [...this.#lanes].find(one => one.session === session)
    if (lane && lane === this.#coming?.lane) this.#reject(this.#coming)
    else if (lane && lane !== this.#lane) lane.close()
  }

  /**
   * Ends the connection in order and resolves when the transport is closed. It may be called at any time, and more than once.
   */
  close(): Promise<void> {
    this.#leaving ??= this.#leave()
    return this.#leaving
  }

  async #leave(): Promise<void> {
    if (!this.closed.aborted) {
      await within(SETTLE_MS, this.#finishing(), this.closed)
      if (!this.isAdrift) {
        this.#hasSaidBye = true
        this.#reject(this.#coming)
        this.#lane.say({ type: 'bye' })
        await within(BYE_MS, this.#byeHeard.promise, this.closed)
      }
      this.#end(`the connection to peer ${this.peer.name} was closed`)
    }
    await this.#shut.promise
  }

  /** What was written is waited for. That a stream was broken off is not, where there is no path to say it on. */
  async #finishing(): Promise<void> {
    // Where there is no path, an abort is not waited for: the far side sees on the next one, or after a while, that it is over.
    const streams = [...this.#streams.values()]
    const written = streams.filter(({ isEnding, isDestroyed }) => isEnding && !isDestroyed)
    const over = streams.filter(stream => stream.isDestroyed && !(this.isAdrift && stream.isAborted))
    await Promise.all([...written.map(({ flushed }) => flushed), ...over.map(({ settled }) => settled)])
  }

  /** Ends it, since no path carries more than small packets. The far side is told by one. */
  endNarrow(): void {
    this.#lane.say({ type: 'narrow' })
    this.#end(this.#nothingFits, { shutAfterMs: BYE_MS })
  }

  get #nothingFits(): PosternError {
    const least = Math.min(SMALLEST_PACKET_BYTES, this.path.mtu)
    return new PosternError(
      'too-narrow',
      `packets of ${least} bytes do not pass between this peer and ${this.peer.name}, nor larger ones; give both peers a smaller mtu`
    )
  }

  #end(why: string | PosternError, { shutAfterMs = 0 } = {}): void {
    if (this.closed.aborted) return
    const reason = typeof why === 'string' ? new PosternError('io', why) : why
    clearInterval(this.#adrift)
    this.#reject(this.#coming)
    this.#over.abort(reason)
    for (const stream of [...this.#streams.values()]) stream.lose(reason)
    const lanes = [...this.#lanes]
    for (const lane of lanes) lane.close(shutAfterMs)
    void Promise.all(lanes.map(({ shut }) => shut)).then(() => this.#shut.resolve())
    this.#tracks?.end(reason)
  }

  #watch(path: OpenPath): Lane {
    const lane: Lane = new Lane(path, {
      hears: message => this.#hears(lane, message),
      offered: channel => this.#offered(lane, channel),
      silent: () => this.#silent(lane),
      quiet: () => lane === this.#lane && this.emit('quiet'),
      heard: () => lane === this.#lane && this.#back(),
      gone: () => this.#gone(lane),
      sized: (fits, isFirst) => this.#sized(lane, fits, isFirst),
      flight: () => (lane === this.#lane && !this.isAdrift ? this.#flight() : { flyingBytes: 0, arrivedBytes: 0 }),
      dropped: () => this.#dropped()
    })
    this.#lanes.add(lane)
    void lane.shut.then(() => this.#lanes.delete(lane))
    return lane
  }

  #dropped(): void {
    this.droppedMessages += 1
  }

  #hears(lane: Lane, message: Told): void {
    if (message.type !== 'assure' && this.#assuring?.holds(() => this.#hears(lane, message))) return
    switch (message.type) {
      case 'hello':
        return this.#greeted(message)
      case 'assure':
        return this.#assuring ? this.#assuring.hears(message.said) : this.#dropped()
      case 'resume':
        return void this.#resumed(lane, message)
      case 'tracks':
      case 'took':
        return this.#tracks ? this.#tracks.heard(lane, message) : this.#dropped()
      case 'narrow':
        return this.#toldNarrow(lane)
      case 'bye':
        return this.#farewell(lane)
    }
  }

  /** Said once, on the first path; another path is only heard once this is known. */
  #greeted({ streams, nonce, resumeMs, tracks = 0 }: Extract<ControlMessage, { type: 'hello' }>): void {
    if (this.#key.isKnown) return this.#dropped()
    if (streams !== STREAMS)
      return this.#end(`peer ${this.peer.name} speaks version ${streams} of streams, and this one ${STREAMS}`)
    this.#key.agree(nonce)
    this.#resumeMs = agreedResumeMs(this.#resumeMs, resumeMs)
    this.#tracks?.greeted(tracks)
  }

  /** It may still come on the path before: the side that leads moves a moment later. */
  #farewell(lane: Lane): void {
    if (!this.#proved.has(lane)) return this.#dropped()
    this.#byeHeard.resolve()
    if (this.#hasSaidBye) return
    lane.say({ type: 'bye' })
    this.#end(`peer ${this.peer.name} closed the connection`, { shutAfterMs: BYE_MS })
  }

  // Streams.

  #keep({ stream: id, resumeMs }: StreamName, label: string): Stream {
    const stream = this.#makeStream({
      ...{ id, label, resumeMs: Math.min(resumeMs, MOST_RESUME_MS) },
      peer: this.peer.name,
      budgets: this.#budgets,
      onAdrift: newest => this.#abandoned(stream.core, newest),
      onLie: () => this.#dropped()
    })
    this.#streams.set(id, stream.core)
    stream.core.settled.then(() => this.#streams.delete(id))
    return stream
  }

  /** The far side has closed the stream's channel, or has not opened one on the path that the connection moved to. */
  #abandoned(stream: StreamCore, newest: Turns): void {
    const { turns } = this.#lane
    if (this.isAdrift || this.closed.aborted) return
    if (newest === turns) return stream.lose(this.#closedThere(stream))
    const late = () => stream.isAdrift && !this.isAdrift && turns === this.#lane.turns
    const timer = idly(setTimeout(() => late() && stream.lose(this.#closedThere(stream)), REOPEN_MS))
    void stream.settled.then(() => clearTimeout(timer))
  }

  #closedThere({ label }: StreamCore): PosternError {
    return new PosternError('io', `peer ${this.peer.name} closed the stream "${label}"`)
  }

  #reopen(stream: StreamCore, lane: Lane): void {
    try {
      const { label, id, resumeMs } = stream
      stream.attach(lane.open(label, protocolText({ stream: id, resumeMs })), lane.turns, false)
    } catch {
      // The path is gone, and says so in a moment. The stream waits for the next one.
    }
  }

  #offered(lane: Lane, channel: Channel): void {
    if (this.#assuring?.holds(() => this.#offered(lane, channel), channel)) return
    if (this.#coming?.lane === lane) return this.#coming.hold(channel)
    if (!this.#proved.has(lane)) return closeAtOnce(channel)
    const name = parseProtocol(channel.getProtocol())
    const known = name && this.#streams.get(name.stream)
    if (!name || name.stream % 2 === this.#nextStream % 2 || this.closed.aborted) return closeAtOnce(channel)
    if (known && !known.isSettled) return known.attach(channel, lane.turns, true)
    if (!this.#offers.isNew(name.stream)) return refuse(channel, 'it is over')
    if (this.#streams.size >= MAX_STREAMS_AND_REFUSALS) return closeAtOnce(channel)
    this.#offers.take(name.stream)
    this.#serve(this.#keep(name, channel.getLabel()), channel, lane)
  }

  #serve(stream: Stream, channel: Channel, lane: Lane): void {
    const { core } = stream
    const { label } = core
    const serve = this.#services.get(label)
    const full = this.#streams.size > MAX_STREAMS
    if (serve && !full) {
      core.attach(channel, lane.turns, true)
      return void this.#begin(serve, stream)
    }
    core.destroy(
      new PosternError('io', full ? 'it has too many streams open' : `it does not serve "${label.slice(0, 60)}"`)
    )
    core.attach(channel, lane.turns, true)
  }

  async #begin(serve: Serve<Stream>, stream: Stream): Promise<void> {
    try {
      await serve(stream)
    } catch (error) {
      stream.core.destroy(asPosternError(error))
    }
  }

  // Paths.

  /** Proves on a path that this side holds the connection, and says what it holds of it. */
  #resume(coming: Coming): Promise<void> {
    coming.saying ??= this.#sayResume(coming)
    return coming.saying
  }

  async #sayResume(coming: Coming): Promise<void> {
    const { lane } = coming
    const mac = await this.#key.proof(lane.session)
    if (this.#coming !== coming) return
    const held = [...this.#streams.keys()]
    lane.say({ type: 'resume', mac, next: this.#nextStream, offered: this.#offers.below, held })
  }

  /** Between what is heard and the move the streams are where they were: channels that are offered meanwhile wait. */
  async #resumed(lane: Lane, message: Resume): Promise<void> {
    const coming = this.#coming
    if (coming?.lane !== lane || coming.isHeard) return this.#dropped()
    coming.isHeard = true
    if (!(await this.#key.proves(message.mac, lane.session))) {
      this.#dropped()
      return this.#reject(coming)
    }
    await this.#resume(coming)
    // What was said may have shown that the path is gone.
    if (this.#coming === coming) this.#move(coming, message)
  }

  #move(coming: Coming, message: Resume): void {
    const before = this.#lane
    const { lane } = coming
    const ms = this.#lostAtMs === undefined ? 0 : performance.now() - this.#lostAtMs
    const { flyingBytes: resentBytes } = this.#flight()
    this.#lane = lane
    this.#proved.add(lane)
    this.#coming = undefined
    this.#isNarrow = false
    this.#found()
    this.#forget(message)
    this.#tracks?.moved(lane)
    for (const stream of this.#streams.values())
      if (this.#isOwn(stream) && !stream.isSettled) this.#reopen(stream, lane)
    for (const channel of coming.succeed()) this.#offered(lane, channel)
    for (const older of this.#lanes) if (older !== lane && older !== before) older.close()
    const { quietMs } = before.silence
    before.close(before.isAlive ? LEAVE_BEHIND_MS : 0)
    this.emit('path', { what: 'moved', path: lane.path, before: before.path, ms, quietMs, resentBytes })
    this.emit('notice', this.notice)
  }

  /**
   * Streams that the far side does not hold any more are over. One of ours that it had not heard of when it said so is opened
   * again.
   */
  #forget({ next, offered, held }: Resume): void {
    const isHeld = new Set(held)
    for (const [id, stream] of this.#streams) {
      const wasThere = this.#isOwn(stream) ? stream.isAccepted && id < offered : id < next
      if (wasThere && !isHeld.has(id)) stream.lose(this.#closedThere(stream))
    }
  }

  #isOwn({ id }: StreamCore): boolean {
    return id % 2 === this.#nextStream % 2
  }

  #flight(): Flight {
    const streams = [...this.#streams.values()]
    return {
      flyingBytes: streams.reduce((sum, { flyingBytes }) => sum + flyingBytes, 0),
      arrivedBytes: streams.reduce((sum, { arrivedBytes }) => sum + arrivedBytes, 0)
    }
  }

  /**
   * The side that called judges the first path: it knows one direction from answers, and the other from what it hears. Both judge
   * another path in the same way, since the one that finds it too narrow may not be able to say so. Later each judges what it sends.
   */
  #sized(lane: Lane, fits: boolean, isFirst: boolean): void {
    const isCaller = this.role === 'caller'
    const coming = this.#coming?.lane === lane ? this.#coming : undefined
    if (coming) return fits ? this.#passes(coming) : this.#leaveNarrow(coming)
    if (lane !== this.#lane || (isFirst && !isCaller)) return
    if (fits) return void (isFirst && this.emit('path', { what: 'proved', path: lane.path }))
    this.#smaller.set(lane.path.kind, smallerThan(lane.path.mtu))
    this.#isNarrow = true
    this.#lost(tooLarge(lane.path), { quietMs: 0, askedMs: 0 })
  }

  /** The connection does not go on there. */
  #leaveNarrow(coming: Coming): void {
    const { path } = coming.lane
    this.#smaller.set(path.kind, smallerThan(path.mtu))
    this.#coming = undefined
    const error = new PosternError('too-narrow', `${tooLarge(path)} on a path to peer ${this.peer.name}`)
    coming.fail(error, LEAVE_BEHIND_MS)
    if (this.role === 'caller') this.emit('path', { what: 'narrow', path, reason: tooLarge(path) })
  }

  #toldNarrow(lane: Lane): void {
    if (lane === this.#lane) this.#end(this.#nothingFits)
  }

  #reject(coming: Coming | undefined): void {
    if (!coming) return
    if (this.#coming === coming) this.#coming = undefined
    coming.fail(new PosternError('io', `peer ${this.peer.name} did not go on with the connection there`))
  }

  #silent(lane: Lane): void {
    if (lane === this.#lane) this.#lost('nothing was heard', lane.silence)
    else if (lane === this.#coming?.lane) this.#reject(this.#coming)
  }

  #gone(lane: Lane): void {
    if (this.#coming?.lane === lane) this.#reject(this.#coming)
    else lane.close()
    if (lane === this.#lane) this.#lost('it was closed', { quietMs: 0, askedMs: 0 })
  }

  get #mayResume(): boolean {
    return this.#key.isKnown && this.#resumeMs > 0
  }

  /** The streams wait from now on, and the connection with them. */
  #lost(reason: string, quiet: Quiet): void {
    if (this.closed.aborted) return
    // Both may leave at once, and the goodbye of the quicker one be lost with its path.
    if (this.#hasSaidBye) return this.#byeHeard.resolve()
    if (!this.#mayResume && this.#lane.isGone) return this.#end(this.#unresumed(0))
    if (this.isAdrift) return
    this.#lostAtMs = performance.now() - quiet.quietMs
    this.#adriftMs = quiet.quietMs
    this.#adrift = setInterval(() => this.#wait(), ADRIFT_TICK_MS)
    // What had to prove itself for longer is better than nothing. Either side may say so.
    if (this.#coming) this.#hurry(this.#coming)
    this.emit('path', { what: 'lost', path: this.path, reason, ...quiet, isNarrow: this.#isNarrow })
  }

  #wait(): void {
    this.#adriftMs += ADRIFT_TICK_MS
    if (!this.#mayResume) {
      if (this.#adriftMs >= LOST_AFTER_MS) this.#end(this.#unresumed(0))
      return
    }
    const late = [...this.#streams.values()].filter(({ resumeMs }) => this.#adriftMs >= resumeMs)
    for (const stream of late) stream.lose(this.#unresumed(stream.resumeMs))
    const waiting = Math.max(this.#resumeMs, ...[...this.#streams.values()].map(({ resumeMs }) => resumeMs))
    if (this.#adriftMs >= waiting) this.#end(this.#unresumed(waiting))
  }

  /** @param afterMs for how long another path was waited for; 0 where none was */
  #unresumed(afterMs: number): PosternError {
    const waited = afterMs === 0 ? 'no other was waited for' : `no other was found within ${roughly(afterMs)}`
    const message = `the path to peer ${this.peer.name} was lost, and ${waited}`
    return new PosternError('path-lost', message, { trace: this.path.trace, traceKey: this.#traceKey })
  }

  /** The path is heard again. */
  #back(): void {
    if (this.#lostAtMs === undefined || this.#isNarrow) return
    const ms = performance.now() - this.#lostAtMs
    this.#found()
    this.emit('path', { what: 'back', path: this.path, ms })
  }

  #found(): void {
    clearInterval(this.#adrift)
    this.#lostAtMs = undefined
  }
}

const tooLarge = ({ mtu, kind }: PathReport): string =>
  `packets of ${mtu} bytes do not pass ${kind === 'relay' ? 'through the relay' : 'directly'}`
