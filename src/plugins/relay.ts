// `relay` has both sides send to the gateway, which splices their datagrams within a limit. It is the last resort: it works
// for every side that can reach the gateway, over UDP or through another door, and costs the operator bandwidth.

import type { Plugin } from '../strategy/plugin.ts'
import type { Side } from '../strategy/scene.ts'
import { formatRate } from '../units.ts'
import type { Order } from '../wire/order.ts'
import { waitRange } from './reach.ts'

interface Options {
  /** UDP payload of one session, each direction apart, in bits per second. */
  readonly perSession: number
  /** UDP payload that all sessions of one peer send, in bits per second. */
  readonly perPeer: number
  /** UDP payload of all sessions that one network has asked for, both directions, in bits per second. */
  readonly perNetwork: number
  /** UDP payload of all sessions together, in bits per second, shared fairly when it is short. */
  readonly total: number
  /** Milliseconds to latch and to hear the other side through the gateway, on top of the round trips. */
  readonly waitMs: number
}

/** Round trips to latch and to be heard; through a door there are handshakes before that. */
const ROUND_TRIPS = { udp: 3, door: 8 } as const

const waitOf = ({ rttMs, doors }: Side): number => rttMs * (doors ? ROUND_TRIPS.door : ROUND_TRIPS.udp)

const splice = ({ gateway, doors }: Side): Order => ({
  kind: 'splice',
  target: gateway,
  ...(doors ? { doors: [...doors] } : {})
})

export const relay: Plugin<Options> = {
  name: 'relay',
  defaults: {
    perSession: '4 Mbit/s',
    perPeer: '8 Mbit/s',
    perNetwork: '1000 Gbit/s',
    total: '100 Mbit/s',
    waitMs: '2s'
  },
  ranges: waitRange,
  lastResort: true,
  start: ({ waitMs, ...configured }, { log }) => {
    const limits = { ...configured, perNetwork: Math.min(configured.perNetwork, configured.total) }
    const [session, peer, network, total] = [limits.perSession, limits.perPeer, limits.perNetwork, limits.total].map(
      rate => formatRate(rate)
    )
    log.info(`at most ${session} each way of a connection, ${peer} a peer, ${network} a network, ${total} in all`)
    return {
      *plan({ caller, callee }) {
        yield {
          kind: 'plan',
          caller: splice(caller),
          callee: splice(callee),
          waitMs: waitMs + waitOf(caller) + waitOf(callee),
          why: 'every other strategy passed or failed',
          limits
        }
      }
    }
  }
}
