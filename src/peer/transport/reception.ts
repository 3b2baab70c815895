// What is said of the RTP that comes in, so that whoever sends it knows what the path carries: a Receiver Report for each source
// (RFC 3550 section 6.4.2), with a highest rate behind it (draft-alvestrand-rmcat-remb-03). A browser that hears nothing stays at 300 kbit/s;
// with reports it sends more and more, until they tell of losses.

import { RTP_HEADER_BYTES } from './media.ts'

/** No more than this is asked for, in bits per second: 1080p at 30 frames a second. What the path carries is found by its losses. */
export const MOST_BITS_PER_SECOND = 8_000_000

const SENDER_REPORT = 200
const RECEIVER_REPORT = 201
const PAYLOAD_SPECIFIC_FEEDBACK = 206
/** The most sources that are reported of: others come to nothing (RFC 3550 section 6.4.2 has room for 31). */
const MOST_SOURCES = 4

/** What was heard of one source (RFC 3550 appendix A.3). */
interface Heard {
  readonly first: number
  /** With the rounds of the sequence number, as it goes on. */
  highest: number
  received: number
  expectedBefore: number
  receivedBefore: number
  /** Of its last Sender Report: the middle of the NTP time, and when it came, on the clock of `performance.now`. */
  senderReport?: { readonly ntp: number; readonly atMs: number }
}

export class Reception {
  readonly #own: number
  readonly #sources = new Map<number, Heard>()

  /** @param own the SSRC of the reports */
  constructor(own: number) {
    this.#own = own
  }

  /** An RTP packet has come. */
  heard(packet: Uint8Array): void {
    if (packet.length < RTP_HEADER_BYTES) return
    const view = viewOf(packet)
    const [number, ssrc] = [view.getUint16(2), view.getUint32(8)]
    const source = this.#sources.get(ssrc)
    if (!source) {
      if (this.#sources.size < MOST_SOURCES)
        this.#sources.set(ssrc, { first: number, highest: number, received: 1, expectedBefore: 0, receivedBefore: 0 })
      return
    }
    // How far it is ahead of the highest one, or behind, in 16 bits.
    const ahead = ((number - source.highest) << 16) >> 16
    source.highest += Math.max(0, ahead)
    source.received++
  }

  /** RTCP of the far side has come: what its Sender Report has is told back, and shows it the round trip. */
  told(packet: Uint8Array, nowMs = performance.now()): void {
    const view = viewOf(packet)
    for (let at = 0; at + 20 <= packet.length; at += 4 * (1 + view.getUint16(at + 2))) {
      if (view.getUint8(at + 1) !== SENDER_REPORT) continue
      const source = this.#sources.get(view.getUint32(at + 4))
      if (source) source.senderReport = { ntp: view.getUint32(at + 10), atMs: nowMs }
    }
  }

  /** The next report; undefined where nothing has come since the last one. */
  report(nowMs = performance.now()): Uint8Array | undefined {
    const fresh = [...this.#sources].filter(([, { received, receivedBefore }]) => received > receivedBefore)
    if (fresh.length === 0) return undefined
    const blocks = fresh.map(([ssrc, source]) => block(ssrc, source, nowMs))
    return Buffer.concat([
      header(RECEIVER_REPORT, blocks.length, 4 + 24 * blocks.length, this.#own),
      ...blocks,
      this.#rate(fresh.map(([ssrc]) => ssrc))
    ])
  }

  /** Receiver Estimated Maximum Bitrate, of all sources together. */
  #rate(sources: readonly number[]): Buffer {
    const bytes = Buffer.alloc(12 + 4 * sources.length)
    // After the SSRC of a media source, which is 0 here.
    bytes.write('REMB', 4, 'latin1')
    const exponent = Math.max(0, Math.ceil(Math.log2(MOST_BITS_PER_SECOND)) - 18)
    bytes.writeUInt32BE(
      ((sources.length << 24) | (exponent << 18) | Math.floor(MOST_BITS_PER_SECOND / 2 ** exponent)) >>> 0,
      8
    )
    sources.forEach((ssrc, at) => void bytes.writeUInt32BE(ssrc, 12 + 4 * at))
    return Buffer.concat([header(PAYLOAD_SPECIFIC_FEEDBACK, APPLICATION_LAYER, 4 + bytes.length, this.#own), bytes])
  }
}

/** The format of feedback that an application defines (RFC 4585 section 6.4). */
const APPLICATION_LAYER = 15

/** @param bytes of all that follows the first word */
function header(type: number, count: number, bytes: number, ssrc: number): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt8(0x80 | count, 0)
  header.writeUInt8(type, 1)
  header.writeUInt16BE(bytes / 4, 2)
  header.writeUInt32BE(ssrc, 4)
  return header
}

function block(ssrc: number, source: Heard, nowMs: number): Buffer {
  const { first, highest, received, expectedBefore, receivedBefore, senderReport } = source
  const expected = highest - first + 1
  const [due, came] = [expected - expectedBefore, received - receivedBefore]
  const lost = Math.max(0, due - came)
  source.expectedBefore = expected
  source.receivedBefore = received
  const bytes = Buffer.alloc(24)
  bytes.writeUInt32BE(ssrc, 0)
  bytes.writeUInt8(due > 0 ? Math.min(255, Math.floor((256 * lost) / due)) : 0, 4)
  bytes.writeIntBE(Math.max(-0x80_0000, Math.min(0x7f_ffff, expected - received)), 5, 3)
  bytes.writeUInt32BE(highest % 2 ** 32, 8)
  // The jitter is left at 0: nobody plays what comes here.
  if (senderReport) {
    bytes.writeUInt32BE(senderReport.ntp, 16)
    bytes.writeUInt32BE(Math.round(((nowMs - senderReport.atMs) * 65_536) / 1000) % 2 ** 32, 20)
  }
  return bytes
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength)
