// `stun`: each side sends to where the gateway saw the other's socket. Works wherever one packet can pass one filter and
// its answer finds the way back: always with two endpoint-independent mappings, never by luck.

import { reaches } from '../nat/profile.ts'
import { type Plan, type Proposal, pass } from '../strategy/plan.ts'
import type { Plugin } from '../strategy/plugin.ts'
import { headStartMs, type Scene, type Side, score } from '../strategy/scene.ts'
import { formatEndpoint } from '../wire/endpoint.ts'
import { otherSide, type SideName, sideNames } from '../wire/side.ts'
import { aim } from './reach.ts'

interface Options {
  /** Milliseconds for the probes, on top of the round trips: room for two lost ones. */
  readonly waitMs: number
}

export const stun: Plugin<Options> = {
  name: 'stun',
  defaults: { waitMs: '700ms' },
  remedies: {
    suits: ({ caller, callee }) =>
      [caller, callee].every(({ mapping }) => mapping === 'endpoint-independent') ||
      [reaches(caller, callee), reaches(callee, caller)].includes(true)
  },
  start: ({ waitMs }) => ({ plan: scene => plans(scene, waitMs) })
}

function* plans(scene: Scene, waitMs: number): Iterable<Proposal> {
  const { caller, callee } = scene
  const ways = [reaches(caller.profile, callee.profile), reaches(callee.profile, caller.profile)]
  if (ways.every(way => way === false)) {
    yield pass(
      `${describe(caller)} cannot be told to ${describe(callee)}: the port used towards it is not the one observed`
    )
    return
  }
  const sure = [caller, callee].every(({ profile }) => profile.mapping === 'endpoint-independent')
  const order = sure ? inOrderOfSuccess(scene) : (['together'] as const)
  for (const [tried, way] of order.entries()) {
    // What was remapped stays so for this pair of endpoints: another try needs other sockets.
    if (tried > 0) yield { kind: 'sample', sides: sideNames }
    yield way === 'together' ? together(scene, { waitMs, sure }) : inTurn(scene, way)
  }
}

function together(scene: Scene, options: { waitMs: number; sure: boolean }): Plan {
  return aim(scene, targets(scene), { ...options, why: why(scene), label: 'together' })
}

/**
 * A NAT that does not drop what nobody asked for may keep a state for it, and then has to give the very flow that would
 * have met it another port (Linux does). So the side behind such a NAT must have sent before anything comes. Where no test
 * of the peer's has told which of the two that is, each gets its turn.
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

/** What worked between these networks before comes first, what failed last. */
function inOrderOfSuccess(scene: Scene): readonly Way[] {
  return ways(scene).toSorted((a, b) => score(scene, `stun/${b}`) - score(scene, `stun/${a}`))
}

/** Whoever may remap may have to be first, unless the other would suffer from it; who is known to had better be. */
function ways(scene: Scene): readonly Way[] {
  const first = sideNames.filter(side => mayRemap(scene[side]) && scene[otherSide(side)].profile.remaps !== true)
  return first.some(side => scene[side].profile.remaps) ? [...first, 'together'] : ['together', ...first]
}

/** A filter that lets a stranger in keeps no state of its own for what it does not want. */
const mayRemap = ({ profile }: Side) =>
  profile.translated && profile.filtering !== 'endpoint-independent' && profile.remaps !== false

/** By how much orders that left together may arrive apart, beyond half the round trips. */
const JITTER_MS = 20

/** Milliseconds for probes in turn, on top of the round trips: this is a second chance, and delays what comes after it. */
const IN_TURN_MS = 300

const targets = ({ caller, callee }: Scene) => ({ caller: [callee.mapped], callee: [caller.mapped] })
const describe = ({ name, profile }: Side) => `${name} (mapping ${profile.mapping}, filtering ${profile.filtering})`
const why = ({ caller, callee }: Scene) =>
  `${formatEndpoint(caller.mapped)} and ${formatEndpoint(callee.mapped)} as the gateway saw them`
