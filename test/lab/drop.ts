// Packets that are lost on purpose, or led inside: nftables rules on a host of the laboratory, until they are disposed of.

import { tool } from './sandbox.ts'
import type { Host, Site } from './world.ts'

let tables = 0

/**
 * What comes to this host, or through it, is lost where it matches one of these expressions. It is taken before anything else
 * sees it: no mapping is made, or kept alive, and whoever sent it is told nothing.
 */
export const drop = (host: Host, ...matches: string[]): Promise<AsyncDisposable> =>
  chain(
    host,
    'prerouting priority raw',
    matches.map(match => `${match} drop`)
  )

/** What goes through a box meets these rules, before the box's own. */
export const forwarding = (box: Host, ...rules: string[]): Promise<AsyncDisposable> =>
  chain(box, 'forward priority filter - 1', rules)

/** A forward made by hand: what comes to a UDP port of the box's outside is led to the same port of a host, or another one. */
export const forwardTo = (box: Host, port: number, host: Host, hostPort = port): Promise<AsyncDisposable> =>
  chain(
    box,
    'prerouting priority dstnat - 1',
    [`iifname wan udp dport ${port} dnat to ${host.addresses[0]}:${hostPort}`],
    'nat'
  )

async function chain(host: Host, hook: string, rules: readonly string[], type = 'filter'): Promise<AsyncDisposable> {
  const table = `extra${tables++}`
  const lines = ['chain rules {', `type ${type} hook ${hook}`, ...rules, '}']
  await host.nft([`table ip ${table} {`, ...lines, '}', ''].join('\n'))
  return {
    async [Symbol.asyncDispose]() {
      await host.run([tool('nft'), 'delete', 'table', 'ip', table]) // the world may be gone
    }
  }
}

/** What one site's NAT sends to another's, as the routers between them see it. */
export const fromTo = (from: Site, to: Site): string =>
  `ip saddr { ${from.publicAddresses.join(', ')} } ip daddr { ${to.publicAddresses.join(', ')} }`
