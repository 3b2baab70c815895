// A transport of node-datachannel: ICE, DTLS and SCTP bound to one local port, with one remote candidate. No session
// description is exchanged. Each side writes the other's description from what the gateway told both (fingerprint, ufrag,
// pwd, role). This is the only file that knows the library.

import nodeDataChannel, { type DataChannel, type PeerConnection } from 'node-datachannel'
import { PosternError } from '../../errors.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { Handover } from '../../wire/order.ts'
import { type Opener, TRANSPORT_BYTES, type TransportOptions } from './transport.ts'

/** The library ends the process if the port is taken. It sets no SO_REUSEADDR, so nobody may hold the port beside it. */
export const openNative: Opener = async ({ port, free, handover, remote, identity, ...watched }) => {
  const pc = new nodeDataChannel.PeerConnection('postern', {
    iceServers: [],
    bindAddress: '0.0.0.0',
    portRangeBegin: port,
    portRangeEnd: port,
    certificatePemFile: identity.certificatePem,
    keyPemFile: identity.keyPem,
    maxMessageSize: TRANSPORT_BYTES,
    disableAutoNegotiation: true
  })
  try {
    const control = await opened(pc, handover, remote, { free, ...watched })
    const { address, port } = pc.getSelectedCandidatePair()?.remote ?? remote
    return { transport: pc, control, remote: { address, port } }
  } catch (error) {
    pc.close()
    throw error
  }
}

/** Starts the library's threads ahead of the first path: that takes some milliseconds, and while a peer joins there is time. */
export const startNative = (): void => nodeDataChannel.preload()

/** Ends the library's threads, which would keep the process alive. Call it when all connections are closed. */
export const endNative = (): void => nodeDataChannel.cleanup()

/** The listeners are set before anything else, because an event without one is lost for good. */
function opened(
  pc: PeerConnection,
  handover: Handover,
  remote: Endpoint,
  { free, step, signal }: Pick<TransportOptions, 'free' | 'step' | 'signal'>
): Promise<DataChannel> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const fail = (reason: string) => reject(new PosternError('io', reason))
    pc.onIceStateChange(state => {
      if (state === 'connected') step('ice')
      if (state === 'failed') fail('the path was lost before the connection was made')
    })
    pc.onStateChange(state => {
      if (state === 'connected') step('dtls')
      if (state === 'failed') reject(broken(pc, handover))
    })
    const control = pc.createDataChannel('postern', { negotiated: true, id: 0 })
    control.onOpen(() => {
      signal.removeEventListener('abort', abort)
      step('open')
      resolve(control)
    })
    describe(pc, handover, free)
    pc.addRemoteCandidate(candidate(remote), '0')
  })
}

/**
 * Why DTLS failed. Libdatachannel breaks the handshake off as soon as it sees that the other side's certificate is not the
 * announced one. The other side then gets an alert, which does not say why.
 */
function broken(pc: PeerConnection, { fingerprint }: Handover): PosternError {
  const seen = pc.remoteFingerprint().value
  if (seen && seen !== fingerprint)
    return new PosternError('fingerprint-mismatch', `the other side's certificate is ${seen}, not the one announced`)
  return new PosternError(
    'io',
    'the encrypted handshake was broken off: the other side refused it, or packets were lost'
  )
}

/**
 * The active side offers, so it controls ICE and is the DTLS client; the passive side answers. See RFC 8842 section 5 for the
 * DTLS roles and RFC 8445 section 6.1.1 for the ICE roles. The local description binds the port, before it returns.
 */
function describe(pc: PeerConnection, { role, local, remote, fingerprint }: Handover, free: () => void): void {
  const credentials = { iceUfrag: local.ufrag, icePwd: local.pwd }
  if (role === 'active') {
    free()
    pc.setLocalDescription('offer', credentials)
    pc.setRemoteDescription(description(remote, fingerprint, 'passive'), 'answer')
  } else {
    pc.setRemoteDescription(description(remote, fingerprint, 'active'), 'offer')
    free()
    pc.setLocalDescription('answer', credentials)
  }
}

/** The far side's SDP (RFC 8841 section 4 for the media line). */
function description({ ufrag, pwd }: Handover['remote'], fingerprint: string, setup: 'active' | 'passive'): string {
  return [
    'v=0',
    'o=- 1 0 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    `a=fingerprint:sha-256 ${fingerprint}`,
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    'a=mid:0',
    'a=sendrecv',
    'a=sctp-port:5000',
    `a=max-message-size:${TRANSPORT_BYTES}`,
    `a=setup:${setup}`,
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${pwd}`,
    ''
  ].join('\r\n')
}

/** RFC 8839 section 5.1. The type does not matter, because there is one candidate, and it is known to work. */
const candidate = ({ address, port }: Endpoint) => `candidate:1 1 UDP 2122317823 ${address} ${port} typ host`
