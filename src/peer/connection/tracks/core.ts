// The tracks of a connection, in Node and in a browser. A path carries one of audio and one of video in each direction.
//
//   addTrack ─► described here ─► tracks { number, tracks } ─► described there, `track` ─► took { number } ─► packets
//
// On another path both sides say it again, once the connection has moved there. Packets go over the path before until the far side
// has taken it; they come on either, and nobody waits. What a track is made of is another thing in Node (tracks.ts) than in a browser
// (src/browser/tracks.ts).

import { PosternError } from '../../../errors.ts'
import type { CodecName, Media, Source, TrackKind } from '../../transport/media.ts'
import type { TrackLine } from '../control-message.ts'
import type { AnyTracks, TrackLane, TracksMessage } from '../core.ts'

export interface AnyTrack {
  readonly id: number
  readonly kind: TrackKind
  readonly codec: CodecName
}

export const thereAlready = (kind: TrackKind): PosternError =>
  new PosternError('bad-config', `a track of ${kind} is there already, and a connection has one each way`)

/** How often a side may change its tracks on one path: each change writes descriptions anew. */
const MOST_CHANGES = 256

export abstract class TracksCore<Own extends AnyTrack, Their extends AnyTrack, Path extends Media>
  implements AnyTracks
{
  readonly #peer: string
  readonly #dropped: () => void
  readonly #ours = new Map<TrackKind, Own>()
  readonly #theirs = new Map<TrackKind, Their>()
  readonly #greeting = Promise.withResolvers<void>()
  /** Who waits until the far side has taken what was said last. */
  #untaken: PromiseWithResolvers<void>[] = []
  /** What was said on a path to which this side has not moved yet. */
  readonly #early = new WeakMap<TrackLane, TracksMessage>()
  #lane: TrackLane | undefined
  /** The path on which the far side has taken our tracks. */
  #sending: TrackLane | undefined
  /** What the far side has said on the path of now, and how often. */
  #said: readonly TrackLine[] = []
  #changes = 0
  #told = 0
  #number = 0
  #nextId = 0
  #over: PosternError | undefined
  #describing: Promise<unknown> = Promise.resolve()

  /** @param dropped called where a message claimed what cannot be */
  constructor(peer: string, dropped: () => void) {
    this.#peer = peer
    this.#dropped = dropped
    this.#greeting.promise.catch(() => {})
  }

  /** The far side sends this from now on. */
  protected abstract come(line: TrackLine): Their
  /** It sends it no more. */
  protected abstract gone(track: Their): void
  /** Both descriptions of a path are written anew, with what the far side sends. */
  protected abstract describe(media: Path, theirs: readonly Source[]): void | Promise<void>
  /** The source of a track on a path that was described; undefined where it has none there. */
  protected abstract ssrcOf(track: Own, media: Path): number | undefined
  /** The connection is on a path with this media. */
  protected abstract listen(media: Path): void
  /** The far side has taken our tracks there; on the path before nothing is to be sent any more. */
  protected abstract taken(media: Path, before: Path | undefined): void

  /** What the far side sends now. */
  get theirs(): readonly Their[] {
    return [...this.#theirs.values()]
  }

  get ours(): readonly Own[] {
    return [...this.#ours.values()]
  }

  /** Where packets of ours go; undefined where the far side has taken none. */
  protected get sending(): Path | undefined {
    return this.#sending?.media as Path | undefined
  }

  /** The size of packets there, or where they would go, in bytes. */
  protected get mtu(): number {
    return (this.#sending ?? this.#lane)?.path.mtu ?? 0
  }

  /** The far side's source of a kind, as it was told on the path of now. */
  protected theirSsrc(kind: TrackKind): number | undefined {
    return this.#said.find(line => line.kind === kind)?.ssrc
  }

  /** Our next track's. */
  protected nextId(): number {
    return this.#nextId++
  }

  /**
   * Resolves when the far side knows of the track. Throws `bad-config` where there is one of its kind already, `unsupported` where the
   * far side takes no tracks, `io` where they changed too often, and why the connection ended.
   */
  protected async put(track: Own): Promise<void> {
    const { kind } = track
    if (this.#ours.has(kind)) throw thereAlready(kind)
    if (this.#over) throw this.#over
    this.#ours.set(kind, track)
    try {
      await this.#greeting.promise
      await this.#tell()
    } catch (error) {
      if (this.#ours.get(kind) === track) this.#ours.delete(kind)
      throw error
    }
  }

  protected remove(track: Own): void {
    if (this.#ours.get(track.kind) !== track) return
    this.#ours.delete(track.kind)
    if (this.#number > 0) this.#tell().catch(() => {})
  }

  greeted(version: number): void {
    if (version > 0) return this.#greeting.resolve()
    this.#greeting.reject(new PosternError('unsupported', `peer ${this.#peer} has a postern that takes no tracks`))
  }

  moved(lane: TrackLane): void {
    this.#lane = lane
    this.#said = []
    this.#changes = 0
    this.#told = 0
    if (lane.media) this.listen(lane.media as Path)
    if (this.#number > 0) this.#tell().catch(() => {})
    const early = this.#early.get(lane)
    if (early) this.heard(lane, early)
  }

  heard(lane: TrackLane, message: TracksMessage): void {
    if (message.type === 'took') return this.#took(lane, message.number)
    if (lane !== this.#lane) return void this.#early.set(lane, message)
    if (!lane.media || ++this.#changes > MOST_CHANGES) return this.#dropped()
    this.#said = message.tracks
    void this.#describe(lane).then(() => {
      if (lane !== this.#lane || this.#over) return
      if (this.#said === message.tracks) this.#offer(message.tracks)
      lane.say({ type: 'took', number: message.number })
    })
  }

  end(reason: PosternError): void {
    this.#over = reason
    this.#greeting.reject(reason)
    for (const { reject } of this.#untaken.splice(0)) reject(reason)
    this.#sending = undefined
    this.#offer([])
  }

  /** Resolves when the far side has taken what is sent from now on; on whichever path that is. */
  async #tell(): Promise<void> {
    if (this.#over) throw this.#over
    if (++this.#told > MOST_CHANGES)
      throw new PosternError('io', `tracks change ${MOST_CHANGES} times on a path at most`)
    const taken = Promise.withResolvers<void>()
    this.#untaken.push(taken)
    void this.#say(++this.#number)
    return taken.promise
  }

  /** What is said later says all of it. */
  async #say(number: number): Promise<void> {
    const lane = this.#lane
    await this.#describe(lane)
    if (lane !== this.#lane || number !== this.#number || this.#over || !lane?.media) return
    const media = lane.media as Path
    const tracks = this.ours.flatMap(track => {
      const { id, kind, codec } = track
      const ssrc = this.ssrcOf(track, media)
      return ssrc === undefined ? [] : [{ id, kind, codec, ssrc }]
    })
    lane.say({ type: 'tracks', number, tracks })
  }

  /** An answer on the path of now to the last message says that all is known that was told before. */
  #took(lane: TrackLane, number: number): void {
    if (lane !== this.#lane || number !== this.#number) return
    const before = this.#sending === lane ? undefined : this.sending
    this.#sending = lane
    this.taken(lane.media as Path, before)
    for (const { resolve } of this.#untaken.splice(0)) resolve()
  }

  /** One description after the other. A path that is gone cannot be described: on the next one all is said again. */
  #describe(lane: TrackLane | undefined): Promise<unknown> {
    this.#describing = this.#describing
      .then(() => (lane?.media && lane === this.#lane ? this.describe(lane.media as Path, this.#said) : undefined))
      .catch(() => {})
    return this.#describing
  }

  #offer(lines: readonly TrackLine[]): void {
    for (const [kind, track] of this.#theirs) {
      if (lines.some(({ id }) => id === track.id)) continue
      this.#theirs.delete(kind)
      this.gone(track)
    }
    for (const line of lines) if (!this.#theirs.has(line.kind)) this.#theirs.set(line.kind, this.come(line))
  }
}
