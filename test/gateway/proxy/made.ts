// Headers of PROXY protocol version 2, made by hand.

import { SocketAddress } from 'node:net'
import { type Endpoint, groupsOf } from '../../../src/wire/endpoint.ts'

export const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

export interface HeaderSpec {
  readonly source: Endpoint
  readonly reached: Endpoint
  readonly tlvs?: Buffer
}

export function headerOf({ source, reached, tlvs = Buffer.alloc(0) }: HeaderSpec): Buffer {
  const addresses = Buffer.concat([bytesOf(source.address), bytesOf(reached.address)])
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(source.port)
  ports.writeUInt16BE(reached.port, 2)
  const fixed = Buffer.from([0x21, addresses.length === 8 ? 0x11 : 0x21, 0, 0])
  fixed.writeUInt16BE(addresses.length + ports.length + tlvs.length, 2)
  return Buffer.concat([SIGNATURE, fixed, addresses, ports, tlvs])
}

function bytesOf(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number))
  const plain = new SocketAddress({ address, family: 'ipv6' }).address
  return Buffer.from(
    groupsOf(plain)
      .map(group => group.padStart(4, '0'))
      .join(''),
    'hex'
  )
}
