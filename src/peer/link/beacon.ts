// Finds out whether two peers share a link, if the gateway cannot tell because their sources are hidden from it. One sends a
// token by multicast, once on each of its links, and the other listens on its own links for a moment. It knows the digest of
// the token alone, so what it tells the gateway is what it has heard. The datagram is that token and nothing else, and no
// router passes it on (a TTL of 1, and a group of administrative scope: RFC 2365 section 6.1).

import { createHash } from 'node:crypto'
import type { Socket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { timeoutSignal } from '../../clock.ts'
import type { FromGateway, Message } from '../../wire/signal.ts'
import { bound, hearOn, type Links, sendOn } from './multicast.ts'

export const GROUP = '239.255.61.43'

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
    await sendOn(opened.socket, links, Buffer.from(token, 'base64'), port, GROUP)
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
    hearOn(opened.socket, links, GROUP)
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
