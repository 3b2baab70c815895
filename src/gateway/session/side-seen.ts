// One side as planners see it: a socket that is judged by what was observed of it, and what was seen of the peer before.

import { PosternError } from '../../errors.ts'
import type { Assignment, Observation } from '../../nat/assignment.ts'
import { blockedProfile, hiddenProfile, type Profile, profileOf, type Sample } from '../../nat/profile.ts'
import type { Side } from '../../strategy/scene.ts'
import type { StreamDoor } from '../../wire/doors/door.ts'
import type { Aiming, Budget } from '../memory/budget.ts'
import type { History } from '../memory/history.ts'
import type { Member, WarmSocket } from '../peers/member.ts'
import type { Observer } from '../peers/observer.ts'
import type { Sources } from '../peers/sources.ts'
import type { Judging } from '../shares/judging.ts'

export interface Watch {
  readonly observer: Observer
  readonly history: History
  readonly budget: Budget
  readonly sources: Pick<Sources, 'isHidden'>
  readonly judging: Judging
}

/** A socket, what was observed of it, and who may have it aimed at. */
export interface SideSeen {
  readonly socket: Omit<WarmSocket, 'number'>
  readonly samples: readonly Sample[]
  readonly aiming: Aiming
}

/**
 * Judges a peer's socket by what was observed of it, and remembers the observations, unless they are not of its NAT. Rejects
 * with `udp-blocked` if nothing was observed.
 * @param verdict fits the models; it is not asked where one mapping serves all destinations, since there is nothing to fit
 */
export async function sideOf(
  { observer, history, budget, sources }: Watch,
  peer: Member,
  { socket, samples, aiming }: SideSeen,
  verdict: (observations: readonly Observation[]) => Promise<Assignment>
): Promise<Side> {
  const shown = samples.find(sample => sample.primary) ?? samples[0]
  if (!shown) throw new PosternError('udp-blocked', `no UDP datagram from ${peer.name} reached the gateway`)
  const known = {
    ...{ name: peer.name, gateway: peer.gateway, mapped: shown.mapped },
    ...{ port: socket.port, addresses: socket.addresses },
    ...(peer.iceOnly ? { agent: peer.iceOnly, hosts: socket.hosts ?? [] } : {}),
    // What a side says of itself decides how long others wait for it.
    rttMs: Math.min(socket.rttMs, observer.rttMs(peer.id))
  }
  if (sources.isHidden(peer, shown.mapped, socket.addresses))
    return { ...known, profile: hiddenProfile(samples), observations: [], probes: 0 }
  const seen = profileOf(samples, socket, peer.filtering)
  const isProved = seen.mapping === 'unknown' && history.isProved(peer.fingerprint, shown.mapped.address)
  const profile: Profile = isProved ? { ...seen, mapping: 'endpoint-independent' } : seen
  const observations = history.learn(peer.fingerprint, observationsOf(samples, socket.port))
  const isFitted = profile.translated && profile.mapping !== 'endpoint-independent'
  const fitted = isFitted ? { assignment: await verdict(observations) } : {}
  return {
    ...known,
    profile: { ...profile, ...fitted },
    observations,
    probes: budget.left(shown.mapped.address, aiming),
    ...forwardOf(peer, socket),
    ...(peer.router ? { router: peer.router } : {})
  }
}

/** A side whose UDP is blocked, and to which doors of the relay lead: nothing is known of its NAT. */
export const blockedSide = ({ name, gateway, iceOnly }: Member, doors: readonly StreamDoor[], rttMs: number): Side => ({
  ...{ name, gateway, doors, rttMs },
  ...(iceOnly ? { agent: iceOnly } : {}),
  mapped: { address: '0.0.0.0', port: 0 },
  port: 0,
  addresses: [],
  profile: blockedProfile,
  observations: [],
  probes: 0
})

/** A claimed endpoint is shown only when it is proved. */
function forwardOf(peer: Member, { port }: Pick<WarmSocket, 'port'>): Pick<Side, 'open' | 'claim'> {
  const forward = peer.forwardOf(port)
  if (!forward) return {}
  const { endpoint, by, state } = forward
  return state === 'proved' ? { open: { endpoint, by } } : { claim: { by, state } }
}

/** The samples as the models take them: a mapping counts from when it was first seen. */
export const observationsOf = (samples: readonly Sample[], localPort: number): Observation[] =>
  samples.map(({ mapped: { address, port }, sinceMs }) => ({ address, port, atMs: sinceMs, localPort }))
