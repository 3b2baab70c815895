// Ports of a gateway that write down what is sent from them instead of sending it, and the questions strangers and
// peers put to them.

import type { RemoteInfo } from 'node:dgram'
import type { Port } from '../../../src/gateway/udp/listen.ts'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import { BINDING, type EncodeOptions, encode, type StunMessage, transactionId } from '../../../src/wire/stun.ts'

export interface Sent {
  readonly from: Port
  readonly to: Endpoint
  readonly datagram: Buffer
}

/** Two addresses with two ports each: [row][column] in one list, row by row. */
export function fakePorts(sent: Sent[]): [Port, Port, Port, Port] {
  const port = (row: number, column: number): Port => {
    const self: Port = {
      local: { address: `198.51.100.${row + 1}`, port: 3478 + column },
      door: 'udp',
      row,
      column,
      send: (datagram, to) =>
        void sent.push({ from: self, to: { address: to.address, port: to.port }, datagram: Buffer.from(datagram) })
    }
    return self
  }
  return [port(0, 0), port(0, 1), port(1, 0), port(1, 1)]
}

export function sourceOf({ address, port }: Endpoint): RemoteInfo {
  return { address, port, family: address.includes(':') ? 'IPv6' : 'IPv4', size: 0 }
}

/** A Binding request. */
export function question(
  message: Omit<StunMessage, 'class' | 'method' | 'transaction'> = {},
  options: EncodeOptions = {}
): Buffer {
  return encode({ class: 'request', method: BINDING, transaction: transactionId(), ...message }, options)
}
