// RTP packets by hand, for tests of tracks.

export interface Packet {
  readonly sequence?: number
  readonly timestamp?: number
  readonly ssrc?: number
  readonly payloadType?: number
  readonly bytes?: number
}

/** RFC 3550 section 5.1. All after the header is `fill`. */
export function rtp(
  { sequence = 0, timestamp = 0, ssrc = 1, payloadType = 96, bytes = 200 }: Packet,
  fill = 0
): Buffer {
  const packet = Buffer.alloc(bytes, fill)
  packet.writeUInt8(0x80, 0)
  packet.writeUInt8(payloadType, 1)
  packet.writeUInt16BE(sequence, 2)
  packet.writeUInt32BE(timestamp, 4)
  packet.writeUInt32BE(ssrc, 8)
  return packet
}

export const headerOf = (packet: Uint8Array): Required<Packet> => {
  const read = Buffer.from(packet)
  return {
    payloadType: read.readUInt8(1) & 0x7f,
    sequence: read.readUInt16BE(2),
    timestamp: read.readUInt32BE(4),
    ssrc: read.readUInt32BE(8),
    bytes: read.length
  }
}
