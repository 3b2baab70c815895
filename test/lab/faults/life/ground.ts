// Two NATs, the real gateway, and an end behind each NAT. It lasts for the trials of a row, since a browser takes seconds to start.

import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openWorld, type World } from '../../world.ts'
import { type GatewayProcess, openGateway } from '../ground.ts'
import { verdictsIn } from '../verdicts.ts'
import { type End, type EndKind, openEnd } from './ends.ts'

/** What is there before the ends. */
export interface Base extends AsyncDisposable {
  readonly world: World
  readonly gateway: GatewayProcess
  /** Why paths were lost since then (epoch, in milliseconds), as the gateway judges. */
  verdicts(sinceMs: number): Promise<string[]>
}

export interface LifeGround extends Base {
  readonly ends: readonly [End, End]
}

export interface BaseSpec {
  readonly seed?: number | undefined
  /** As `tls` of a place. */
  readonly tls?: string
}

export async function openBase({ seed, ...tls }: BaseSpec): Promise<Base> {
  await using opened = new AsyncDisposableStack()
  const folder = opened.use(await mkdtempDisposable(join(tmpdir(), 'postern-life-'))).path
  const sites = [1, 2].map(() => ({ nat: 'port-restricted' as const }))
  const world = opened.use(await openWorld({ sites, verify: false, ...(seed === undefined ? {} : { seed }) }))
  const gateway = opened.use(await openGateway({ world, folder, options: [], ...tls }))
  await gateway.start()
  const all = opened.move()
  return {
    ...{ world, gateway },
    verdicts: sinceMs => verdictsIn(join(folder, 'traces.jsonl'), sinceMs),
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}

export async function openLifeGround(kinds: readonly [EndKind, EndKind], seed?: number): Promise<LifeGround> {
  await using opened = new AsyncDisposableStack()
  const base = opened.use(await openBase({ seed }))
  const { world } = base
  const open = async (at: number, kind: EndKind) => opened.use(await openEnd(world, at, kind))
  const ends = [await open(0, kinds[0]), await open(1, kinds[1])] as const
  const all = opened.move()
  return { ...base, ends, [Symbol.asyncDispose]: () => all.disposeAsync() }
}
