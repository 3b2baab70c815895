// A transport of node-datachannel: ICE, DTLS and SCTP bound to one local port, with one remote candidate. No session
// description is exchanged. Each side writes the other's description from what the gateway told both (fingerprint, ufrag,
// pwd, role). This is the only file that knows the library.

import nodeDataChannel, { type DataChannel, type PeerConnection, type Track } from 'node-datachannel'
import { PosternError } from '../../errors.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { Handover } from '../../wire/order.ts'
import { description } from './description.ts'
import { asksForKeyframe, codecs, isRtp, pictureLoss, type RtpMedia, type Source, type TrackKind } from './media.ts'
import { mtuOption } from './packet.ts'
import { Reception } from './reception.ts'
import { type Opener, safely, TRANSPORT_BYTES, type TransportOptions } from './transport.ts'

/** The library ends the process if the port is taken. It sets no SO_REUSEADDR, so nobody may hold the port beside it. */
export const openNative: Opener = async ({ port, free, handover, remote, identity, mtu, ...watched }) => {
  const pc = new nodeDataChannel.PeerConnection('postern', {
    iceServers: [],
    bindAddress: '0.0.0.0',
    portRangeBegin: port,
    portRangeEnd: port,
    certificatePemFile: identity.certificatePem,
    keyPemFile: identity.keyPem,
    maxMessageSize: TRANSPORT_BYTES,
    mtu: mtuOption(mtu),
    disableAutoNegotiation: true,
    // The keys of SRTP come from the handshake, so they are agreed on there, whether or not a track comes later.
    forceMediaTransport: true
  })
  try {
    const { control, sizing } = await opened(pc, handover, remote, { free, ...watched })
    const { address, port } = pc.getSelectedCandidatePair()?.remote ?? remote
    return { transport: pc, control, sizing, media: new NativeMedia(pc, handover), remote: { address, port } }
  } catch (error) {
    pc.close()
    throw error
  }
}

/**
 * Starts the library's threads ahead of the first path: that takes some milliseconds, and while a peer joins there is time. They
 * keep no process alive and are never ended: the library's `cleanup` (0.33.4) blocks JavaScript, for 10 s if need be, and may crash.
 */
export const startNative = (): void => nodeDataChannel.preload()

/**
 * The two channels that both sides make themselves. With a listener for its end the library lets a channel go when it is closed;
 * without one it would keep the process alive. The listener holds the channel, which must not be collected before.
 */
export function negotiated(pc: PeerConnection): { control: DataChannel; sizing: DataChannel } {
  const control = pc.createDataChannel('postern', { negotiated: true, id: 0 })
  const sizing = pc.createDataChannel('postern', { negotiated: true, id: 1, unordered: true, maxRetransmits: 0 })
  for (const channel of [control, sizing]) channel.onClosed(() => void channel)
  return { control, sizing }
}

/** The listeners are set before anything else, because an event without one is lost for good. */
function opened(
  pc: PeerConnection,
  handover: Handover,
  remote: Endpoint,
  { free, step, signal }: Pick<TransportOptions, 'free' | 'step' | 'signal'>
): Promise<{ control: DataChannel; sizing: DataChannel }> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const fail = (reason: string) => reject(new PosternError('io', reason))
    pc.onIceStateChange(state => {
      if (state === 'connected') step('ice')
      if (state === 'failed') fail('the path was lost before the connection was made')
    })
    pc.onStateChange(state => {
      if (state === 'connected') step('dtls')
      if (state === 'failed') reject(broken(pc, handover))
    })
    const { control, sizing } = negotiated(pc)
    control.onOpen(() => {
      signal.removeEventListener('abort', abort)
      step('open')
      resolve({ control, sizing })
    })
    describe(pc, handover, free)
    pc.addRemoteCandidate(candidate(remote), '0')
  })
}

/**
 * Why DTLS failed. Libdatachannel breaks the handshake off as soon as it sees that the other side's certificate is not the
 * announced one. The other side then gets an alert, which does not say why.
 */
function broken(pc: PeerConnection, { fingerprint }: Handover): PosternError {
  const seen = pc.remoteFingerprint().value
  if (seen && seen !== fingerprint)
    return new PosternError('fingerprint-mismatch', `the other side's certificate is ${seen}, not the one announced`)
  return new PosternError(
    'io',
    'the encrypted handshake was broken off: the other side refused it, or packets were lost'
  )
}

/**
 * The active side offers, so it controls ICE and is the DTLS client; the passive side answers. See RFC 8842 section 5 for the
 * DTLS roles and RFC 8445 section 6.1.1 for the ICE roles. The local description binds the port, before it returns.
 */
