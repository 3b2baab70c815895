// RTP from a program on this computer, such as ffmpeg. Nobody else can send to a loopback address, and of the programs here it is the
// first one that sends, until that one is silent.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { PosternError } from '../../errors.ts'
import { type Endpoint, formatEndpoint, isLoopback, sameEndpoint } from '../../wire/endpoint.ts'
import { Emitter } from '../connection/emitter.ts'
import { isRtp } from '../transport/media.ts'

/** Another program may take over from one that has sent nothing for so long, in milliseconds. */
const SILENT_MS = 2_000

export interface RtpSourceEvents {
  /** A program sends from this endpoint, and no other is heard. */
  source: [from: Endpoint]
  packet: [packet: Uint8Array]
  /** A datagram was dropped, because it is no RTP (`not-rtp`), or comes from another program (`other-source`). */
  dropped: [why: 'not-rtp' | 'other-source', from: Endpoint]
}

export class RtpSource extends Emitter<RtpSourceEvents> {
  readonly #socket: Socket
  #from: Endpoint | undefined
  #heardMs = 0

  private constructor(socket: Socket) {
    super()
    this.#socket = socket
    socket.on('message', (packet, from) => this.#receive(packet, from))
    socket.on('error', () => {})
  }

  /** Throws `bad-config` for an address that is not a loopback one, `port-in-use`, or `io`. */
  static async open(at: Endpoint): Promise<RtpSource> {
    const { address, port } = at
    if (!isLoopback(address))
      throw new PosternError(
        'bad-config',
        `RTP is taken from this computer alone, and ${address} is no loopback address`
      )
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    try {
      socket.bind(port, address)
      await once(socket, 'listening')
      return new RtpSource(socket)
    } catch (cause) {
      socket.close()
      const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
      const why = taken ? 'is taken by another program' : `cannot be listened on: ${(cause as Error).message}`
      throw new PosternError(taken ? 'port-in-use' : 'io', `UDP ${formatEndpoint(at)} ${why}`, { cause })
    }
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#socket.address().port
  }

  close(): void {
    this.#socket.close()
  }

  #receive(packet: Buffer, { address, port }: RemoteInfo): void {
    const from = { address, port }
    const isNew = !this.#from || !sameEndpoint(this.#from, from)
    const now = performance.now()
    if (isNew && this.#from && now - this.#heardMs < SILENT_MS) return void this.emit('dropped', 'other-source', from)
    // RTCP may come to the same port (RFC 5761): it is about the way to here.
    if (!isRtp(packet)) return void (isRtcp(packet) || this.emit('dropped', 'not-rtp', from))
    this.#from = from
    this.#heardMs = now
    if (isNew) this.emit('source', from)
    this.emit('packet', packet)
  }
}

/** RFC 5761 section 4. */
const isRtcp = ([first = 0, second = 0]: Uint8Array): boolean => first >> 6 === 2 && second >= 192 && second <= 223
