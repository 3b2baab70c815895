// `relay` has both sides send to the gateway, which splices their datagrams within a limit. It is the last resort: it works
// for every side that can reach the gateway over UDP, and costs the operator bandwidth.

import type { Plugin } from '../strategy/plugin.ts'

interface Options {
  /** UDP payload of one session, each direction apart, in bits per second. */
  readonly perSession: number
  /** UDP payload that all sessions of one peer send, in bits per second. */
  readonly perPeer: number
  /** UDP payload of all sessions together, in bits per second, shared fairly when it is short. */
  readonly total: number
  /** Milliseconds to latch and to hear the other side through the gateway, on top of the round trips. */
  readonly waitMs: number
}

export const relay: Plugin<Options> = {
  name: 'relay',
  defaults: { perSession: '4 Mbit/s', perPeer: '8 Mbit/s', total: '100 Mbit/s', waitMs: '2s' },
  lastResort: true,
  start: ({ waitMs, ...limits }) => ({
    *plan({ caller, callee }) {
      yield {
        kind: 'plan',
        caller: { kind: 'splice', target: caller.gateway },
        callee: { kind: 'splice', target: callee.gateway },
        waitMs: waitMs + 3 * (caller.rttMs + callee.rttMs),
        why: 'every other strategy passed or failed',
        limits
      }
    }
  })
}
