// Keeps a path under a connection: looks for another one when it is lost, and for a direct one while it is relayed. The gateway
// finds them; this file decides when it is asked, and for what.
//
//   lost ─► relay, at once ─► (refused) direct ─► again after a while, or when the network or the gateway is back
//   direct, lost soon ─► the next one is tried later, and has to prove itself for longer before streams move there
//   too narrow ─► the same kind with smaller packets, at once ─► as lost
//   relayed ─► direct: at once where a direct one was lost or the network changed, else after 2 s, 4 s … 5 min; never where a side
//              shows its address to no other peer
//
// Either side asks when it sees that the path is lost; the side that called asks first, and the other one only if nothing comes
// of that. While relayed, the side that called asks, and the other one when its own network has changed.

import { within } from '../clock.ts'
import { asPosternError, type Code, PosternError } from '../errors.ts'
import { type AnyConnection, MOST_PROVE_MS } from './connection/core.ts'
import type { PathNews } from './connection/path.ts'

type Kind = 'relay' | 'direct'

/** What came of a request: the connection is on another path, or the code that it failed with. */
type Result = 'moved' | Code

interface Asking {
  /** Packets of at most so many bytes. */
  readonly mtu?: number
  /** What else ends it. */
  readonly ends?: readonly AbortSignal[]
}

export interface KeeperHooks {
  /** Asks the gateway for another path, if need be with packets of at most `mtu` bytes. Resolves when the connection is on it; rejects with what came of it. */
  readonly another: (only: Kind, mtu: number | undefined, signal: AbortSignal) => Promise<unknown>
  /** Whether another path is being set up for it, whoever asked. */
  readonly isUnderWay: () => boolean
  /** The path is suspected to be lost: the idle sockets and the link to the gateway may be of no use either. */
  readonly suspected: () => void
  /** Looks at the NAT as if for the first time, and shows the gateway what it is like now. */
  readonly renew: () => Promise<void>
}

/** How long one request may take, in milliseconds. The relay is latched within a second or not at all. */
const ASK_MS = { relay: 4_000, direct: 15_000 } as const

/** The side that was called waits so long for the other one to ask, in milliseconds. */
const CALLEE_WAITS_MS = 300

/** The side that was called has looked at its NAT so long after the other one, at the latest, in milliseconds. */
const CALLEE_RENEWS_MS = 300

/** Between two looks whether a path that is there has proved itself, in milliseconds. */
const TRYING_MS = 1_000

/** Between two rounds while a path is lost, in milliseconds. */
const LOST = { firstMs: 200, longestMs: 1_000 } as const

/** Between two tries for a direct path while relayed, in milliseconds, and how many there are while nothing changes. */
const RELAYED = { firstMs: 2_000, longestMs: 300_000, tries: 8 } as const

/** A path that the other side has asked for is proved within this time, or it is too narrow and another one follows, in milliseconds. */
const PROVING_MS = 1_000

/** A direct path that was lost within this time counts as one that fails, in milliseconds. */
const FAILED_WITHIN_MS = 60_000

/** What a direct path has to stand for after one that failed, half of it, and at most, in milliseconds. */
const PROVE = { firstMs: 1_000, longestMs: MOST_PROVE_MS } as const

/** After so many that failed, the wait for the next one does not grow any more. */
const MOST_FAILED = 6

export class Keeper {
  /** A side wants no direct path, so none is looked for while it is relayed; and the gateway refuses to look for any. */
  stays = false
  readonly #connection: AnyConnection
  readonly #hooks: KeeperHooks
  /** Something has happened that the loop has to look at. */
  #news = Promise.withResolvers<void>()
  /** Tries for a direct path since the last change. */
  #tries = 0
  /** Direct paths that were lost soon, one after the other. */
  #failed = 0
  #directSinceMs = performance.now()
  #isSoon = false
  /** Ends what is looked for while relayed, when that path is lost as well. */
  #improving = new AbortController()

  constructor(connection: AnyConnection, hooks: KeeperHooks) {
    this.#connection = connection
    this.#hooks = hooks
    connection.on('path', news => this.#changed(news))
    connection.on('quiet', () => this.#hooks.suspected())
    connection.closed.addEventListener('abort', () => this.#news.resolve(), { once: true })
    void this.#keep()
  }

  /** The network has changed, or the gateway is there again: what failed before may work now. */
  again(): void {
    this.#tries = 0
    this.#isSoon = true
    this.#news.resolve()
  }

  /** How long a direct path has to prove itself before streams move there: the longer, the more of them failed, in milliseconds. */
  get proveMs(): number {
    return this.#failed === 0 ? 0 : Math.min(PROVE.firstMs * 2 ** this.#failed, PROVE.longestMs)
  }

  async #keep(): Promise<void> {
    const { closed } = this.#connection
    while (!closed.aborted) {
      this.#news = Promise.withResolvers()
      if (this.#connection.isAdrift) await this.#find()
      else if (this.#isRelayed && !this.stays) await this.#improve()
      else await this.#news.promise
    }
  }

  get #isRelayed(): boolean {
    return this.#connection.path.kind === 'relay'
  }

  get #isCaller(): boolean {
    return this.#connection.role === 'caller'
  }

  #changed(news: PathNews): void {
    // Neither changes what is to be done: whoever has asked for a path that was too narrow asks on.
    if (news.what === 'proved' || news.what === 'narrow') return
    if (news.what === 'lost') this.#improving.abort(new PosternError('io', 'the path was lost meanwhile'))
    if (news.what === 'lost' && !news.isNarrow) {
      this.#hooks.suspected()
      if (news.path.kind === 'direct') this.#lostDirect()
    }
    if (news.what === 'moved' && news.path.kind === 'direct') {
      this.#directSinceMs = performance.now()
      this.#tries = 0
    }
    this.#news.resolve()
  }

  #lostDirect(): void {
    const isSoon = performance.now() - this.#directSinceMs < FAILED_WITHIN_MS
    this.#failed = isSoon ? Math.min(this.#failed + 1, MOST_FAILED) : 0
    this.#tries = 0
    this.#isSoon = this.#failed < 2
  }

