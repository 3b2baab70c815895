// What two peers say about one stream, as text on its channels. Its bytes are the binary messages between.
//
//   opener                                    acceptor
//    | --- (channel with protocol) ------------> |   {"v":2,"stream":0,"resumeMs":60000}
//    | <-- at { received: 0, limit, ended } ---- |   accepted: where this side stands, and how far the other may send
//    | --- at { received: 0, limit, ended } ---> |
//    | --- from { offset }, bytes … ------------ |   bytes of this channel count from there
//    | <-- mark { received, limit, ended } ----- |   what has arrived is not sent again; more may follow
//    | --- end { total } ----------------------> |   no more bytes will follow (data channels cannot be half-closed)
//    | --- abort { reason } -------------------> |   the stream is over, and why
//
// A stream that goes on over another path gets a channel there, and both sides begin with `at` again. All offsets count the
// bytes of one direction from the stream's beginning, so that whatever arrives twice is known.

import { printable } from '../../../wire/text.ts'
import { isCount, parseVersioned } from '../versioned.ts'

/** Version of these messages and of a channel's protocol. */
export const STREAMS = 2

export interface Standing {
  /** So many bytes have arrived here, whether or not anybody has read them. */
  readonly received: number
  /** The far side may send up to this offset. */
  readonly limit: number
  /** The far side's end has arrived here. */
  readonly ended: boolean
}

export type StreamMessage =
  | ({ type: 'at' | 'mark' } & Standing)
  | { type: 'from'; offset: number }
  | { type: 'end'; total: number }
  | { type: 'abort'; reason: string }

export const streamText = (message: StreamMessage): string => JSON.stringify({ v: STREAMS, ...message })

export function parseStreamMessage(text: string): StreamMessage | undefined {
  const message = parseVersioned(text, undefined, STREAMS)
  if (!message) return undefined
  const { type, received, limit, ended, offset, total, reason } = message
  switch (type) {
    case 'at':
    case 'mark':
      return isCount(received) && isCount(limit) ? { type, received, limit, ended: ended === true } : undefined
    case 'from':
      return isCount(offset) ? { type, offset } : undefined
    case 'end':
      return isCount(total) ? { type, total } : undefined
    case 'abort':
      return { type, reason: typeof reason === 'string' ? printable(reason) : 'it gave up' }
    default:
      return undefined
  }
}

/** What the protocol of a stream's channel tells. */
export interface StreamName {
  /** Even numbers are those of the side that asked for the connection, odd ones those of the other. */
  readonly stream: number
  /** How long the stream waits for another path when its own is lost, in milliseconds. */
  readonly resumeMs: number
}

export const protocolText = (name: StreamName): string => JSON.stringify({ v: STREAMS, ...name })

export function parseProtocol(text: string): StreamName | undefined {
  const { stream, resumeMs } = parseVersioned(text, 256, STREAMS) ?? {}
  return isCount(stream) && isCount(resumeMs) ? { stream, resumeMs } : undefined
}
