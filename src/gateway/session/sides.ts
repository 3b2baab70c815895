// The two sides of a session: which socket each of them uses, and what was observed of it. A socket comes from the peer's
// reserve, or is a fresh one that shows its mappings on request. A socket from the reserve goes back to it if it was never
// ordered to do anything. A side whose UDP is blocked, and to which a door of the relay leads, needs none.

import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs, timeoutSignal } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { type Assignment, fit, type Observation } from '../../nat/assignment.ts'
import { canMeet, type Sample } from '../../nat/profile.ts'
import { isHardSide, type Side } from '../../strategy/scene.ts'
import type { StreamDoor } from '../../wire/doors/door.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import { type IceCredentials, NO_SOCKET } from '../../wire/order.ts'
import { otherSide, type SideName, sideNames } from '../../wire/side.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import type { Member, WarmSocket } from '../peers/member.ts'
import type { Remapped } from '../peers/observer.ts'
import type { Showing } from '../recording/step.ts'
import { blockedSide, sideOf, type Watch } from './side-seen.ts'

/** How long a session waits for the sockets of both sides: a peer that has just joined is still mapping its first one. */
const OBSERVE_MS = 5000

/**
 * How long a side may take to give a sign of life over signalling, in milliseconds: a round trip, and a segment of TCP that is
 * lost three times. After that it is silent.
 */
const HAIL_MS = 3500

/** How long a session waits for filtering tests where their verdict matters. */
const FILTERING_MS = 1500

/** How long a session waits for a claimed endpoint to be proved, in milliseconds: a round trip to the peer, and a little more. */
const PROOFS_MS = 250

/** How long a session waits for fresh samples, besides two round trips: a lost request is sent again after 100 ms. */
const FRESH_MS = 400

/** How long a session waits for the other samples of a socket after the first one has come, for the same reason. */
const STRAGGLERS_MS = 150

const EARLY_MS = 50

/** How often it is looked whether a side that was hailed has answered, in milliseconds. */
const ANSWERED_MS = 20

/** What a wait for a warm socket ends with: another side has none, the time is over, or a sign of life that did not come. */
interface Waiting {
  readonly failed: AbortController
  readonly late: AbortSignal
  readonly hailedMs: number
}

/** What leads to a side whose UDP is blocked. */
interface Blocked {
  readonly doors: readonly StreamDoor[]
  readonly rttMs: number
}

interface Using {
  readonly socket: WarmSocket
  /** It was shown on request and is for the next order only: the reserve does not take it back. */
  readonly fresh: boolean
  ordered: boolean
}

export interface SidesOptions extends Readonly<Record<SideName, Member>> {
  /** Aborted when nothing more is to be waited for. */
  readonly gone: AbortSignal
  readonly inBackground?: boolean
}

export class Sides {
  readonly caller: Member
  readonly callee: Member
  /** See `Aiming`. */
  readonly inBackground: boolean
  readonly #watch: Watch
  readonly #gone: AbortSignal
  readonly #using: Partial<Record<SideName, Using>> = {}
  readonly #blocked: Partial<Record<SideName, Blocked | undefined>> = {}
  readonly #assignments: Partial<Record<SideName, { of: string; verdict: Promise<Assignment> }>> = {}
  readonly #awaited: Partial<Record<SideName, { round: number; done: (fresh: Message<FromPeer, 'fresh'>) => void }>> =
    {}
  /** Aborts when the session has waited long enough for filtering tests. */
  #patience: AbortSignal | undefined
  /** Aborts when the session has waited long enough for proofs. */
  #proofs: AbortSignal | undefined
  #rounds = 0

  constructor(watch: Watch, { caller, callee, gone, inBackground = false }: SidesOptions) {
    this.caller = caller
    this.callee = callee
    this.inBackground = inBackground
    this.#watch = watch
    this.#gone = gone
  }

  /** The sides without a socket that need one. */
  get missing(): SideName[] {
    return sideNames.filter(side => !this.#using[side] && this.#needsSocket(side))
  }

  /** A door of the relay leads to a side without one, unless that is an ICE agent, which dials it by itself. */
  #needsSocket(side: SideName): boolean {
    return !this.#blocked[side] || this[side].iceOnly !== undefined
  }

