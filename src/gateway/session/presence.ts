// Who is joined now, and what is relayed now: for the first page, which only whoever may read traces sees.

import type { Directory } from '../peers/directory.ts'
import type { Relay } from '../relay/relay.ts'
import type { SpliceCounters } from '../relay/splice.ts'
import type { Sessions } from './sessions.ts'

/** Times are milliseconds since the epoch. */
export interface Presence {
  /** By name. */
  readonly peers: readonly PresentPeer[]
  /** The oldest first. */
  readonly relayed: readonly RelayedNow[]
}

export interface PresentPeer {
  readonly name: string
  readonly sinceMs: number
  /** Whether others may connect to it. */
  readonly accepts: boolean
  /** Whether it reaches the gateway over UDP; undefined while nothing is known. */
  readonly reaches: boolean | undefined
}

export interface RelayedNow {
  readonly caller: string
  readonly callee: string
  readonly sinceMs: number
  /** The id of its trace. */
  readonly trace: string
  /** UDP payload by the side it came from; undefined where the relay does not tell. */
  readonly counters: SpliceCounters | undefined
}

export async function presenceOf({ directory, sessions, relay }: Parts): Promise<Presence> {
  const relayed = sessions.relayed.map(async ({ session, path: { sinceMs, trace } }) => ({
    caller: session.caller.name,
    callee: session.callee.name,
    ...{ sinceMs, trace },
    counters: await relay.counters(session.id).catch(() => undefined)
  }))
  return { peers: peersOf(directory), relayed: await Promise.all(relayed) }
}

interface Parts {
  readonly directory: Pick<Directory, 'peers'>
  readonly sessions: Pick<Sessions, 'relayed'>
  readonly relay: Pick<Relay, 'counters'>
}

const peersOf = ({ peers }: Parts['directory']): PresentPeer[] =>
  peers
    .map(({ name, accepts, arrival, isWarm, cold }) => ({
      name,
      accepts,
      sinceMs: arrival.cameMs,
      reaches: isWarm ? true : cold ? false : undefined
    }))
    .toSorted((a, b) => a.name.localeCompare(b.name))
