// The two sides of a session: which socket each of them uses, and what was observed of it. A socket comes from the peer's
// reserve, or is a fresh one that shows its mappings on request; it goes back to the reserve if it was never ordered to do
// anything.

import { nowMs, timeoutSignal } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { type Allocation, fit, type Observation } from '../../nat/assignment.ts'
import type { Side } from '../../strategy/scene.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import type { Member, WarmSocket } from '../peers/member.ts'
import type { Showing } from '../recording/step.ts'
import { sideOf, type Watch } from './side-seen.ts'

/** How long the sockets of both sides are waited for: a peer that just joined is still mapping its first one. */
const OBSERVE_MS = 5000

/** How long a session waits for filtering tests where their verdict matters. */
const FILTERING_MS = 1500

/** How long fresh samples are waited for, beyond two round trips: one lost request is sent again after 100 ms. */
const FRESH_MS = 400

/** How much longer than for the first sample of a socket the others are waited for, for the same reason. */
const STRAGGLERS_MS = 150

interface Using {
  readonly socket: WarmSocket
  /** Shown on request, for the next order only: no reserve takes it back. */
  readonly fresh: boolean
  ordered: boolean
}

export class Sides {
  readonly caller: Member
  readonly callee: Member
  readonly #watch: Watch
  readonly #gone: AbortSignal
  readonly #using: Partial<Record<SideName, Using>> = {}
  readonly #allocations: Partial<Record<SideName, { of: string; verdict: Allocation }>> = {}
  readonly #awaited: Partial<Record<SideName, { round: number; done: (fresh: Message<FromPeer, 'fresh'>) => void }>> =
    {}
  /** Over when filtering tests were waited for long enough. */
  #patience: AbortSignal | undefined
  #rounds = 0

  constructor(watch: Watch, { caller, callee, gone }: { caller: Member; callee: Member; gone: AbortSignal }) {
    this.caller = caller
    this.callee = callee
    this.#watch = watch
    this.#gone = gone
  }

