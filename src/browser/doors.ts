// The TCP ports of a gateway's relay that a page's ICE agent may dial where UDP is blocked: those that the gateway has told, and its
// HTTP port where no TLS is on it (src/peer/doors/door.ts). An agent dials addresses alone, and a browser few ports.

import { ICE_TCP, isDialled } from '../wire/doors/ice-tcp.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import type { FromGateway, Message } from '../wire/signal.ts'

/**
 * None where the gateway has none that browsers dial, or is too old to have an agent led there.
 * @param place where the gateway was dialled (src/wire/place.ts)
 * @param address of its endpoints
 */
export function doorsOf(
  { features, tcp = [] }: Message<FromGateway, 'features'>,
  place: string,
  address: string
): Endpoint[] {
  if (!features.includes(ICE_TCP)) return []
  const { protocol, hostname, port } = new URL(place)
  const own = tcp.map(one => ({ address, port: one }))
  const host = /^[\d.]+$/.test(hostname) ? hostname : address
  const shared = protocol === 'http:' ? [{ address: host, port: Number(port || 80) }] : []
  return [...own, ...shared].filter(door => isDialled(door.port))
}

/** A passive one (RFC 6544 section 4.5): the agent dials. The first door has the highest priority. */
export const tcpCandidate = ({ address, port }: Endpoint, index: number): string =>
  `candidate:${index + 1} 1 tcp ${TCP_PRIORITY - index} ${address} ${port} typ host tcptype passive`

/** RFC 6544 section 4.2, with the type preference that Chromium has for TCP, 90: below that of UDP. */
const TCP_PRIORITY = 1_518_280_447
