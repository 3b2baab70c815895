// Judges the network of a visitor as that of a page which is a peer: by what the gateway's endpoints saw of its sockets. Of what a browser
// cannot know (its own address, what its NAT lets in), the worst is assumed once and the best once.

import { nowMs } from '../../clock.ts'
import { type Assignment, fit, type Observation } from '../../nat/assignment.ts'
import { isHidden } from '../../nat/hidden.ts'
import { profileOf, type Sample } from '../../nat/profile.ts'
import type { Side } from '../../strategy/scene.ts'
import type { Strategy } from '../../strategy/turn.ts'
import type { AgentPace } from '../../wire/agent.ts'
import { type Endpoint, isLoopback, isPrivate, isPublic } from '../../wire/endpoint.ts'
import { ownLinks } from '../peers/sources.ts'
import { observationsOf } from '../session/side-seen.ts'
import { inTurns, type Judging } from '../shares/judging.ts'
import type { Asker } from '../shares/shares.ts'
import { atWorst, kindsOfPeers, prospects } from '../survey/prospects.ts'
import type { Chance, Inside, Ports, Prospect, Seen } from './result.ts'

export interface Judges {
  readonly strategies: readonly Strategy[]
  readonly judging: Judging
  /** Probes that one caller may have aimed at one address within a minute. */
  readonly probes: number
}

/** A socket that was shown, and what endpoints of the gateway saw of it. */
export interface SocketSeen {
  readonly port: number
  readonly samples: readonly Sample[]
}

export interface VisitSeen {
  readonly asker: Asker
  readonly sockets: readonly SocketSeen[]
  readonly agent: AgentPace
  /** Where its WebSocket comes from. */
  readonly from: string
  /** Where it was told that it would be relayed. */
  readonly gateway: Endpoint
  readonly rttMs: number
  /** Whether its agent found the relay's TCP door. */
  readonly hasDoor: boolean
  /** Whether the browser has bound sockets. */
  readonly isBound: boolean
}

/** What the gateway can tell of a visitor's network, and what its strategies can do from there. */
export async function seenOf(judges: Judges, visit: VisitSeen): Promise<Seen> {
  const heard = visit.sockets.filter(({ samples }) => samples.length > 0)
  const shown = heard.findLast(({ samples }) => samples.length === Math.max(...heard.map(one => one.samples.length)))
  const [first] = shown?.samples ?? []
  if (!shown || !first) return { udp: 'blocked', isUnbound: !visit.isBound, hasDoor: visit.hasDoor }
  const addresses = [...new Set(heard.flatMap(({ samples }) => samples.map(({ mapped }) => mapped.address)))]
  const { address: reached } = visit.gateway
  if (isHidden({ mapped: first.mapped.address, reached, peer: [], gateway: ownLinks })) return { udp: 'hidden' }
  const side = await sideOf(judges, visit, { shown, heard })
  const { mapping, assignment } = side.profile
  const inside = insideOf(first.mapped.address)
  return {
    ...{ udp: 'open', mapping, addresses: addresses.length },
    ...(assignment ? { ports: portsOf(assignment) } : {}),
    ...(inside ? { inside } : {}),
    isSplit: isPublic(visit.from) && addresses.every(address => isPublic(address) && address !== visit.from),
    prospects: await prospectsOf(judges, visit, side)
  }
}

interface Shown {
  /** The socket that is judged. */
  readonly shown: SocketSeen
  /** All of them, by which the assignment of ports is. */
  readonly heard: readonly SocketSeen[]
}

async function sideOf({ judging, probes }: Judges, visit: VisitSeen, { shown, heard }: Shown): Promise<Side> {
  const { asker, agent, gateway, rttMs } = visit
  const { port, samples } = shown
  const profile = profileOf(samples, { port, addresses: [] }, undefined)
  const observations = heard
    .flatMap(socket => observationsOf(socket.samples, socket.port))
    .toSorted((a, b) => a.atMs - b.atMs)
  const isFitted = profile.mapping !== 'endpoint-independent'
  const assignment = isFitted
    ? await judging.run(asker, () => fit(observations as Observation[]).describe())
    : undefined
  const mapped = (samples.find(({ primary }) => primary) ?? samples[0])?.mapped as Endpoint
  return {
    ...{ name: 'a visitor', gateway, mapped, port, addresses: [], observations, probes, rttMs, agent, hosts: [] },
    profile: { ...profile, ...(assignment ? { assignment } : {}) }
  }
}

/** Of pages the pace is taken to be that of the visitor. */
async function prospectsOf(
  { strategies, judging }: Judges,
  { asker, agent }: VisitSeen,
  side: Side
): Promise<Prospect[]> {
  const atMs = nowMs()
  const planners = strategies.map(strategy => inTurns(strategy, judging, asker))
  const worst = worstOf(side, atMs)
  const chances = async (pace?: AgentPace) => {
    const most = await prospects(planners, side, atMs, pace)
    const least = worst ? await prospects(planners, worst, atMs, pace) : most
    return most.map(({ probability }, at) => chanceOf(least[at]?.probability ?? 0, probability))
  }
  const [pages, nodes] = [await chances(agent), await chances()]
  return kindsOfPeers.map((peer, at) => ({ peer, page: pages[at] ?? NONE, node: nodes[at] ?? NONE }))
}

const NONE: Chance = { least: 0, most: 0 }

const chanceOf = (one: number, other: number): Chance => ({
  least: rounded(Math.min(one, other)),
  most: rounded(Math.max(one, other))
})

/**
 * The same side if all that is not known is at its worst; undefined where nothing depends on that: where a mapping is known to be hard,
 * nobody comes in by what was observed of it, whatever the filter.
 */
function worstOf(side: Side, atMs: number): Side | undefined {
  const { mapping } = side.profile
  if (mapping === 'unknown') return atWorst(side, atMs)
  const filtering = 'address-and-port-dependent'
  return mapping === 'endpoint-independent' ? { ...side, profile: { ...side.profile, filtering } } : undefined
}

const rounded = (share: number): number => Math.round(share * 100) / 100

/** What it says of how ports are chosen, without any port. */
function portsOf({ kind, confidence, step, block }: Assignment): Ports {
  return {
    ...{ kind, confidence: rounded(confidence) },
    ...(kind === 'stepping' && step !== undefined ? { step } : {}),
    ...(kind === 'block' && block ? { size: block.high - block.low + 1 } : {})
  }
}

/** A private address says that the gateway is on this side of what leads to the Internet. */
function insideOf(address: string): Inside | undefined {
  if (isLoopback(address)) return 'host'
  return isPrivate(address) ? 'network' : undefined
}
