// A path within this process, without a network: what one side sends waits on a wire until it is let through, so that a test, or
// the fuzzer, decides what arrives when. Each channel keeps its order, as over SCTP; two channels may overtake each other.

import type { OpenPath, PathReport } from '../../src/peer/connection/path.ts'
import type { Channel, Transport } from '../../src/peer/transport/transport.ts'

type OnMessage = Parameters<Channel['onMessage']>[0]

/** Everything that is on its way on a path, in both directions. */
export class Wire {
  readonly #waiting = new Map<MemoryChannel, (() => void)[]>()
  #isFlowing = true
  #isDue = false

  /** Nothing arrives from now on, until it flows or is stepped. */
  stop(): void {
    this.#isFlowing = false
  }

  flow(): void {
    this.#isFlowing = true
    this.#flow()
  }

  /** How many channels have something on its way. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Lets one thing through, of the channel that `pick` chooses among so many. */
  step(pick: (choices: number) => number = () => 0): void {
    const channel = [...this.#waiting.keys()][pick(this.#waiting.size)]
    const events = channel && this.#waiting.get(channel)
    if (!channel || !events) return
    const event = events.shift()
    if (events.length === 0) this.#waiting.delete(channel)
    event?.()
  }

  /** @param channel the end where it arrives */
  put(channel: MemoryChannel, event: () => void): void {
    const events = this.#waiting.get(channel) ?? []
    events.push(event)
    this.#waiting.set(channel, events)
    this.#flow()
  }

  clear(): void {
    this.#waiting.clear()
  }

  #flow(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      for (let left = 256; left > 0 && this.#isFlowing && this.#waiting.size > 0; left--) this.step()
      if (this.#isFlowing && this.#waiting.size > 0) this.#flow()
    })
  }
}

/** One end of a channel. */
export class MemoryChannel implements Channel {
  readonly #transport: MemoryTransport
  readonly #label: string
  readonly #protocol: string
  far!: MemoryChannel
  isOpen = true
  /** Bytes that were sent here and have not arrived. */
  #sentBytes = 0
  #message: OnMessage | undefined
  /** What has arrived before anybody listened. */
  readonly #unheard: Parameters<OnMessage>[0][] = []
  #closed = () => {}
  #low = () => {}

  constructor(transport: MemoryTransport, label: string, protocol: string) {
    this.#transport = transport
    this.#label = label
    this.#protocol = protocol
  }

  getLabel = () => this.#label
  getProtocol = () => this.#protocol
  bufferedAmount = () => this.#sentBytes
  sendMessage = (text: string) => this.#send(text, text.length)
  sendMessageBinary = (bytes: Uint8Array) => this.#send(Buffer.from(bytes), bytes.length)
  setBufferedAmountLowThreshold = () => {}
  onError = () => {}

  onMessage(handle: OnMessage): void {
    this.#message = handle
    for (const message of this.#unheard.splice(0)) handle(message)
  }

  onBufferedAmountLow(handle: () => void): void {
    this.#low = handle
  }

  onClosed(handle: () => void): void {
    this.#closed = handle
  }

  close(): void {
    if (!this.isOpen) return
    this.gone()
    this.#transport.wire.put(this.far, () => this.far.gone())
  }

  gone(): void {
    if (!this.isOpen) return
    this.isOpen = false
    setImmediate(() => this.#closed())
  }

  #send(message: string | Buffer, bytes: number): void {
    if (!this.isOpen) throw new Error('DataChannel is closed')
    this.#sentBytes += bytes
    this.#transport.bytes.sent += bytes
    this.#transport.wire.put(this.far, () => {
      this.#sentBytes -= bytes
      this.far.#arrived(message, bytes)
      if (this.isOpen && this.#sentBytes === 0) this.#low()
    })
  }

  #arrived(message: string | Buffer, bytes: number): void {
    if (!this.isOpen) return
    this.#transport.bytes.received += bytes
    if (this.#message) this.#message(message)
    else this.#unheard.push(message)
  }
}

export class MemoryTransport implements Transport {
  readonly wire: Wire
  readonly bytes = { sent: 0, received: 0 }
  readonly channels = new Set<MemoryChannel>()
  far!: MemoryTransport
  #state = 'connected'
  #changed: (state: string) => void = () => {}
  #offered: (channel: Channel) => void = () => {}

  constructor(wire: Wire) {
    this.wire = wire
  }

  state = () => this.#state
  bytesSent = () => this.bytes.sent
  bytesReceived = () => this.bytes.received

  createDataChannel(label: string, { protocol }: { protocol: string }): MemoryChannel {
    if (this.#state !== 'connected') throw new Error('createDataChannel() called on destroyed peer connection')
    const [here, there] = joined(this, label, protocol)
    this.wire.put(there, () => there.isOpen && this.far.#offered(there))
    return here
  }

  onStateChange(handle: (state: string) => void): void {
    this.#changed = handle
  }

  onDataChannel(handle: (channel: Channel) => void): void {
    this.#offered = handle
  }

  /** What is on its way is lost, and the far side sees it, too. */
  close(): void {
    if (this.#state === 'closed') return
    this.wire.clear()
    this.gone()
    this.far.gone()
  }

  gone(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    for (const channel of this.channels) channel.gone()
    setImmediate(() => this.#changed('closed'))
  }
}

function joined(transport: MemoryTransport, label: string, protocol: string): [MemoryChannel, MemoryChannel] {
  const here = new MemoryChannel(transport, label, protocol)
  const there = new MemoryChannel(transport.far, label, protocol)
  here.far = there
  there.far = here
  transport.channels.add(here)
  transport.far.channels.add(there)
  return [here, there]
}

export interface MemoryPath extends OpenPath {
  readonly transport: MemoryTransport
  readonly control: MemoryChannel
  readonly sizing: MemoryChannel
}

/** Both ends of a path, and what is between. */
export function memoryPaths(
  session: string,
  kind: PathReport['kind'] = 'direct'
): { alice: MemoryPath; bob: MemoryPath; wire: Wire } {
  const wire = new Wire()
  const [one, other] = [new MemoryTransport(wire), new MemoryTransport(wire)]
  one.far = other
  other.far = one
  const [hers, his] = joined(one, 'postern', '')
  const [herSizing, hisSizing] = joined(one, 'size', '')
  const path: PathReport = { by: 'direct', kind, local: '', remote: '', ms: 1, trace: '', mtu: 1280 }
  return {
    alice: {
      transport: one,
      control: hers,
      sizing: herSizing,
      path,
      session,
      certificates: { local: 'AA', remote: 'BB' }
    },
    bob: {
      transport: other,
      control: his,
      sizing: hisSizing,
      path,
      session,
      certificates: { local: 'BB', remote: 'AA' }
    },
    wire
  }
}
