// The connections that stand: what keeps a path under each, which one a session continues, and what the gateway is told of their
// paths, for the trace.

import { idly, nowMs, type Timer } from '../clock.ts'
import { asPosternError } from '../errors.ts'
import type { News } from '../wire/news.ts'
import { RELAY_ONLY } from '../wire/obeying.ts'
import type { Continues, FromGateway, Message } from '../wire/signal.ts'
import type { AnyConnection } from './connection/core.ts'
import type { PathNews, PathReport, PathTold } from './connection/path.ts'
import { Keeper } from './keeper.ts'

export interface StandingHooks<Connection extends AnyConnection> {
  /** Asks the gateway for another path. Resolves when the connection is on it. */
  readonly another: (connection: Connection, continues: Continues, signal: AbortSignal) => Promise<unknown>
  /** Whether a session is under way that continues the one that made a connection. */
  readonly isContinued: (session: string) => boolean
  /** A path is suspected to be lost: the idle sockets and the link to the gateway may be of no use either. */
  readonly suspected: () => void
  /** Looks at the NAT as if for the first time, and shows the gateway what it is like now. */
  readonly renew: () => Promise<void>
  /** False where the gateway is away. */
  readonly send: (news: News) => boolean
  /** The connection is over, and its native half is closed. */
  readonly over: () => void
}

interface Standing {
  /** The gateway's id for the other side. */
  farId: string
  readonly keeper: Keeper
}

/** The most news that wait for the gateway. */
const UNTOLD = 64

/** It is known by then whether the link to the gateway has outlived a sleep or another network, in milliseconds. */
const DOUBT_MS = 5_000

/** The longest reason that the gateway takes, in characters. */
const REASON_CHARACTERS = 500

export class Standings<Connection extends AnyConnection> {
  readonly #all = new Map<Connection, Standing>()
  readonly #hooks: StandingHooks<Connection>
  /** News from while the gateway was away, or may have been. */
  #untold: News[] = []
  /** What was told within `DOUBT_MS`, and when: the link may have been dead by then. */
  #told: { readonly news: News; readonly ms: number }[] = []
  #doubt: Timer | undefined

  constructor(hooks: StandingHooks<Connection>) {
    this.#hooks = hooks
  }

