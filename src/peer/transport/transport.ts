// A peer's path is made of an encrypted transport with channels, as WebRTC has them. node-datachannel is one (native.ts), and
// the peer (../peer.ts) decides for it. No other code knows which one it is. A transport that cannot bind a given port, as a
// browser's RTCPeerConnection cannot, also needs orders in which no raw socket searches on its side.

import type { Endpoint } from '../../wire/endpoint.ts'
import type { Handover } from '../../wire/order.ts'
import type { RtpMedia } from './media.ts'

/**
 * One reliable, ordered channel. Set its handlers in the turn in which it was given, because an event without one is lost for
 * good, and the one for messages before the one for the end: what has arrived is then heard before the end, and else thrown
 * away. A channel that is closed already may throw.
 */
export interface Channel {
  getLabel(): string
  /** What its opener has named beside the label (RFC 8832 section 5.1). */
  getProtocol(): string
  /** Bytes that were sent here and have not left yet. */
  bufferedAmount(): number
  /** Throws when the channel is closed. */
  sendMessage(text: string): unknown
  /** Throws when the channel is closed. */
  sendMessageBinary(bytes: Uint8Array): unknown
  setBufferedAmountLowThreshold(bytes: number): void
  onMessage(handle: (message: string | Uint8Array | ArrayBuffer) => void): void
  onBufferedAmountLow(handle: () => void): void
  onError(handle: (reason: string) => void): void
  onClosed(handle: () => void): void
  close(): void
}

export interface Transport {
  /** `connected`, `disconnected`, `failed` or `closed`, among others. */
  state(): string
  /** Opens a channel that the far side is told of. */
  createDataChannel(label: string, options: { readonly protocol: string }): Channel
  /** Bytes since the transport was opened, over all channels. */
  bytesSent(): number
  bytesReceived(): number
  onStateChange(handle: (state: string) => void): void
  /** A channel that the far side opened. */
  onDataChannel(handle: (channel: Channel) => void): void
  close(): void
}

export interface TransportOptions {
  /** The local port. Somebody else holds it until `free` is called. */
  readonly port: number
  /**
   * Lets the port go at once. The transport calls it when all else is done, and binds the port in the same turn: what arrives
   * in between meets a closed port, and the system then answers with an ICMP error, on which some NATs end the flow.
   */
  readonly free: () => void
  readonly handover: Handover
  readonly remote: Endpoint
  /** Of its certificate, in PEM. */
  readonly identity: { readonly certificatePem: string; readonly keyPem: string }
  /** The largest IP packet that it sends, in bytes. */
  readonly mtu: number
  /** Called with the name of each step as it happens: `ice`, `dtls`, `open`. */
  readonly step: (name: string) => void
  readonly signal: AbortSignal
}

export interface OpenTransport {
  readonly transport: Transport
  /** Negotiated, id 0, open on both sides. */
  readonly control: Channel
  /** Negotiated, id 1: what is lost here is not sent again, and holds nothing else up. It is for the proof of the size. */
  readonly sizing: Channel
  readonly media: RtpMedia
  /** The endpoint at which the far side turned out to be. */
  readonly remote: Endpoint
}

/**
 * Opens a transport. Resolves when the control channel is open. Rejects with what `signal` aborts with,
 * `fingerprint-mismatch` or `io`, and has closed the transport then.
 */
export type Opener = (options: TransportOptions) => Promise<OpenTransport>

/**
 * The largest message that peers accept from each other, in bytes. Those of streams are smaller (../connection/streams/kept.ts).
 */
export const TRANSPORT_BYTES = 65_536

/** Closes a channel with a listener on it that holds it until then (native.ts says why). */
export function closeAtOnce(channel: Channel): void {
  channel.onClosed(() => void channel)
  channel.close()
}

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
