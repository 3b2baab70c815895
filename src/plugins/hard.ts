// What `predict` and `spray` share: which sides are hard (their NAT uses another port towards the peer than towards the
// gateway), what such a NAT does in words, and what may still be sent.

import { type Assignment, fit, type Meeting, meet, type PortModel } from '../nat/assignment.ts'
import type { Behaviour } from '../nat/profile.ts'
import { type Pass, type Plan, pass } from '../strategy/plan.ts'
import { isHardSide, type Scene, type Side, score } from '../strategy/scene.ts'
import { checksIn } from '../wire/agent.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { GUESSES, MOST_SOCKETS, type Order } from '../wire/order.ts'
import { otherSide, type SideName, sideNames } from '../wire/side.ts'
import { NEAR_MS, waitRange } from './reach.ts'

/** Options of a search for ports; each plugin says what its own limits are for. */
export interface SearchOptions {
  /** Milliseconds for the probes or their answers, on top of the walk and the round trips: room for two lost ones. */
  readonly waitMs: number
  /** Most sockets of a side that make mappings at once. */
  readonly sockets: number
  /** Datagrams of a side for one connection. */
  readonly probes: number
  /**
   * What is enough: more would cost more probes than it is worth. A share of what could be reached, or for `spray` a
   * probability.
   */
  readonly goal: number
  /** Probability below which the plugin passes: a search in vain takes time that the relay would not. */
  readonly atLeast: number
}

/** What options of a search may be: as much as an order asks for at most, and shares. */
export const searchRanges = {
  ...waitRange,
  sockets: { least: 1, most: MOST_SOCKETS, whole: true },
  probes: { least: 1, most: GUESSES, whole: true },
  goal: { least: 0, most: 1 },
  atLeast: { least: 0, most: 1 }
} as const

/**
 * Whose port has to be found: one side's, or both. A side that has one mapping for all ports of an address, and lets all of
 * them in, need not know the other's port. Then the other counts as easy. `isDoubtful`: the other side may be hard as well,
 * which a gateway with one address cannot tell.
 */
export type Hardness =
  | { readonly kind: 'none' }
  | { readonly kind: 'one'; readonly side: SideName; readonly isDoubtful: boolean }
  | { readonly kind: 'both' }

export function hardness(scene: Scene): Hardness {
  const hard = sideNames.filter(side => isHardSide(scene[side]))
  if (hard.length === 0) return suspected(scene)
  const [which] = hard.length > 1 ? hard.filter(one => isLoose(scene[one])) : hard
  return which ? { kind: 'one', side: which, isDoubtful: mayDepend(scene[otherSide(which)]) } : { kind: 'both' }
}

/**
 * A gateway with one address cannot tell a mapping that depends on the address from one that does not (RFC 4787 section
 * 4.1). The former is rare, so a side counts as hard for it only once the observed endpoints were tried in vain between
 * these networks. If that may be so of both sides, nothing says whose port it is.
 */
function suspected(scene: Scene): Hardness {
  const isInVain = scene.attempts.some(({ cause }) => cause === 'unheard') || score(scene, OBSERVED) < 0
  const suspects = sideNames.filter(side => mayDepend(scene[side]))
  const [side] = suspects
  return isInVain && side && suspects.length === 1 ? { kind: 'one', side, isDoubtful: false } : { kind: 'none' }
}

/** The way in which `stun` tries the observed endpoints of sides whose mapping is not known. */
const OBSERVED = 'stun/together'

/** True if the mapping may depend on the address. A NAT that keeps the socket's own port would try to keep it there too. */
export const mayDepend = ({ profile, mapped, port }: Side): boolean =>
  profile.mapping === 'unknown' && profile.translated && mapped.port !== port

/** A pass, because a search for the port of this side was in vain before, and the other side's port may be the reason. */
export const doubted = (scene: Scene, side: SideName): Pass =>
  unlikely(
    0,
    `searched in vain before: ${scene[otherSide(side)].name} may have another port towards ${scene[side].name}`
  )

const isLoose = ({ profile }: Side) =>
  profile.mapping === 'address-dependent' && ['address-dependent', 'endpoint-independent'].includes(profile.filtering)

