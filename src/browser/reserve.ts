// The connections that are prepared, and that no session has taken. The gateway is told of each, and of what became of UDP:
//
//   bound ──┬── the gateway answers over UDP ──► warm
//           └── nothing in a second ──► cold, with the agent's credentials: it may take a TCP door of the relay
//                                        └── UDP goes on being tried; when it is answered ──► warm

import { sleep, within } from '../clock.ts'
import { asPosternError } from '../errors.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import type { FromPeer } from '../wire/signal.ts'
import { isFirefox } from './abilities.ts'
import type { Prepared } from './warm.ts'

export interface ReserveHooks {
  readonly prepare: () => Prepared
  readonly send: (message: FromPeer) => void
  /** Round trip to the gateway over the WebSocket, in milliseconds. */
  readonly rttMs: () => number
  /** UDP was blocked, and is not any more. */
  readonly restored: () => void
}

/** The wait after UDP was not answered, before it is tried again, in milliseconds. */
const COLD_MS = 3000

/** The longest reason in a `cold` message. */
const COLD_CHARACTERS = 256

/** Firefox sends nothing from a prepared connection once it has gathered: its mapping counts as gone after so long, in milliseconds. */
const FORGOTTEN_MS = 20_000

/** Another one is shown within a round trip or two, or after this time without it, in milliseconds. */
const RENEWAL_MS = 1000

/** UDP that is not answered in this time, and two round trips, is taken for blocked: browsers ask again after 250 and 500 ms. */
const SOON_MS = 1000

export class Reserve {
  /** TCP ports of the relay, for where UDP is blocked. */
  doors: readonly Endpoint[] = []
  readonly #hooks: ReserveHooks
  readonly #ready = new Map<number, Prepared>()
  #signal = AbortSignal.abort()
  #renewing: Promise<void> | undefined
  /** Since when one waits for an answer over UDP. */
  #waitsSinceMs: number | undefined
  /** UDP is blocked, as far as is known, and is being tried. */
  #isBlocked = false
  /** Has UDP tried at once. */
  #hurry: () => void = () => {}

  constructor(hooks: ReserveHooks) {
    this.#hooks = hooks
  }

  /** One connection is kept ready until the signal aborts. */
  open(signal: AbortSignal): void {
    this.#signal = signal
    this.#isBlocked = false
    this.#waitsSinceMs = undefined
    this.doors = []
    void this.#keep()
  }

  /** For how long an answer over UDP is waited for by now, in milliseconds. */
  get silentMs(): number {
    return this.#waitsSinceMs === undefined ? 0 : performance.now() - this.#waitsSinceMs
  }