  /**
   * Takes a warm socket for each of these sides, but for those to which a door of the relay leads where UDP does not: these need none,
   * or have prepared an ICE agent. Rejects with `udp-blocked` or `wrong-family`, or with `silent-peer` where a side gives no sign of
   * life.
   * @param shown is told what became of each of them, whether they are all warm or not
   */
  async take(missing: readonly SideName[], shown: (showing: Showing) => void): Promise<void> {
    // Both are taken at once: while one side is waited for, other sessions must be able to use the socket of the other side.
    const failed = new AbortController()
    using late = timeoutSignal(OBSERVE_MS)
    const hailedMs = nowMs()
    for (const side of missing) if (!this[side].isWarm) this[side].hail()
    const now = () => missing.map(side => showingOf(side, this[side], hailedMs))
    let showings: Showing[] | undefined
    try {
      do {
        showings = undefined
        while (!missing.every(side => this[side].isWarm || blockedOf(this[side])))
          await Promise.all(missing.map(side => this.#warm(side, { failed, late, hailedMs })))
        this.#gone.throwIfAborted()
        if (late.aborted) throw new PosternError('udp-blocked', `others took every socket for ${OBSERVE_MS / 1000} s`)
        showings = now()
        for (const side of missing) this.#blocked[side] = blockedOf(this[side])
      } while (!(await this.#takeAll(missing.filter(side => this.#needsSocket(side)))))
      const forgotten = await this.#forgotten(missing.filter(side => !this.#blocked[side]))
      const [first] = forgotten
      if (!first) return
      showings = forgotten
      throw new PosternError(first.code, `${this[first.side].name} shows no mapping any more: ${first.reason}`)
    } finally {
      for (const showing of showings ?? now()) shown(showing)
    }
  }

  /** Takes the warm sockets that are there, and returns the sides that have a socket now. */
  async takeWarm(): Promise<SideName[]> {
    await Promise.all(this.missing.map(side => this.#takeAll([side])))
    return sideNames.filter(side => this.#using[side])
  }

  /**
   * Replaces the sockets of these sides by fresh ones whose mappings have just been seen, and resolves with what became of
   * each.
   * @param ask tells a peer to bind a socket and to show it; its `fresh` is handed to `shown`
   */
  async renew(
    sides: readonly SideName[],
    ask: (side: SideName, round: number) => void,
    signal: AbortSignal
  ): Promise<Showing[]> {
    const round = ++this.#rounds
    const shown = sides.map(async (side): Promise<Showing> => {
      const reason = await this.#fresh(side, round, signal)
      return { side, isWarm: reason === undefined, atMs: nowMs(), reason }
    })
    for (const side of sides) ask(side, round)
    return await Promise.all(shown)
  }

  /** A peer says that it shows a fresh socket; it may show another beside it, and the first that is seen counts. */
  shown(side: SideName, fresh: Message<FromPeer, 'fresh'>): void {
    const awaited = this.#awaited[side]
    if (awaited?.round === fresh.round) awaited.done(fresh)
  }

  /**
   * The sides whose filtering could change which strategy is tried, and has not been told yet: sides without NAT, which may
   * be reached at their own address, and sides that a hard one may reach at the observed endpoint. In any other pair behind
   * NATs each aims at the other's observed endpoint, whatever the filtering is.
   */
  async untested(): Promise<SideName[]> {
    const testing = this.#isForRelay ? [] : sideNames.filter(side => this[side].isTesting)
    if (testing.length === 0 || this.#patience?.aborted) return []
    const [caller, callee] = await Promise.all([this.side('caller'), this.side('callee')])
    const sides = { caller, callee }
    return testing.filter(side => !sides[side].profile.translated || isHardSide(sides[otherSide(side)]))
  }

  /** Waits until these sides have told their filtering; all such waits of a session together last no longer than tests take. */
  async filteringKnown(sides: readonly SideName[]): Promise<void> {
    this.#patience ??= timeoutSignal(FILTERING_MS)
    const signal = AbortSignal.any([this.#gone, this.#patience])
    await Promise.all(sides.map(side => this[side].filteringKnown(signal)))
  }

  /** Waits for claims of a forward that are being proved, where nothing else is known to lead from one side to the other. */
  async forwardsKnown(): Promise<void> {
    const proving = this.#isForRelay ? [] : sideNames.filter(side => this.#isProving(side))
    if (proving.length === 0 || this.#proofs?.aborted) return
    const [caller, callee] = await Promise.all([this.side('caller'), this.side('callee')])
    if (canMeet(caller.profile, callee.profile) !== false || caller.mapped.address === callee.mapped.address) return
    this.#proofs ??= timeoutSignal(PROOFS_MS)
    const signal = AbortSignal.any([this.#gone, this.#proofs])
    await Promise.all(proving.map(side => this[side].forwardKnown(this.#using[side]?.socket.port ?? 0, signal)))
  }

  /** The two can meet at the relay alone, whatever more were known of them. */
  get #isForRelay(): boolean {
    return sideNames.some(side => this.#blocked[side] || this[side].relayOnly)
  }

  #isProving(side: SideName): boolean {
    const socket = this.#using[side]?.socket
    return socket !== undefined && this[side].forwardOf(socket.port)?.state === 'proving'
  }

  /** The last change of a mapping of one of a side's sockets, whichever it was. */
  remapped(side: SideName): Remapped | undefined {
    return this.#watch.observer.remapped(this[side].id)
  }

  /** A side as planners see it. Rejects with `udp-blocked` where nothing was observed of it. */
  async side(side: SideName): Promise<Side> {
    const peer = this[side]
    const blocked = this.#blocked[side]
    if (blocked) return blockedSide(peer, blocked.doors, blocked.rttMs)
    const socket = this.#using[side]?.socket
    if (!socket) throw new PosternError('internal', `no socket of ${peer.name} was observed`)
    const samples = await this.#samples(side)
    return await sideOf(this.#watch, peer, { socket, samples, aiming: this }, observations =>
      this.#verdict(side, observations)
    )
  }

  /** The number of a side's socket, which from now on belongs to an order; `NO_SOCKET` for a side that needs none. */
  ordered(side: SideName): number {
    if (!this.#needsSocket(side)) return NO_SOCKET
    const using = this.#using[side]
    if (!using) throw new PosternError('internal', `no socket of ${this[side].name} was observed`)
    using.ordered = true
    return using.socket.number
  }

  /**
   * Milliseconds to the gateway and back, over UDP: as the side says, but no more than the gateway has measured itself. Over a door
   * that was not measured, and is bounded (peers/joined.ts).
   */
  rttMs(side: SideName): number {
    const blocked = this.#blocked[side]
    if (blocked) return blocked.rttMs
    return Math.min(this.#using[side]?.socket.rttMs ?? 0, this.#watch.observer.rttMs(this[side].id))
  }

  /** Notes how many mappings a side has made that the gateway did not see. */
  made(side: SideName, flows: number): void {
    this.#watch.history.unseen(this[side].fingerprint, flows)
  }

  /** A side was reached from elsewhere at `mapped`, where the gateway had seen it (`History.proved`). */
  proved(side: SideName, mapped: Endpoint): void {
    this.#watch.history.proved(this[side].fingerprint, mapped.address)
  }

  /** What a side's own ICE agent has chosen for the socket that it uses; undefined where the gateway chooses. */
  iceOf(side: SideName): IceCredentials | undefined {
    return this.#using[side]?.socket.ice
  }

  /** The socket is gone: handed over, or closed. One that no order has named yet is as good as before. */
  drop(side: SideName): void {
    this.#putAside(side)
  }

  /** Gives back the sockets that were never used: they are as good as before. */
  giveBack(): void {
    for (const side of sideNames) this.#putAside(side)
  }

  /** Takes a socket of each of these sides, or of none. Resolves with true if each side had one. */
  async #takeAll(sides: readonly SideName[]): Promise<boolean> {
    const take = (side: SideName) => (this.#blocked[side] ? this[side].takePrepared() : this[side].takeSocket())
    const taken = await Promise.all(sides.map(async side => ({ side, socket: await take(side) })))
    const isWhole = taken.every(({ socket }) => socket !== undefined)
    for (const { side, socket } of taken) {
      if (socket && isWhole) this.#using[side] = { socket, fresh: false, ordered: false }
      else if (socket) this[side].giveBack(socket)
    }
    return isWhole
  }

  #putAside(side: SideName): void {
    const using = this.#using[side]
    delete this.#using[side]
    if (using && !using.ordered && !using.fresh) this[side].giveBack(using.socket)
  }

  async #warm(side: SideName, { failed, late, hailedMs }: Waiting): Promise<void> {
    const silent = new AbortController()
    const judge = () => {
      const silence = silenceOf(this[side], hailedMs)
      if (silence) silent.abort(new PosternError('silent-peer', `${this[side].name} is silent: ${silence}`))
    }
    // An answer that came while this process was busy is read first.
    const hailed = setTimeout(() => setImmediate(judge), Math.ceil(hailedMs + HAIL_MS - nowMs()))
    try {
      await this[side].warm(AbortSignal.any([this.#gone, failed.signal, late, silent.signal]))
    } catch (cause) {
      failed.abort(cause)
      if (!late.aborted || this.#gone.aborted) throw cause
      throw new PosternError(
        'udp-blocked',
        `no UDP datagram from ${this[side].name} reached the gateway within ${OBSERVE_MS / 1000} s`,
        { cause }
      )
    } finally {
      clearTimeout(hailed)
    }
  }

  /**
   * The sides whose socket was warm once, and which nothing was heard of for longer than a peer that lives lets pass between
   * two refreshes. Each of them is hailed first, and waited for.
   */
  async #forgotten(sides: readonly SideName[]) {
    const seen = await Promise.all(sides.map(async side => ({ side, samples: await this.#samples(side) })))
    const unseen = seen.filter(({ samples }) => samples.length === 0).map(({ side }) => side)
    const hailedMs = nowMs()
    for (const side of unseen) this[side].hail()
    const isAnswered = () => unseen.every(side => this[side].heardMs >= hailedMs)
    while (!isAnswered() && nowMs() - hailedMs < HAIL_MS) {
      this.#gone.throwIfAborted()
      await sleep(ANSWERED_MS)
    }
    return unseen.map(side => {
      const silence = silenceOf(this[side], hailedMs)
      const reason = silence ?? 'its last mapping is too old to be used'
      const code = silence ? 'silent-peer' : 'udp-blocked'
      return { side, isWarm: false, atMs: nowMs(), reason, code } as const
    })
  }

  async #samples(side: SideName): Promise<readonly Sample[]> {
    const socket = this.#using[side]?.socket
    return socket ? await this.#watch.observer.samples(this[side].id, socket.number) : []
  }

  /** Waits for a fresh socket. Resolves with the reason why there is none, or with undefined if there is one. */
  async #fresh(side: SideName, round: number, signal: AbortSignal): Promise<string | undefined> {
    const before = this.#using[side]?.socket
    const late = AbortSignal.any([signal, timeoutSignal(Math.ceil(FRESH_MS + 2 * this.rttMs(side)))])
    const { promise, resolve } = Promise.withResolvers<Message<FromPeer, 'fresh'> | undefined>()
    const shown: Promise<void>[] = []
    const sampled = async (fresh: Message<FromPeer, 'fresh'>) => {
      if (await this.#sampled(side, fresh.socket, late)) resolve(fresh)
    }
    this.#awaited[side] = { round, done: fresh => void shown.push(sampled(fresh)) }
    // What some endpoints have seen by the end counts: it is asked for before the wait is given up.
    const give = () => void Promise.all(shown).then(() => resolve(undefined))
    late.addEventListener('abort', give)
    if (late.aborted) give()
    const fresh = await promise
    late.removeEventListener('abort', give)
    if (shown.length === 0 || !before) return `${this[side].name} showed no fresh socket in time`
    if (!fresh) return `no sample of ${this[side].name} came in time`
    this.#putAside(side)
    const { ice: _ice, hosts: _hosts, ...rest } = before
    const socket = { ...rest, number: fresh.socket, port: fresh.port, ...(fresh.ice ? { ice: fresh.ice } : {}) }
    this.#using[side] = { socket, fresh: true, ordered: false }
    return undefined
  }

  /** Waits until all endpoints have seen the socket, or one has and the others are late. Resolves with false if none has. */
  async #sampled(side: SideName, socket: number, late: AbortSignal): Promise<boolean> {
    const { observer } = this.#watch
    const { id, endpoints } = this[side]
    await observer.seen(id, socket, 1, late)
    await observer.seen(id, socket, endpoints.length, AbortSignal.any([late, timeoutSignal(STRAGGLERS_MS)]))
    return (await observer.samples(id, socket)).length > 0
  }

  /** The models are fitted once for the same observations. */
  #verdict(side: SideName, observations: readonly Observation[]): Promise<Assignment> {
    const last = observations.at(-1)
    const of = `${observations.length} ${last?.localPort} ${last?.port} ${last?.atMs}`
    const known = this.#assignments[side]
    if (known?.of === of) return known.verdict
    const verdict = this.#watch.judging.run(this.caller.account, () => fit(observations).describe())
    this.#assignments[side] = { of, verdict }
    return verdict
  }
}

function blockedOf({ isWarm, iceOnly, isPrepared, cold }: Member): Blocked | undefined {
  if (isWarm || !cold?.doors || (iceOnly && !isPrepared)) return undefined
  return { doors: cold.doors, rttMs: cold.rttMs ?? 0 }
}

function showingOf(side: SideName, peer: Member, hailedMs: number): Showing {
  const { isWarm, warmMs, cold } = peer
  if (isWarm) return { side, isWarm, atMs: warmMs }
  if (cold) return { side, isWarm, ...cold }
  const silence = silenceOf(peer, hailedMs)
  if (silence) return { side, isWarm, atMs: nowMs(), reason: silence, code: 'silent-peer' }
  return { side, isWarm, atMs: nowMs(), reason: 'it has shown no socket' }
}

/** How long nothing was heard of a peer that was hailed and had the time to answer; undefined where it did, or had not. */
function silenceOf({ heardMs }: Member, hailedMs: number): string | undefined {
  const now = nowMs()
  // A timer may fire a little early.
  if (heardMs >= hailedMs || now - hailedMs < HAIL_MS - EARLY_MS) return undefined
  return `its connection to the gateway is open, and nothing came over it for ${((now - heardMs) / 1000).toFixed(1)} s, not even an answer to a ping`
}
