// One side as planners see it: a socket, judged by what was observed of it, beside what was seen of the same peer before.

import { PosternError } from '../../errors.ts'
import type { Assignment, Observation } from '../../nat/assignment.ts'
import { profileOf, type Sample } from '../../nat/profile.ts'
import type { Side } from '../../strategy/scene.ts'
import type { Budget } from '../memory/budget.ts'
import type { History } from '../memory/history.ts'
import type { Member, WarmSocket } from '../peers/member.ts'
import type { Observer } from '../peers/observer.ts'

export interface Watch {
  readonly observer: Observer
  readonly history: History
  readonly budget: Budget
}

/**
 * A peer's socket as planners see it: judged by what was observed of it, and remembered. Throws `udp-blocked` where nothing
 * was observed.
 * @param verdict fits the models; asked only where there is something to fit, which a mapping for all destinations has not
 */
export function sideOf(
  { history, budget }: Watch,
  peer: Member,
  { socket, samples }: { socket: Omit<WarmSocket, 'number'>; samples: readonly Sample[] },
  verdict: (observations: readonly Observation[]) => Assignment
): Side {
  const shown = samples.find(sample => sample.primary) ?? samples[0]
  if (!shown) throw new PosternError('udp-blocked', `no UDP datagram from ${peer.name} reached the gateway`)
  const profile = profileOf(samples, socket, peer.filtering)
  const observations = history.learn(peer.fingerprint, observationsOf(samples, socket.port))
  const hard = profile.translated && profile.mapping !== 'endpoint-independent'
  return {
    name: peer.name,
    gateway: peer.gateway,
    mapped: shown.mapped,
    port: socket.port,
    addresses: socket.addresses,
    rttMs: socket.rttMs,
    profile: { ...profile, ...(hard ? { assignment: verdict(observations) } : {}) },
    observations,
    probes: budget.left(shown.mapped.address)
  }
}

/** As the models take them: a mapping counts from when it was first seen. */
export const observationsOf = (samples: readonly Sample[], localPort: number): Observation[] =>
  samples.map(({ mapped: { address, port }, sinceMs }) => ({ address, port, atMs: sinceMs, localPort }))