  close(): void {
    for (const prepared of this.#ready.values()) prepared.close()
    this.#ready.clear()
  }

  /** The one that an order names, in whose place another one is prepared. */
  take(number: number): Prepared | undefined {
    const taken = this.#ready.get(number)
    if (!this.#ready.delete(number)) return undefined
    void this.#keep()
    return taken
  }

  /**
   * Another one takes the place of what there is, since the NAT may be another one. Resolves when it is there, or is late. Where UDP is
   * blocked a door needs no other one, which a session may have in its hands; then UDP is tried again.
   */
  async renew(): Promise<void> {
    if (this.#isBlocked && this.#ready.size > 0) return this.#hurry()
    await this.replace()
  }

  /** As `renew`, in any case, since the network may be another one. */
  async replace(): Promise<void> {
    const signal = this.#signal
    if (signal.aborted) return
    this.#renewing ??= this.#keep([...this.#ready.values()]).finally(() => {
      this.#renewing = undefined
    })
    await within(RENEWAL_MS, this.#renewing, signal)
  }

  /**
   * Prepares a connection and tells the gateway of it; again after a while where that fails. Resolves when it was told.
   * @param stale those whose place it takes
   */
  async #keep(stale: readonly Prepared[] = []): Promise<void> {
    const signal = this.#signal
    for (;;) {
      let prepared: Prepared | undefined
      try {
        prepared = this.#hooks.prepare()
        await prepared.bind()
        const isSilent = await this.#isSilent(prepared)
        signal.throwIfAborted()
        if (isSilent && this.doors.length > 0) return this.#goAround(prepared, stale, signal)
        await prepared.shown
        signal.throwIfAborted()
        return this.#show(prepared, stale)
      } catch (thrown) {
        prepared?.close()
        if (signal.aborted) return
        const why = this.doors.length > 0 ? '' : NO_DOOR
        const reason = `${asPosternError(thrown).message}${why}`.slice(0, COLD_CHARACTERS)
        if (prepared) this.#hooks.send({ type: 'cold', socket: prepared.number, reason })
        await sleep(COLD_MS, signal).catch(() => {})
        if (signal.aborted) return
      }
    }
  }

  /** Whether UDP is not answered soon, or cannot be. Nobody waits for what is known. */
  async #isSilent({ answered, shown }: Prepared): Promise<boolean> {
    let isSilent = true
    this.#waitsSinceMs ??= performance.now()
    const heard = Promise.race([answered, shown]).then(
      () => {
        isSilent = false
        this.#waitsSinceMs = undefined
      },
      () => {}
    )
    await within(this.#isBlocked ? 0 : SOON_MS + 2 * this.#hooks.rttMs(), heard, this.#signal)
    return isSilent
  }

  #show(prepared: Prepared, stale: readonly Prepared[]): void {
    const { number: socket, port, ice, hosts, addresses } = prepared
    this.#ready.set(socket, prepared)
    this.#hooks.send({ type: 'warm', socket, port, addresses, rttMs: this.#hooks.rttMs(), ice, hosts })
    for (const old of stale) if (old !== prepared) this.#retire(old)
    if (isFirefox()) void this.#forget(prepared)
  }

  async #forget({ number }: Prepared): Promise<void> {
    const signal = this.#signal
    await sleep(FORGOTTEN_MS, signal).catch(() => {})
    if (!signal.aborted && this.#ready.has(number)) await this.replace()
  }

  #goAround(prepared: Prepared, stale: readonly Prepared[], signal: AbortSignal): void {
    const { number: socket, ice } = prepared
    this.#ready.set(socket, prepared)
    const reason = 'nothing has come back over UDP, and the relay has a TCP port'
    this.#hooks.send({ type: 'cold', socket, reason, doors: ['tcp'], rttMs: this.#hooks.rttMs(), ice })
    for (const old of stale) this.#retire(old)
    prepared.shown.then(
      () => this.#heard(prepared, signal),
      () => {}
    )
    if (!this.#isBlocked) void this.#tryUdp(signal)
    this.#isBlocked = true
  }

  /** Others are tried beside those that are ready, until one is answered. */
  async #tryUdp(signal: AbortSignal): Promise<void> {
    for (;;) {
      const hurried = new Promise<void>(resolve => {
        this.#hurry = resolve
      })
      await within(COLD_MS, hurried, signal)
      if (signal.aborted || !this.#isBlocked) return
      const prepared = this.#hooks.prepare()
      const shown = prepared.bind().then(() => prepared.shown)
      const isShown = await shown.then(
        () => true,
        () => false
      )
      if (isShown && !signal.aborted && this.#isBlocked) {
        this.#ready.set(prepared.number, prepared)
        return this.#heard(prepared, signal)
      }
      prepared.close()
    }
  }

  /** UDP is answered, to one that is ready, or was until a session took it. */
  #heard(prepared: Prepared, signal: AbortSignal): void {
    if (signal.aborted || !this.#isBlocked) return
    this.#isBlocked = false
    this.#waitsSinceMs = undefined
    const stale = [...this.#ready.values()]
    if (this.#ready.has(prepared.number)) this.#show(prepared, stale)
    else void this.#keep(stale)
    this.#hooks.restored()
  }

  #retire(prepared: Prepared): void {
    if (!this.#ready.delete(prepared.number)) return
    prepared.close()
    this.#hooks.send({ type: 'cold', socket: prepared.number, reason: 'another socket has taken its place' })
  }
}

const NO_DOOR =
  '; the gateway has no TCP port that browsers dial: its operator can name one in listen.tcp, such as 3478, and publish it'
