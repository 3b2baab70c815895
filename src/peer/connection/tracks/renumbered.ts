// RTP packets of one source after the other as those of a single one. SRTP knows a packet by its sequence number (RFC 3711 section
// 3.3.1), and whoever plays a track by its timestamp: both go on where a source begins anew, as ffmpeg does when it is started again.

import { RTP_HEADER_BYTES } from '../../transport/media.ts'

/** Sequence numbers that are further apart than this begin anew (RFC 3550 appendix A.1, MAX_DROPOUT). */
const MAX_DROPOUT = 3000

export class Renumbered {
  readonly #ssrc: number
  readonly #clockRate: number
  #source: { ssrc: number; sequence: number } | undefined
  #last = { sequence: 0, timestamp: 0, ms: 0 }
  #sequenceOffset = 0
  #timestampOffset = 0
  #isAnew = false

  /** @param clockRate ticks of the timestamp in a second */
  constructor({ ssrc, clockRate }: { ssrc: number; clockRate: number }) {
    this.#ssrc = ssrc
    this.#clockRate = clockRate
  }

  /**
   * The same packet with this payload type and the source of this one, in a buffer of its own.
   * @param packet RTP, at least its header
   * @param ms when it came, on a clock that only goes forward
   */
  of(packet: Uint8Array, payloadType: number, ms: number): Uint8Array {
    const bytes = Uint8Array.from(packet)
    const header = new DataView(bytes.buffer, 0, RTP_HEADER_BYTES)
    const [sequence, timestamp, ssrc] = [header.getUint16(2), header.getUint32(4), header.getUint32(8)]
    if (this.#begins(ssrc, sequence)) this.#goOn(sequence, timestamp, ms)
    this.#source = { ssrc, sequence }
    this.#isAnew = false
    const ahead = {
      sequence: (sequence + this.#sequenceOffset) & 0xffff,
      timestamp: (timestamp + this.#timestampOffset) >>> 0,
      ms
    }
    this.#last = ahead
    header.setUint8(1, (header.getUint8(1) & 0x80) | payloadType)
    header.setUint16(2, ahead.sequence)
    header.setUint32(4, ahead.timestamp)
    header.setUint32(8, this.#ssrc)
    return bytes
  }

  /** What comes next is of another source, whatever it says. */
  anew(): void {
    this.#isAnew = true
  }

  #begins(ssrc: number, sequence: number): boolean {
    if (!this.#source) return false
    if (this.#isAnew) return true
    const apart = (sequence - this.#source.sequence) & 0xffff
    return ssrc !== this.#source.ssrc || Math.min(apart, 0x10000 - apart) > MAX_DROPOUT
  }

  #goOn(sequence: number, timestamp: number, ms: number): void {
    const ticks = Math.round(((ms - this.#last.ms) * this.#clockRate) / 1000)
    this.#sequenceOffset = this.#last.sequence + 1 - sequence
    this.#timestampOffset = this.#last.timestamp + ticks - timestamp
  }
}
