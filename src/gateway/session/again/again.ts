// Searches for another path of a connection that stands. Each is a session of its own, with the strategies narrowed to what is
// asked for, and is recorded beneath the request that made the connection. There is one for each connection at a time; since a
// lost path is more urgent than a better one, a request for the relay ends a search for a direct path.
//
//   connect with `continues` ─► strategies left? ─► under way? ─► a seat (sessions.ts) ─► begun ─► moved or failed

import type { Tracer } from '@opentelemetry/api'
import { nowMs } from '../../../clock.ts'
import { PosternError } from '../../../errors.ts'
import type { Strategy } from '../../../strategy/turn.ts'
import type { SpanAttributes, SpanName } from '../../../trace/record/conventions.ts'
import type { SideName } from '../../../wire/side.ts'
import type { Continues, FromPeer, Message } from '../../../wire/signal.ts'
import { type Member, relayOnlyReason } from '../../peers/member.ts'
import { againAttributes, tracerOf } from '../../recording/again-span.ts'
import { mirrored } from '../../recording/mirrored.ts'
import { parentOf } from '../../recording/step.ts'
import type { Trail } from '../../recording/trail.ts'
import type { House } from '../house.ts'
import type { Connect, Ended, Session } from '../session.ts'
import { Connections, contextOf, type Standing, sideOf } from './standing.ts'

type Only = Continues['only']

export interface AgainCounters extends Readonly<Record<Only, { started: number; moved: number; failed: number }>> {
  /** Searches for which there was no seat, or that another one was in the way of. */
  refused: number
  /** What peers told of their paths (standing.ts). */
  readonly news: Connections['counters']
}

/** A search that is over, for the log. */
export interface Searched {
  readonly session: Session
  readonly continues: Continues
  readonly trace: string
  readonly ended: Ended
  readonly ms: number
}

export class Again {
  readonly counters: AgainCounters
  readonly #house: House
  readonly #connections: Connections
  readonly #beganMs = nowMs()
  readonly #told: (searched: Searched) => void
  readonly #underWay = new Map<string, { readonly session: Session; readonly only: Only }>()

  /** @param connections the most that are remembered; `told` is told of each search when it is over */
  constructor(house: House, connections: number, told: (searched: Searched) => void) {
    this.#house = house
    this.#told = told
    this.#connections = new Connections(house.tracer, {
      max: connections,
      isJoined: id => house.commander.isJoined(id)
    })
    const none = () => ({ started: 0, moved: 0, failed: 0 })
    this.counters = { relay: none(), direct: none(), refused: 0, news: this.#connections.counters }
  }

  /**
   * Throws `no-path` where the operator has no strategy of the kind, or a side does not want it, and `io` while another search for the same connection is
   * under way that this one does not take the place of.
   */
  admit(request: Connect, continues: Continues): void {
    const strategies = narrowed(this.#house.strategies, continues.only)
    if (strategies.length === 0) throw new PosternError('no-path', nothingLeft[continues.only])
    const relayOnly = relayOnlyReason(request)
    if (relayOnly && continues.only === 'direct')
      throw new PosternError('no-path', `${relayOnly}, so no direct path is looked for`)
    const other = this.#underWay.get(keyOf(request, continues))
    if (!other || isSuperseded(other.only, continues.only)) return
    const who = other.session.caller.id === request.caller.id ? request.caller : request.callee
    throw new PosternError(
      'io',
      `${who.name} has asked for another path of this connection already; it is being looked for`
    )
  }

  /** How a search is recorded, and by which strategies it is made. */
  trailOf({ caller, callee, traceparent }: Connect, continues: Continues): Trail {
    const strategies = narrowed(this.#house.strategies, continues.only)
    const standing = this.#connections.find(continues.session, caller, callee)
    const asker = standing && sideOf(standing, caller)
    return {
      strategies,
      tracer: this.#tracerFor(standing, asker),
      parent: standing ? contextOf(standing) : parentOf(traceparent),
      isOwn: standing === undefined,
      name: AGAIN,
      attributes: (session): SpanAttributes =>
        againAttributes(session, continues, { asker, strategies, beganMs: this.#beganMs })
    }
  }

  /** A search has a seat, and begins. */
  begun(session: Session, continues: Continues): void {
    const key = keyOf(session, continues)
    const other = this.#underWay.get(key)
    this.#underWay.set(key, { session, only: continues.only })
    this.counters[continues.only].started++
    other?.session.giveUp(new PosternError('io', 'the path was lost meanwhile, and the relay is asked for'))
  }

  /** A session is over: a search, or a request, whose connection stands from now on if it has a path. */
  over(session: Session, ended: Ended, ms: number): void {
    const { continues, root } = session
    if (continues) this.#searched(session, continues, ended, ms)
    if (root && ended.kind !== 'failed') this.#connections.begin(continues?.session ?? session.id, session, root)
  }

  news(peer: Member, news: Message<FromPeer, 'news'>): void {
    this.#connections.news(peer, news)
  }

  #searched(session: Session, continues: Continues, ended: Ended, ms: number): void {
    const key = keyOf(session, continues)
    if (this.#underWay.get(key)?.session === session) this.#underWay.delete(key)
    const counted = this.counters[continues.only]
    if (ended.kind === 'failed') counted.failed++
    else counted.moved++
    this.#told({ session, continues, trace: session.root?.traceId ?? '', ended, ms })
  }

  #tracerFor(standing: Standing | undefined, asker: SideName | undefined): Tracer {
    const { tracer } = this.#house
    if (!standing) return tracer
    const kept = tracerOf(tracer, this.#connections.detailOf(standing))
    return asker === 'callee' ? mirrored(kept) : kept
  }
}

const AGAIN: SpanName = 'postern.again'

const narrowed = (strategies: readonly Strategy[], only: Only): readonly Strategy[] =>
  strategies.filter(({ lastResort }) => lastResort === (only === 'relay'))

const nothingLeft: Readonly<Record<Only, string>> = {
  relay: 'this gateway has no relay, so a lost path can only be followed by another direct one',
  direct: 'this gateway has no strategy but the relay, so no direct path is looked for'
}

const isSuperseded = (before: Only, now: Only): boolean => before === 'direct' && now === 'relay'

/** A connection, by its session and its two members. */
const keyOf = (
  { caller, callee }: Readonly<Record<SideName, Pick<Member, 'id'>>>,
  { session }: Pick<Continues, 'session'>
): string => [session, ...[caller.id, callee.id].sort()].join(' ')
