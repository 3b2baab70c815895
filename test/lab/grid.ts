// NAT against NAT: each pair of the core types once, the first of a pair calling the second, in one world.

import type { Tried } from './driver.ts'
import { coreTypes, type NatType } from './nat.ts'
import { type GatewaySpec, openRig, type Rig, type RigPeer } from './rig.ts'
import type { Counters } from './world.ts'

export interface Cell {
  readonly caller: NatType
  readonly callee: NatType
  readonly tried: Tried
  /** Of UDP at the gateway, to and from the caller's site during the transfer, by the kernel's count. */
  readonly bytes: number
}

export interface Grid extends AsyncDisposable {
  readonly seed: number
  readonly rig: Rig
}

/** All of them. The relay's limit is tested elsewhere; here it would only take time. */
export const GRID_STRATEGIES =
  '[direct, stun, predict, spray, relay: { perSession: 60 Mbit/s, perPeer: 1 Gbit/s, total: 1 Gbit/s }]'

/** What each pair sends. */
export const GRID_BYTES = 1 << 20

/** Two sites of each type, so that a type can meet itself. */
export async function openGrid(options: GatewaySpec & { seed?: number }): Promise<Grid> {
  const sites = [...coreTypes, ...coreTypes].map(nat => ({ nat }))
  const rig = await openRig({ sites, ...options })
  return { rig, seed: rig.world.seed, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() }
}

/** The grid, `atOnce` pairs at a time: no peer, and so no NAT, is in two of them. */
export async function gridOf(grid: Grid, atOnce = 1): Promise<Cell[]> {
  const left = pairsOf(grid)
  const busy = new Set<RigPeer>()
  const cells: Cell[] = []
  const lane = async () => {
    for (;;) {
      const at = left.findIndex(pair => !pair.some(peer => busy.has(peer)))
      const [pair] = at < 0 ? [] : left.splice(at, 1)
      if (!pair) return
      for (const peer of pair) busy.add(peer)
      cells.push(await cellOf(grid, pair))
      for (const peer of pair) busy.delete(peer)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  return cells
}

type Pair = readonly [caller: RigPeer, callee: RigPeer]

/** Row by row: NATs that are easy to join come first. */
function pairsOf({ rig: { peers } }: Grid): Pair[] {
  const callers = peers.slice(0, coreTypes.length)
  const callees = peers.slice(coreTypes.length)
  return callers.flatMap((caller, row) => callees.slice(row).map((callee): Pair => [caller, callee]))
}

async function cellOf({ rig: { world } }: Grid, [from, to]: Pair): Promise<Cell> {
  const before = await world.gatewayCounters(from.site)
  const tried = await from.connect(to, GRID_BYTES)
  const after = await world.gatewayCounters(from.site)
  return { caller: from.site.spec.nat, callee: to.site.spec.nat, tried, bytes: bytesOf(after) - bytesOf(before) }
}

const bytesOf = ({ bytesIn, bytesOut }: Counters): number => bytesIn + bytesOut
