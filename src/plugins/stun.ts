// `stun`: each side sends to where the gateway saw the other's socket. Works wherever one packet can pass one filter and
// its answer finds the way back: always with two endpoint-independent mappings, never by luck.

import { reaches } from '../gateway/profile.ts'
import { type Pass, type Plan, pass, type Scene, type Side } from '../gateway/scene.ts'
import { formatEndpoint } from '../wire/endpoint.ts'
import type { Plugin } from './plugin.ts'
import { aim } from './reach.ts'

interface Options {
  /** Milliseconds for the probes, on top of the round trips: room for two lost ones. */
  readonly waitMs: number
}

export const stun: Plugin<Options> = {
  name: 'stun',
  defaults: { waitMs: '700ms' },
  start: ({ waitMs }) => ({ plan: scene => plans(scene, waitMs) })
}

function* plans(scene: Scene, waitMs: number): Iterable<Plan | Pass> {
  const { caller, callee } = scene
  const ways = [reaches(caller.profile, callee.profile), reaches(callee.profile, caller.profile)]
  if (ways.every(way => way === false)) {
    yield pass(
      `${describe(caller)} cannot be told to ${describe(callee)}: the port used towards it is not the one observed`
    )
    return
  }
  const sure = [caller, callee].every(({ profile }) => profile.mapping === 'endpoint-independent')
  yield aim(scene, { caller: [callee.mapped], callee: [caller.mapped] }, { waitMs, why: why(scene), sure })
}

const describe = ({ name, profile }: Side) => `${name} (mapping ${profile.mapping}, filtering ${profile.filtering})`
const why = ({ caller, callee }: Scene) =>
  `${formatEndpoint(caller.mapped)} and ${formatEndpoint(callee.mapped)} as the gateway saw them`
