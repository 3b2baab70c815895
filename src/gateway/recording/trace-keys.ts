// A caller may read what was recorded of its own request. With the request it is told a key, which reads that one record for an hour
// and nothing else. Nothing is stored for it: the key itself says until when and which request, and only this process can have
// made it.
//
//   key = until (4 bytes, seconds) · root span (8) · HMAC-SHA256 of both and the trace's id, its first 16
//
// A trace id alone would not do: callers choose theirs, so that anybody may make a request within the trace of others.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { SpanContext } from '@opentelemetry/api'
import { nowMs } from '../../clock.ts'

/** How long a key is good, in milliseconds. */
export const KEY_MS = 3_600_000

/** Bytes that are said in clear, and of the code that proves them. */
const HEAD = 12
const MAC = 16

export class TraceKeys {
  readonly #secret = randomBytes(32)
  readonly #now: () => number

  constructor(now: () => number = nowMs) {
    this.#now = now
  }

  /** The key of a request, by its root. */
  keyOf({ traceId, spanId }: Pick<SpanContext, 'traceId' | 'spanId'>): string {
    const head = Buffer.alloc(HEAD)
    head.writeUInt32BE(Math.ceil((this.#now() + KEY_MS) / 1000))
    head.write(spanId, 4, 'hex')
    return Buffer.concat([head, this.#mac(traceId, head)]).toString('base64url')
  }

  /** The root span of the request that a key is for; undefined if it is for none of this trace, or its time is over. */
  rootOf(trace: string, key: string): string | undefined {
    const given = Buffer.from(key, 'base64url')
    if (given.length !== HEAD + MAC) return undefined
    const head = given.subarray(0, HEAD)
    const isOurs = timingSafeEqual(given.subarray(HEAD), this.#mac(trace, head))
    return isOurs && head.readUInt32BE() * 1000 > this.#now() ? head.toString('hex', 4) : undefined
  }

  #mac(trace: string, head: Buffer): Buffer {
    return createHmac('sha256', this.#secret).update(`postern trace ${trace} `).update(head).digest().subarray(0, MAC)
  }
}
