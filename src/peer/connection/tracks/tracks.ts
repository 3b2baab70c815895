// The tracks of a connection, in Node: RTP packets in and out.

import { randomInt } from 'node:crypto'
import { PosternError } from '../../../errors.ts'
import { type CodecName, codecs, kinds, type RtpMedia, type Source, type TrackKind } from '../../transport/media.ts'
import { largestRtp } from '../../transport/packet.ts'
import type { TrackLine } from '../control-message.ts'
import { TracksCore, thereAlready } from './core.ts'
import { Renumbered } from './renumbered.ts'
import { IncomingTrack, OutgoingTrack } from './track.ts'

export interface TrackOptions {
  readonly kind: TrackKind
  readonly codec: CodecName
}

export interface TracksHooks {
  /** A track that the far side sends, before its first packet. */
  readonly offered: (track: IncomingTrack) => void
  /** A message claimed what cannot be. */
  readonly dropped: () => void
}

export class Tracks extends TracksCore<OutgoingTrack, IncomingTrack, RtpMedia> {
  readonly #hooks: TracksHooks
  /**
   * One source of each kind for as long as the connection lasts, so that its numbers go on from one track to the next: with a number
   * that was used before, SRTP would encrypt two packets alike.
   */
  readonly #sources: readonly (Source & { readonly renumbered: Renumbered })[] = kinds.map(kind => {
    const ssrc = randomInt(1, 2 ** 32)
    return { kind, ssrc, renumbered: new Renumbered({ ssrc, clockRate: kind === 'audio' ? 48_000 : 90_000 }) }
  })
  #heard: RtpMedia | undefined

  constructor(peer: string, hooks: TracksHooks) {
    super(peer, hooks.dropped)
    this.#hooks = hooks
  }

  /** As `put`, and throws `bad-config` for a codec of another kind. */
  async add({ kind, codec }: TrackOptions): Promise<OutgoingTrack> {
    check({ kind, codec })
    const source = this.#sources.find(one => one.kind === kind)
    if (!source || this.ours.some(one => one.kind === kind)) throw thereAlready(kind)
    const { renumbered } = source
    const track = new OutgoingTrack({
      id: this.nextId(),
      codec,
      renumbered,
      maxPacketBytes: () => largestRtp(this.mtu),
      send: packet => this.#send(kind, packet),
      ended: ended => this.remove(ended)
    })
    await this.put(track)
    return track
  }

  protected come(line: TrackLine): IncomingTrack {
    const track = new IncomingTrack(line, () => this.#requestKeyframe(line.kind))
    // Whoever is told of it finds it among those that there are.
    queueMicrotask(() => this.#hooks.offered(track))
    return track
  }

  protected gone(track: IncomingTrack): void {
    track.emit('end')
  }

  protected describe(media: RtpMedia, theirs: readonly Source[]): Promise<void> {
    return media.describe(theirs, this.#sources)
  }

  protected ssrcOf({ kind }: OutgoingTrack): number | undefined {
    return this.#sources.find(source => source.kind === kind)?.ssrc
  }

  protected listen(media: RtpMedia): void {
    this.#heard = media
    media.onPacket((kind, packet) => this.#arrived(kind, packet))
    media.onKeyframeRequest(() => this.ours.find(({ kind }) => kind === 'video')?.emit('keyframe'))
  }

  protected taken(): void {}

  #arrived(kind: TrackKind, packet: Uint8Array): void {
    const track = this.theirs.find(one => one.kind === kind)
    if (!track) return
    track.receivedPackets++
    track.emit('packet', packet)
  }

  #send(kind: TrackKind, packet: Uint8Array): boolean {
    try {
      this.sending?.send(kind, packet)
      return this.sending !== undefined
    } catch {
      return false
    }
  }

  #requestKeyframe(kind: TrackKind): void {
    const ssrc = this.theirSsrc(kind)
    try {
      if (kind === 'video' && ssrc !== undefined) this.#heard?.requestKeyframe(ssrc)
    } catch {
      // Without a path nothing is asked for.
    }
  }
}

function check({ kind, codec }: TrackOptions): void {
  const named = Object.entries(codecs).filter(([, one]) => one.kind === kind)
  if (named.some(([name]) => name === codec)) return
  const known = named.length > 0 ? `${kind} is ${named.map(([name]) => name).join(' or ')}` : 'kind is audio or video'
  throw new PosternError('bad-config', `a track of ${kind} in ${codec} cannot be sent: ${known}`)
}