  /** The sides without a socket. */
  get missing(): SideName[] {
    return sideNames.filter(role => !this.#using[role])
  }

  /**
   * Takes a warm socket for each of these sides. Rejects with `udp-blocked`.
   * @param shown is told what became of each of them, whether they are all warm or not
   */
  async take(missing: readonly SideName[], shown: (showing: Showing) => void): Promise<void> {
    // All at once: a side that is waited for must not keep the other's socket from the sessions of others.
    const failed = new AbortController()
    using late = timeoutSignal(OBSERVE_MS)
    const now = () => missing.map(side => showingOf(side, this[side]))
    let showings: Showing[] | undefined
    try {
      do {
        showings = undefined
        while (!missing.every(role => this[role].isWarm))
          await Promise.all(missing.map(role => this.#warm(role, failed, late)))
        this.#gone.throwIfAborted()
        showings = now()
      } while (!(await this.#takeAll(missing)))
    } finally {
      for (const showing of showings ?? now()) shown(showing)
    }
  }

  /** Takes what warm sockets there are, and gives the sides that have one now. */
  async takeWarm(): Promise<SideName[]> {
    await Promise.all(this.missing.map(role => this.#takeAll([role])))
    return sideNames.filter(role => this.#using[role])
  }

  /**
   * Replaces the sockets of these sides by fresh ones whose mappings have just been seen, and resolves with what became of
   * each.
   * @param ask tells a peer to bind a socket and to show it; its `fresh` is handed to `shown`
   */
  async renew(
    sides: readonly SideName[],
    ask: (role: SideName, round: number) => void,
    signal: AbortSignal
  ): Promise<Showing[]> {
    const round = ++this.#rounds
    const shown = sides.map(async (side): Promise<Showing> => {
      const reason = await this.#fresh(side, round, signal)
      return { side, isWarm: reason === undefined, atMs: nowMs(), reason }
    })
    for (const role of sides) ask(role, round)
    return await Promise.all(shown)
  }

  /** A peer's word that it shows a fresh socket. */
  shown(role: SideName, fresh: Message<FromPeer, 'fresh'>): void {
    const awaited = this.#awaited[role]
    if (awaited?.round === fresh.round) awaited.done(fresh)
  }

  /** The sides whose filter matters, and that have not told yet what it lets in. */
  async untested(): Promise<SideName[]> {
    const plain = ({ profile: { mapping, translated } }: Side) => mapping === 'endpoint-independent' && translated
    const sides = await Promise.all(sideNames.map(role => this.side(role)))
    if (this.#patience?.aborted || sides.every(plain)) return []
    return sideNames.filter(role => this[role].isTesting)
  }

  /** Waits until these have told, in all of a session not longer than tests take. */
  async filteringKnown(sides: readonly SideName[]): Promise<void> {
    this.#patience ??= timeoutSignal(FILTERING_MS)
    const signal = AbortSignal.any([this.#gone, this.#patience])
    await Promise.all(sides.map(role => this[role].filteringKnown(signal)))
  }

  /** A side as planners see it. Rejects with `udp-blocked` where nothing was observed of it. */
  async side(role: SideName): Promise<Side> {
    const peer = this[role]
    const socket = this.#using[role]?.socket
    if (!socket) throw new PosternError('internal', `no socket of ${peer.name} was observed`)
    const samples = await this.#watch.observer.samples(peer.id, socket.number)
    return sideOf(this.#watch, peer, { socket, samples }, observations => this.#verdict(role, observations))
  }

  /** The number of a side's socket, which from now on belongs to an order. */
  ordered(role: SideName): number {
    const using = this.#using[role]
    if (!using) throw new PosternError('internal', `no socket of ${this[role].name} was observed`)
    using.ordered = true
    return using.socket.number
  }

  /** Milliseconds to the gateway and back, over UDP. */
  rttMs(role: SideName): number {
    return this.#using[role]?.socket.rttMs ?? 0
  }

  /** Mappings a side has made that the gateway did not see. */
  made(role: SideName, flows: number): void {
    this.#watch.history.unseen(this[role].fingerprint, flows)
  }

  /** The socket is gone: handed over, or closed. */
  drop(role: SideName): void {
    delete this.#using[role]
  }

  /** What was never used is as good as before. */
  giveBack(): void {
    for (const role of sideNames) this.#putAside(role)
  }

  /** A socket of each of these sides, or of none: true when there was one of each. */
  async #takeAll(sides: readonly SideName[]): Promise<boolean> {
    const taken = await Promise.all(sides.map(async role => ({ role, socket: await this[role].takeSocket() })))
    const isWhole = taken.every(({ socket }) => socket !== undefined)
    for (const { role, socket } of taken) {
      if (socket && isWhole) this.#using[role] = { socket, fresh: false, ordered: false }
      else if (socket) this[role].giveBack(socket)
    }
    return isWhole
  }

  #putAside(role: SideName): void {
    const using = this.#using[role]
    delete this.#using[role]
    if (using && !using.ordered && !using.fresh) this[role].giveBack(using.socket)
  }

  async #warm(role: SideName, failed: AbortController, late: AbortSignal): Promise<void> {
    try {
      await this[role].warm(AbortSignal.any([this.#gone, failed.signal, late]))
    } catch (cause) {
      failed.abort(cause)
      if (!late.aborted || this.#gone.aborted) throw cause
      throw new PosternError(
        'udp-blocked',
        `no UDP datagram from ${this[role].name} reached the gateway within ${OBSERVE_MS / 1000} s`,
        { cause }
      )
    }
  }

  /** Why there is no fresh socket; undefined where there is one. */
  async #fresh(role: SideName, round: number, signal: AbortSignal): Promise<string | undefined> {
    const before = this.#using[role]?.socket
    const late = AbortSignal.any([signal, timeoutSignal(Math.ceil(FRESH_MS + 2 * this.rttMs(role)))])
    const { promise, resolve } = Promise.withResolvers<Message<FromPeer, 'fresh'> | undefined>()
    this.#awaited[role] = { round, done: resolve }
    const give = () => resolve(undefined)
    late.addEventListener('abort', give)
    if (late.aborted) give()
    const fresh = await promise
    late.removeEventListener('abort', give)
    if (!fresh || !before) return `${this[role].name} showed no fresh socket in time`
    if (!(await this.#sampled(role, fresh.socket, late))) return `no sample of ${this[role].name} came in time`
    this.#putAside(role)
    const socket = { ...before, number: fresh.socket, port: fresh.port }
    this.#using[role] = { socket, fresh: true, ordered: false }
    return undefined
  }

  /** All endpoints have seen the socket, or one has and the others are late. */
  async #sampled(role: SideName, socket: number, late: AbortSignal): Promise<boolean> {
    const { observer } = this.#watch
    const { id, endpoints } = this[role]
    await observer.seen(id, socket, 1, late)
    await observer.seen(id, socket, endpoints.length, AbortSignal.any([late, timeoutSignal(STRAGGLERS_MS)]))
    return (await observer.samples(id, socket)).length > 0
  }

  /** Fitted once for what was seen. */
  #verdict(role: SideName, observations: readonly Observation[]): Allocation {
    const last = observations.at(-1)
    const of = `${observations.length} ${last?.localPort} ${last?.port} ${last?.atMs}`
    const known = this.#allocations[role]
    if (known?.of === of) return known.verdict
    const verdict = fit(observations).describe()
    this.#allocations[role] = { of, verdict }
    return verdict
  }
}

const showingOf = (side: SideName, { isWarm, warmMs, cold }: Member): Showing =>
  isWarm
    ? { side, isWarm, atMs: warmMs }
    : { side, isWarm, atMs: cold?.atMs ?? nowMs(), reason: cold?.reason ?? 'it has shown no socket' }
