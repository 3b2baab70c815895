// The relay as the rest of the gateway knows it. It may run on threads of its own, or on another host. So calls name a session
// by its id, and counters come as answers.

import type { RelayLimits } from '../../strategy/plan.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { SideName } from '../../wire/side.ts'
import type { Asker } from '../shares/shares.ts'
import type { Forwarder } from '../udp/binding.ts'
import { type Exit, type Latched, type SpliceCounters, SpliceTable } from './splice.ts'

export interface RelayTotals {
  /** Sessions that are relayed now, or are about to be. */
  readonly sessions: number
  /** Counters over all sessions there ever were. */
  readonly counters: SpliceCounters
}

/** Is told of changes that no call has caused. */
export interface RelayListener {
  /** Nothing came from either side for long; the session is disarmed. */
  idle(session: string, counters: SpliceCounters): void
  /** A side that was latched comes from another source now. */
  relatched(session: string, side: SideName, source: Endpoint): void
}

export interface Relay extends Forwarder {
  listener: RelayListener | undefined
  /**
   * Makes room for a session. `peers` are the ids under which the sides' own limits are kept over all their sessions, `holder`
   * is who asked for it. Rejects with `relay-full`.
   */
  arm(session: string, peers: Readonly<Record<SideName, string>>, limits: RelayLimits, holder?: Asker): Promise<void>
  /** Where the sides are latched now. */
  latched(session: string): Promise<Latched>
  /** The counts of a session so far; undefined where it is not armed. */
  counters(session: string): Promise<SpliceCounters | undefined>
  /** Ends a session and gives its final counts; undefined where it is not armed. */
  disarm(session: string): Promise<SpliceCounters | undefined>
  totals(): Promise<RelayTotals>
}

/** The relay in this process, whose splice forwards what the gateway's own ports receive. */
export class LocalRelay implements Relay, Disposable {
  listener: RelayListener | undefined
  readonly #splices: SpliceTable

  constructor({ maxSessions }: { readonly maxSessions: number }) {
    this.#splices = new SpliceTable({
      maxSessions,
      onIdle: (session, counters) => this.listener?.idle(session, counters),
      onRelatch: (session, side, source) => this.listener?.relatched(session, side, source)
    })
  }

  async arm(
    session: string,
    peers: Readonly<Record<SideName, string>>,
    limits: RelayLimits,
    holder?: Asker
  ): Promise<void> {
    this.#splices.arm(session, peers, limits, holder)
  }

  async latch(session: string, side: SideName, port: Exit, source: Endpoint): Promise<boolean> {
    return this.#splices.latch(session, side, port, source)
  }

  forward(port: Exit, source: Endpoint, datagram: Buffer): boolean {
    return this.#splices.forward(port, source, datagram)
  }

  async latched(session: string): Promise<Latched> {
    return this.#splices.latched(session)
  }

  async counters(session: string): Promise<SpliceCounters | undefined> {
    return this.#splices.counters(session)
  }

  async disarm(session: string): Promise<SpliceCounters | undefined> {
    return this.#splices.disarm(session)
  }

  async totals(): Promise<RelayTotals> {
    return { sessions: this.#splices.size, counters: this.#splices.totals() }
  }

  [Symbol.dispose](): void {
    this.#splices.close()
  }
}
