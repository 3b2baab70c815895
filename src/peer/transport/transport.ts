// A peer's path is made of an encrypted transport with channels, as WebRTC has them. node-datachannel is one (native.ts); a
// browser's RTCPeerConnection can be another. No other code knows which one it is.

/**
 * One reliable, ordered channel. Set its handlers in the turn in which it was given, because an event without one is lost for
 * good.
 */
export interface Channel {
  getLabel(): string
  /** Bytes that were sent here and have not left yet. */
  bufferedAmount(): number
  /** Throws when the channel is closed. */
  sendMessage(text: string): unknown
  /** Throws when the channel is closed. */
  sendMessageBinary(bytes: Uint8Array): unknown
  setBufferedAmountLowThreshold(bytes: number): void
  onMessage(handle: (message: string | Buffer | ArrayBuffer) => void): void
  onBufferedAmountLow(handle: () => void): void
  onError(handle: (reason: string) => void): void
  onClosed(handle: () => void): void
  close(): void
}

export interface Transport {
  /** `connected`, `disconnected`, `failed` or `closed`, among others. */
  state(): string
  /** Opens a channel that the far side is told of. */
  createDataChannel(label: string): Channel
  /** Bytes since the transport was opened, over all channels. */
  bytesSent(): number
  bytesReceived(): number
  onStateChange(handle: (state: string) => void): void
  /** A channel that the far side opened. */
  onDataChannel(handle: (channel: Channel) => void): void
  close(): void
}

/**
 * The largest message that peers accept from each other, in bytes. Compared with 64 KiB it saves a tenth of the CPU's time.
 */
export const TRANSPORT_BYTES = 262_144

/**
 * Wraps a handler for a native callback. A throw inside such a callback ends the process; thrown a moment later, it is an
 * ordinary uncaught exception.
 */
export function safely<Arguments extends unknown[]>(
  handle: (...args: Arguments) => void
): (...args: Arguments) => void {
  return (...args) => {
    try {
      handle(...args)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
