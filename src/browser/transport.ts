// A path in a browser: the data channels of an RTCPeerConnection, as the connection above knows them. A browser gives an event to
// whoever listens at that moment, so what comes before somebody does waits here. Whatever is to live is referred to from here: a
// browser may collect a channel that nobody holds.

import type { Channel, Transport } from '../peer/transport/transport.ts'

/** What was asked of a connection that is closed by now is answered within this time, or never, in milliseconds. */
const LAST_WORDS_MS = 1000

type Message = Parameters<Parameters<Channel['onMessage']>[0]>[0]

/** Bytes that have passed, over all channels of a transport. */
interface Passed {
  sent: number
  received: number
}

export class DataChannel implements Channel {
  readonly #channel: RTCDataChannel
  readonly #passed: Passed
  #waiting: Message[] = []
  #hear: ((message: Message) => void) | undefined

  constructor(channel: RTCDataChannel, passed: Passed) {
    this.#channel = channel
    this.#passed = passed
    channel.binaryType = 'arraybuffer'
    channel.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      passed.received += lengthOf(data)
      this.#waiting.push(data)
      this.#flush()
    }
    channel.addEventListener('open', () => this.#flush())
  }

  get isOpen(): boolean {
    return this.#channel.readyState === 'open'
  }

  getLabel(): string {
    return this.#channel.label
  }

  getProtocol(): string {
    return this.#channel.protocol
  }

  bufferedAmount(): number {
    return this.#channel.bufferedAmount
  }

  sendMessage(text: string): void {
    this.#channel.send(text)
    this.#passed.sent += lengthOf(text)
  }

  sendMessageBinary(bytes: Uint8Array): void {
    this.#channel.send(bytes as Uint8Array<ArrayBuffer>)
    this.#passed.sent += bytes.length
  }

  setBufferedAmountLowThreshold(bytes: number): void {
    this.#channel.bufferedAmountLowThreshold = bytes
  }

  /** What waits is handed on when the turn is over, in which whoever listens makes itself ready. */
  onMessage(handle: (message: Message) => void): void {
    queueMicrotask(() => {
      this.#hear = handle
      this.#flush()
    })
  }

  onBufferedAmountLow(handle: () => void): void {
    this.#channel.onbufferedamountlow = handle
  }

  onError(handle: (reason: string) => void): void {
    this.#channel.onerror = ({ error }) => handle(error.message)
  }

  onClosed(handle: () => void): void {
    this.#channel.onclose = handle
    if (this.#channel.readyState === 'closed') queueMicrotask(handle)
  }

  close(): void {
    this.#channel.close()
  }

  /** An answer may come before the browser says that the channel is open, and lets anything be sent on it. */
  #flush(): void {
    if (this.#hear && this.#channel.readyState !== 'connecting')
      for (const message of this.#waiting.splice(0)) this.#hear(message)
  }
}

export class PeerTransport implements Transport {
  readonly passed: Passed = { sent: 0, received: 0 }
  readonly #pc: RTCPeerConnection
  readonly #frame: Element | undefined
  readonly #channels = new Set<RTCDataChannel>()
  readonly #offered: DataChannel[] = []
  #offer: ((channel: Channel) => void) | undefined
  #change: ((state: string) => void) | undefined
  #isClosed = false

  /** @param frame goes with it */
  constructor(pc: RTCPeerConnection, frame: Element | undefined) {
    this.#pc = pc
    this.#frame = frame
    pc.onconnectionstatechange = () => this.#change?.(this.state())
    pc.ondatachannel = ({ channel }) => {
      const kept = this.keep(channel)
      // Firefox tells of a channel before one may send on it.
      if (channel.readyState === 'open') this.#offers(kept)
      else channel.onopen = () => this.#offers(kept)
    }
  }

  keep(channel: RTCDataChannel): DataChannel {
    this.#channels.add(channel)
    channel.addEventListener('close', () => this.#channels.delete(channel))
    return new DataChannel(channel, this.passed)
  }

  /** A browser calls a path `disconnected` that it has not heard for five seconds. Whether it is lost is decided above. */
  state(): string {
    if (this.#isClosed) return 'closed'
    const { connectionState } = this.#pc
    return connectionState === 'disconnected' ? 'connected' : connectionState
  }

  createDataChannel(label: string, { protocol }: { readonly protocol: string }): Channel {
    return this.keep(this.#pc.createDataChannel(label, { protocol }))
  }

  bytesSent(): number {
    return this.passed.sent
  }

  bytesReceived(): number {
    return this.passed.received
  }

  onStateChange(handle: (state: string) => void): void {
    this.#change = handle
  }

  onDataChannel(handle: (channel: Channel) => void): void {
    queueMicrotask(() => {
      this.#offer = handle
      for (const channel of this.#offered.splice(0)) handle(channel)
    })
  }

  /** A browser tells nobody of what the page itself has closed. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#pc.close()
    setTimeout(() => this.#frame?.remove(), LAST_WORDS_MS)
    queueMicrotask(() => this.#change?.('closed'))
  }

  #offers(channel: DataChannel): void {
    if (this.#offer) this.#offer(channel)
    else this.#offered.push(channel)
  }
}

const lengthOf = (data: string | ArrayBuffer): number => (typeof data === 'string' ? data.length : data.byteLength)
