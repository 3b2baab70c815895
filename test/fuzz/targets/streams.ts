// A path to a rogue peer: it opens channels, says anything on each of them, floods them, and closes them when it likes. Nothing throws
// here, what is broken is counted, and what it sends fills no memory. There is no network: channels are pairs in memory.

import { equal, ok } from 'node:assert/strict'
import { Connection } from '../../../src/peer/connection/connection.ts'
import { type Channel, TRANSPORT_BYTES, type Transport } from '../../../src/peer/transport/transport.ts'
import { jsonText, mutatedJson } from '../mutate.ts'
import type { Odd } from '../odd.ts'
import type { Random } from '../random.ts'
import type { Subject, Target } from '../target.ts'

const said = [
  { v: 1, type: 'credit', bytes: 4_194_304 },
  { v: 1, type: 'end' },
  { v: 1, type: 'ended' },
  { v: 1, type: 'abort', reason: 'it stopped' },
  { v: 1, type: 'ping', id: 'x' },
  { v: 1, type: 'pong', id: 'x' },
  { v: 1, type: 'alive' }
]
const labels = ['echo', 'hold', 'pour', 'nothing'] as const

/** This side's end of a channel; the far one is in the hands of the fuzzer. */
class MemoryChannel implements Channel {
  readonly #label: string
  /** This side has said that the stream on it is over. */
  isOver = false
  #open = true
  #message: Parameters<Channel['onMessage']>[0] = () => {}
  #closed = () => {}
  #low = () => {}
  /** Bytes that the far side has not taken. */
  #waiting = 0

  constructor(label: string) {
    this.#label = label
  }

  getLabel = () => this.#label
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
  createDataChannel(label: string): MemoryChannel {
    const channel = new MemoryChannel(label)
    this.channels.push(channel)
    return channel
  }
  onStateChange(handle: (state: string) => void): void {
    this.#states.push(handle)
  }
  onDataChannel(handle: (channel: Channel) => void): void {
    this.#offered = handle
  }
  offers(label: string): void {
    this.#offered(this.createDataChannel(label))
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
}

function openPath(): Path {
  const transport = new MemoryTransport()
  const control = new MemoryChannel('postern')
  const path = { by: 'direct', kind: 'direct', local: '', remote: '', ms: 1, trace: '' } as const
  const connection = new Connection({ transport, control, peer: { name: 'eve', fingerprint: '' }, path })
  connection.serve('echo', stream => void stream.pipe(stream))
  connection.serve('hold', () => {})
  connection.serve('pour', stream => void stream.end(Buffer.alloc(200_000)))
  return { transport, control, connection }
}

type Move =
  | { readonly move: 'offer' | 'open'; readonly label: string }
  | { readonly move: 'control'; readonly message: string | Buffer }
  | { readonly move: 'say'; readonly channel: number; readonly message: string | Buffer }
  | { readonly move: 'take' | 'close' | 'flood'; readonly channel: number }
  | { readonly move: 'bye' | 'lose' }

/** More than may be on its way to a reader that does not read, in bytes. */
const TOO_MANY_BYTES = 8 * 2 ** 20

/** What nobody reads is not kept without end: the stream is over then. */
function flood(channel: MemoryChannel): void {
  const piece = Buffer.alloc(TRANSPORT_BYTES, 7)
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
    if (roll < 8) return { move: 'offer', label: random.chance(0.9) ? random.pick(labels) : this.#odd.text(random) }
    if (roll < 10) return { move: 'open', label: random.pick(['echo', 'pour', 'nothing']) }
    if (roll < 30) return { move: 'control', message: this.#message(random) }
    if (roll < 80) return { move: 'say', channel, message: this.#message(random) }
    if (roll < 91) return { move: 'take', channel }
    if (roll < 92) return { move: 'flood', channel }
    if (roll < 99) return { move: 'close', channel }
    return { move: random.chance(0.1) ? random.pick(['bye', 'lose']) : 'bye' }
  }

  #message(random: Random): string | Buffer {
    const text = () => jsonText(random, mutatedJson(random, random.pick(said), this.#odd), this.#odd, TRANSPORT_BYTES)
    if (random.chance(0.6)) return random.chance(0.3) ? JSON.stringify(random.pick(said)) : text()
    return Buffer.alloc(random.chance(0.1) ? TRANSPORT_BYTES : random.size(5000), 7)
  }

  async check(move: Move): Promise<void> {
    if (++this.#moves > MOVES || this.#path.connection.closed.aborted) await this.rest()
    const before = this.#path.connection.droppedMessages
    this.#do(move)
    for (let turns = 0; turns < 4; turns++) await undefined
    const dropped = this.#path.connection.droppedMessages - before
    if (move.move !== 'control') return equal(dropped, 0, 'a message of a stream was counted for one of the path')
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
        return transport.offers(move.label)
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

  async rest(): Promise<void> {
    this.#path.transport.close()
    await this.#path.connection.close()
    this.#path = openPath()
    this.#moves = 0
  }

  async close(): Promise<void> {
    await this.rest()
    this.#path.transport.close()
    await this.#path.connection.close()
  }
}

export const streams: Target = {
  name: 'streams',
  about: 'a path to a rogue peer: nothing throws, broken messages are counted, memory is bounded',
  open: odd => new Peer(odd)
}