/** The model of a side. It is fitted once for what was observed, however often it is asked for. */
export function modelOf({ observations, port }: Side): PortModel {
  const known = fitted.get(observations)
  if (known?.port === port) return known.model
  const model = fit(observations, { localPort: port })
  fitted.set(observations, { port, model })
  return model
}

const fitted = new WeakMap<Side['observations'], { port: number; model: PortModel }>()

/** Milliseconds from a side's last observation to its first probe of an order that leaves now: see assignment/tracks.ts, When. */
export function elapsedMs(scene: Scene, side: SideName): number {
  const { observations, rttMs, agent } = scene[side]
  const begunMs = rttMs + (agent ? BEGUN_MS : 0)
  return Math.max(0, scene.atMs - Math.max(...observations.map(({ atMs }) => atMs))) + begunMs
}

/** What belongs to each side: `own` to the given one, `other` to the other one. */
export const bySide = <T>(side: SideName, own: T, other: T): Record<SideName, T> =>
  side === 'caller' ? { caller: own, callee: other } : { caller: other, callee: own }

/** Datagrams that a side may send to the other's address: at most `own`, and no more than all sessions have left there. */
export const affordable = (scene: Scene, side: SideName, own: number): number =>
  Math.min(own, scene[otherSide(side)].probes)

/** An ICE agent has so long for what it searches, in milliseconds: with the way to it and back, a plan takes five seconds. */
const SEARCH_MS = 3200

/** The most ports that each socket of a side tries, or `own`: an agent checks them at its own pace. */
export function triable({ agent }: Side, own: number, sockets = 1): number {
  if (!agent) return own
  const perSecond = Math.min(agent.perConnection, agent.inAll / Math.min(sockets, agent.connections))
  return Math.min(own, Math.floor((SEARCH_MS * perSecond) / 1000))
}

/** The most sockets that a side makes mappings with at once, or `own`: an agent has one for each connection. */
export const holdable = ({ agent }: Side, own: number): number => Math.min(own, agent?.connections ?? own)

/** A plan with an agent takes no longer, in milliseconds. */
const PLAN_MS = 5000

/**
 * The most sockets of a side that send to ports which are guessed: each connection of an agent goes on checking for as long as the plan
 * lasts, and the budget has to cover that.
 */
export function searchable(scene: Scene, side: SideName, own: number, probes: number): number {
  const { agent } = scene[side]
  if (!agent) return own
  const most = affordable(scene, side, probes)
  return smallest(holdable(scene[side], own) + 1, count => checksIn(agent, count, PLAN_MS) > most) - 1
}

/** Each connection of an agent has sent its first check by then, in milliseconds: what was predicted is that much older. */
const BEGUN_MS = 350

/** Milliseconds that a side takes until each of so many sockets has tried so many ports, besides round trips. */
export function triedMs({ agent }: Side, tried: { ports: number; sockets: number; perSecond?: number }): number {
  const { ports, sockets, perSecond = Number.POSITIVE_INFINITY } = tried
  if (!agent) return (1000 * ports * sockets) / perSecond
  return BEGUN_MS + Math.min(SEARCH_MS, (1000 * ports) / Math.min(agent.perConnection, agent.inAll / sockets))
}

/** Says so if a plan is limited by the budget that all sessions share; empty otherwise. */
export function sharedOut(scene: Scene, own: number): string {
  const short = sideNames.map(side => scene[side]).filter(({ probes }) => probes < own)
  return short.map(({ probes, mapped }) => `; budget shared out: ${probes} probes left at ${mapped.address}`).join('')
}

/** A pass, because the best plan is worth less than its plugin asks for. */
export const unlikely = (expected: number, reason: string): Pass => pass(reason, { cause: 'unlikely', expected })

/**
 * The plan, or a pass. A pass is blamed on the shared budget if less than the plugin's `own` is left, and all of it would
 * have made a plan.
 */
export function plannedIn(scene: Scene, own: number, planned: (scene: Scene) => Plan | Pass): Plan | Pass {
  const found = planned(scene)
  const isShort = sideNames.some(side => scene[side].probes < own)
  if (found.kind === 'plan' || !isShort || planned(unshared(scene)).kind === 'pass') return found
  return { ...found, cause: 'budget-shared-out' }
}

const unshared = ({ caller, callee, attempts, atMs, memory }: Scene): Scene => ({
  caller: { ...caller, probes: Number.MAX_SAFE_INTEGER },
  callee: { ...callee, probes: Number.MAX_SAFE_INTEGER },
  attempts,
  atMs,
  memory
})

