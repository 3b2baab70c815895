// RTP on a path (RFC 3550), encrypted as SRTP with keys of the path's DTLS handshake (RFC 5764). Each side has one section for
// audio and one for video in its description, with these names and payload types on every path, so that nothing has to be
// compared: what a side sends is told on the control channel (../connection/tracks/tracks.ts).

/** What can be sent. Payload types (RFC 3551 section 6) are ours, and the same on both sides. */
export const codecs = {
  opus: {
    kind: 'audio',
    payloadType: 111,
    clockRate: 48_000,
    map: 'opus/48000/2',
    format: 'minptime=10;useinbandfec=1'
  },
  vp8: { kind: 'video', payloadType: 96, clockRate: 90_000, map: 'VP8/90000', format: undefined },
  h264: {
    kind: 'video',
    payloadType: 102,
    clockRate: 90_000,
    map: 'H264/90000',
    format: 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f'
  }
} as const

export type CodecName = keyof typeof codecs

export const kinds = ['audio', 'video'] as const

export type TrackKind = (typeof kinds)[number]

/** By its SSRC a packet is told to which section it belongs. */
export interface Source {
  readonly kind: TrackKind
  readonly ssrc: number
}

/** What this side sends; a browser chooses the SSRC itself. */
export interface Ours {
  readonly kind: TrackKind
  readonly ssrc?: number
}

/** A path's RTP. There is none before `describe` was called once on both sides. */
export interface Media {
  /**
   * Writes both descriptions of the path anew, with what the far side sends, and what this side does; nothing is exchanged for that.
   * Resolves when packets may be sent, or the path is gone meanwhile. Throws when it is gone already.
   */
  describe(theirs: readonly Source[], ours: readonly Ours[]): void | Promise<void>
}

/** As Node has it: a packet at a time. */
export interface RtpMedia extends Media {
  describe(theirs: readonly Source[], ours: readonly Source[]): Promise<void>
  /** Throws when the path is gone, or nothing was described. */
  send(kind: TrackKind, packet: Uint8Array): void
  /** RTP of a source that was described. */
  onPacket(handle: (kind: TrackKind, packet: Uint8Array) => void): void
  /** Asks the far side for a key frame of this source. Throws as `send` does. */
  requestKeyframe(ssrc: number): void
  /** The far side asks for one. */
  onKeyframeRequest(handle: () => void): void
}

/** Whether these bytes are an RTP packet (RFC 3550 section 5.1), and no RTCP (RFC 5761 section 4). */
export function isRtp(bytes: Uint8Array): boolean {
  const [first = 0, second = 0] = bytes
  const payloadType = second & 0x7f
  return bytes.length >= RTP_HEADER_BYTES && first >> 6 === 2 && (payloadType < 64 || payloadType > 95)
}

/** Without what may follow in it (RFC 3550 section 5.1). */
export const RTP_HEADER_BYTES = 12

/** What a player of video may ask for (RFC 4585): a key frame, what was lost, and a rate. Node sends the first one alone. */
const FEEDBACK = ['nack', 'nack pli', 'goog-remb']

/** Picture Loss Indication: a request for a key frame (RFC 4585 section 6.3.1). */
export function pictureLoss(ssrc: number): Uint8Array {
  const packet = new DataView(new ArrayBuffer(12))
  packet.setUint8(0, 0x81)
  packet.setUint8(1, PAYLOAD_SPECIFIC_FEEDBACK)
  packet.setUint16(2, 2)
  packet.setUint32(4, 1)
  packet.setUint32(8, ssrc)
  return new Uint8Array(packet.buffer)
}

const PAYLOAD_SPECIFIC_FEEDBACK = 206
/** Picture Loss Indication, and Full Intra Request (RFC 5104 section 4.3.1). */
const KEYFRAME_REQUESTS = [1, 4]

/** Whether a key frame is asked for in what is no RTP: packets of RTCP one behind the other (RFC 3550 section 6.1). */
export function asksForKeyframe(bytes: Uint8Array): boolean {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const [first = 0, type, high = 0, low = 0] = bytes.subarray(at)
    if (type === PAYLOAD_SPECIFIC_FEEDBACK && KEYFRAME_REQUESTS.includes(first & 0x1f)) return true
    at += 4 * (1 + high * 256 + low)
  }
  return false
}

/**
 * The two media sections of a description (RFC 8866, RFC 9143), with the sources of whoever it describes (RFC 5576). No header
 * extension is there: with one for MID, Chromium takes no packet without it.
 */
export const mediaSections = (sources: readonly Source[], transport: readonly string[]): string[] =>
  kinds.flatMap(kind => {
    const here = Object.values(codecs).filter(codec => codec.kind === kind)
    return [
      `m=${kind} 9 UDP/TLS/RTP/SAVPF ${here.map(({ payloadType }) => payloadType).join(' ')}`,
      'c=IN IP4 0.0.0.0',
      `a=mid:${kind}`,
      'a=sendrecv',
      'a=rtcp-mux',
      ...here.flatMap(({ payloadType, map, format }) => [
        `a=rtpmap:${payloadType} ${map}`,
        ...(format ? [`a=fmtp:${payloadType} ${format}`] : []),
        ...(kind === 'video' ? FEEDBACK.map(what => `a=rtcp-fb:${payloadType} ${what}`) : [])
      ]),
      ...sources.filter(source => source.kind === kind).map(({ ssrc }) => `a=ssrc:${ssrc} cname:postern`),
      ...transport
    ]
  })
