// What two peers say on the control channel of a path, each in one text of versioned JSON:
//
//   hello { streams, nonce, resumeMs }   first, on the connection's first path: the two nonces make the key of resume-key.ts;
//                                        with `tracks` where this side takes tracks
//   assure { said }                      before that, between guests of a room (src/wire/room/assurance.ts)
//   resume { mac, next, offered, held }  on a later path: this side holds the connection's key, and these streams of it;
//                                        its own next number, and below which all of the far side's have been offered
//   ping { id } · pong { id }            a round trip, measured on request, or because nothing was heard
//   alive                                said after 5 s of having said nothing, on any channel
//   tracks { number, tracks }            all tracks that this side sends on this path from now on (tracks/tracks.ts)
//   took { number }                      the far side's tracks of that number are known here: their packets may come
//   sized                                the message that fills a packet has arrived (size-proof.ts)
//   narrow                               this side leaves, since no size of packets passes on any path
//   bye                                  this side leaves; answered with bye
//
// Unknown types are ignored; broken and oversized messages are counted and dropped.

import { type CodecName, codecs, type Source } from '../transport/media.ts'
import { isCount, parseVersioned } from './versioned.ts'

/** A track as its sender tells of it. The id is the same on every path. */
export interface TrackLine extends Source {
  readonly id: number
  readonly codec: CodecName
}

export type ControlMessage =
  | { type: 'hello'; streams: number; nonce: string; resumeMs: number; tracks?: number }
  | { type: 'resume'; mac: string; next: number; offered: number; held: readonly number[] }
  | { type: 'tracks'; number: number; tracks: readonly TrackLine[] }
  | { type: 'took'; number: number }
  | { type: 'assure'; said: string }
  | { type: 'ping' | 'pong'; id: string }
  | { type: 'alive' | 'sized' | 'narrow' | 'bye' }

/** As many streams as a connection can hold, with numbers of sixteen digits. */
const MAX_RESUME_BYTES = 8_192

/** The most streams that a `resume` may name. */
const MAX_HELD = 256

export const controlText = (message: ControlMessage): string => JSON.stringify({ v: 1, ...message })

const isSecret = (value: unknown): value is string => typeof value === 'string' && /^[\w+/=-]{16,64}$/.test(value)

const areIds = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= MAX_HELD && value.every(isCount)

/** The largest SSRC (RFC 3550 section 5.1). */
const MAX_SSRC = 2 ** 32 - 1

function parseTrack(value: unknown): TrackLine | undefined {
  const { id, codec, ssrc } = (value ?? {}) as Partial<Record<keyof TrackLine, unknown>>
  if (!isCount(id) || !isCount(ssrc) || ssrc > MAX_SSRC) return undefined
  if (typeof codec !== 'string' || !Object.hasOwn(codecs, codec)) return undefined
  const name = codec as CodecName
  return { id, kind: codecs[name].kind, codec: name, ssrc }
}

/** One of each kind, each with an id and a source of its own. */
function parseTracks(value: unknown): TrackLine[] | undefined {
  if (!Array.isArray(value) || value.length > 2) return undefined
  const lines = value.map(parseTrack).filter(line => line !== undefined)
  const differs = (field: keyof TrackLine) => new Set(lines.map(line => line[field])).size === value.length
  return differs('kind') && differs('id') && differs('ssrc') ? lines : undefined
}

/** Undefined for what is broken or oversized, `unknown` for a type of a later version. */
export function parseControl(text: string): ControlMessage | { type: 'unknown' } | undefined {
  const message = parseVersioned(text, MAX_RESUME_BYTES)
  if (!message || (message.type !== 'resume' && !parseVersioned(text))) return undefined
  const { type, id, said, streams, nonce, resumeMs, tracks, number, mac, next, offered, held } = message
  switch (type) {
    case 'hello':
      return isCount(streams) && isSecret(nonce) && isCount(resumeMs)
        ? { type, streams, nonce, resumeMs, ...(isCount(tracks) ? { tracks } : {}) }
        : undefined
    case 'tracks': {
      const lines = parseTracks(tracks)
      return isCount(number) && lines ? { type, number, tracks: lines } : undefined
    }
    case 'took':
      return isCount(number) ? { type, number } : undefined
    case 'resume':
      return isSecret(mac) && isCount(next) && isCount(offered) && areIds(held)
        ? { type, mac, next, offered, held }
        : undefined
    case 'assure':
      return typeof said === 'string' ? { type, said } : undefined
    case 'ping':
    case 'pong':
      return typeof id === 'string' && id.length <= 64 ? { type, id } : undefined
    case 'alive':
    case 'sized':
    case 'narrow':
    case 'bye':
      return { type }
    default:
      return typeof type === 'string' ? { type: 'unknown' } : undefined
  }
}
