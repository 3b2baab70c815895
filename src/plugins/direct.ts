// `direct` uses the peers' own addresses, without any mapping: two hosts on one LAN, or a host that has no NAT in front.

import { BlockList, isIPv4 } from 'node:net'
import { type Pass, type Plan, pass } from '../strategy/plan.ts'
import type { Plugin } from '../strategy/plugin.ts'
import { hiddenSources, type Scene, type Side } from '../strategy/scene.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { aim } from './reach.ts'

interface Options {
  /** Milliseconds for the probes, on top of the round trips: a LAN answers in a few. */
  readonly waitMs: number
}

export const direct: Plugin<Options> = {
  name: 'direct',
  defaults: { waitMs: '500ms' },
  start: ({ waitMs }) => ({ plan: scene => plans(scene, waitMs) })
}

function* plans(scene: Scene, waitMs: number): Iterable<Plan | Pass> {
  const shared = onSharedNetwork(scene)
  const open = [scene.caller, scene.callee].filter(isOpen)
  if (shared) yield aim(scene, shared, { waitMs, why: `${describe(shared)} on a shared network`, sure: false })
  if (open.length > 0)
    yield aim(scene, ownAddresses(scene), { waitMs, why: `${names(open)} has no NAT in front`, sure: false })
  if (!shared && open.length === 0)
    yield pass(hiddenSources(scene) ?? 'no shared network, and neither side is reachable at an address of its own')
}

/**
 * Private addresses are aimed at only if both peers share a public address, or one has heard the other on a link, and that
 * subnet is on one of the receiver's own interfaces. Otherwise a peer could make another one probe hosts of a network that is
 * not theirs.
 */
function onSharedNetwork(scene: Scene): { caller: Endpoint[]; callee: Endpoint[] } | undefined {
  const { caller, callee } = scene
  // An address that something in front of the gateway has put there is everybody's, and says nothing of where they are.
  const isShared = hiddenSources(scene) ? scene.neighbours : caller.mapped.address === callee.mapped.address
  if (!isShared) return undefined
  const targets = { caller: neighbourTargets(caller, callee), callee: neighbourTargets(callee, caller) }
  return targets.caller.length > 0 && targets.callee.length > 0 ? targets : undefined
}

/** The other side's own endpoints within the subnets of this side's interfaces. At most four: each is probed. */
function neighbourTargets(side: Side, other: Side): Endpoint[] {
  const subnets = new BlockList()
  for (const { address, prefix } of side.addresses) subnets.addSubnet(address, prefix, family(address))
  return other.addresses
    .filter(({ address }) => subnets.check(address, family(address)))
    .slice(0, 4)
    .map(({ address }) => ({ address, port: other.port }))
}

/** No NAT, and no filter that would drop a packet from an endpoint this side never sent to. */
function isOpen({ profile }: Side): boolean {
  return !profile.translated && profile.filtering === 'endpoint-independent'
}

/** Only the side that is open is aimed at; it answers to wherever the probe came from. */
function ownAddresses({ caller, callee }: Scene): { caller: Endpoint[]; callee: Endpoint[] } {
  return { caller: isOpen(callee) ? [callee.mapped] : [], callee: isOpen(caller) ? [caller.mapped] : [] }
}

const family = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6')
const names = (sides: Side[]) => sides.map(side => side.name).join(' and ')
const describe = ({ caller, callee }: { caller: Endpoint[]; callee: Endpoint[] }) =>
  `${callee.map(target => target.address).join(', ')} and ${caller.map(target => target.address).join(', ')}`