type Punch = Extract<Order, { kind: 'punch' }>

/**
 * An order to punch. The passive side may bind as soon as it has heard a probe, if that proves that the path works both
 * ways. It does if only the mapping that was made for this very path lets the probe in: `strict` names the filters that
 * make it so. Through another filter, the probe may have come by a mapping that answers do not leave from. Where the two are
 * near, it waits for its own probe's answer nevertheless: that costs next to nothing, and then nothing is on its way to a
 * socket that it lets go.
 */
export function punch(
  effort: Omit<Punch, 'kind' | 'bindOn'>,
  passive?: { side: Side; strict: readonly Behaviour[]; scene: Scene }
): Punch {
  if (!passive) return { kind: 'punch', ...effort }
  const { side, strict, scene } = passive
  const isFar = scene.caller.rttMs + scene.callee.rttMs > NEAR_MS
  const bindOn = isFar && strict.includes(side.profile.filtering) ? 'heard' : 'answered'
  return { kind: 'punch', ...effort, bindOn }
}

/** Mappings that a side makes at once, so that one of them, or several, have the ports that the other side aims at. */
export interface Burst {
  readonly sockets: number
  readonly meeting: Meeting
}

/**
 * The smallest burst that is worth nearly as much as the largest. The other side aims at `count` ports in a row, which
 * should all be among the burst's. Undefined if there is no counter.
 */
export function burstsOf(
  model: PortModel,
  { elapsedMs, most, goal }: { elapsedMs: number; most: number; goal: number }
): (count: number) => Burst | undefined {
  const tracks = model.tracks({ elapsedMs, mappings: Math.max(0, most) })
  return count => {
    if (most < count) return undefined
    const meeting = (mappings: number) => meet(tracks, model.addresses(), { mappings, count })
    const rate = (mappings: number) => meeting(mappings)?.met[count] ?? 0
    const best = rate(most)
    const sockets = smallest(most, mappings => rate(mappings) >= goal * best)
    const found = meeting(sockets)
    return found && { sockets, meeting: found }
  }
}

type Guesses = NonNullable<Punch['guesses']>

/** The endpoints in their order. Neighbours of one address are put together. */
export function guessesOf(endpoints: readonly Endpoint[]): Guesses {
  const guesses: Guesses = []
  for (const { address, port } of endpoints) {
    const last = guesses.at(-1)
    if (last?.address === address) last.ports.push(port)
    else guesses.push({ address, ports: [port] })
  }
  return guesses
}

/** The endpoints that the other side aims at. */
export const portsOf = ({ meeting }: Burst, mapped: Endpoint): Endpoint[] =>
  meeting.ports.map(port => ({ address: meeting.address ?? mapped.address, port }))

/**
 * Time for the orders to arrive, then for two round trips between the peers. Each takes at most both round trips to the
 * gateway.
 */
export const waitMsOf = ({ caller, callee }: Scene, ms: number): number =>
  Math.round(ms + 3 * (caller.rttMs + callee.rttMs))

export const mappingsOf = ({ caller, callee }: Scene): string =>
  [caller, callee].map(({ name, profile }) => `${name} has mapping ${profile.mapping}`).join(', ')

/** What a side's NAT does, for a person: `alice steps by +2, 12/s by others`. */
export function habit({ name }: Side, { kind, step = 0, driftPerSecond = 0, block, range }: Assignment): string {
  switch (kind) {
    case 'stepping':
      return `${name} steps by ${step > 0 ? '+' : ''}${step}, ${driftPerSecond.toFixed(driftPerSecond < 10 ? 1 : 0)}/s by others`
    case 'block':
      return `${name} scatters its ports over a block, perhaps ${block?.low} to ${block?.high}`
    case 'random':
      return `${name} scatters its ports, perhaps over ${range?.low} to ${range?.high}`
    case 'kept':
      return `${name} has shown one port only`
  }
}

/** The smallest of 1 … `most` that is enough, or `most`. */
export function smallest(most: number, isEnough: (count: number) => boolean): number {
  let [low, high] = [1, Math.max(1, most)]
  while (low < high) {
    const middle = (low + high) >> 1
    if (isEnough(middle)) high = middle
    else low = middle + 1
  }
  return low
}
