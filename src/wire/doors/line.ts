// One connection that carries datagrams, whatever its protocol is. What cannot arrive soon is dropped: the stream below is reliable,
// and what waits long in it is worth nothing to those who talk over it.
//
// How much waits in the system's own buffer nobody is told. So each end sends a mark along now and then (a Binding request of the
// USERNAME `line`), which the other end's line sends back at once. What a mark takes longer than the shortest of them did is time in
// a queue. Whoever does not know marks, as a browser, gets one, and sends none back.

import type { Socket } from 'node:net'
import { transactionId } from '../stun.ts'
import { FRAME_BYTES, Frames, frameOf } from './framing.ts'

/** How long datagrams may wait for the system to take them, in milliseconds: as long as in the relay's own queue. */
const QUEUE_MS = 50

/** The most that wait in any case: their kind and size is not known here. */
const MOST_WAITING = 1024

/** How long after a mark the next one leaves at the earliest, in milliseconds. */
const MARK_MS = 20

export interface Line {
  /** True if it left, or waits; false if it was dropped. */
  send(datagram: Uint8Array): boolean
  close(): void
  /** Since when a datagram has been coming whose end has not, on the clock of `performance.now`; undefined: there is none. */
  readonly partialSinceMs: number | undefined
}

export interface LineEvents {
  readonly datagram: (datagram: Buffer) => void
  /** What came is no datagram; the connection is to be closed. */
  readonly broken: () => void
  readonly dropped: () => void
  readonly closed: () => void
}

/** Datagrams in frames over TCP. Whatever has come before is read first. */
export function tcpLine(socket: Socket, events: LineEvents): Line {
  const frames = new Frames()
  const queue = new Queue((datagram, left) => socket.write(frameOf(datagram), left), events)
  socket.setNoDelay(true)
  socket.on('data', chunk => {
    try {
      for (const datagram of frames.push(chunk)) if (!queue.takes(datagram)) events.datagram(datagram)
    } catch {
      events.broken()
    }
  })
  socket.on('error', () => {})
  socket.on('end', () => socket.destroy())
  socket.on('close', () => events.closed())
  return {
    send: datagram => !socket.destroyed && queue.send(datagram),
    close: () => socket.destroy(),
    get partialSinceMs() {
      return frames.partialSinceMs
    }
  }
}

/** What is used of a WebSocket of the package ws. Who uses this package as a library need not have its types. */
export interface BinarySocket {
  readonly readyState: number
  readonly OPEN: number
  on(event: 'message', listener: (data: unknown, isBinary: boolean) => void): unknown
  on(event: 'error' | 'close', listener: () => void): unknown
  send(data: Uint8Array, options: { binary: boolean }, left: () => void): void
  terminate(): void
}

/** Datagrams as binary messages of a WebSocket. */
export function webSocketLine(ws: BinarySocket, events: LineEvents): Line {
  const queue = new Queue((datagram, left) => ws.send(datagram, { binary: true }, left), events)
  ws.on('message', (data, isBinary) => {
    const datagram = data as Buffer
    if (!isBinary || datagram.length === 0 || datagram.length > FRAME_BYTES) return events.broken()
    if (!queue.takes(datagram)) events.datagram(datagram)
  })
  // A frame was too large or malformed. A close follows.
  ws.on('error', () => events.broken())
  ws.on('close', () => events.closed())
  return {
    send: datagram => ws.readyState === ws.OPEN && queue.send(datagram),
    close: () => ws.terminate(),
    partialSinceMs: undefined
  }
}

/** What was handed to a stream and has not arrived: no more than arrives soon. */
class Queue {
  readonly #write: (datagram: Uint8Array, left: () => void) => void
  readonly #events: Pick<LineEvents, 'dropped'>
  /** Since when each of them waits, the oldest first. */
  readonly #sinceMs: number[] = []
  /** The mark that has not come back yet. */
  #mark: { readonly id: Buffer; readonly sentMs: number } | undefined
  #markedMs = Number.NEGATIVE_INFINITY
  /** The shortest time that a mark took. */
  #leastMs = Number.POSITIVE_INFINITY

  constructor(write: (datagram: Uint8Array, left: () => void) => void, events: Pick<LineEvents, 'dropped'>) {
    this.#write = write
    this.#events = events
  }

  send(datagram: Uint8Array): boolean {
    const now = performance.now()
    const [oldestMs = now] = this.#sinceMs
    if (now - oldestMs > QUEUE_MS || this.#sinceMs.length >= MOST_WAITING || this.#isLate(now)) {
      this.#events.dropped()
      return false
    }
    this.#put(datagram, now)
    if (!this.#mark && now - this.#markedMs >= MARK_MS) this.#sendMark(now)
    return true
  }

  /** True for a mark, the other end's or one of ours that has come back: it is nobody else's. */
  takes(datagram: Buffer): boolean {
    if (!isMark(datagram)) return false
    const now = performance.now()
    const id = datagram.subarray(8, 20)
    if (datagram.readUInt16BE(0) === REQUEST) this.#put(markOf(SUCCESS, id), now)
    else if (this.#mark?.id.equals(id)) {
      this.#leastMs = Math.min(this.#leastMs, now - this.#mark.sentMs)
      this.#mark = undefined
    }
    return true
  }

  /** A segment that was lost costs TCP a round trip, which is no queue. */
  #isLate(now: number): boolean {
    return this.#mark !== undefined && now - this.#mark.sentMs > 2 * this.#leastMs + QUEUE_MS
  }

  #sendMark(now: number): void {
    const id = transactionId()
    this.#mark = { id, sentMs: now }
    this.#markedMs = now
    this.#put(markOf(REQUEST, id), now)
  }

  #put(datagram: Uint8Array, now: number): void {
    this.#sinceMs.push(now)
    this.#write(datagram, () => this.#sinceMs.shift())
  }
}

/** STUN's message types for Binding (RFC 8489 section 5). */
const REQUEST = 0x0001
const SUCCESS = 0x0101

/** USERNAME, four bytes. */
const LINE = Buffer.from('000600046c696e65', 'hex')

const HEADER_BYTES = 20

/** True for a mark, sent or come back. */
export const isMark = (datagram: Buffer): boolean =>
  datagram.length === HEADER_BYTES + LINE.length && datagram.subarray(HEADER_BYTES).equals(LINE)

function markOf(type: number, id: Buffer): Buffer {
  const mark = Buffer.alloc(HEADER_BYTES + LINE.length)
  mark.writeUInt16BE(type)
  mark.writeUInt16BE(LINE.length, 2)
  mark.writeUInt32BE(0x2112a442, 4)
  id.copy(mark, 8)
  LINE.copy(mark, HEADER_BYTES)
  return mark
}
