// What a page has of a connection. What happens below is the same as in Node (src/peer/connection/core.ts).

import { ConnectionCore, type ConnectionEvents as CoreEvents } from '../peer/connection/core.ts'
import type { ConnectionParts } from '../peer/connection/path.ts'
import type { Encoding } from './media.ts'
import { Stream } from './stream.ts'
import { type IncomingTrack, type OutgoingTrack, PageTracks } from './tracks.ts'

export type ConnectionEvents = CoreEvents<IncomingTrack>

export class Connection extends ConnectionCore<Stream, IncomingTrack> {
  readonly #tracks: PageTracks

  /** Takes over the events of the path. Call `serve` in the same turn, because streams may be waiting already. */
  constructor(parts: ConnectionParts) {
    const tracks = new PageTracks(parts.peer.name, {
      offered: track => this.emit('track', track),
      dropped: () => this.droppedMessages++
    })
    super(parts, stream => new Stream(stream), tracks)
    this.#tracks = tracks
  }

  /**
   * Sends a track of the browser, one of each kind. Resolves when the far side knows of it. Throws `bad-config` where there is one of its
   * kind already, `unsupported` where the far side takes none, and why the connection ended.
   * @param encoding as `tune` of the track takes it: it holds from the first frame on
   */
  addTrack(track: MediaStreamTrack, encoding?: Encoding): Promise<OutgoingTrack> {
    return this.#tracks.add(track, encoding)
  }

  /** The browser's statistics of the path that it is on (W3C webrtc-stats); undefined where there is none. */
  stats(): Promise<RTCStatsReport> | undefined {
    return this.#tracks.stats()
  }

  /** The tracks that the far side sends now. */
  get tracks(): readonly IncomingTrack[] {
    return this.#tracks.theirs
  }
}