  /** Looks for any path until there is one. */
  async #find(): Promise<void> {
    if (!this.#isCaller) await this.#pause(CALLEE_WAITS_MS)
    // One that is being proved is there sooner than any other.
    if (this.#connection.isTrying) await this.#pause(CALLEE_WAITS_MS)
    if (this.#connection.isNarrow && (await this.#again(this.#connection.path.kind)) === 'moved') return
    for (let waitMs: number = LOST.firstMs; this.#isLost; waitMs = Math.min(2 * waitMs, LOST.longestMs)) {
      const relay = await this.#ask('relay')
      if (!this.#isLost) return
      const direct = await this.#ask('direct')
      if (isNarrowOnly(relay, direct)) return this.#connection.endNarrow()
      if (this.#isLost) await this.#pause(waitMs)
      if (this.#isLost) this.#hooks.suspected()
    }
  }

  /** Asks for a path of this kind with smaller packets than the last one had, if there are any. */
  async #again(only: Kind): Promise<Result> {
    const smaller = this.#connection.smaller(only)
    return smaller > 0 ? await this.#ask(only, { mtu: smaller }) : 'too-narrow'
  }

  /**
   * Looks for a direct path once, when it is time. Both sides look at their NATs then, and the one that called asks; the other one
   * asks where its own network has changed.
   */
  async #improve(): Promise<void> {
    if (this.#connection.isTrying) return await this.#pause(TRYING_MS)
    const isSoon = this.#isSoon
    if (!isSoon && this.#tries >= RELAYED.tries) return await this.#news.promise
    if (!isSoon) await this.#pause(Math.min(RELAYED.firstMs * 2 ** (this.#tries + this.#failed), RELAYED.longestMs))
    if (isSoon !== this.#isSoon || !this.#mayImprove) return
    this.#isSoon = false
    this.#tries++
    await this.#hooks.renew()
    if (!this.#isCaller && !isSoon) return
    if (!isSoon) await this.#pause(CALLEE_RENEWS_MS)
    if (!this.#mayImprove) return
    this.#improving = new AbortController()
    await this.#ask('direct', { ends: [this.#improving.signal] })
  }

  get #mayImprove(): boolean {
    const { closed, isAdrift, isTrying } = this.#connection
    return this.#isRelayed && !this.stays && !closed.aborted && !isAdrift && !isTrying
  }

  get #isLost(): boolean {
    return this.#connection.isAdrift && !this.#connection.closed.aborted
  }

  async #ask(only: Kind, { mtu, ends = [] }: Asking = {}): Promise<Result> {
    if (this.#connection.isTrying) await this.#pause(PROVING_MS)
    if (this.#isServed(only)) return 'moved'
    if (this.#hooks.isUnderWay()) {
      await this.#pause(LOST.longestMs)
      return this.#isLost ? 'io' : 'moved'
    }
    const patienceMs = only === 'direct' && !this.#connection.isAdrift ? ASK_MS.direct + this.proveMs : ASK_MS[only]
    const signal = AbortSignal.any([AbortSignal.timeout(patienceMs), this.#connection.closed, ...ends])
    try {
      await this.#hooks.another(only, mtu, signal)
      return 'moved'
    } catch (thrown) {
      // Whatever the reason: it is asked again later. The trace has it.
      const { code } = asPosternError(thrown)
      return code === 'too-narrow' ? await this.#again(only) : code
    }
  }

  /** It has what is about to be asked for. */
  #isServed(only: Kind): boolean {
    return !this.#connection.isAdrift && (only === 'relay' || !this.#isRelayed)
  }

  /** Waits for a while, or until something happens. */
  async #pause(ms: number): Promise<void> {
    await within(ms, this.#news.promise)
    this.#news = Promise.withResolvers()
  }
}

/** The network carries small packets alone: on the one kind of path, while there is no other, or on both. */
const isNarrowOnly = (...results: readonly Result[]): boolean =>
  results.includes('too-narrow') && results.every(result => result === 'too-narrow' || result === 'no-path')
