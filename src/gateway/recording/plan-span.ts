// What a plan tries, and how much of it. Not all ports are named, since they would be thousands.

import type { Plan, RelayLimits } from '../../strategy/plan.ts'
import type { Turn } from '../../strategy/turn.ts'
import type { SpanAttributes } from '../../trace/record/conventions.ts'
import { formatEndpoint } from '../../wire/endpoint.ts'
import { natureOf, type Order } from '../../wire/order.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import type { Latched } from '../relay/splice.ts'

/** How many ports a trace names one by one: all of a prediction fit, and those of a spray show where it began. */
const FIRST_PORTS = 32

export function planAttributes(plan: Plan): SpanAttributes {
  return {
    'postern.order': plan.caller.kind,
    'postern.why': plan.why,
    'postern.wait': plan.waitMs,
    ...(plan.label === undefined ? {} : { 'postern.label': plan.label }),
    ...(plan.expected === undefined ? {} : { 'postern.expected': plan.expected }),
    ...(plan.limits ? limitAttributes(plan.limits) : {}),
    ...effortAttributes('caller', plan.caller),
    ...effortAttributes('callee', plan.callee)
  }
}

function effortAttributes(side: SideName, order: Order): SpanAttributes {
  const { effort } = natureOf(order)
  if (effort?.probes === undefined) return {}
  const ports = (effort.guesses ?? []).flatMap(guess => guess.ports)
  return {
    [`postern.${side}.sockets`]: effort.sockets ?? 1,
    [`postern.${side}.probes`]: effort.probes,
    [`postern.${side}.ports`]: ports.length,
    ...(ports.length > 0 ? { [`postern.${side}.first_ports`]: ports.slice(0, FIRST_PORTS) } : {}),
    ...(ports.length > 0 ? { [`postern.${side}.low_port`]: ports.reduce((a, b) => Math.min(a, b)) } : {}),
    ...(ports.length > 0 ? { [`postern.${side}.high_port`]: ports.reduce((a, b) => Math.max(a, b)) } : {})
  }
}

const limitAttributes = ({ perSession, perPeer, perNetwork, total }: RelayLimits): SpanAttributes => ({
  'postern.relay.per_session': perSession,
  'postern.relay.per_peer': perPeer,
  'postern.relay.per_network': perNetwork ?? total,
  'postern.relay.total': total
})

/** Where the sides are latched at the relay and through which door, as far as they are. */
export const latchAttributes = (latched: Latched): SpanAttributes =>
  Object.fromEntries(
    sideNames.flatMap(side => {
      const source = latched[side]
      if (!source) return []
      return [
        [`postern.${side}.latched`, formatEndpoint(source)],
        [`postern.${side}.door`, source.door]
      ]
    })
  )

/** What became of a strategy's turn. */
export const turnAttributes = (turn: Turn): SpanAttributes => ({
  'postern.outcome': turn.outcome,
  'postern.reason': turn.reason,
  ...(turn.outcome === 'path' ? {} : { 'postern.cause': turn.cause }),
  ...(turn.outcome === 'path' || turn.expected === undefined ? {} : { 'postern.expected': turn.expected })
})
