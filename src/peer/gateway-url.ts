// The URL of a gateway as a user gives it: where it leads, and whether a token may be sent there.

import { lookup } from 'node:dns/promises'
import { isIPv4, isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { PosternError } from '../errors.ts'
import { isPrivate } from '../wire/endpoint.ts'
import { hostOf, JOIN_PATH, placeOf, urlAt } from '../wire/place.ts'
import { unreachable } from './unreachable.ts'

/** Where a gateway is, and the URL of the WebSocket by which peers join it. */
export interface GatewayUrl {
  /** The place that a hello is for (wire/place.ts). */
  readonly place: string
  readonly join: URL
}

/** The gateway's name has just been resolved, so the answer is there, or a server away. */
const RESOLVE_MS = 2000

/** Throws `bad-config` if the text is no URL of a gateway. */
export function gatewayUrl(text: string): GatewayUrl {
  const place = placeOf(text)
  if (place === undefined)
    throw new PosternError(
      'bad-config',
      `"${text}" is no address of a gateway; expected a URL such as https://postern.example.org`
    )
  const join = urlAt(text, JOIN_PATH)
  join.protocol = place.startsWith('https:') ? 'wss:' : 'ws:'
  return { place, join }
}

/**
 * The gateway's address as UDP needs it, for UDP is IPv4 alone: where it was reached, or the IPv4 address of its name where that
 * is IPv6, or where it was reached is not known. Where there is none, the gateway sees to it.
 */
export async function ipv4Of({ hostname }: URL, reachedAt: string | undefined): Promise<string | undefined> {
  if (isIPv4(hostname)) return hostname
  if ((reachedAt && !isIPv6(reachedAt)) || hostname.startsWith('[')) return reachedAt
  const known = lookup(hostname, { family: 4 }).then(({ address }) => address)
  return await Promise.race([known, sleep(RESOLVE_MS, reachedAt, { ref: false })]).catch(() => reachedAt)
}

/**
 * Throws `bad-config` if a token that is sent to `url` in clear would leave the private networks, `gateway-unreachable` if nobody
 * knows where it leads.
 */
export async function refusePublic(url: URL): Promise<void> {
  if (await staysPrivate(url)) return
  throw new PosternError(
    'bad-config',
    `${url.host} would be sent the token in clear over a public network; use https, or --insecure if you accept that`
  )
}

async function staysPrivate(url: URL): Promise<boolean> {
  const addresses = await lookup(hostOf(url), { all: true }).catch(error => {
    throw unreachable(placeOf(url.href) ?? url.href, error)
  })
  return addresses.every(({ address }) => isPrivate(address))
}
