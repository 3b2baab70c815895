// `--beside PATH`: a gateway and peers of another checkout live in the same world as ours, and take turns with them
// trial by trial, so that both meet the same machine. The other is the commit before, as a rule, and the goals say what
// a change may cost.
//
// PATH is expected to be a checkout of postern after `npm ci`, whose test/lab/driver.ts answers the deeds that the
// benchmark asks of ours, with the same arguments and the same YAML. It shares our hosts and NATs, and has ports and a
// node of its own. Where a NAT counts, the mappings of each side are foreign ones to the other side.

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { type GatewaySpec, openRigIn, ourselves, type Rig, type Tenant } from '../../test/lab/rig.ts'
import { dice } from './allocators.ts'
import { direct, goal, median, type Outcome, opened, percentile } from './figures.ts'

/** The option, as `parseArgs` takes it. */
export const besideOption = { beside: { type: 'string' } } as const

export interface Checkout extends Tenant {
  /** As it was given. */
  readonly path: string
}

/** This very checkout again, for a gateway that is set up in another way than ours. */
export const twoAddresses: Checkout = { ...ourselves, path: 'two addresses', http: 8090, udp: [3488, 3489] }

/** A driver that has not opened its gateway and joined its peers by then does not know how. */
const OPENING_MS = 30_000

/** What `--beside` names; undefined without it. Throws, with what to do, when that is no checkout that could run. */
export function checkoutAt(path: string | undefined): Checkout | undefined {
  if (path === undefined) return undefined
  const driver = join(resolve(path), 'test/lab/driver.ts')
  if (!existsSync(path)) throw new Error(`--beside ${path}: there is no such folder`)
  if (!existsSync(driver))
    throw new Error(`--beside ${path}: this is no checkout of postern, it has no test/lab/driver.ts`)
  if (!existsSync(join(path, 'node_modules')))
    throw new Error(`--beside ${path}: nothing is installed there, run npm ci in that folder first`)
  const node = join(resolve(path), 'node_modules/.bin/node')
  return {
    path,
    driver: pathToFileURL(driver),
    node: existsSync(node) ? node : process.execPath,
    http: 8090,
    udp: [3488, 3489]
  }
}

export interface Beside extends AsyncDisposable {
  /**
   * Has our rig take its turn, and the other checkout's where there is one. Of two trials in a row each side begins
   * one; which of the two is drawn from the world's seed, so that neither side always follows what else has turns.
   */
  inTurns<Result>(trial: number, turn: (rig: Rig) => Promise<Result>): Promise<[ours: Result, theirs?: Result]>
}

/** Opens the other checkout's gateway and peers in our rig's world. Without a checkout all turns are ours. */
export async function openBeside(ours: Rig, spec: GatewaySpec, checkout: Checkout | undefined): Promise<Beside> {
  if (!checkout) return { inTurns: async (_, turn) => [await turn(ours)], async [Symbol.asyncDispose]() {} }
  const late = sleep(OPENING_MS, undefined, { ref: false }).then(() => {
    throw new Error(`no answer within ${OPENING_MS / 1000} s`)
  })
  const theirs = await blaming(checkout, Promise.race([openRigIn(ours.world, spec, checkout), late]))
  return {
    async inTurns(trial, turn) {
      const evenIsOurs = dice(ours.world.seed + (trial >> 1))() < 0.5
      if (evenIsOurs === (trial % 2 === 0)) return [await turn(ours), await blaming(checkout, turn(theirs))]
      const other = await blaming(checkout, turn(theirs))
      return [await turn(ours), other]
    },
    [Symbol.asyncDispose]: () => theirs[Symbol.asyncDispose]()
  }
}

/** Says that it was the other checkout that failed. */
async function blaming<Result>({ path }: Checkout, doing: Promise<Result>): Promise<Result> {
  try {
    return await doing
  } catch (cause) {
    throw new Error(`--beside ${path}: its gateway and peers did not do what this benchmark asks of both`, { cause })
  }
}

/** Goals for the times to connect of both. */
export function judgeTimes(ours: readonly Outcome[], theirs: readonly Outcome[]): void {
  goal('median beside the other checkout', ratio(ours, theirs, 50), { atMost: 1.05 })
  goal('95th percentile beside the other checkout', ratio(ours, theirs, 95), { atMost: 1.1 })
}

/** Of direct paths, unless the other's do not reach as far as that percentile; then of whatever opened. */
function ratio(ours: readonly Outcome[], theirs: readonly Outcome[], p: number): number {
  const times = Number.isFinite(percentile(direct(theirs), p)) ? direct : opened
  return percentile(times(ours), p) / percentile(times(theirs), p)
}

/** The goal for what both carried in the same time. */
export function judgeThroughput(ours: readonly number[], theirs: readonly number[]): void {
  goal('throughput beside the other checkout', median(ours) / median(theirs), { atLeast: 0.95 })
}
