// The datagrams of a punch loop, each a STUN Binding: the probe, the answer to a probe or a check, and the ICE check.

import type { Endpoint } from '../../wire/endpoint.ts'
import type { Handover } from '../../wire/order.ts'
import { BINDING, encode, transactionId } from '../../wire/stun.ts'

/** @param key the session's key for probes, which both sides have */
export function probe(role: Handover['role'], transaction: Buffer, key: Buffer): Buffer {
  return encode({ class: 'request', method: BINDING, transaction, username: `probe:${role}` }, { key })
}

/** @param key the key of the request; an answer to an ICE check is signed with the ICE password (RFC 8445 section 7.3) */
export function answer(transaction: Buffer, to: Endpoint, key: Buffer | string): Buffer {
  return encode({ class: 'success', method: BINDING, transaction, mapped: to }, { key, fingerprint: true })
}

/** An ICE connectivity check (RFC 8445 section 7.2.2) as the far side's agent expects it. The active side controls. */
export function iceCheck({ role, local, remote }: Handover, transaction: Buffer = transactionId()): Buffer {
  return encode(
    {
      class: 'request',
      method: BINDING,
      transaction,
      username: `${remote.ufrag}:${local.ufrag}`,
      // Peer-reflexive type preference (RFC 8445 section 5.1.2.1), highest local preference, component 1.
      priority: (110 << 24) | (65535 << 8) | 255,
      ...(role === 'active' ? { controlling: 1n } : { controlled: 1n })
    },
    { key: remote.pwd, fingerprint: true }
  )
}
