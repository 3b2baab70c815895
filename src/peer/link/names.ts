// Finds the sockets of a browser on a link. A page does not know its addresses, but its browser makes up a name for each socket and
// answers for it by multicast DNS (RFC 6762, draft-ietf-mmusic-mdns-ice-candidates). So whoever hears an answer is on that link. Only an
// address within its subnets is believed.

import { BlockList } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { decode, encode } from 'dns-packet'
import type { LinkHost } from '../../wire/agent.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { Address } from '../../wire/shapes.ts'
import { bound, hearOn, LINKS, sendOn } from './multicast.ts'

const GROUP = '224.0.0.251'
const PORT = 5353

/** Browsers answer within 45 ms, and one that has just started later. What is lost is asked for again after these times, in milliseconds. */
const AGAIN_MS = [100, 200, 400] as const

/** Where these names are on the links; none if nobody answers in time. Never throws. */
export async function found(
  hosts: readonly LinkHost[],
  links: readonly Address[],
  signal: AbortSignal
): Promise<Endpoint[]> {
  const ports = new Map(hosts.map(({ address, port }) => [address.toLowerCase(), port]))
  const question = encode({
    type: 'query',
    questions: [...ports.keys()].map(name => ({ type: 'A' as const, name, class: 'IN' as const }))
  })
  const subnets = new BlockList()
  for (const { address, prefix } of links.slice(0, LINKS)) subnets.addSubnet(address, prefix)
  const endpoints: Endpoint[] = []
  try {
    await using opened = await bound(PORT)
    const enough = new AbortController()
    const over = AbortSignal.any([signal, enough.signal])
    opened.socket.on('message', datagram => {
      endpoints.push(...answersIn(datagram, ports).filter(({ address }) => subnets.check(address)))
      if (endpoints.length > 0) enough.abort()
    })
    hearOn(opened.socket, links, GROUP)
    for (const waitMs of AGAIN_MS) {
      if (over.aborted) break
      await sendOn(opened.socket, links, question, PORT, GROUP)
      await sleep(waitMs, undefined, { signal: over }).catch(() => {})
    }
  } catch {
    // Somebody has the port for himself, or there is no link: then nobody is found.
  }
  return endpoints
}

function answersIn(datagram: Buffer, ports: ReadonlyMap<string, number>): Endpoint[] {
  try {
    const { type, answers = [], additionals = [] } = decode(datagram)
    if (type !== 'response') return []
    return [...answers, ...additionals].flatMap(answer => {
      const port = ports.get(answer.name.toLowerCase())
      return answer.type === 'A' && port !== undefined ? [{ address: answer.data, port }] : []
    })
  } catch {
    return [] // anybody may send anything to a group
  }
}
