// Opens a world with a foreign NAT in it, and a real peer on each host: what the NAT is called, and what becomes of each call.

import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SOCKETS } from '../../../src/peer/survey.ts'
import type { Tried } from '../driver.ts'
import { openRigIn, type Rig, type RigPeer } from '../rig.ts'
import { type Host, openWorld, type World } from '../world.ts'
import { commandOf, type Placed } from './ground.ts'
import { type Obtained, obtain } from './part.ts'
import type { Call, Foreign } from './worlds.ts'

/** What was found beside what is right. */
export interface Finding {
  readonly what: string
  readonly found: string
  readonly right: string
  /** From the call to the path, in milliseconds: of several calls the median. */
  readonly ms?: number
}

/** A world is over after this time at the latest, in milliseconds. */
const PATIENCE_MS = 120_000

/** A path that takes longer was not found at the first try, in milliseconds. */
const SOON_MS = 1000

/** Throws why it could not be looked at: a part cannot be had, or the NAT does not start. */
export async function* findingsOf(foreign: Foreign): AsyncIterable<Finding> {
  const parts: Obtained[] = []
  for (const part of foreign.parts) parts.push(await obtain(part))
  await using folder = await mkdtempDisposable(join(tmpdir(), 'postern-foreign-'))
  const { sites, gatewayAddresses = 2 } = foreign
  await using world = await openWorld({ sites: [...sites], gatewayAddresses, signal: AbortSignal.timeout(PATIENCE_MS) })
  const host = world.sites[0]?.hosts[0] as Host
  const command = (name: string) => commandOf(parts, name)
  const placed = await foreign.open({ world, host, folder: folder.path, command })
  await using rig = await openRigIn(seenWith(world, placed), spec(placed))
  if (foreign.nat !== undefined) yield { what: 'postern nat', found: await kindOf(rig), right: foreign.nat }
  await Promise.all(rig.peers.map(({ process }) => process.do('told', { news: 'filter' })))
  for (const call of foreign.calls) yield await findingOf(rig, call)
}

/** The world with the guests in the place of the hosts that they are behind. */
function seenWith(world: World, { guests, gateway = world.gateway }: Placed): World {
  const [first, ...others] = world.sites
  if (!first || !guests) return { ...world, gateway }
  return { ...world, gateway, sites: [{ ...first, hosts: guests }, ...others] }
}

// A gateway that is published lives at another address than peers reach it at.
function spec({ gateway }: Placed) {
  const strategies = '[direct, stun, predict, spray, relay]'
  if (!gateway) return { strategies }
  return { strategies, config: 'listen: { udp: { addresses: [0.0.0.0], ports: [3478, 3479] } }' }
}

// Up to a colon: what follows is a reason.
async function kindOf({ peers: [first] }: Rig): Promise<string> {
  const { words } = await (first as RigPeer).process.do('nat', { sockets: SOCKETS })
  return words.split(':')[0] ?? ''
}

async function findingOf({ peers }: Rig, { what, from, to, right, times }: Call): Promise<Finding> {
  const [caller, callee] = [peers[from], peers[to]] as [RigPeer, RigPeer]
  if (times === undefined) {
    const tried = await caller.connect(callee, BYTES)
    return { what, found: wayOf(tried), right, ...(tried.path ? { ms: tried.path.ms } : {}) }
  }
  const all: Tried[] = []
  while (all.length < times) all.push(await caller.connect(callee, 0))
  const took = all.map(({ path }) => path?.ms ?? Number.POSITIVE_INFINITY)
  const soon = all.filter((tried, at) => wayOf(tried) === right && (took[at] ?? 0) < SOON_MS).length
  return { what, found: `${soon} of ${times} ${right}`, right: `${times} of ${times} ${right}`, ms: median(took) }
}

/** What is sent on a path, so that one that carries nothing is told. */
const BYTES = 100_000

function wayOf({ path, failed, verdict, intact }: Tried): string {
  if (failed) return `failed: ${failed.code}`
  if (!intact) return `damaged by ${path?.by}`
  return path?.kind === 'relay' ? `relayed: ${verdict?.code ?? 'no verdict'}` : (path?.by ?? '')
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0
