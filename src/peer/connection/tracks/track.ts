// One track of a connection, in Node: RTP packets in, RTP packets out. What encodes them, and what plays them, is a program of
// somebody else's: ffmpeg, GStreamer, or a browser at the far side.

import { EventEmitter } from 'node:events'
import { type CodecName, codecs, isRtp, type TrackKind } from '../../transport/media.ts'
import type { Renumbered } from './renumbered.ts'

/**
 * What became of a packet: it left; or it is no RTP, or larger than `maxPacketBytes`, or there is no path at the moment, and it
 * was dropped.
 */
export type Written = 'sent' | 'not-rtp' | 'too-large' | 'no-path'

export interface OutgoingParts {
  readonly id: number
  readonly codec: CodecName
  /** Shared with the tracks of this kind before and after it. */
  readonly renumbered: Renumbered
  readonly maxPacketBytes: () => number
  /** Whether it has left. */
  readonly send: (packet: Uint8Array) => boolean
  readonly ended: (track: OutgoingTrack) => void
}

export interface OutgoingTrackEvents {
  /** The far side cannot go on without a key frame. */
  keyframe: []
}

/** What this side sends. Packets are not kept: without a path they are dropped. */
export class OutgoingTrack extends EventEmitter<OutgoingTrackEvents> {
  readonly id: number
  readonly kind: TrackKind
  readonly codec: CodecName
  sentPackets = 0
  droppedPackets = 0
  readonly #parts: OutgoingParts
  #isEnded = false

  constructor(parts: OutgoingParts) {
    super()
    const { id, codec, renumbered } = parts
    this.id = id
    this.kind = codecs[codec].kind
    this.codec = codec
    this.#parts = parts
    renumbered.anew()
  }

  /** The largest RTP packet that the path of now takes, in bytes; another path may take less. */
  get maxPacketBytes(): number {
    return this.#parts.maxPacketBytes()
  }

  /** Sends one RTP packet (RFC 3550). Its payload type and its source are replaced by those of the track. */
  write(packet: Uint8Array): Written {
    const written = this.#written(packet)
    if (written === 'sent') this.sentPackets++
    else this.droppedPackets++
    return written
  }

  /** Ends it, and the far side is told. It may be called more than once. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#parts.ended(this)
  }

  #written(packet: Uint8Array): Written {
    if (!isRtp(packet)) return 'not-rtp'
    if (packet.length > this.maxPacketBytes) return 'too-large'
    if (this.#isEnded) return 'no-path'
    const { renumbered, send } = this.#parts
    return send(renumbered.of(packet, codecs[this.codec].payloadType, performance.now())) ? 'sent' : 'no-path'
  }
}

export interface IncomingTrackEvents {
  /** An RTP packet, with the payload type of its codec. */
  packet: [packet: Uint8Array]
  /** The far side has ended it, or the connection is over. */
  end: []
}

/** What the far side sends. Packets that come while nobody listens are dropped. On another path it may come from another source. */
export class IncomingTrack extends EventEmitter<IncomingTrackEvents> {
  readonly id: number
  readonly kind: TrackKind
  readonly codec: CodecName
  receivedPackets = 0
  readonly #request: () => void

  /** @param request asks the far side for a key frame */
  constructor({ id, codec }: { readonly id: number; readonly codec: CodecName }, request: () => void) {
    super()
    this.#request = request
    this.id = id
    this.kind = codecs[codec].kind
    this.codec = codec
  }

  /** Asks the far side for a key frame, which a picture begins with. Whether there is one is up to its encoder. */
  requestKeyframe(): void {
    this.#request()
  }

  get payloadType(): number {
    return codecs[this.codec].payloadType
  }
}
