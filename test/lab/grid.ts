// NAT against NAT: each pair of the core types once, the first of a pair calling the second, in one world.

import type { Tried } from './driver.ts'
import { coreTypes, type NatType } from './nat.ts'
import { type GatewaySpec, openRig, type Rig } from './rig.ts'
import type { Counters } from './world.ts'

export interface Cell {
  readonly caller: NatType
  readonly callee: NatType
  readonly tried: Tried
  /** UDP at the gateway to and from the caller's site during the transfer, by the kernel's count. */
  readonly counted: Counters
}

export interface Grid extends AsyncDisposable {
  readonly seed: number
  readonly rig: Rig
}

/** What each pair sends. */
export const GRID_BYTES = 1 << 20

/** Two sites of each type, so that a type can meet itself. */
export async function openGrid(options: GatewaySpec & { seed?: number }): Promise<Grid> {
  const sites = [...coreTypes, ...coreTypes].map(nat => ({ nat }))
  const rig = await openRig({ sites, ...options })
  return { rig, seed: rig.world.seed, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() }
}

export async function* gridOf({ rig }: Grid): AsyncIterable<Cell> {
  for (const [row, caller] of coreTypes.entries())
    for (const [column, callee] of coreTypes.entries()) {
      if (column < row) continue
      const [from, to] = [rig.peers[row], rig.peers[coreTypes.length + column]]
      if (!from || !to) throw new Error('a peer is missing')
      await rig.world.resetCounters()
      const tried = await from.connect(to, GRID_BYTES)
      yield { caller, callee, tried, counted: await rig.world.gatewayCounters(from.site) }
    }
}
