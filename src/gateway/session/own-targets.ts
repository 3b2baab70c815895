// Whatever a strategy plans, no side is told to send to an address that it has itself: that never leaves the host. A plan
// that would leave a side with nothing to send to is not tried. Two peers of one host are the exception. Whether they are
// that, only they can tell, so such a plan is ordered once, and a side that finds nobody at that port says so at once.

import { beyondSubnets, has, mayBeOneHost } from '../../strategy/neighbours.ts'
import type { Plan } from '../../strategy/plan.ts'
import type { Scene } from '../../strategy/scene.ts'
import type { SpanAttributes } from '../../trace/record/conventions.ts'
import { isLoopback, isPrivate } from '../../wire/endpoint.ts'
import { aimsOf, narrowed, natureOf } from '../../wire/order.ts'
import { type SideName, sideNames } from '../../wire/side.ts'

/** A plan without what its sides have themselves, and the sides that are left with nothing then. */
export interface Aimed {
  readonly plan: Plan
  readonly own: readonly SideName[]
}

/** @param areApart the two are known not to be peers of one host */
export function withoutOwn(plan: Plan, scene: Scene, areApart: boolean): Aimed {
  if (!areApart && mayBeOneHost(scene.caller, scene.callee)) return { plan, own: [] }
  // A peer is told a loopback address only where the gateway, and so the other peer, is on its host.
  const order = (side: SideName) => narrowed(plan[side], at => isLoopback(at) || !has(scene[side], at))
  const narrow = { ...plan, caller: order('caller'), callee: order('callee') }
  return { plan: narrow, own: sideNames.filter(side => aimsOf(plan[side]) > 0 && aimsOf(narrow[side]) === 0) }
}

/** Why a plan is not tried: what these sides were to send to is their own. */
export function ownReason({ plan, own }: Aimed, tried: Plan, scene: Scene): string {
  const lost = (side: SideName) =>
    addressesIn(tried, side).filter(address => !addressesIn(plan, side).includes(address))
  return own.map(side => `${scene[side].name} has ${lost(side).join(', ')} itself`).join('; ')
}

/** What a verdict has to know of where a plan aims. */
export function aimAttributes({ plan, own }: Aimed, scene: Scene): SpanAttributes {
  const ownFlags = Object.fromEntries(own.map(side => [`postern.${side}.own`, true]))
  if (!isHairpin(plan, scene)) return ownFlags
  const { caller, callee } = scene
  const beyond = beyondSubnets(caller, callee).length > 0 && beyondSubnets(callee, caller).length > 0
  return { ...ownFlags, 'postern.hairpin': true, 'postern.beyond_subnet': beyond }
}

/** Both are behind one public address, which neither of them has itself, and both are told to send there. */
function isHairpin(plan: Plan, scene: Scene): boolean {
  const { address } = scene.caller.mapped
  if (scene.callee.mapped.address !== address || isPrivate(address)) return false
  if (sideNames.some(side => has(scene[side], address))) return false
  return sideNames.every(side => addressesIn(plan, side).includes(address))
}

function addressesIn(plan: Plan, side: SideName): string[] {
  const { effort } = natureOf(plan[side])
  return [...new Set([...(effort?.targets ?? []), ...(effort?.guesses ?? [])].map(({ address }) => address))]
}
