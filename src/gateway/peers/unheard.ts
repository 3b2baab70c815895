// Whether the UDP ports are heard at all. Where a firewall or a forgotten published port keeps every datagram out, peers join as ever,
// and all of them are relayed through other doors, or not at all: nothing else would say so to whoever runs the gateway.

import { nowMs } from '../../clock.ts'
import { formatEndpoint } from '../../wire/endpoint.ts'
import { REFRESH_MS } from '../../wire/signal.ts'
import type { Member } from './member.ts'
import type { Observer } from './observer.ts'
import type { Warning } from './sources.ts'

/** A peer shows its socket at once, and again each 15 s; after so many milliseconds two have been lost. */
const UNHEARD_MS = 2.5 * REFRESH_MS

/** @param peers those that are joined; a browser shows itself only while it connects */
export function unheard(
  peers: () => readonly Pick<Member, 'arrival' | 'iceOnly'>[],
  observer: Pick<Observer, 'deaf'>,
  now = nowMs()
): readonly Warning[] {
  // Nearly always all are heard, and then nobody is counted.
  const deaf = observer.deaf(UNHEARD_MS)
  if (deaf.length === 0) return []
  const expected = peers().filter(({ arrival, iceOnly }) => !iceOnly && now - arrival.helloMs > UNHEARD_MS).length
  if (expected === 0) return []
  const who = expected === 1 ? 'the peer that is joined' : `any of the ${expected} peers that are joined`
  return [
    {
      code: 'udp-unheard',
      sentence: `no UDP of ${who} is heard at ${deaf.map(formatEndpoint).join(', ')}`,
      advice: 'let these ports in: the firewall of this host or its cloud, or the published ports of a container'
    }
  ]
}
