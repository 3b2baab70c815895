// `direct` uses the peers' own addresses, without any mapping: two hosts on one LAN, or a host that has no NAT in front.

import { beyondSubnets, neighbours } from '../strategy/neighbours.ts'
import { type Pass, type Plan, pass } from '../strategy/plan.ts'
import type { Plugin } from '../strategy/plugin.ts'
import { hiddenSources, type Scene, type Side } from '../strategy/scene.ts'
import { type Endpoint, isPrivate } from '../wire/endpoint.ts'
import type { Order } from '../wire/order.ts'
import { aim, waitRange } from './reach.ts'

interface Options {
  /** Milliseconds for the probes, on top of the round trips: a LAN answers in a few. */
  readonly waitMs: number
  /**
   * Private addresses outside the own subnets are tried as well, if both peers share a public address. A router between two
   * LANs of one site may forward there.
   */
  readonly beyondSubnet: boolean
}

export const direct: Plugin<Options> = {
  name: 'direct',
  defaults: { waitMs: '500ms', beyondSubnet: false },
  ranges: waitRange,
  start: options => ({ plan: scene => plans(scene, options) })
}

function* plans(scene: Scene, { waitMs, beyondSubnet }: Options): Iterable<Plan | Pass> {
  const shared = onSharedNetwork(scene)
  const open = [scene.caller, scene.callee].filter(isOpen)
  const beyond = beyondRouter(scene)
  const linked = byName(scene)
  if (linked) yield linked
  if (shared) yield onLink(scene, shared, waitMs)
  if (open.length > 0)
    yield aim(scene, ownAddresses(scene), { waitMs, why: `${names(open)} has no NAT in front`, sure: false })
  if (beyond && beyondSubnet) yield sparing(scene, beyond, waitMs)
  else if (!linked && !shared && open.length === 0)
    yield pass(hiddenSources(scene) ?? `${NOWHERE}${beyond ? UNTRIED : ''}`)
}

/**
 * A browser does not know its own addresses, so nobody can tell that it is in a subnet of the other side. Where the two share a public
 * address that is theirs, the names that it has made up are asked for on the other side's links: what answers there is there.
 */
function byName(scene: Scene): Plan | undefined {
  const { caller, callee } = scene
  const named = [caller, callee].filter(({ hosts = [] }) => hosts.length > 0)
  const isShared = caller.mapped.address === callee.mapped.address && !hiddenSources(scene)
  if (named.length === 0 || !isShared) return undefined
  const orders = { caller: asking(caller, callee), callee: asking(callee, caller) }
  return { kind: 'plan', ...orders, waitMs: NAMED_MS, why: `${names(named)} may be on a link with the other side` }
}

/** Whoever has no name knows where the other side is by its checks. */
function asking({ agent }: Side, { hosts = [], mapped }: Side): Order {
  if (hosts.length === 0) return { kind: 'ice', targets: agent ? [mapped] : [] }
  return { kind: agent ? 'ice' : 'punch', targets: [], hosts: [...hosts], probes: PER_NEIGHBOUR * hosts.length }
}

/** A link answers in a few milliseconds, and a name of it in some tens. */
const NAMED_MS = 300

interface Targets {
  readonly caller: Endpoint[]
  readonly callee: Endpoint[]
}

/**
 * Private addresses are aimed at only if both peers share a public address, or one has heard the other on a link, and that
 * subnet is on one of the receiver's own interfaces. Otherwise a peer could make another one probe hosts of a network that is
 * not theirs.
 */
function onSharedNetwork(scene: Scene): Targets | undefined {
  const { caller, callee } = scene
  // An address that something in front of the gateway has put there is everybody's, and says nothing of where they are.
  const isShared = hiddenSources(scene) ? scene.neighbours : caller.mapped.address === callee.mapped.address
  return isShared ? chosen(scene, neighbours) : undefined
}

/** Hosts that a router of the site both are in may lead to. Where the shared address is private, there may be no such site. */
function beyondRouter(scene: Scene): Targets | undefined {
  const { caller, callee } = scene
  const isShared = caller.mapped.address === callee.mapped.address && !isPrivate(caller.mapped.address)
  return isShared && !hiddenSources(scene) ? chosen(scene, beyondSubnets) : undefined
}

/** What each side is to aim at, if both have something. */
function chosen({ caller, callee }: Scene, of: (side: Side, other: Side) => string[]): Targets | undefined {
  const at = (side: Side, other: Side) => of(side, other).map(address => ({ address, port: other.port }))
  const targets = { caller: at(caller, callee), callee: at(callee, caller) }
  return targets.caller.length > 0 && targets.callee.length > 0 ? targets : undefined
}

/** No NAT, and no filter that would drop a packet from an endpoint this side never sent to. */
function isOpen({ profile }: Side): boolean {
  return !profile.translated && profile.filtering === 'endpoint-independent'
}

/** Only the side that is open is aimed at; it answers to wherever the probe came from. */
function ownAddresses({ caller, callee }: Scene): Targets {
  return { caller: isOpen(callee) ? [callee.mapped] : [], callee: isOpen(caller) ? [caller.mapped] : [] }
}

/**
 * The most datagrams of a side beyond its subnets, answers included: a stranger may have that address. They are charged to
 * the budget like guesses. At this rate the second probe leaves when the first could have been answered within a site.
 */
const SPARING = { probes: 4, perSecond: 20 } as const

/**
 * The most datagrams of a side for each address on a link, answers included. Whether the other side has that address and listens
 * at that port, it has only said, so they are charged like guesses, and an order that is repeated stays within 20 of them. The
 * schedule of a punch sends so many within 400 ms, and a link answers in a few.
 */
const PER_NEIGHBOUR = 10

/** Milliseconds that a plan for a link takes at most, whatever the way of the orders takes. */
const LINK_MS = 1000

function onLink(scene: Scene, targets: Targets, waitMs: number): Plan {
  const plan = aim(scene, targets, { waitMs, why: `${describe(targets)} on a shared network`, sure: false })
  const caller = { ...plan.caller, probes: PER_NEIGHBOUR * targets.caller.length }
  const callee = { ...plan.callee, probes: PER_NEIGHBOUR * targets.callee.length }
  return { ...plan, caller, callee, waitMs: Math.min(LINK_MS, plan.waitMs) }
}

const NOWHERE = 'no shared network, and neither side is reachable at an address of its own'
const UNTRIED = '; their private addresses are in different subnets, and beyondSubnet is off'

function sparing(scene: Scene, targets: Targets, waitMs: number): Plan {
  const why = `${describe(targets)} by a router between their subnets`
  const plan = aim(scene, targets, { waitMs, why, sure: false, label: 'beyond-subnet' })
  return { ...plan, caller: { ...plan.caller, ...SPARING }, callee: { ...plan.callee, ...SPARING } }
}

const names = (sides: Side[]) => sides.map(side => side.name).join(' and ')
const describe = ({ caller, callee }: Targets) =>
  `${callee.map(target => target.address).join(', ')} and ${caller.map(target => target.address).join(', ')}`
