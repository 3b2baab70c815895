// The far side's session description (SDP). No description is exchanged: each side writes that of the other from what the gateway
// told both. Nothing that an agent has written itself is passed on to another.

import type { Handover } from '../../wire/order.ts'
import { kinds, mediaSections, type Source } from './media.ts'
import { TRANSPORT_BYTES } from './transport.ts'

export interface Described {
  readonly candidates?: readonly string[]
  /** What it sends; left out, it has no media. */
  readonly sources?: readonly Source[] | undefined
}

/** That of the far side. RFC 8841 section 4 has the media line; of the DTLS roles the far side has the other one. */
export const description = (
  { role, remote, fingerprint }: Pick<Handover, 'role' | 'remote' | 'fingerprint'>,
  { candidates = [], sources }: Described = {}
): string => {
  const setup = role === 'active' ? 'passive' : 'active'
  const transport = [`a=setup:${setup}`, `a=ice-ufrag:${remote.ufrag}`, `a=ice-pwd:${remote.pwd}`]
  return [
    'v=0',
    'o=- 1 0 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    `a=group:BUNDLE ${['0', ...(sources ? kinds : [])].join(' ')}`,
    `a=fingerprint:sha-256 ${fingerprint}`,
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    'a=mid:0',
    'a=sendrecv',
    'a=sctp-port:5000',
    `a=max-message-size:${TRANSPORT_BYTES}`,
    ...transport,
    ...candidates.map(candidate => `a=${candidate}`),
    ...(sources ? mediaSections(sources, transport) : []),
    ''
  ].join('\r\n')
}