  /** @param farId the gateway's id for the other side */
  add(connection: Connection, farId: string): void {
    const { session, closed } = connection
    const { isContinued, suspected, renew } = this.#hooks
    const keeper = new Keeper(connection, {
      another: (only, mtu, signal) => this.#another(connection, { only, mtu }, signal),
      isUnderWay: () => isContinued(session),
      suspected,
      renew
    })
    this.#all.set(connection, { farId, keeper })
    connection.on('path', news => this.#tell(newsOf(session, news)))
    closed.addEventListener('abort', () => {
      this.#tell({ type: 'news', session, what: 'ended', ...endOf(closed.reason), atMs: nowMs() })
      // It is kept until its native half is closed as well, so that `close` waits for it.
      void connection.close().then(() => {
        this.#all.delete(connection)
        this.#hooks.over()
      })
    })
  }

  /** The connection that a session continues, if this peer holds it with the same other side. */
  continuedBy({ continues, peer }: Message<FromGateway, 'session'>): Connection | undefined {
    for (const [connection, standing] of this.#all) {
      const isIt = connection.session === continues && connection.peer.fingerprint === peer.fingerprint
      if (!isIt || connection.closed.aborted) continue
      standing.farId = peer.id
      return connection
    }
    return undefined
  }

  /**
   * The gateway tells of the path that a session has found. Where a side shows its address to no other peer, no direct path is looked for.
   */
  noticed(told: PathTold): void {
    for (const [connection, { keeper }] of this.#all) {
      connection.noticed(told)
      if (connection.session === told.session) keeper.stays ||= told.verdict?.code === RELAY_ONLY
    }
  }

  /** How long a path has to prove itself before the connection goes on there, in milliseconds. */
  proveMs(connection: Connection, { kind }: PathReport): number {
    return kind === 'direct' ? (this.#all.get(connection)?.keeper.proveMs ?? 0) : 0
  }

  /** The gateway is there again. */
  joined(): void {
    const doubtful = this.#told.splice(0).map(({ news }) => news)
    this.#untold.unshift(...doubtful.filter(({ session }) => this.#stands(session)))
    this.#tellKept()
    this.again()
  }

  #stands(session: string): boolean {
    return [...this.#all.keys()].some(connection => connection.session === session && !connection.closed.aborted)
  }

  /** What failed before may work now. */
  again(): void {
    for (const { keeper } of this.#all.values()) keeper.again()
  }

  /** This peer did not run for so many milliseconds, or its network is another one: that may explain what becomes of paths. */
  tell(what: 'slept' | 'network', ms?: number): void {
    const about = { what, atMs: nowMs(), ...(ms === undefined ? {} : { ms: Math.round(ms) }) }
    for (const { session } of this.#all.keys()) this.#keep({ type: 'news', session, ...about })
    // The link may be dead by then without a word; if it is, this is told when the gateway is there again.
    clearTimeout(this.#doubt)
    this.#doubt = idly(setTimeout(() => this.#tellKept(), DOUBT_MS))
  }

  async close(): Promise<void> {
    clearTimeout(this.#doubt)
    await Promise.all([...this.#all.keys()].map(connection => connection.close()))
  }

  #another(
    connection: Connection,
    { only, mtu }: Pick<Continues, 'only' | 'mtu'>,
    signal: AbortSignal
  ): Promise<unknown> {
    const peer = this.#all.get(connection)?.farId ?? ''
    return this.#hooks.another(connection, { session: connection.session, peer, only, ...(mtu ? { mtu } : {}) }, signal)
  }

  #tell(news: News): void {
    // What comes after the end is for a connection that the gateway knows no more.
    if (news.what === 'ended') this.#tellKept()
    if (!this.#hooks.send(news)) return this.#keep(news)
    const ms = performance.now()
    this.#told = [...this.#told.filter(one => ms - one.ms < DOUBT_MS), { news, ms }].slice(-UNTOLD)
  }

  #keep(news: News): void {
    if (this.#untold.length < UNTOLD) this.#untold.push(news)
  }

  #tellKept(): void {
    clearTimeout(this.#doubt)
    for (const news of this.#untold.splice(0)) this.#tell(news)
  }
}

function newsOf(session: string, news: PathNews): News {
  const { kind, door, mtu } = news.path
  const about = { type: 'news', session, kind, ...(door ? { door } : {}), atMs: nowMs() } as const
  switch (news.what) {
    case 'lost':
      return {
        ...about,
        ...{ what: 'lost', ms: Math.round(news.quietMs), askedMs: Math.round(news.askedMs), reason: news.reason },
        ...(news.isNarrow ? { mtu } : {})
      }
    case 'proved':
      return { ...about, what: 'proved', mtu }
    case 'narrow':
      return { ...about, what: 'narrow', mtu, reason: news.reason }
    case 'back':
      return { ...about, what: 'resumed', back: true, ms: Math.round(news.ms), reason: 'the path is heard again' }
    case 'moved':
      return {
        ...about,
        what: news.ms > 0 ? 'resumed' : 'moved',
        ms: Math.round(news.ms),
        quietMs: Math.round(news.quietMs),
        resentBytes: news.resentBytes,
        mtu
      }
  }
}

/** The code is told where it ended for a finding of its own, and not because a side closed it. */
function endOf(reason: unknown): Pick<News, 'reason' | 'code'> {
  const { code, message } = asPosternError(reason)
  return { reason: message.slice(0, REASON_CHARACTERS), ...(code === 'io' ? {} : { code }) }
}
