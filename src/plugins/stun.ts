// `stun` makes each side send to where the gateway saw the other's socket. It works if one packet can pass one filter and
// its answer finds the way back: always with two endpoint-independent mappings, never by luck.

import { canMeet } from '../nat/profile.ts'
import { type Plan, type Proposal, pass } from '../strategy/plan.ts'
import type { Plugin } from '../strategy/plugin.ts'
import { headStartMs, hiddenSources, type Scene, type Side, score } from '../strategy/scene.ts'
import { formatEndpoint } from '../wire/endpoint.ts'
import { otherSide, type SideName, sideNames } from '../wire/side.ts'
import { aim, waitRange } from './reach.ts'

interface Options {
  /** Milliseconds for the probes, on top of the round trips: room for two lost ones. */
  readonly waitMs: number
}

export const stun: Plugin<Options> = {
  name: 'stun',
  defaults: { waitMs: '700ms' },
  ranges: waitRange,
  remedies: {
    suits: ({ caller, callee }) => canMeet(caller, callee) === true
  },
  start: ({ waitMs }) => ({ plan: scene => plans(scene, waitMs) })
}

function* plans(scene: Scene, waitMs: number): Iterable<Proposal> {
  const { caller, callee } = scene
  const hidden = hiddenSources(scene)
  if (hidden) return yield pass(hidden)
  if (canMeet(caller.profile, callee.profile) === false) {
    yield pass(
      `${describe(caller)} cannot be told to ${describe(callee)}: the port used towards it is not the one observed`
    )
    return
  }
  const sure = [caller, callee].every(({ profile }) => profile.mapping === 'endpoint-independent')
  const better = sure ? undefined : betterWay(scene)
  if (better) {
    yield pass(`between these networks the observed endpoints were tried in vain, and ${better} opened a path`)
    return
  }
  const order = sure ? inOrderOfSuccess(scene) : (['together'] as const)
  for (const [tried, way] of order.entries()) {
    // A remapped flow stays so for this pair of endpoints: another try needs other sockets.
    if (tried > 0) yield { kind: 'sample', sides: sideNames }
    yield way === 'together' ? together(scene, { waitMs, sure }) : inTurn(scene, way)
  }
}

/** A search for ports that worked between these networks, where this did not: one of the mappings is not what it seems. */
function betterWay({ memory }: Scene): string | undefined {
  if (score({ memory }, 'stun/together') >= 0) return undefined
  const ways = Object.keys(memory).filter(way => !way.startsWith('stun/') && score({ memory }, way) > 0)
  return ways[0]?.split('/')[0]
}

function together(scene: Scene, options: { waitMs: number; sure: boolean }): Plan {
  return aim(scene, targets(scene), { ...options, why: why(scene), label: 'together' })
}

/**
 * A NAT that does not drop what nobody asked for may keep a state for it. It then has to give another port to the very flow
 * that would have met that packet (Linux does). So the side behind such a NAT must have sent before anything comes. If no
 * test of a peer has told which of the two sides that is, each gets its turn.
 */
function inTurn(scene: Scene, first: SideName): Plan {
  const second = otherSide(first)
  const waitedMs = JITTER_MS + headStartMs(scene[second], scene[first])
  const plan = aim(scene, targets(scene), {
    waitMs: IN_TURN_MS + waitedMs,
    why: `${scene[first].name} first, then ${scene[second].name}: ${why(scene)}`,
    sure: false,
    label: first
  })
  return { ...plan, afterMs: { [second]: waitedMs } }
}

type Way = 'together' | SideName

/** The ways that worked between these networks before come first, those that failed come last. */
function inOrderOfSuccess(scene: Scene): readonly Way[] {
  return ways(scene).toSorted((a, b) => score(scene, `stun/${b}`) - score(scene, `stun/${a}`))
}

/**
 * A side that may remap may have to send first, unless the other would suffer from it. If it is known to remap, that is
 * tried before sending together.
 */
function ways(scene: Scene): readonly Way[] {
  const first = sideNames.filter(side => mayRemap(scene[side]) && scene[otherSide(side)].profile.remaps !== true)
  return first.some(side => scene[side].profile.remaps) ? [...first, 'together'] : ['together', ...first]
}

/** True if the NAT may remap. A filter that lets a stranger in keeps no state of its own for what it does not want. */
const mayRemap = ({ profile }: Side) =>
  profile.translated && profile.filtering !== 'endpoint-independent' && profile.remaps !== false

/** How far apart orders that left together may arrive, beyond half the difference of the round trips. */
const JITTER_MS = 20

/** Milliseconds for probes in turn, on top of the round trips: this is a second chance, and delays what comes after it. */
const IN_TURN_MS = 300

const targets = ({ caller, callee }: Scene) => ({ caller: [callee.mapped], callee: [caller.mapped] })
const describe = ({ name, profile }: Side) => `${name} (mapping ${profile.mapping}, filtering ${profile.filtering})`
const why = ({ caller, callee }: Scene) =>
  `${formatEndpoint(caller.mapped)} and ${formatEndpoint(callee.mapped)} as the gateway saw them`
