// A path becomes a connection: the raw socket lets its port go, node-datachannel binds the same port, and ICE, DTLS and
// SCTP run over the mapping that outlived the swap. No description is exchanged: each side writes the other's from what
// the gateway told both (fingerprint, ufrag, pwd, role).

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import nodeDataChannel, { type DataChannel, type PeerConnection } from 'node-datachannel'
import { PosternError } from '../../errors.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { Handover } from '../../wire/order.ts'
import type { Identity } from '../identity/identity.ts'
import type { RawSocket } from './raw.ts'

export interface Opened {
  readonly pc: PeerConnection
  readonly control: DataChannel
  readonly local: Endpoint
  readonly remote: Endpoint
}

/** Largest message the peers accept from each other, as announced in the descriptions. */
const MESSAGE_BYTES = 262_144

/**
 * Hands the socket over. Resolves when the control channel is open; rejects with what `signal` aborts with,
 * `fingerprint-mismatch` or `io`, and has closed the connection then.
 * @param step is called with the name of each step as it happens
 */
export async function handOver(
  raw: RawSocket,
  {
    handover,
    remote,
    identity,
    step,
    signal
  }: { handover: Handover; remote: Endpoint; identity: Identity; step: (name: string) => void; signal: AbortSignal }
): Promise<Opened> {
  await raw.close()
  signal.throwIfAborted()
  step('bound')
  const pc = new nodeDataChannel.PeerConnection('postern', {
    iceServers: [],
    bindAddress: '0.0.0.0',
    portRangeBegin: raw.port,
    portRangeEnd: raw.port,
    certificatePemFile: identity.certificatePem,
    keyPemFile: identity.keyPem,
    maxMessageSize: MESSAGE_BYTES,
    disableAutoNegotiation: true
  })
  try {
    const [control, address] = await Promise.all([opened(pc, handover, remote, { step, signal }), localAddress(remote)])
    const chosen = pc.getSelectedCandidatePair()?.remote ?? remote
    return {
      pc,
      control,
      local: { address, port: raw.port },
      remote: { address: chosen.address, port: chosen.port }
    }
  } catch (error) {
    pc.close()
    throw error
  }
}

/** Listeners before anything else: an event without one is lost for good. */
function opened(
  pc: PeerConnection,
  handover: Handover,
  remote: Endpoint,
  { step, signal }: { step: (name: string) => void; signal: AbortSignal }
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
    describe(pc, handover)
    pc.addRemoteCandidate(candidate(remote), '0')
  })
}

/**
 * Why DTLS failed. Libdatachannel breaks the handshake off as soon as it has seen the other side's certificate and that is not
 * the announced one; the other side gets an alert then, which says nothing.
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
 * The active side offers, so it controls ICE and is the DTLS client; the passive side answers. Roles of DTLS: RFC 8842
 * section 5; of ICE: RFC 8445 section 6.1.1.
 */
function describe(pc: PeerConnection, { role, local, remote, fingerprint }: Handover): void {
  const credentials = { iceUfrag: local.ufrag, icePwd: local.pwd }
  if (role === 'active') {
    pc.setLocalDescription('offer', credentials)
    pc.setRemoteDescription(description(remote, fingerprint, 'passive'), 'answer')
  } else {
    pc.setRemoteDescription(description(remote, fingerprint, 'active'), 'offer')
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
    `a=max-message-size:${MESSAGE_BYTES}`,
    `a=setup:${setup}`,
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${pwd}`,
    ''
  ].join('\r\n')
}

/** RFC 8839 section 5.1. The type is of no consequence: there is one candidate, and it is known to work. */
const candidate = ({ address, port }: Endpoint) => `candidate:1 1 UDP 2122317823 ${address} ${port} typ host`

/** The address this host sends from towards an endpoint, by its routes; nothing is sent. */
async function localAddress({ address, port }: Endpoint): Promise<string> {
  const socket = createSocket('udp4')
  try {
    socket.connect(port, address)
    await once(socket, 'connect')
    return socket.address().address
  } catch {
    return '0.0.0.0'
  } finally {
    socket.close()
  }
}
