// Finds out whether two peers share a link, if the gateway cannot tell because their sources are hidden from it. One sends a
// token by multicast, once on each of its links, and the other listens on its own links for a moment. It knows the digest of
// the token alone, so what it tells the gateway is what it has heard. The datagram is that token and nothing else, and no
// router passes it on (a TTL of 1, and a group of administrative scope: RFC 2365 section 6.1).

import { createHash } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { timeoutSignal } from '../clock.ts'
import type { Address } from '../wire/shapes.ts'
import type { FromGateway, Message } from '../wire/signal.ts'

export const GROUP = '239.255.61.43'

/** Links that are sent to or listened on: as many as the addresses that a peer tells of. */
const LINKS = 16

type Links = readonly Pick<Address, 'address'>[]

/** Sends the token on each of these links. Links that refuse it are passed over; never throws. */
export async function sendBeacon(
  { port, token, afterMs }: Message<FromGateway, 'beacon'>,
  links: Links,
  signal: AbortSignal
): Promise<void> {
  try {
    await sleep(afterMs, undefined, { signal })
    await using opened = await bound(0)
    opened.socket.setMulticastTTL(1)
    for (const { address } of links.slice(0, LINKS))
      await sendOn(opened.socket, address, Buffer.from(token, 'base64'), port)
  } catch {
    // The session is over, or there is no socket to send from: then nothing is heard.
  }
}

/** Resolves with the token if it is heard on one of these links in time, otherwise with undefined. Never throws. */
export async function hearBeacon(
  { port, digest, ms }: Message<FromGateway, 'watch'>,
  links: Links,
  signal: AbortSignal
): Promise<string | undefined> {
  try {
    await using opened = await bound(port)
    for (const { address } of links.slice(0, LINKS)) join(opened.socket, address)
    using late = timeoutSignal(Math.ceil(ms))
    return await heardOn(opened.socket, digest, AbortSignal.any([signal, late]))
  } catch {
    return undefined
  }
}

/** The token with this digest, as soon as it comes; undefined if `signal` aborts first. */
function heardOn(socket: Socket, digest: string, signal: AbortSignal): Promise<string | undefined> {
  return new Promise(resolve => {
    socket.on('message', datagram => {
      if (digestOf(datagram) === digest) resolve(datagram.toString('base64'))
    })
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
    if (signal.aborted) resolve(undefined)
  })
}

const digestOf = (token: Buffer): string => createHash('sha256').update(token).digest('base64')

/** Several peers of one host may listen at a port at the same time. */
async function bound(port: number): Promise<{ readonly socket: Socket } & AsyncDisposable> {
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

/** The interface is that of the socket when the datagram leaves, so one is sent after the other. */
async function sendOn(socket: Socket, link: string, token: Buffer, port: number): Promise<void> {
  try {
    socket.setMulticastInterface(link)
  } catch {
    return // the address has gone meanwhile
  }
  await new Promise<void>(resolve => socket.send(token, port, GROUP, () => resolve()))
}

function join(socket: Socket, link: string): void {
  try {
    socket.addMembership(GROUP, link)
  } catch {
    // The address has gone meanwhile, or the link has no multicast.
  }
}