function describe(pc: PeerConnection, handover: Handover, free: () => void): void {
  const { role, local } = handover
  const credentials = { iceUfrag: local.ufrag, icePwd: local.pwd }
  if (role === 'active') {
    free()
    pc.setLocalDescription('offer', credentials)
    pc.setRemoteDescription(description(handover), 'answer')
  } else {
    pc.setRemoteDescription(description(handover), 'offer')
    free()
    pc.setLocalDescription('answer', credentials)
  }
}

/**
 * The tracks of a path. Each description makes the library read the sources of the far side again: what comes from others it throws
 * away. A track is held here, since one that nobody holds may be collected. When the path has closed it, it is closed once more:
 * else its listeners would keep the process alive.
 */
export class NativeMedia implements RtpMedia {
  readonly #pc: PeerConnection
  readonly #handover: Handover
  readonly #tracks = new Map<TrackKind, Track>()
  /** Resolved when a track is open: the library opens it on a thread of its own, and throws away what is sent before. */
  readonly #opened: Promise<void>[] = []
  readonly #receptions = new Map<TrackKind, Reception>()
  #reporting: NodeJS.Timeout | undefined
  #hear: ((kind: TrackKind, packet: Uint8Array) => void) | undefined
  #asked: (() => void) | undefined

  constructor(pc: PeerConnection, handover: Handover) {
    this.#pc = pc
    this.#handover = handover
  }

  /**
   * What this side sends is the same as long as the path lasts: one source of each kind. An offer of either side will do: neither is
   * told what the other one wrote. ICE and DTLS stay as they are.
   */
  async describe(theirs: readonly Source[], ours: readonly Source[]): Promise<void> {
    for (const { kind, ssrc } of this.#tracks.size === 0 ? ours : []) this.#tracks.set(kind, this.#track(kind, ssrc))
    this.#pc.setLocalDescription('offer')
    this.#pc.setRemoteDescription(description(this.#handover, { sources: theirs }), 'answer')
    await Promise.all(this.#opened)
  }

  send(kind: TrackKind, packet: Uint8Array): void {
    const track = this.#tracks.get(kind)
    if (!track) throw new PosternError('io', 'there are no tracks on this path')
    track.sendMessageBinary(Buffer.from(packet.buffer, packet.byteOffset, packet.length))
  }

  onPacket(handle: (kind: TrackKind, packet: Uint8Array) => void): void {
    this.#hear = handle
  }

  requestKeyframe(ssrc: number): void {
    this.send('video', pictureLoss(ssrc))
  }

  onKeyframeRequest(handle: () => void): void {
    this.#asked = handle
  }

  #receive(kind: TrackKind, packet: Uint8Array): void {
    const reception = this.#receptions.get(kind)
    if (isRtp(packet)) {
      reception?.heard(packet)
      this.#hear?.(kind, packet)
    } else {
      reception?.told(packet)
      if (asksForKeyframe(packet)) this.#asked?.()
    }
  }

  /** Says what has come of late. */
  #report(): void {
    for (const [kind, reception] of this.#receptions) {
      const report = reception.report()
      const track = this.#tracks.get(kind)
      try {
        if (report && track?.isOpen()) track.sendMessageBinary(Buffer.from(report))
      } catch {
        // The library has closed it just then.
      }
    }
  }

  /** What the far side says of a source is handed to the track that has it. */
  #track(kind: TrackKind, ssrc: number): Track {
    const section = kind === 'audio' ? audioSection() : videoSection()
    section.addSSRC(ssrc, 'postern')
    const track = this.#pc.addTrack(section)
    track.onMessage(safely(packet => this.#receive(kind, packet)))
    track.onError(() => {})
    this.#receptions.set(kind, new Reception(ssrc))
    this.#reporting ??= setInterval(() => this.#report(), REPORT_MS).unref()
    this.#opened.push(
      new Promise(resolve => {
        track.onOpen(() => resolve())
        track.onClosed(() => {
          resolve()
          clearInterval(this.#reporting)
          track.close()
        })
      })
    )
    return track
  }
}

/** RFC 3550 section 6.2 has at most one in five seconds, and RFC 4585 section 3.4 sooner ones, which a browser's own are too. */
const REPORT_MS = 500

function audioSection() {
  const section = new nodeDataChannel.Audio('audio', 'SendRecv')
  section.addOpusCodec(codecs.opus.payloadType)
  return section
}

function videoSection() {
  const section = new nodeDataChannel.Video('video', 'SendRecv')
  section.addVP8Codec(codecs.vp8.payloadType)
  section.addH264Codec(codecs.h264.payloadType)
  return section
}

/** RFC 8839 section 5.1. The type does not matter, because there is one candidate, and it is known to work. */
const candidate = ({ address, port }: Endpoint) => `candidate:1 1 UDP 2122317823 ${address} ${port} typ host`
