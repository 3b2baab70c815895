// The posterior: every hypothesis of every kind, weighed by prior × likelihood. As long as few mappings were seen, several
// kinds stand side by side, and a port's probability is the sum over all of them.

import { logSum, sum } from './drift.ts'
import type { Evidence } from './observation.ts'
import { nextAddress, type Share } from './pool.ts'
import { WHOLE } from './ranges.ts'
import { type Interval, intervals } from './scatter.ts'
import { type Stepping, steppings } from './stepping.ts'

// Prior shares of the kinds among the NATs that a model is asked for.
const PRIOR = { kept: 0.4, stepping: 0.3, scatter: 0.3 }
// Probability that a packet comes twice although the NAT does not keep ports.
const DUPLICATED = 0.02
// Share of NATs with kept ports that keep the socket's own: RFC 4787 section 4.2.1, "port preservation".
const PRESERVED = 0.5
// How often a NAT with port preservation gives another port, because the socket's own is taken.
const COLLISION = 0.05
// A hypothesis with less than this says nothing that the others do not.
const NEGLIGIBLE = 1e-6

export interface Mixture {
  readonly kept: readonly Weighed<{ readonly port: number }>[]
  readonly steppings: readonly Weighed<Stepping>[]
  readonly intervals: readonly Weighed<Interval>[]
  readonly shares: readonly Share[]
}

export type Weighed<T> = T & { readonly weight: number }

/** Weighs every hypothesis. The weights add up to at most 1. */
export function mixtureOf(seen: Evidence): Mixture {
  const twice = seen.repeats * Math.log(DUPLICATED)
  const kept = keptPorts(seen)
  const scatter = intervals(seen).map(one => ({ ...one, log: one.log + Math.log(PRIOR.scatter) + twice }))
  // Steppings are most of the work, and where the ports are scattered none of them matters.
  const byStep = Math.log(PRIOR.stepping) + twice
  const rival = Math.max(...[...kept, ...scatter].map(({ log }) => log)) - byStep
  const stepping = steppings(seen, rival).map(one => ({ ...one, log: one.log + byStep }))
  const total = logSum([...kept, ...stepping, ...scatter].map(({ log }) => log))
  const weigh = <T extends { log: number }>(all: readonly T[]) =>
    all.map(one => ({ ...one, weight: Math.exp(one.log - total) })).filter(({ weight }) => weight > NEGLIGIBLE)
  return {
    kept: weigh(kept),
    steppings: weigh(stepping),
    intervals: weigh(scatter),
    shares: nextAddress(seen.mappings)
  }
}

/** One port for each socket, whatever the destination: its own, or one that the NAT chose. */
function keptPorts({ mappings, own, localPort }: Evidence): { port: number; log: number }[] {
  const bySocket = Map.groupBy(mappings, mapping => mapping.localPort)
  if ([...bySocket.values()].some(group => new Set(group.map(({ port }) => port)).size > 1)) return []
  const sockets = [...bySocket.values()].flatMap(([first]) => (first ? [first] : []))
  const chosen = Math.log(PRIOR.kept * (1 - PRESERVED)) - sockets.length * Math.log(WHOLE)
  const preserved = sum(sockets.map(one => Math.log(one.port === one.localPort ? 1 - COLLISION : COLLISION / WHOLE)))
  const seen = own[0]?.port
  const both = [
    { port: seen, log: chosen },
    { port: seen ?? localPort, log: Math.log(PRIOR.kept * PRESERVED) + preserved }
  ]
  return both.flatMap(({ port, log }) => (port === undefined ? [] : [{ port, log }]))
}
