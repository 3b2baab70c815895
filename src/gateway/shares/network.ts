// What counts as one source: who has one address of such a network can have them all.

import { isIPv4 } from 'node:net'
import { groupsOf } from '../../wire/endpoint.ts'

/** The /24 of an IPv4 address, the /56 of an IPv6 one. */
export function networkOf(address: string): string {
  if (isIPv4(address)) return address.slice(0, address.lastIndexOf('.'))
  const [first, second, third, fourth = '0'] = groupsOf(address)
  return [first, second, third, Number.parseInt(fourth, 16) >> 8].join(':')
}
