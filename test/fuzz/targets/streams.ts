// A path to a rogue peer: it opens channels, says anything on each of them, floods them, and closes them when it likes. Nothing throws
// here, what is broken is counted, and what it sends fills no memory. There is no network: channels are pairs in memory.

import { equal, ok } from 'node:assert/strict'
import { Connection } from '../../../src/peer/connection/connection.ts'
import { MESSAGE_BYTES } from '../../../src/peer/connection/streams/kept.ts'
import { protocolText } from '../../../src/peer/connection/streams/stream-message.ts'
import type { Channel, Transport } from '../../../src/peer/transport/transport.ts'
import { jsonText, mutatedJson } from '../mutate.ts'
import type { Odd } from '../odd.ts'
import type { Random } from '../random.ts'
import type { Subject, Target } from '../target.ts'

const secret = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'

/** What is said about a stream. */
const ofStreams = [
  { v: 2, type: 'at', received: 0, limit: 4_194_304, ended: false },
  { v: 2, type: 'mark', received: 5, limit: 4_194_304, ended: false },
  { v: 2, type: 'from', offset: 0 },
  { v: 2, type: 'end', total: 0 },
  { v: 2, type: 'abort', reason: 'it stopped' }
]

/** What is said about the connection. */
const ofPaths = [
  { v: 1, type: 'hello', streams: 2, nonce: secret, resumeMs: 60_000 },
  { v: 1, type: 'resume', mac: secret, next: 0, offered: 0, held: [0, 1] },
  { v: 1, type: 'ping', id: 'x' },
  { v: 1, type: 'pong', id: 'x' },
  { v: 1, type: 'alive' },
  { v: 1, type: 'tracks', number: 1, tracks: [{ id: 0, kind: 'video', codec: 'vp8', ssrc: 5 }] },
  { v: 1, type: 'took', number: 1 },
  { v: 1, type: 'sized' },
  { v: 1, type: 'narrow' },
  { v: 1, type: 'assure', said: secret }
]
const said = [...ofStreams, ...ofPaths]
const labels = ['echo', 'hold', 'pour', 'nothing'] as const

/** This side's end of a channel; the far one is in the hands of the fuzzer. */
class MemoryChannel implements Channel {
  readonly #label: string
  readonly #protocol: string
  /** This side has said that the stream on it is over. */
  isOver = false
  #open = true
  #message: Parameters<Channel['onMessage']>[0] = () => {}
  #closed = () => {}
  #low = () => {}
  /** Bytes that the far side has not taken. */
  #waiting = 0

  constructor(label: string, protocol = '') {
    this.#label = label
    this.#protocol = protocol
  }

