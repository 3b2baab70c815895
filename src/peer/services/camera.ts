// `postern camera`: shows to those that may watch what a program on this computer sends as RTP. Who watches holds a stream `watch` open
// for as long as it does.

import { finished } from 'node:stream/promises'
import { PosternError } from '../../errors.ts'
import { pinOf } from '../../wire/identity/fingerprint.ts'
import type { PeerName } from '../../wire/name.ts'
import type { Connection, FarPeer } from '../connection/connection.ts'
import type { Stream } from '../connection/streams/stream.ts'
import type { OutgoingTrack, Written } from '../connection/tracks/track.ts'
import type { CodecName, TrackKind } from '../transport/media.ts'
import type { RtpSource } from './rtp-source.ts'
import { isNamed } from './senders.ts'

/** What is shown: packets of one source. */
export interface Input {
  readonly kind: TrackKind
  readonly codec: CodecName
  readonly source: RtpSource
}

/** Whom it may be shown to: a peer, or whoever has this fingerprint, under any name. */
export type Watcher = PeerName | { readonly pin: string }

export interface CameraOptions {
  readonly inputs: readonly Input[]
  readonly allowed: readonly Watcher[]
  /** Somebody watches, or has left. */
  readonly onWatcher?: (peer: FarPeer, isThere: boolean) => void
  /** A packet was dropped on its way to one of those that watch. */
  readonly onDropped?: (input: Input, why: Exclude<Written, 'sent'>, bytes: number, track: OutgoingTrack) => void
}

/** Each of those that watch is sent all packets, so more do not watch at once. */
const MOST_WATCHERS = 16

export class Camera {
  readonly #options: CameraOptions
  #watchers = 0

  constructor(options: CameraOptions) {
    this.#options = options
  }

  /** Serves a stream `watch`. Throws `io` where the peer may not watch, or too many do. */
  async show(stream: Stream, connection: Connection): Promise<void> {
    const { peer } = connection
    this.#admit(peer)
    this.#watchers++
    using undo = new DisposableStack()
    undo.defer(() => this.#watchers--)
    for (const input of this.#options.inputs) {
      const track = await connection.addTrack(input)
      undo.defer(() => track.end())
      undo.use(this.#shown(input, track))
    }
    this.#options.onWatcher?.(peer, true)
    undo.defer(() => this.#options.onWatcher?.(peer, false))
    // What is written to it says nothing yet.
    stream.resume()
    await finished(stream, { writable: false }).catch(() => {})
    stream.end()
  }

  #admit(peer: FarPeer): void {
    if (!this.#options.allowed.some(watcher => isNamed(peer, { name: '', ...watcher })))
      throw new PosternError('io', `--allow names others, and not ${peer.name}@${pinOf(peer.fingerprint)}`)
    if (this.#watchers >= MOST_WATCHERS)
      throw new PosternError('io', `${MOST_WATCHERS} watch this camera, and no more can at once`)
  }

  #shown(input: Input, track: OutgoingTrack): Disposable {
    const show = (packet: Uint8Array) => {
      const written = track.write(packet)
      if (written !== 'sent') this.#options.onDropped?.(input, written, packet.length, track)
    }
    input.source.on('packet', show)
    return { [Symbol.dispose]: () => void input.source.off('packet', show) }
  }
}
