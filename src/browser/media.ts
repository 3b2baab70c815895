// The audio and video of a path in a browser. Each description is written here, and has the browser answer: so payload types and names
// are those of all others (src/peer/transport/media.ts), and whatever else a browser offers is left out. The page was the one that
// offered when the path was made; who offers now makes no difference to ICE and DTLS.

import { description } from '../peer/transport/description.ts'
import { kinds, type Media, type Ours, type Source, type TrackKind } from '../peer/transport/media.ts'
import type { Handover } from '../wire/order.ts'

/** How a track is encoded: `maxBitrate`, `maxFramerate`, `scaleResolutionDownBy`, `active`, as RTCRtpSender.setParameters takes them. */
export type Encoding = Partial<RTCRtpEncodingParameters>

interface Sent {
  readonly kind: TrackKind
  readonly track: MediaStreamTrack | null
  readonly encoding: Encoding
}

export class PageMedia implements Media {
  readonly pc: RTCPeerConnection
  readonly #handover: Handover
  #steps = Promise.resolve()

  constructor(pc: RTCPeerConnection, handover: Handover) {
    this.pc = pc
    this.#handover = handover
  }

  async describe(theirs: readonly Source[], ours: readonly Ours[]): Promise<void> {
    const sdp = description(this.#handover, { sources: theirs })
    await this.pc.setRemoteDescription({ type: 'offer', sdp })
    for (const kind of kinds) {
      const one = this.#transceiver(kind)
      if (one) one.direction = ours.some(own => own.kind === kind) ? 'sendrecv' : 'recvonly'
    }
    await this.pc.setLocalDescription(await this.pc.createAnswer())
  }

  /** What the browser has chosen for what it sends. */
  ssrcOf(kind: TrackKind): number | undefined {
    const { sdp = '' } = this.pc.localDescription ?? {}
    const section = sdp.split(/^m=/m).find(one => new RegExp(`^a=mid:${kind}\\r?$`, 'm').test(one))
    const [, ssrc] = /^a=ssrc:(\d+)/m.exec(section ?? '') ?? []
    return ssrc === undefined ? undefined : Number(ssrc)
  }

  /** Sends this track, or nothing. How it is encoded is said first, so that it holds from the first frame on. */
  send({ kind, track, encoding }: Sent): void {
    const sender = this.#transceiver(kind)?.sender
    // One after the other: a browser may refuse what is asked before it has done what was asked last.
    this.#steps = this.#steps.then(async () => {
      const parameters = sender?.getParameters()
      if (!parameters?.encodings[0]) return
      Object.assign(parameters.encodings[0], encoding)
      await sender?.setParameters(parameters).catch(() => {})
      await sender?.replaceTrack(track).catch(() => {})
    })
  }

  /** What comes, once the path was described. */
  received(kind: TrackKind): MediaStreamTrack | undefined {
    return this.#transceiver(kind)?.receiver.track
  }

  #transceiver(kind: TrackKind): RTCRtpTransceiver | undefined {
    return this.pc.getTransceivers().find(({ mid }) => mid === kind)
  }
}
