// Who is joined now, and what is relayed now: for the first page, which only whoever may read traces sees.

import type { DoorKind } from '../../wire/doors/door.ts'
import type { SideName } from '../../wire/side.ts'
import type { Directory } from '../peers/directory.ts'
import type { Joined } from '../peers/joined.ts'
import type { SpliceCounters } from '../relay/counters.ts'
import type { Relay } from '../relay/relay.ts'
import type { Latched } from '../relay/splice.ts'
import type { Lately, Rates } from './relayed/rates.ts'
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
  /** When it was heard last, where it answers nothing or was lost a moment ago. */
  readonly silentSinceMs?: number
}

export interface RelayedNow {
  readonly caller: string
  readonly callee: string
  readonly sinceMs: number
  /** The id of its trace. */
  readonly trace: string
  /** Through which doors its sides come, as far as they have. */
  readonly doors?: Partial<Record<SideName, DoorKind>>
  /** UDP payload by the side it came from; undefined where the relay does not tell. */
  readonly counters: SpliceCounters | undefined
  /** Of what each side sends, in bits of UDP payload per second, and how long what waits for a limit does, in milliseconds: as of late. */
  readonly rates: Readonly<Record<SideName, Lately>> | undefined
}

export async function presenceOf({ directory, sessions, relay, rates }: Parts): Promise<Presence> {
  const relayed = sessions.relayed.map(async ({ session, path }) => {
    const counters = await relay.counters(session.id).catch(() => undefined)
    return {
      caller: session.caller.name,
      callee: session.callee.name,
      ...{ sinceMs: path.sinceMs, trace: path.trace },
      doors: doorsOf(await relay.latched(session.id).catch(() => ({}))),
      counters,
      rates: counters && rates.of(path, counters)
    }
  })
  return { peers: peersOf(directory), relayed: await Promise.all(relayed) }
}

interface Parts {
  readonly directory: Pick<Directory, 'peers' | 'silent'>
  readonly sessions: Pick<Sessions, 'relayed'>
  readonly relay: Pick<Relay, 'counters' | 'latched'>
  readonly rates: Rates
}

const doorsOf = (latched: Latched): Partial<Record<SideName, DoorKind>> =>
  Object.fromEntries(Object.entries(latched).map(([side, { door }]) => [side, door]))

/** Whoever was lost a moment ago is there as well: most come back. */
function peersOf({ peers, silent }: Parts['directory']): PresentPeer[] {
  const silences = new Map(silent.map(({ name, heardMs }) => [name, heardMs]))
  const joined = peers.map(peer => presentOf(peer, peer.isSilent ? silences.get(peer.name) : undefined))
  const names = new Set(peers.map(({ name }) => name))
  const lost = silent
    .filter(({ name }) => !names.has(name))
    .map(({ name, accepts, heardMs }) => ({
      name,
      accepts,
      sinceMs: heardMs,
      reaches: undefined,
      silentSinceMs: heardMs
    }))
  return [...joined, ...lost].toSorted((a, b) => a.name.localeCompare(b.name))
}

const presentOf = (
  { name, accepts, arrival, isWarm, cold }: Joined,
  silentSinceMs: number | undefined
): PresentPeer => ({
  name,
  accepts,
  sinceMs: arrival.cameMs,
  reaches: isWarm ? true : cold ? false : undefined,
  ...(silentSinceMs === undefined ? {} : { silentSinceMs })
})
