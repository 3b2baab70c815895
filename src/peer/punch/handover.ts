// Turns a path into a connection. The raw socket lets its port go, the transport binds the same port, and ICE, DTLS and SCTP
// run over the mapping, which outlives the swap.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { Endpoint } from '../../wire/endpoint.ts'
import { type NativeOptions, type OpenTransport, openNative } from '../transport/native.ts'
import type { RawSocket } from './raw.ts'

export interface Opened extends OpenTransport {
  readonly local: Endpoint
}

/**
 * Hands the socket over. Resolves when the control channel is open. Rejects with what `signal` aborts with,
 * `fingerprint-mismatch` or `io`, and has closed the connection then.
 */
export async function handOver(raw: RawSocket, options: Omit<NativeOptions, 'port'>): Promise<Opened> {
  await raw.close()
  options.signal.throwIfAborted()
  options.step('bound')
  const { port } = raw
  const [opened, address] = await Promise.all([openNative({ ...options, port }), localAddress(options.remote)])
  return { ...opened, local: { address, port } }
}

/** The address from which this host sends to an endpoint, by its routes. Nothing is sent. */
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
