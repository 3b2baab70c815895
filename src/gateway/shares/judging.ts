// Fitting models to what a NAT did, and planning by them, takes some milliseconds of computing each time, on the loop that
// answers and relays datagrams as well. So it is done piece by piece, a few milliseconds in one turn of the loop, networks
// taking turns. What it takes is charged to who asked for it, and who has had his share is told to wait before he asks for more.
//
//   admit? ─► pieces: fit · plan · plan … ─► within a turn's time: at once
//                                         └─► else: queue of the network ─► a later turn of the loop

import type { Proposal } from '../../strategy/plan.ts'
import type { Strategy } from '../../strategy/turn.ts'
import { type Asker, Shares } from './shares.ts'

/** What all judgements together may take of the loop's time: a quarter, and some seconds at once. */
const PART = 1 / 4
const WITHIN_MS = 10_000

/** Pieces of one turn of the loop begin within this time, in milliseconds. One piece takes up to 10. */
const TURN_MS = 4

/** Shares are of microseconds: a piece may take less than a millisecond. */
const UNITS = 1000

interface Piece {
  readonly asker: Asker
  readonly run: () => void
}

export class Judging {
  readonly #shares: Shares
  readonly #now: () => number
  /** By network. Who has had a turn goes to the end. */
  readonly #waiting = new Map<string, Piece[]>()
  #turn: NodeJS.Immediate | undefined
  /** What pieces have taken of this turn of the loop. */
  #turnMs = 0

  /** @param now milliseconds on a clock that does not go back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    const capacity = WITHIN_MS * PART * UNITS
    this.#shares = new Shares({ capacity, least: capacity / 50, fadeMs: WITHIN_MS, now })
  }

  /** Whether there is time for somebody who asks for more. */
  hasRoom(asker: Asker): boolean {
    return this.#shares.hasRoom(asker)
  }

  /** After how many milliseconds who found none may ask again. */
  retryMs(): number {
    return this.#shares.retryMs()
  }

  /** Runs something in its turn. Rejects with what it throws. */
  run<T>(asker: Asker, work: () => T | PromiseLike<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const run = () => {
        try {
          resolve(work())
        } catch (error) {
          reject(error)
        }
      }
      this.#take({ asker, run })
    })
  }

  #take(piece: Piece): void {
    if (this.#waiting.size === 0 && this.#turnMs < TURN_MS) this.#do(piece)
    else this.#wait(piece)
    this.#turn ??= setImmediate(this.#next)
  }

  #wait(piece: Piece): void {
    const { network } = piece.asker
    const before = this.#waiting.get(network)
    if (before) before.push(piece)
    else this.#waiting.set(network, [piece])
  }

  /** The next turn of the loop: a while for those that wait. */
  readonly #next = (): void => {
    this.#turnMs = 0
    while (this.#turnMs < TURN_MS && this.#waiting.size > 0) this.#first()
    this.#turn = this.#turnMs > 0 || this.#waiting.size > 0 ? setImmediate(this.#next) : undefined
  }

  #first(): void {
    for (const [network, pieces] of this.#waiting) {
      const piece = pieces.shift()
      this.#waiting.delete(network)
      if (pieces.length > 0) this.#waiting.set(network, pieces)
      if (piece) this.#do(piece)
      return
    }
  }

  #do({ asker, run }: Piece): void {
    const startMs = this.#now()
    run()
    const ms = this.#now() - startMs
    this.#turnMs += ms
    this.#shares.charge(asker, ms * UNITS)
  }
}

/** The strategy, whose planner computes in turns from now on, on somebody's behalf. */
export function inTurns(strategy: Strategy, judging: Judging, asker: Asker): Strategy {
  const { planner } = strategy
  return { ...strategy, planner: { plan: scene => new Turns(() => planner.plan(scene), judging, asker) } }
}

type Plans = Iterable<Proposal> | AsyncIterable<Proposal>
type Source = Iterator<Proposal> | AsyncIterator<Proposal>

class Turns implements AsyncIterableIterator<Proposal> {
  readonly #plans: () => Plans
  readonly #judging: Judging
  readonly #asker: Asker
  #source: Source | undefined

  constructor(plans: () => Plans, judging: Judging, asker: Asker) {
    this.#plans = plans
    this.#judging = judging
    this.#asker = asker
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Proposal>> {
    return this.#judging.run(this.#asker, () => {
      this.#source ??= sourceOf(this.#plans())
      return this.#source.next()
    })
  }

  /** Lets the planner clean up. */
  async return(): Promise<IteratorResult<Proposal>> {
    await this.#source?.return?.()
    return { done: true, value: undefined }
  }
}

const sourceOf = (plans: Plans): Source =>
  Symbol.asyncIterator in plans ? plans[Symbol.asyncIterator]() : plans[Symbol.iterator]()
