// `npm run lab -- --matrix --browsers`: the pairs that are left, one after the other, each by postern and by plain ICE.

import { randomInt } from 'node:crypto'
import { missing } from '../../browser/browsers.ts'
import { authority, tlsFiles } from '../../browser/tls.ts'
import { coreTypes, type NatType } from '../nat.ts'
import { missingCoturn } from '../plain-ice/coturn.ts'
import { openIceGround } from '../plain-ice/ground.ts'
import { openRig, type Rig } from '../rig.ts'
import type { Actor } from './actors.ts'
import { Cast } from './cast.ts'
import type { RunFile } from './file.ts'
import { type Pair, type Part, pairsOf } from './pairs.ts'
import type { IceRow, Row } from './row.ts'
import { tryIce, tryPair, untested } from './trial.ts'

export interface Wanted {
  readonly file: RunFile
  readonly parts: readonly Part[]
  /** Pairs of which both are of these types; of all where there are none. */
  readonly nats: readonly NatType[]
  readonly strategies: string
  readonly signal: AbortSignal
  /** Called before a pair is tried, and when it has been. */
  readonly onPair: (pair: Pair, done: number, of: number) => void
  readonly onRow: (pair: Pair, row: Row, ice: IceRow) => void
}

/** A laboratory in which nothing can be tried any more is given up after so many pairs in a row. */
const GIVE_UP_AFTER = 3

/** Throws what is missing. */
export function checkPrograms(parts: readonly Part[]): void {
  const browsers = parts.includes('firefox') ? (['chromium', 'firefox'] as const) : (['chromium'] as const)
  const problem = [...[...browsers, 'certutil' as const].map(missing), missingCoturn()].find(why => why !== undefined)
  if (problem) throw new Error(problem)
}

/** The pairs that are asked for, tried or not. */
export function chosen({ file, parts, nats }: Pick<Wanted, 'file' | 'parts' | 'nats'>): Pair[] {
  const isWanted = (pair: Pair) => nats.length === 0 || pair.nats.every(nat => nats.includes(nat))
  return pairsOf(file.seed).filter(pair => parts.includes(pair.part) && isWanted(pair))
}

/** Tries all that are left, and writes each to the file; ends early when the signal is aborted, or nothing can be tried. */
export async function runMatrix(wanted: Wanted): Promise<void> {
  const { file, signal } = wanted
  const all = chosen(wanted)
  const left = all.filter(({ id }) => !file.rows.has(id) || !file.ice.has(id))
  if (left.length === 0) return
  await using opened = new AsyncDisposableStack()
  const rig = opened.use(await openGround(opened, wanted))
  const cast = opened.use(new Cast(rig, opened.use(await openIceGround(rig.world))))
  let troubled = 0
  for (const [at, pair] of left.entries()) {
    if (signal.aborted) return
    wanted.onPair(pair, all.length - left.length + at, all.length)
    const found = await tryBoth(rig, cast, file, pair, left.slice(at + 1))
    if (signal.aborted) return
    for (const row of found) if (!file.has(row)) await file.add(row)
    wanted.onRow(pair, ...found)
    const outcomes = found.map(({ outcome }) => outcome)
    troubled = outcomes.includes('untested') ? troubled + 1 : 0
    // Nobody shall suffer from what was left behind there.
    if (troubled > 0 || outcomes.includes('failed')) await cast.dismiss(pair)
    if (troubled >= GIVE_UP_AFTER)
      throw new Error(`${troubled} pairs in a row could not be tried: ${found[0].why ?? found[1].why}`)
  }
}

/** What is in the file already is not tried again. */
async function tryBoth(
  rig: Rig,
  cast: Cast,
  { rows, ice }: RunFile,
  pair: Pair,
  later: readonly Pair[]
): Promise<[Row, IceRow]> {
  const { id } = pair
  let actors: [Actor, Actor]
  try {
    actors = await cast.of(pair, later)
  } catch (thrown) {
    return [
      { what: 'postern', pair: id, ...untested(thrown), tookMs: 0 },
      { what: 'plain-ice', pair: id, ...untested(thrown) }
    ]
  }
  const row = rows.get(id) ?? (await tryPair(rig, pair, actors))
  return [row, ice.get(id) ?? (await tryIce(pair, actors))]
}

/** The gateway by TLS, and two sites of each type. */
async function openGround(opened: AsyncDisposableStack, { file, strategies, signal }: Wanted): Promise<Rig> {
  const files = opened.use(await tlsFiles())
  // Pairs shall not wait for each other's share of the guesses at an address.
  const limits = 'limits: { probesPerAddress: 1000000, probesInAll: 10000000 }'
  const config = `listen: { tls: ${files.yaml}, udp: { ports: [3478, 3479, 3480] } }\n${limits}`
  const sites = [...coreTypes, ...coreTypes].map(nat => ({ nat }))
  return await openRig({ sites, strategies, config, ca: authority, seed: file.seed, signal, peers: false })
}

export const freshSeed = (): number => randomInt(2 ** 31)
