// The tracks of a connection, in a browser: what a camera, a microphone or a canvas gives, and what a video element plays.

import { PosternError } from '../errors.ts'
import type { TrackLine } from '../peer/connection/control-message.ts'
import { Emitter } from '../peer/connection/emitter.ts'
import { TracksCore } from '../peer/connection/tracks/core.ts'
import { type CodecName, codecs, type Source, type TrackKind } from '../peer/transport/media.ts'
import type { Encoding, PageMedia } from './media.ts'

/** What the page sends. It ends with the browser's track, with the connection, or when the page ends it. */
export interface OutgoingTrack {
  readonly id: number
  readonly kind: TrackKind
  readonly codec: CodecName
  readonly track: MediaStreamTrack | null
  /**
   * Sends another track of the browser in its place, of the same kind, or nothing: the far side is told of neither. The one before goes on.
   */
  replace(track: MediaStreamTrack | null): void
  /** Encodes it like this from now on, also on later paths. What is left out stays as it was. */
  tune(encoding?: Encoding): void
  /** The far side is told. The browser's track goes on. */
  end(): void
}

interface Own extends OutgoingTrack {
  track: MediaStreamTrack | null
  readonly encoding: Encoding
}

export interface IncomingTrackEvents {
  /** The far side has ended it, or the connection is over. */
  end: []
}

/** What the far side sends. */
export class IncomingTrack extends Emitter<IncomingTrackEvents> {
  readonly id: number
  readonly kind: TrackKind
  readonly codec: CodecName
  /** For an element that plays it; one for all tracks of the connection. On another path the track in it is another one. */
  readonly stream: MediaStream

  constructor({ id, codec }: TrackLine, stream: MediaStream) {
    super()
    this.id = id
    this.kind = codecs[codec].kind
    this.codec = codec
    this.stream = stream
  }
}

export class PageTracks extends TracksCore<Own, IncomingTrack, PageMedia> {
  readonly #offered: (track: IncomingTrack) => void
  readonly #stream = new MediaStream()
  #media: PageMedia | undefined

  constructor(peer: string, hooks: { offered: (track: IncomingTrack) => void; dropped: () => void }) {
    super(peer, hooks.dropped)
    this.#offered = hooks.offered
  }

  /** Of the path of now. */
  stats(): Promise<RTCStatsReport> | undefined {
    return this.#media?.pc.getStats()
  }

  /** As `put`, and throws `bad-config` for what is no track of a browser. Audio is sent as Opus, video as VP8. */
  async add(track: MediaStreamTrack, encoding?: Encoding): Promise<OutgoingTrack> {
    const kind = track.kind === 'audio' ? 'audio' : 'video'
    const end = ({ target }: Event) => target === own.track && own.end()
    const own: Own = {
      ...{ id: this.nextId(), kind, codec: kind === 'audio' ? 'opus' : 'vp8', track, encoding: { ...encoding } },
      replace: track => {
        if (track && !(track instanceof MediaStreamTrack && track.kind === kind))
          throw new PosternError('bad-config', `expected a MediaStreamTrack of ${kind}`)
        track?.addEventListener('ended', end)
        own.track = track
        own.tune()
      },
      tune: encoding => {
        Object.assign(own.encoding, encoding)
        if (this.ours.includes(own)) this.sending?.send(own)
      },
      end: () => this.#end(own)
    }
    own.replace(track)
    await this.put(own)
    return own
  }

  protected come(line: TrackLine): IncomingTrack {
    const track = new IncomingTrack(line, this.#stream)
    this.#play(line.kind)
    queueMicrotask(() => this.#offered(track))
    return track
  }

  protected gone(track: IncomingTrack): void {
    for (const one of this.#stream.getTracks()) if (one.kind === track.kind) this.#stream.removeTrack(one)
    track.emit('end')
  }

  protected async describe(media: PageMedia, theirs: readonly Source[]): Promise<void> {
    await media.describe(theirs, this.ours)
    for (const { kind } of this.theirs) if (theirs.some(source => source.kind === kind)) this.#play(kind)
  }

  protected ssrcOf({ kind }: OutgoingTrack, media: PageMedia): number | undefined {
    return media.ssrcOf(kind)
  }

  protected listen(media: PageMedia): void {
    this.#media = media
  }

  /** Sent from the first frame on, which is a key frame: a browser begins with one on each path. */
  protected taken(media: PageMedia, before: PageMedia | undefined): void {
    for (const own of this.ours) {
      before?.send({ ...own, track: null })
      media.send(own)
    }
  }

  #end(own: Own): void {
    if (!this.ours.includes(own)) return
    this.sending?.send({ ...own, track: null })
    this.remove(own)
  }

  /** The browser's track of the path of now, in the place of that of the path before. */
  #play(kind: TrackKind): void {
    const track = this.#media?.received(kind)
    const before = this.#stream.getTracks().filter(one => one.kind === kind)
    if (!track || before.includes(track)) return
    for (const one of before) this.#stream.removeTrack(one)
    this.#stream.addTrack(track)
  }
}
