// Datagrams in a stream of bytes (RFC 4571): each comes behind its length, two bytes in network order. This is how ICE goes over
// TCP (RFC 6544), and how the relay takes datagrams where UDP is blocked.
//
//   00 1c │ 28 bytes │ 04 d2 │ 1234 bytes │ …
//
// A frame that no peer would send ends the stream: behind a length that lies nothing has a meaning any more.

import { PosternError } from '../../errors.ts'

/** The longest datagram in a frame, in bytes. What goes over a path has 1,280 at most, and a browser's checks are shorter. */
export const FRAME_BYTES = 2048

const LENGTH_BYTES = 2

/** Whether a stream that begins with this byte may be one of frames: HTTP begins with a letter, TLS with 22. */
export const beginsFrame = (byte: number): boolean => byte <= FRAME_BYTES >> 8

/** The datagram behind its length. */
export function frameOf(datagram: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + datagram.length)
  frame.writeUInt16BE(datagram.length)
  frame.set(datagram, LENGTH_BYTES)
  return frame
}

/** Cuts one stream into its datagrams. */
export class Frames {
  #rest: Buffer = Buffer.alloc(0)
  #sinceMs = 0

  /** Since when the frame has been coming whose end has not come, on the clock of `performance.now`; undefined: there is none. */
  get partialSinceMs(): number | undefined {
    return this.#rest.length > 0 ? this.#sinceMs : undefined
  }

  /** The datagrams that end in these bytes. Throws `bad-message` for a length that no datagram has. */
  push(chunk: Buffer): Buffer[] {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    const datagrams: Buffer[] = []
    let at = 0
    while (at + LENGTH_BYTES <= bytes.length) {
      const end = at + LENGTH_BYTES + lengthIn(bytes, at)
      if (end > bytes.length) break
      datagrams.push(bytes.subarray(at + LENGTH_BYTES, end))
      at = end
    }
    if (at > 0 || bytes === chunk) this.#sinceMs = performance.now()
    // A copy, because a few bytes would keep the whole chunk.
    this.#rest = Buffer.from(bytes.subarray(at))
    return datagrams
  }
}

function lengthIn(bytes: Buffer, at: number): number {
  const length = bytes.readUInt16BE(at)
  if (length > 0 && length <= FRAME_BYTES) return length
  throw new PosternError('bad-message', `a frame of ${length} bytes; expected 1 to ${FRAME_BYTES}`)
}
