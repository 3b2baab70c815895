// What the strategies could do from a network: each planner is asked for its plans against every kind of network the other
// side may be in, and nothing is ordered. So the answer follows the operator's own list, with plugins of other authors.

import { type Assignment, fit, type Observation } from '../../nat/assignment.ts'
import type { Behaviour } from '../../nat/profile.ts'
import { dryRun, together } from '../../strategy/dry-run.ts'
import type { Scene, Side } from '../../strategy/scene.ts'
import type { Strategy } from '../../strategy/turn.ts'
import type { AgentPace } from '../../wire/agent.ts'
import type { NatReport } from '../../wire/nat-report.ts'

type Prospect = NatReport['prospects'][number]

interface Kind {
  readonly peer: string
  readonly mapping: Behaviour
  readonly filtering: Behaviour
  readonly translated?: boolean
  /** The port of each mapping, of five sockets with four mappings each; left out where all ports are the same. */
  readonly port?: (mapping: number) => number
}

const STRICT = 'address-and-port-dependent'

/** The networks that peers are in, the most common first (figures: Richter 2016, Trautwein 2025). */
const kinds: readonly Kind[] = [
  { peer: 'no NAT', mapping: 'endpoint-independent', filtering: 'endpoint-independent', translated: false },
  { peer: 'full cone', mapping: 'endpoint-independent', filtering: 'endpoint-independent' },
  { peer: 'port-restricted cone', mapping: 'endpoint-independent', filtering: STRICT },
  { peer: 'symmetric, stepping', mapping: STRICT, filtering: STRICT, port: n => 30_000 + n },
  { peer: 'symmetric, block of 512', mapping: STRICT, filtering: STRICT, port: n => 40_960 + ((n * 317) % 512) },
  { peer: 'symmetric, random', mapping: STRICT, filtering: STRICT, port: n => 1024 + ((n * 39_119) % 64_512) }
]

/** By their names, as `prospects` has them, and the first of them, which most peers are in. */
export const kindsOfPeers: readonly string[] = kinds.map(({ peer }) => peer)
export const commonKinds: readonly string[] = kindsOfPeers.slice(0, 3)

/** How many tries, and how many passes, a report has room for. */
const TOLD = 32

/**
 * What each kind of peer can expect of a connection to this side, by the strategies in their order.
 * @param agent what their ICE agents can do, where they are pages; left out, they are peers in Node
 */
export async function prospects(
  strategies: readonly Strategy[],
  side: Side,
  atMs: number,
  agent?: AgentPace
): Promise<Prospect[]> {
  const all: Prospect[] = []
  for (const kind of kinds) {
    const callee = { ...sideOf(kind, side, atMs), ...(agent ? { agent, hosts: [] } : {}) }
    const scene: Scene = { caller: side, callee, attempts: [], atMs, memory: {} }
    all.push(await prospect(strategies, kind.peer, scene))
  }
  return all
}

async function prospect(strategies: readonly Strategy[], peer: string, scene: Scene): Promise<Prospect> {
  const tries: Prospect['tries'] = []
  const passes: Prospect['passes'] = []
  for (const strategy of strategies.filter(({ lastResort }) => !lastResort)) {
    const by = strategy.name
    const found = await dryRun(strategy, scene)
    for (const { probability, why } of found.tries) tries.push({ by, probability, why })
    if (found.passes !== undefined) passes.push({ by, reason: found.passes })
  }
  const probability = together(tries.map(one => one.probability))
  return { peer, probability, tries: tries.slice(0, TOLD), passes: passes.slice(0, TOLD) }
}

const assignments = new Map<NonNullable<Kind['port']>, Assignment>()

/** It is the same whenever they are seen. */
function assignmentOf(port: NonNullable<Kind['port']>, observations: readonly Observation[]): Assignment {
  const assignment = assignments.get(port) ?? fit(observations).describe()
  assignments.set(port, assignment)
  return assignment
}

/**
 * The same side if its NAT, which has one mapping for all ports of an address, has another one for each address, at random. That is the
 * worst that a gateway with one address leaves open.
 */
export function atWorst(side: Side, atMs: number): Side {
  const scattering = kinds.find(({ peer }) => peer === 'symmetric, random') as Kind
  const made = sideOf(scattering, side, atMs, '192.0.2.2')
  const { mapped, port, observations, profile } = made
  return { ...side, mapped, port, observations, profile: { ...profile, mapping: 'address-dependent' } }
}

/** A made-up side in a documentation network (RFC 5737), which shares nothing with the real one. */
function sideOf(
  { mapping, filtering, translated = true, port }: Kind,
  { gateway }: Side,
  atMs: number,
  address = '192.0.2.1'
): Side {
  const at = (n: number) => (port ? port(n) : 30_000)
  const observations: Observation[] = Array.from({ length: 20 }, (_, n) => ({
    address,
    port: at(n),
    atMs: atMs - 2000 + 400 * Math.floor(n / 4) + (n % 4),
    localPort: 12_000 + Math.floor(n / 4)
  }))
  const assignment = port ? { assignment: assignmentOf(port, observations) } : {}
  return {
    name: 'a peer',
    gateway,
    mapped: { address, port: at(16) },
    port: 12_004,
    addresses: translated ? [] : [{ address, prefix: 32 }],
    profile: { mapping, filtering, translated, addresses: [address], samples: [], ...assignment },
    observations,
    probes: Number.MAX_SAFE_INTEGER,
    rttMs: 40
  }
}
