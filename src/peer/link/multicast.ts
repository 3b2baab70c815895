// Datagrams to a group, on links of this host.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { Address } from '../../wire/shapes.ts'

/** Links that are sent to or listened on: as many as the addresses that a peer tells of. */
export const LINKS = 16

export type Links = readonly Pick<Address, 'address'>[]

/** Several of one host may listen at a port at the same time. Throws the error of the system. */
export async function bound(port: number): Promise<{ readonly socket: Socket } & AsyncDisposable> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  const close = () => new Promise<void>(resolve => socket.close(() => resolve()))
  try {
    socket.bind(port)
    await once(socket, 'listening')
  } catch (error) {
    await close()
    throw error
  }
  socket.on('error', () => {})
  return { socket, [Symbol.asyncDispose]: close }
}

/**
 * The interface is that of the socket when the datagram leaves, so one is sent after the other. A link that refuses it is passed over.
 */
export async function sendOn(
  socket: Socket,
  links: Links,
  datagram: Buffer,
  port: number,
  group: string
): Promise<void> {
  for (const { address } of links.slice(0, LINKS)) {
    try {
      socket.setMulticastInterface(address)
    } catch {
      continue // the address has gone meanwhile
    }
    await new Promise<void>(resolve => socket.send(datagram, port, group, () => resolve()))
  }
}

/** Hears the group on these links. One whose address has gone meanwhile, or that has no multicast, is passed over. */
export function hearOn(socket: Socket, links: Links, group: string): void {
  for (const { address } of links.slice(0, LINKS)) {
    try {
      socket.addMembership(group, address)
    } catch {
      // Nothing is heard there.
    }
  }
}