  getLabel = () => this.#label
  getProtocol = () => this.#protocol
  bufferedAmount = () => this.#waiting
  sendMessage = (text: string) => {
    this.#send(text.length)
    this.isOver ||= text.includes('"abort"')
  }
  sendMessageBinary = (bytes: Uint8Array) => this.#send(bytes.length)
  setBufferedAmountLowThreshold = () => {}
  onMessage(handle: Parameters<Channel['onMessage']>[0]): void {
    this.#message = handle
  }
  onBufferedAmountLow(handle: () => void): void {
    this.#low = handle
  }
  onError = () => {}
  onClosed(handle: () => void): void {
    this.#closed = handle
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    queueMicrotask(() => this.#closed())
  }

  get isOpen(): boolean {
    return this.#open
  }

  says(message: string | Buffer): void {
    if (this.#open) this.#message(message)
  }

  takes(): void {
    this.#waiting = 0
    if (this.#open) this.#low()
  }

  #send(bytes: number): void {
    if (!this.#open) throw new Error('the channel is closed')
    this.#waiting += bytes
  }
}

class MemoryTransport implements Transport {
  readonly channels: MemoryChannel[] = []
  readonly #states: ((state: string) => void)[] = []
  #offered: (channel: Channel) => void = () => {}
  #state = 'connected'
  #bytes = 0

  state = () => this.#state
  bytesSent = () => ++this.#bytes
  bytesReceived = () => ++this.#bytes
  createDataChannel(label: string, { protocol }: { protocol: string }): MemoryChannel {
    const channel = new MemoryChannel(label, protocol)
    this.channels.push(channel)
    return channel
  }
  onStateChange(handle: (state: string) => void): void {
    this.#states.push(handle)
  }
  onDataChannel(handle: (channel: Channel) => void): void {
    this.#offered = handle
  }
  offers(label: string, protocol: string): void {
    this.#offered(this.createDataChannel(label, { protocol }))
  }
  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    for (const channel of this.channels) channel.close()
    queueMicrotask(() => {
      for (const handle of this.#states) handle('closed')
    })
  }
}

interface Path {
  readonly transport: MemoryTransport
  readonly control: MemoryChannel
  readonly connection: Connection
  /** Those on which it was to go on. */
  readonly others: { readonly transport: MemoryTransport; readonly control: MemoryChannel }[]
}

const certificates = { local: '', remote: '' }

function openPath(): Path {
  const transport = new MemoryTransport()
  const control = new MemoryChannel('postern')
  const path = { by: 'direct', kind: 'direct', local: '', remote: '', ms: 1, trace: '', mtu: 1280 } as const
  const peer = { name: 'eve', fingerprint: '' }
  const connection = new Connection({
    transport,
    control,
    sizing: new MemoryChannel('postern'),
    peer,
    path,
    session: 'a',
    certificates,
    role: 'callee',
    resumeMs: 500
  })
  connection.serve('echo', stream => void stream.pipe(stream))
  connection.serve('hold', () => {})
  connection.serve('pour', stream => void stream.end(Buffer.alloc(200_000)))
  return { transport, control, connection, others: [] }
}

type Move =
  | { readonly move: 'offer'; readonly label: string; readonly protocol: string }
  | { readonly move: 'open'; readonly label: string }
  | { readonly move: 'carry' }
  | { readonly move: 'control'; readonly message: string | Buffer }
  | { readonly move: 'say'; readonly channel: number; readonly message: string | Buffer }
  | { readonly move: 'take' | 'close' | 'flood'; readonly channel: number }
  | { readonly move: 'bye' | 'lose' }

/** More than may be on its way to a reader that does not read, in bytes. */
const TOO_MANY_BYTES = 8 * 2 ** 20

/** What nobody reads is not kept without end: the stream is over then. */
function flood(channel: MemoryChannel): void {
  const piece = Buffer.alloc(MESSAGE_BYTES, 7)
  for (let bytes = 0; bytes < TOO_MANY_BYTES; bytes += piece.length) channel.says(piece)
  if (channel.getLabel() === 'hold') ok(channel.isOver || !channel.isOpen, 'more is kept than may be sent')
}

/** So many moves on one path; then it is closed, so that what it held is seen to go. */
const MOVES = 2000

class Peer implements Subject<Move> {
  readonly #odd: Odd
  #path = openPath()
  #moves = 0

  constructor(odd: Odd) {
    this.#odd = odd
  }

  input(random: Random): Move {
    const channel = random.next()
    const roll = random.below(100)
    if (roll < 8) return this.#offer(random)
    if (roll < 9) return { move: 'carry' }
    if (roll < 10) return { move: 'open', label: random.pick(['echo', 'pour', 'nothing']) }
    if (roll < 30) return { move: 'control', message: this.#message(random) }
    if (roll < 80) return { move: 'say', channel, message: this.#message(random) }
    if (roll < 91) return { move: 'take', channel }
    if (roll < 92) return { move: 'flood', channel }
    if (roll < 99) return { move: 'close', channel }
    return { move: random.chance(0.1) ? random.pick(['bye', 'lose']) : 'bye' }
  }

  #offer(random: Random): Move {
    const label = random.chance(0.9) ? random.pick(labels) : this.#odd.text(random)
    const name = { stream: random.chance(0.8) ? 2 * this.#moves : random.below(40), resumeMs: random.below(70_000) }
    return { move: 'offer', label, protocol: random.chance(0.9) ? protocolText(name) : this.#odd.text(random) }
  }

  #message(random: Random): string | Buffer {
    const text = () => jsonText(random, mutatedJson(random, random.pick(said), this.#odd), this.#odd, MESSAGE_BYTES)
    if (random.chance(0.6)) return random.chance(0.3) ? JSON.stringify(random.pick(said)) : text()
    return Buffer.alloc(random.chance(0.1) ? MESSAGE_BYTES : random.size(5000), 7)
  }

  async check(move: Move): Promise<void> {
    if (++this.#moves > MOVES || this.#path.connection.closed.aborted) await this.rest()
    const before = this.#path.connection.droppedMessages
    this.#do(move)
    for (let turns = 0; turns < 4; turns++) await undefined
    const dropped = this.#path.connection.droppedMessages - before
    if (move.move === 'carry') return ok(dropped <= 1, 'a wrong proof was counted more than once')
    // Each message that a stream is not allowed is a lie.
    if (move.move === 'flood') return
    if (move.move !== 'control') return ok(dropped <= 1, 'a lie of a stream was counted more than once')
    const isBroken = typeof move.message !== 'string' || !/^\s*\{/.test(move.message)
    if (isBroken) equal(dropped, 1, 'a broken message was not counted')
    else ok(dropped === 0 || dropped === 1)
  }

  #do(move: Move): void {
    const { transport, control, connection } = this.#path
    const channels = transport.channels.filter(({ isOpen }) => isOpen)
    const channel = 'channel' in move ? channels[move.channel % channels.length] : undefined
    switch (move.move) {
      case 'offer':
        return transport.offers(move.label, move.protocol)
      case 'carry':
        return this.#carry()
      case 'open':
        connection.open(move.label).then(
          stream => stream.resume().end('hello'),
          () => {}
        )
        return
      case 'control':
        return control.says(move.message)
      case 'say':
        return channel?.says(move.message)
      case 'take':
        return channel?.takes()
      case 'flood':
        return channel && flood(channel)
      case 'close':
        return channel?.close()
      case 'bye':
        return control.says('{"v":1,"type":"bye"}')
      case 'lose':
        return transport.close()
    }
  }

  /** Another path, at whose far end is the same rogue. */
  #carry(): void {
    const { connection, others } = this.#path
    const transport = new MemoryTransport()
    const control = new MemoryChannel('postern')
    const path = { by: 'relay', kind: 'relay', local: '', remote: '', ms: 1, trace: '', mtu: 1280 } as const
    const sizing = new MemoryChannel('postern')
    connection.carry({ transport, control, sizing, path, session: 'b', certificates }).catch(() => {})
    others.push({ transport, control })
    control.says(JSON.stringify(ofPaths[1]))
  }

  async rest(): Promise<void> {
    await this.#leave()
    this.#path = openPath()
    this.#moves = 0
  }

  close(): Promise<void> {
    return this.#leave()
  }

  async #leave(): Promise<void> {
    const { transport, control, connection, others } = this.#path
    for (const one of [{ transport, control }, ...others]) {
      // Otherwise it would wait for another path.
      one.control.says('{"v":1,"type":"bye"}')
      one.transport.close()
    }
    await connection.close()
  }
}

export const streams: Target = {
  name: 'streams',
  about: 'a path to a rogue peer: nothing throws, broken messages are counted, memory is bounded',
  open: odd => new Peer(odd)
}
