// What a Node program has of a connection: an EventEmitter whose streams are Duplexes. What happens below is in core.ts.

import { EventEmitter } from 'node:events'
import type { Word } from '../../wire/room/words.ts'
import {
  type CarryOptions,
  ConnectionCore,
  type ConnectionEvents as CoreEvents,
  type OpenOptions,
  type Serve as ServeOf
} from './core.ts'
import type { ConnectionParts, FarPeer, GatewayNotice, OpenPath, PathReport, PathTold } from './path.ts'
import type { StreamParts } from './streams/core.ts'
import { Stream } from './streams/stream.ts'
import type { IncomingTrack, OutgoingTrack } from './tracks/track.ts'
import { type TrackOptions, Tracks } from './tracks/tracks.ts'

export type { OpenOptions } from './core.ts'
export type { ConnectionParts, FarPeer, GatewayNotice, OpenPath, PathNews, PathReport } from './path.ts'

/** Packets of a track are dropped as long as nobody listens to it. */
export type ConnectionEvents = CoreEvents<IncomingTrack>

/**
 * Serves a stream that the far side opened. If it returns a promise, that is awaited; any other value is ignored. If it
 * throws, the stream ends and the far side is told the error's message.
 */
export type Serve = ServeOf<Stream>

function makeStream(parts: StreamParts): Stream {
  const stream = new Stream(parts)
  // Whoever does not listen is told when it is used.
  stream.on('error', () => {})
  return stream
}

export class Connection extends EventEmitter<ConnectionEvents> {
  readonly #core: ConnectionCore<Stream>
  readonly #tracks: Tracks
  #droppedTracks = 0

  /**
   * Takes over the events of the path. Call `serve` in the same turn, because streams may be waiting already.
   */
  constructor(parts: ConnectionParts) {
    super()
    // Each stream may have somebody who follows the path.
    this.setMaxListeners(0)
    this.#tracks = new Tracks(parts.peer.name, {
      offered: track => this.emit('track', track),
      dropped: () => this.#droppedTracks++
    })
    this.#core = new ConnectionCore(parts, makeStream, this.#tracks)
    this.#core.on('path', news => this.emit('path', news))
    this.#core.on('notice', notice => this.emit('notice', notice))
    this.#core.on('quiet', () => this.emit('quiet'))
  }

  get peer(): FarPeer {
    return this.#core.peer
  }

  /** The gateway's id of the session that made it. */
  get session(): string {
    return this.#core.session
  }

  /** This side's part in the connect request. */
  get role(): 'caller' | 'callee' {
    return this.#core.role
  }

  /** Aborted with a PosternError (`io`, `path-lost`, or `too-narrow`) when the connection is over, whoever ended it. */
  get closed(): AbortSignal {
    return this.#core.closed
  }

  /** Number of messages that were broken or oversized, proved nothing, or claimed of a stream what cannot be. */
  get droppedMessages(): number {
    return this.#core.droppedMessages + this.#droppedTracks
  }

  /**
   * Four words to be read aloud between two guests of a room: they are the same at both sides unless somebody stands between who has the
   * room's link. Undefined where the connection is not of a room.
   */
  get words(): readonly Word[] | undefined {
    return this.#core.words
  }

  /** The path that it is on, or the last one that it was on. */
  get path(): PathReport {
    return this.#core.path
  }

  /** What the gateway has told of that path, as far as it has. */
  get notice(): GatewayNotice {
    return this.#core.notice
  }

  /** Whether it waits for a path. */
  get isAdrift(): boolean {
    return this.#core.isAdrift
  }

  /** Whether the path that it is on was given up because its packets do not pass. */
  get isNarrow(): boolean {
    return this.#core.isNarrow
  }

  /** Whether another path is there, and is being proved. */
  get isTrying(): boolean {
    return this.#core.isTrying
  }

  /** How long it waits for another path when its own is lost, in milliseconds; 0: it does not. Both sides agree on it. */
  get resumeMs(): number {
    return this.#core.resumeMs
  }

  /** Serves streams with this label. A stream whose label nobody serves is refused, and the far side is told so. */
  serve(label: string, serve: Serve): void {
    this.#core.serve(label, serve)
  }

  /**
   * Opens a stream to the service `label` of the peer. Throws `io` when it is refused or the connection is over, `path-lost` when no
   * path was found in time, and `bad-config` for a wrong `resumeMs`.
   */
  open(label: string, options?: OpenOptions): Promise<Stream> {
    return this.#core.open(label, options)
  }

  /**
   * Sends a track, one of each kind: RTP packets are written to it. Resolves when the far side knows of it. Throws `bad-config` where
   * the kind has no such codec or a track already, `unsupported` where the far side takes none, and why the connection ended.
   */
  addTrack(options: TrackOptions): Promise<OutgoingTrack> {
    return this.#tracks.add(options)
  }

  /** The tracks that the far side sends now. */
  get tracks(): readonly IncomingTrack[] {
    return this.#tracks.theirs
  }

  /**
   * The round trip over the control channel, in ms; throws `io` when the connection is over before the answer. Where the path is
   * lost meanwhile, it is asked again on the next one.
   */
  ping(): Promise<number> {
    return this.#core.ping()
  }

  /**
   * Ends the connection in order and resolves when the transport is closed. It may be called at any time, and more than once.
   */
  close(): Promise<void> {
    return this.#core.close()
  }

  /** Calls `act` once the far side has proved itself, and before anything of it is heard: at once where it need not. */
  whenAssured(act: () => void): void {
    this.#core.whenAssured(act)
  }

  // For who keeps a path under it (../keeper.ts).

  smaller(kind: PathReport['kind']): number {
    return this.#core.smaller(kind)
  }

  carry(path: OpenPath, options?: CarryOptions): Promise<void> {
    return this.#core.carry(path, options)
  }

  pathOver(session: string): Promise<void> {
    return this.#core.pathOver(session)
  }

  noticed(told: PathTold): void {
    this.#core.noticed(told)
  }

  leavePath(session: string): void {
    this.#core.leavePath(session)
  }

  endNarrow(): void {
    this.#core.endNarrow()
  }
}
