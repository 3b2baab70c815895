// Packets that are lost on purpose: nftables rules on a host of the laboratory, which take them before anything else there
// sees them. Whoever sent them is told nothing.

import { tool } from './sandbox.ts'
import type { Host, Site } from './world.ts'

let tables = 0

/**
 * From now on what comes to this host, or through it, is lost where it matches one of these expressions of nftables. Disposed
 * of, it passes again.
 */
export async function drop(host: Host, ...matches: string[]): Promise<AsyncDisposable> {
  const table = `drop${tables++}`
  const rules = matches.map(match => `${match} drop`)
  // Before conntrack: no mapping is made, or kept alive, by what is lost.
  const chain = ['chain incoming {', 'type filter hook prerouting priority raw', ...rules, '}']
  await host.nft([`table ip ${table} {`, ...chain, '}', ''].join('\n'))
  return {
    async [Symbol.asyncDispose]() {
      await host.run([tool('nft'), 'delete', 'table', 'ip', table]) // the world may be gone
    }
  }
}

/** What one site's NAT sends to another's, as the routers between them see it. */
export const fromTo = (from: Site, to: Site): string =>
  `ip saddr { ${from.publicAddresses.join(', ')} } ip daddr { ${to.publicAddresses.join(', ')} }`
