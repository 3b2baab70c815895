// The connections that stand, direct ones too, as far as the gateway has to know them: who their two sides are, and where in the
// traces they are recorded. It is told what becomes of their paths, and which of them another path is asked for. None of it is
// needed for a connection to work: after a restart the table is empty, and fills again as connections move.
//
//   path of a request ─► begin ─► news, searches: recorded beneath its root, so many of each ─► both ended ─► forgotten
//                                                          neither is joined for minutes ─► forgotten

import { type Context, ROOT_CONTEXT, type SpanContext, type Tracer, trace } from '@opentelemetry/api'
import { LRUCache } from 'lru-cache'
import { nowMs } from '../../../clock.ts'
import { type SideName, sideNames } from '../../../wire/side.ts'
import type { FromPeer, Message } from '../../../wire/signal.ts'
import type { Member } from '../../peers/member.ts'
import { type Detail, recordNews } from '../../recording/again-span.ts'
import { latest } from '../../shares/latest.ts'

/** What is recorded of one side's news: a path that flaps must not fill the trace, nor one side the room of the other. */
const NEWS_OF_A_SIDE = 32

/** Searches of one connection that are recorded with all their steps, as many as are made without a change of network. */
const WHOLE = 8

/** Those of which it is recorded that they were, and how they ended. */
const OUTLINED = 64

/** How long a connection is remembered at least while neither side is joined, in milliseconds: longer than streams wait for a path. */
const AWAY_MS = 5 * 60_000

export interface Standing {
  /** Of the session that made the connection. */
  readonly id: string
  /** An id stays the same when its peer joins again. */
  readonly sides: Readonly<Record<SideName, Known>>
  readonly root: SpanContext
  readonly sinceMs: number
}

type Known = Pick<Member, 'id' | 'fingerprint'>

interface Held extends Standing {
  /** Neither side was joined when it was looked last. */
  isAway: boolean
  readonly ended: Set<SideName>
  readonly told: Record<SideName, number>
  /** The newest that each side told: a side repeats what it told just before its link was lost. */
  readonly newest: Record<SideName, readonly string[]>
  searches: number
}

export interface ConnectionsOptions {
  /** The most that are remembered. */
  readonly max: number
  /** Whether a member of this id is joined now. */
  readonly isJoined: (id: string) => boolean
  /** How long one is remembered while neither side is; `AWAY_MS` if left out. */
  readonly awayMs?: number
}

export class Connections {
  /** News that were recorded; those that were only counted; those of connections that are not known, or not the teller's. */
  readonly counters = { told: 0, unrecorded: 0, foreign: 0 }
  readonly #tracer: Tracer
  readonly #isJoined: (id: string) => boolean
  readonly #awayMs: number
  readonly #all: LRUCache<string, Held>
  #lookedMs = 0

  constructor(tracer: Tracer, { max, isJoined, awayMs = AWAY_MS }: ConnectionsOptions) {
    this.#tracer = tracer
    this.#isJoined = isJoined
    this.#awayMs = awayMs
    this.#all = new LRUCache(latest(max))
  }

  get size(): number {
    return this.#all.size
  }

  /** A connection stands. One that is known already is what it was. */
  begin(id: string, members: Readonly<Record<SideName, Member>>, root: SpanContext): void {
    if (this.#all.has(id)) return
    const knownOf = ({ id, fingerprint }: Known): Known => ({ id, fingerprint })
    const sides = { caller: knownOf(members.caller), callee: knownOf(members.callee) }
    const none = {
      ended: new Set<SideName>(),
      told: { caller: 0, callee: 0 },
      newest: { caller: [], callee: [] },
      searches: 0,
      isAway: false
    }
    this.#all.set(id, { id, sides, root, sinceMs: nowMs(), ...none })
    this.#look()
  }

  /** The connection of this id between these two, whichever of them had called. */
  find(id: string, one: Known, other: Known): Standing | undefined {
    const held = this.#of(id, one)
    return held && sideOf(held, other) ? held : undefined
  }

  /** How much is recorded of the search that begins now. */
  detailOf({ id }: Standing): Detail {
    const held = this.#all.get(id)
    if (!held) return 'nothing'
    held.searches++
    return held.searches <= WHOLE ? 'all' : held.searches <= OUTLINED ? 'outline' : 'nothing'
  }

  /** Records what one side of a connection tells of it. What anybody else tells is ignored. */
  news(peer: Member, news: Message<FromPeer, 'news'>): void {
    const held = this.#of(news.session, peer)
    const side = held && sideOf(held, peer)
    if (!held || !side) return void this.counters.foreign++
    if (isRepeated(held.newest, side, news)) return
    if (++held.told[side] > NEWS_OF_A_SIDE) this.counters.unrecorded++
    else {
      this.counters.told++
      recordNews(this.#tracer, contextOf(held), news, { side, clock: peer.clock, sinceMs: held.sinceMs })
    }
    if (news.what === 'ended') held.ended.add(side)
    if (held.ended.size === sideNames.length) this.#all.delete(held.id)
  }

  #of(id: string, peer: Known): Held | undefined {
    const held = this.#all.get(id)
    return held && sideOf(held, peer) ? held : undefined
  }

  /** Looks now and then for connections that neither side is there for: twice, since both may be changing their network. */
  #look(): void {
    const now = nowMs()
    if (now - this.#lookedMs < this.#awayMs) return
    this.#lookedMs = now
    for (const held of [...this.#all.values()]) {
      if (sideNames.some(side => this.#isJoined(held.sides[side].id))) held.isAway = false
      else if (held.isAway) this.#all.delete(held.id)
      else held.isAway = true
    }
  }
}

/** True where a side has told the same before, of the same moment; it is remembered for the next time otherwise. */
function isRepeated(newest: Held['newest'], side: SideName, { what, atMs }: Message<FromPeer, 'news'>): boolean {
  if (atMs === undefined) return false
  const it = `${what} ${atMs}`
  if (newest[side].includes(it)) return true
  newest[side] = [...newest[side], it].slice(-NEWS_OF_A_SIDE)
  return false
}

/** Where spans beneath a connection's root begin. */
export const contextOf = ({ root }: Standing): Context => trace.setSpanContext(ROOT_CONTEXT, root)

/** The side that a member is; undefined where it is none, also where somebody else has its id now. */
export const sideOf = ({ sides }: Standing, { id, fingerprint }: Known): SideName | undefined =>
  sideNames.find(side => sides[side].id === id && sides[side].fingerprint === fingerprint)
