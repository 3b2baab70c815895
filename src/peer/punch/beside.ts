// One local port that nothing answers is not yet a network that blocks UDP: a router may have forgotten its mapping for good, a
// firewall may drop a range of ports, a program of the host may hold it. So a socket that is not answered soon gets company, on
// ports far from its own. The first of them that is answered stays, and the others are closed.
//
//   first ──── 300 ms ────┬─────────────────────────────► answered: it stays
//                         ├─ second ────────► answered: it stays, and the first one's port is dead
//                         └─ third  ────────► none is answered: UDP is blocked

import { setTimeout as sleep } from 'node:timers/promises'
import { PosternError } from '../../errors.ts'
import type { RawSocket } from './raw.ts'

/** How long a socket is alone, in milliseconds, besides a round trip that is known. By then its request was sent three times. */
export const ALONE_MS = 300

/** How many are tried beside it: three ports that differ by nothing else are enough to blame the network. */
const BESIDE = 2

/** A socket that wants to be answered. */
export interface Candidate {
  readonly raw: RawSocket
  /**
   * Shows the socket. Calls `answered` at the first answer, and may go on after it. Rejects with `udp-blocked`, `timeout` or the
   * like where there is none, or with what `signal` aborts with.
   */
  show(signal: AbortSignal, answered: () => void): Promise<unknown>
}

export interface Answered<Of extends Candidate> {
  readonly candidate: Of
  /** The one that was not answered although it had the longest time, if there is one: its port is dead. */
  readonly dead: readonly Of[]
}

export interface Terms<Of extends Candidate> {
  /** How long the first one is alone, in milliseconds; 300 if left out. */
  readonly aloneMs?: number
  /** Which of them stay open where `signal` aborts; the first one if left out. */
  readonly keeps?: (candidate: Of) => boolean
}

/**
 * Shows `first`, and others beside it if it is not answered soon. Resolves when the one that was answered has been shown.
 * Rejects as `first` does if none was, and all of them are closed then; or with what `signal` aborts with.
 * @param another binds one whose port is far from these
 */
export async function firstAnswered<Of extends Candidate>(
  first: Of,
  another: (farFrom: readonly number[]) => Promise<Of>,
  signal: AbortSignal,
  { aloneMs = ALONE_MS, keeps = candidate => candidate === first }: Terms<Of> = {}
): Promise<Answered<Of>> {
  const race = new Race<Of>(signal, keeps)
  const alsoFirst = race.enter(first)
  const others = async () => {
    await sleep(aloneMs, undefined, { signal: race.over })
    return await race.enterBeside(first, another)
  }
  try {
    const candidate = await Promise.any([alsoFirst, others()])
    return { candidate, dead: candidate === first ? [] : [first] }
  } catch {
    signal.throwIfAborted()
    return { candidate: await alsoFirst, dead: [] }
  }
}

/** Whoever is answered first puts the others out. */
class Race<Of extends Candidate> {
  /** Aborted when it is won, or called off. */
  readonly over: AbortSignal
  readonly #signal: AbortSignal
  readonly #keeps: (candidate: Of) => boolean
  readonly #won = new AbortController()
  #winner: Of | undefined

  constructor(signal: AbortSignal, keeps: (candidate: Of) => boolean) {
    this.#signal = signal
    this.#keeps = keeps
    this.over = AbortSignal.any([signal, this.#won.signal])
  }

  /** Shows a candidate, and closes it if it does not win. */
  async enter(candidate: Of): Promise<Of> {
    const out = new AbortController()
    const lose = () => {
      if (this.#winner !== candidate) out.abort(outrun)
    }
    this.#won.signal.addEventListener('abort', lose)
    try {
      await candidate.show(AbortSignal.any([this.#signal, out.signal]), () => {
        this.#winner ??= candidate
        this.#won.abort(outrun)
      })
      if (this.#winner !== candidate) throw outrun
      return candidate
    } catch (error) {
      if (!this.#signal.aborted || !this.#keeps(candidate)) await candidate.raw.close()
      throw error
    }
  }

  async enterBeside(first: Of, another: (farFrom: readonly number[]) => Promise<Of>): Promise<Of> {
    const others: Of[] = []
    try {
      while (others.length < BESIDE) others.push(await another([first, ...others].map(({ raw }) => raw.port)))
    } catch {
      // There are no more files or ports for another; those that are there will do.
    }
    if (!this.over.aborted) return await Promise.any(others.map(other => this.enter(other)))
    await Promise.all(others.map(({ raw }) => raw.close()))
    throw this.over.reason
  }
}

const outrun = new PosternError('timeout', 'another port was answered first')
