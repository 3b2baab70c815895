// Two ends behind a NAT each, and the real gateway. It lasts for the trials of a row, since a browser takes seconds to start.

import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openWorld, type World } from '../../world.ts'
import { type GatewayProcess, openGateway } from '../ground.ts'
import { verdictsIn } from '../verdicts.ts'
import { type End, type EndKind, openEnd } from './ends.ts'

export interface LifeGround extends AsyncDisposable {
  readonly world: World
  readonly gateway: GatewayProcess
  readonly ends: readonly [End, End]
  /** Why paths were lost since then (epoch, in milliseconds), as the gateway judges. */
  verdicts(sinceMs: number): Promise<string[]>
}

export async function openLifeGround(kinds: readonly [EndKind, EndKind], seed?: number): Promise<LifeGround> {
  await using opened = new AsyncDisposableStack()
  const folder = opened.use(await mkdtempDisposable(join(tmpdir(), 'postern-life-'))).path
  const sites = kinds.map(() => ({ nat: 'port-restricted' as const }))
  const world = opened.use(await openWorld({ sites, verify: false, ...(seed === undefined ? {} : { seed }) }))
  const gateway = opened.use(await openGateway({ world, folder, options: [] }))
  await gateway.start()
  const open = async (at: number, kind: EndKind) => opened.use(await openEnd(world, at, kind))
  const ends = [await open(0, kinds[0]), await open(1, kinds[1])] as const
  const all = opened.move()
  return {
    ...{ world, gateway, ends },
    verdicts: sinceMs => verdictsIn(join(folder, 'traces.jsonl'), sinceMs),
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}
