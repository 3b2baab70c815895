// A plugin of your own: two peers that are both in one overlay network (a VPN such as WireGuard, or the networks of a
// company) are joined over it, wherever they sit. The gateway cannot know by itself that such a network is one and the
// same for both, but you do. Name it in the gateway's YAML by its path, relative to that file:
//
//   strategies:
//     - direct
//     - ./plugins/plugin-overlay.ts: { subnets: [10.8.0.0/24], waitMs: 300ms }
//     - stun
//     - relay
//
// A plugin is one object: a name, its options with their defaults (which are checked when the gateway starts), and
// `start`, which gives a planner. The planner is shown both sides and yields plans, best first, or passes with a reason
// that anybody can read in the trace. It sends nothing itself: an order says what the peers are to try.
//
// Aim at addresses only where they are what you think they are: whatever stands in an order, peers will send to.

import { BlockList, isIPv4 } from 'node:net'
import type { Endpoint, Plugin, Side } from 'postern/plugin'

interface Options {
  /** Networks that are the same wherever a peer sits, each as ADDRESS/PREFIX. */
  readonly subnets: readonly string[]
  /** Milliseconds for the probes, on top of the round trips to the gateway. */
  readonly waitMs: number
}

const overlay: Plugin<Options> = {
  name: 'overlay',
  defaults: { subnets: ['100.64.0.0/10'], waitMs: '300ms' },
  start({ subnets, waitMs }) {
    // What is thrown here keeps the gateway from starting: better than a strategy that never works.
    const within = networks(subnets)
    return {
      *plan({ caller, callee }) {
        const targets = { caller: inOverlay(callee, within), callee: inOverlay(caller, within) }
        if (targets.caller.length === 0 || targets.callee.length === 0)
          yield { kind: 'pass', reason: `${caller.name} and ${callee.name} are not both in ${subnets.join(', ')}` }
        else
          yield {
            kind: 'plan',
            caller: { kind: 'punch', targets: targets.caller },
            callee: { kind: 'punch', targets: targets.callee },
            waitMs: waitMs + 3 * (caller.rttMs + callee.rttMs),
            why: `both are in ${subnets.join(', ')}`
          }
      }
    }
  }
}

export default overlay

/** Where a side would be reached within the overlay: its socket listens on every address of its host. */
function inOverlay({ addresses, port }: Side, within: BlockList): Endpoint[] {
  const reached = addresses.filter(({ address }) => within.check(address, isIPv4(address) ? 'ipv4' : 'ipv6'))
  return reached.slice(0, 4).map(({ address }) => ({ address, port }))
}

function networks(subnets: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [address = '', prefix] = subnet.split('/')
    list.addSubnet(address, Number(prefix), isIPv4(address) ? 'ipv4' : 'ipv6')
  }
  return list
}
