// What causes are made of: who is who in a lane's world, and what is done to packets on their way.

import type { News, Tried } from '../lab/driver.ts'
import { drop, fromTo } from '../lab/drop.ts'
import type { NatType } from '../lab/nat.ts'
import type { Rig, RigPeer } from '../lab/rig.ts'
import type { Host, Site, SiteSpec } from '../lab/world.ts'
import { until } from '../until.ts'

export const all = { strategies: '[direct, stun, predict, spray, relay]' }
export const plain = { strategies: '[stun, relay]' }
export const relayed = { strategies: '[relay]' }

export const sites = (...nats: NatType[]): SiteSpec[] => nats.map(nat => ({ nat }))

export const peerOf = (rig: Rig, index: number): RigPeer => rig.peers[index] as RigPeer
export const first = (rig: Rig): RigPeer => peerOf(rig, 0)
export const second = (rig: Rig): RigPeer => peerOf(rig, 1)
export const pair = (rig: Rig): [RigPeer, RigPeer] => [first(rig), second(rig)]
export const siteOf = (rig: Rig, index: number): Site => rig.world.sites[index] as Site
export const boxOf = ({ boxes }: Site): Host => boxes[0] as Host

export function typed(rig: Rig, nat: NatType, nth = 0): RigPeer {
  const peer = rig.peers.filter(({ site }) => site.spec.nat === nat)[nth]
  if (!peer) throw new Error(`there are not so many ${nat} in this world`)
  return peer
}

export const call = (rig: Rig, from: number, to: number): Promise<Tried> =>
  peerOf(rig, from).connect(peerOf(rig, to), 0)

/** The first host behind one NAT calls the first behind the other. */
export const between = (rig: Rig, [a, b]: [NatType, NatType]): Promise<Tried> =>
  typed(rig, a).connect(typed(rig, b, a === b ? 1 : 0), 0)

/** Nothing of a kind passes between two sites, either way. */
export const cut = (rig: Rig, a: Site, b: Site, what = 'meta l4proto udp'): Promise<AsyncDisposable> =>
  drop(rig.world.core, `${fromTo(a, b)} ${what}`, `${fromTo(b, a)} ${what}`)

/** Until these peers, which have just joined, have told what their NATs are like. */
export const told = (peers: readonly RigPeer[], news: News): Promise<unknown> =>
  Promise.all(peers.map(({ process }) => process.do('told', { news })))

/** Until one site's NAT has sent to the other's: a plan is being tried. */
export async function punching(from: Site, to: Site): Promise<void> {
  await until(async () => (await from.sentTo(to)).packets > 0, 10_000)
}
