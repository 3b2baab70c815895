// A path becomes a connection: the raw socket lets its port go, the transport binds the same port, and ICE, DTLS and SCTP run
// over the mapping that outlived the swap.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { Endpoint } from '../../wire/endpoint.ts'
import { type NativeOptions, type OpenTransport, openNative } from '../transport/native.ts'
import type { RawSocket } from './raw.ts'

export interface Opened extends OpenTransport {
  readonly local: Endpoint
}

/**
 * Hands the socket over. Resolves when the control channel is open; rejects with what `signal` aborts with,
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
