// Where somebody comes from, and what counts as one source: who has one address of such a network can have them all.

import { isIP, isIPv4 } from 'node:net'
import { groupsOf, plainAddress } from '../../wire/endpoint.ts'

/** The /24 of an IPv4 address, the /56 of an IPv6 one. Whatever is no address is of one network. */
export function networkOf(address: string): string {
  const plain = plainAddress(address)
  if (isIPv4(plain)) return plain.slice(0, plain.lastIndexOf('.'))
  if (isIP(plain) === 0) return ''
  const [first, second, third, fourth = 0] = groupsOf(plain).map(group => Number.parseInt(group, 16))
  return [first, second, third, fourth >> 8].map(group => group?.toString(16)).join(':')
}
