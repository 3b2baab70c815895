// What happens to connections of pages, and how soon they have to go on.

import { drop, fromTo } from '../../drop.ts'
import { forgets, moves, turns } from '../acts.ts'
import type { End, EndKind } from './ends.ts'
import type { Base } from './ground.ts'
import type { TrialRow } from './trials.ts'

/** A ground while somebody has called somebody. */
export interface Under extends Pick<Base, 'world' | 'gateway'> {
  readonly caller: Place
  readonly callee: Place
}

type Place = Pick<End, 'site' | 'host'>

/** Ends what was done. */
type Undo = () => PromiseLike<unknown>

export interface Fault {
  /** Behind the kinds of the ends, by which a row is asked for. */
  readonly word: string
  readonly what: string
  /** What happens, to the caller's side and to the callee's in turn. */
  readonly fault: (under: Under, nth: number) => Promise<Undo | undefined>
  /** So many milliseconds it lasts, where it ends. */
  readonly lastsMs?: number
  /** The connection is looked at so long after the fault, or its end, at least, in milliseconds. */
  readonly watchMs: number
}

export interface LifeRow extends Fault, TrialRow {
  readonly ends: readonly [EndKind, EndKind]
}

const disposing = async (disposable: AsyncDisposable): Promise<Undo> => disposable[Symbol.asyncDispose].bind(disposable)

/** After a cut a direct path is looked for again within so many milliseconds: streams move once more. */
const BACK_MS = 12_000

export const faults: readonly Fault[] = [
  {
    word: 'nothing',
    what: 'nothing happens: what the instrument and the computer add',
    fault: async () => undefined,
    watchMs: 5000
  },
  {
    word: 'nat-forgets',
    what: 'a NAT forgets its table, of UDP and TCP, and gives other ports',
    fault: async (under, nth) => void (await forgets(turns(under, nth))),
    watchMs: 4000
  },
  {
    word: 'address-changes',
    what: "a host's address changes",
    fault: async (under, nth) => void (await moves(turns(under, nth))),
    watchMs: 4000
  },
  {
    word: 'udp-cut',
    what: 'UDP between the two NATs is cut for five seconds, and is back',
    fault: async ({ world, caller, callee }) => {
      const ways = [fromTo(caller.site, callee.site), fromTo(callee.site, caller.site)]
      return disposing(await drop(world.core, ...ways))
    },
    lastsMs: 5000,
    watchMs: BACK_MS
  },
  {
    word: 'udp-blocked',
    what: 'a NAT lets no UDP through for five seconds, and does again',
    fault: async (under, nth) => {
      const [box] = turns(under, nth).site.boxes
      if (!box) throw new Error('there is no NAT')
      return disposing(await drop(box, 'meta l4proto udp'))
    },
    lastsMs: 5000,
    watchMs: 7000
  },
  {
    word: 'gateway-direct',
    what: 'the gateway is killed while the path is direct, and is back after four seconds',
    fault: async ({ gateway }) => {
      await gateway.kill()
      return () => gateway.start()
    },
    lastsMs: 4000,
    watchMs: 5000
  }
]

/** So long a connection of two of a kind, or of one and Node, may pause. */
export const GOAL_MS = { chromium: 2000, firefox: 4000 } as const

const pairs = [
  { name: 'chromium', ends: ['chromium', 'node'], goalMs: GOAL_MS.chromium },
  { name: 'firefox', ends: ['firefox', 'node'], goalMs: GOAL_MS.firefox },
  { name: 'chromium-chromium', ends: ['chromium', 'chromium'], goalMs: GOAL_MS.chromium },
  { name: 'chromium-firefox', ends: ['chromium', 'firefox'], goalMs: GOAL_MS.firefox }
] as const

export const lifeRows: readonly LifeRow[] = pairs.flatMap(({ name, ends, goalMs }) =>
  faults.map(fault => ({ ...fault, word: `${name}-${fault.word}`, ends, goalMs }))
)
