// `postern watch`: the tracks of a camera as RTP for a program on this computer, such as ffmpeg, and the description by which it reads
// them.

import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { finished } from 'node:stream/promises'
import { asPosternError, PosternError } from '../../errors.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { Connection, OpenOptions } from '../connection/connection.ts'
import { Renumbered } from '../connection/tracks/renumbered.ts'
import type { IncomingTrack } from '../connection/tracks/track.ts'
import { codecs, type TrackKind } from '../transport/media.ts'

export interface WatchOptions extends OpenOptions {
  /** Where packets of each kind go; those of a kind without an endpoint are dropped. */
  readonly targets: Readonly<Partial<Record<TrackKind, Endpoint>>>
  readonly onTrack?: (track: IncomingTrack) => void
  readonly signal: AbortSignal
}

/** Of one kind. */
export interface Watched {
  packets: number
  bytes: number
}

/**
 * Resolves when the camera is shown no more, with what has come. Throws `io` where this peer may not watch, and why the connection
 * ended.
 */
export async function watch(
  connection: Connection,
  { targets, onTrack, signal, ...options }: WatchOptions
): Promise<Record<TrackKind, Watched>> {
  const watched = { audio: { packets: 0, bytes: 0 }, video: { packets: 0, bytes: 0 } }
  using undo = new DisposableStack()
  const play = (track: IncomingTrack) => {
    onTrack?.(track)
    const target = targets[track.kind]
    if (target) undo.use(playing(track, target, watched[track.kind]))
  }
  connection.on('track', play)
  undo.defer(() => connection.off('track', play))
  const stream = await connection.open('watch', options)
  const stop = () => stream.destroy(new PosternError('io', 'it is watched no more', { cause: signal.reason }))
  signal.addEventListener('abort', stop, { once: true })
  undo.defer(() => signal.removeEventListener('abort', stop))
  if (signal.aborted) stop()
  stream.resume()
  try {
    await finished(stream, { writable: false })
    stream.end()
  } catch (error) {
    if (!signal.aborted) throw asPosternError(error)
  }
  return watched
}

/** Whoever plays it knows one source, also where the track comes from another one on another path. */
function playing(track: IncomingTrack, { address, port }: Endpoint, watched: Watched): Disposable {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  socket.on('error', () => {})
  const { payloadType, clockRate } = codecs[track.codec]
  const renumbered = new Renumbered({ clockRate, ssrc: randomInt(1, 2 ** 32) })
  const pass = (packet: Uint8Array) => {
    watched.packets++
    watched.bytes += packet.length
    socket.send(renumbered.of(packet, payloadType, performance.now()), port, address)
  }
  track.on('packet', pass)
  const stop = () => {
    track.off('packet', pass)
    socket.close()
  }
  return { [Symbol.dispose]: stop }
}

/** The description by which a player reads one track at this endpoint (RFC 8866, RFC 6184, RFC 7587, RFC 7741). */
export const playerDescription = (
  name: string,
  tracks: readonly { codec: keyof typeof codecs; at: Endpoint }[]
): string =>
  [
    'v=0',
    'o=- 0 0 IN IP4 127.0.0.1',
    `s=${name}`,
    't=0 0',
    ...tracks.flatMap(({ codec, at: { address, port } }) => {
      const { kind, payloadType, map } = codecs[codec]
      return [
        `m=${kind} ${port} RTP/AVP ${payloadType}`,
        `c=IN ${address.includes(':') ? 'IP6' : 'IP4'} ${address}`,
        `a=rtpmap:${payloadType} ${map}`,
        ...(codec === 'h264' ? [`a=fmtp:${payloadType} packetization-mode=1`] : [])
      ]
    }),
    ''
  ].join('\r\n')
