// The relay as the rest of the gateway knows it. It may run on threads of its own, or on another host. So calls name a session
// by its id, and counters come as answers.

import type { RelayLimits } from '../../strategy/plan.ts'
import type { DoorKind } from '../../wire/doors/door.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import type { Asker } from '../shares/shares.ts'
import type { Forwarder } from '../udp/binding.ts'
import type { Exit } from '../udp/listen.ts'
import { type Agent, type CheckCounters, Checks } from './checks.ts'
import type { SpliceCounters } from './counters.ts'
import { type Latched, type LatchedAt, type Passing, type SpliceOptions, SpliceTable } from './splice.ts'

export type Agents = Readonly<Partial<Record<SideName, Agent>>>

export interface RelayTotals {
  /** Sessions that are relayed now, or are about to be. */
  readonly sessions: number
  /** Sides that are latched now, by the door through which they come. */
  readonly doors: Readonly<Record<DoorKind, number>>
  /** Counters over all sessions there ever were. */
  readonly counters: SpliceCounters
  /** Of the checks by which sides latch that speak ICE alone. */
  readonly checks: CheckCounters
}

/** Is told of changes that no call has caused. */
export interface RelayListener {
  /** Nothing came from either side for long; the session is disarmed. */
  idle(session: string, counters: SpliceCounters): void
  /** A side that was latched comes from another source now. */
  relatched(session: string, side: SideName, source: LatchedAt): void
  /** A session was armed, or one has ended: what passes of others may have changed. */
  shared(): void
}

export interface Relay extends Forwarder {
  listener: RelayListener | undefined
  /**
   * Makes room for a session. `peers` are the ids under which the sides' own limits are kept over all their sessions, `holder`
   * is who asked for it. Rejects with `relay-full`.
   */
  arm(session: string, peers: Readonly<Record<SideName, string>>, limits: RelayLimits, holder?: Asker): Promise<void>
  /**
   * These sides speak ICE alone, and latch by their checks (RFC 8445 section 7): what was said of a side before does not hold any
   * more. Nothing happens where the session is not armed.
   */
  expect(session: string, agents: Agents): Promise<void>
  /** Where the sides are latched now. */
  latched(session: string): Promise<Latched>
  /** What each side of a session can count on now, whatever the others send; undefined where it is not armed. */
  passing(session: string): Promise<Passing | undefined>
  /** The counts of a session so far; undefined where it is not armed. */
  counters(session: string): Promise<SpliceCounters | undefined>
  /** Ends a session and gives its final counts; undefined where it is not armed. */
  disarm(session: string): Promise<SpliceCounters | undefined>
  totals(): Promise<RelayTotals>
}

/** The relay in this process, whose splice forwards what the gateway's own ports receive, but for what a fast path carries. */
export class LocalRelay implements Relay, Disposable {
  listener: RelayListener | undefined
  readonly #splices: SpliceTable
  readonly #checks: Checks

  constructor(options: Omit<SpliceOptions, 'onIdle' | 'onRelatch'>) {
    this.#splices = new SpliceTable({
      ...options,
      onIdle: (session, counters) => {
        this.#checks.forget(session)
        this.listener?.idle(session, counters)
        this.listener?.shared()
      },
      onRelatch: (session, side, source) => this.listener?.relatched(session, side, source)
    })
    this.#checks = new Checks(this.#splices)
  }

  async arm(
    session: string,
    peers: Readonly<Record<SideName, string>>,
    limits: RelayLimits,
    holder?: Asker
  ): Promise<void> {
    this.#splices.arm(session, peers, limits, holder)
    this.listener?.shared()
  }

  async expect(session: string, agents: Agents): Promise<void> {
    if (!this.#splices.has(session)) return
    for (const side of sideNames) {
      const agent = agents[side]
      if (!agent) continue
      this.#splices.unlatch(session, side)
      this.#checks.expect(session, side, agent)
    }
  }

  async latch(session: string, side: SideName, port: Exit, source: Endpoint): Promise<boolean> {
    return this.#splices.latch(session, side, port, source)
  }

  forward(port: Exit, source: Endpoint, datagram: Buffer): boolean {
    return this.#splices.forward(port, source, datagram) || this.#checks.take(port, source, datagram)
  }

  async latched(session: string): Promise<Latched> {
    return this.#splices.latched(session)
  }

  async passing(session: string): Promise<Passing | undefined> {
    return this.#splices.passing(session)
  }

  async counters(session: string): Promise<SpliceCounters | undefined> {
    return this.#splices.counters(session)
  }

  async disarm(session: string): Promise<SpliceCounters | undefined> {
    this.#checks.forget(session)
    const counters = this.#splices.disarm(session)
    if (counters) this.listener?.shared()
    return counters
  }

  async totals(): Promise<RelayTotals> {
    const { size: sessions } = this.#splices
    const checks = { ...this.#checks.counters }
    return { sessions, doors: this.#splices.doors(), counters: this.#splices.totals(), checks }
  }

  [Symbol.dispose](): void {
    this.#splices.close()
  }
}
