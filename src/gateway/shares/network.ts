// Where somebody comes from, and what counts as one source: who has one address of such a network can have them all.

import type { IncomingHttpHeaders } from 'node:http'
import { isIP, isIPv4 } from 'node:net'
import { groupsOf, isLoopback, plainAddress } from '../../wire/endpoint.ts'

/** The /24 of an IPv4 address, the /56 of an IPv6 one. Whatever is no address is of one network. */
export function networkOf(address: string): string {
  const plain = plainAddress(address)
  if (isIPv4(plain)) return plain.slice(0, plain.lastIndexOf('.'))
  if (isIP(plain) === 0) return ''
  const [first, second, third, fourth = 0] = groupsOf(plain).map(group => Number.parseInt(group, 16))
  return [first, second, third, fourth >> 8].map(group => group?.toString(16)).join(':')
}

/**
 * The address a request came from. A reverse proxy on this host is believed: it names the address that it saw last of all, and
 * what stands before that anybody may have made up.
 * @param remote the far address of the connection; undefined once that is over
 */
export function sourceOf(remote: string | undefined, headers: IncomingHttpHeaders): string {
  const direct = plainAddress(remote ?? '')
  if (!isLoopback(direct)) return direct
  const named = [headers['x-forwarded-for'] ?? []].flat().join().split(',').at(-1)?.trim() ?? ''
  return isIP(named) ? plainAddress(named) : direct
}
