// A port that a router granted, from then on: it is renewed after half its lifetime, asked for again where the router has started
// anew or has not answered, and given back at the end.

import { type Endpoint, sameEndpoint } from '../../wire/endpoint.ts'
import {
  type Asker,
  askOnce,
  type Grant,
  isGrant,
  LIFETIME_S,
  type Protocol,
  type Refusal,
  type Router
} from './asking.ts'

/** A port that the router forwards, as far as it says the truth. It belongs to the network in which it was asked for. */
export interface PortMapping {
  readonly protocol: Protocol
  /** The UDP port of this host that datagrams are forwarded to. */
  readonly localPort: number
  /**
   * Where datagrams have to be sent to. Not proved. Its port is often `localPort`, but need not be. Undefined when the mapping
   * is lost, because the router refused to renew it or did not answer until it had ended, and after `close`.
   */
  readonly external: Endpoint | undefined
  /**
   * Called when `external` is another one, is lost, or is there again, but not for `close`. A mapping that is lost is asked for
   * again every ten minutes until it is closed.
   */
  onChange: (external: Endpoint | undefined) => void
  /**
   * Asks for the same port again at once: for somebody who finds that nothing arrives at `external` any more. It is asked for at
   * most once in 30 seconds, so this may come later. What comes of it is told by `onChange`.
   */
  renew(): void
  /**
   * Ends the renewal and gives the port back. Resolves after at most a second or so, whether the router answered or not. Never
   * throws, and may be called twice.
   */
  close(): Promise<void>
}

/** What time is to a mapping: milliseconds since some moment, and an alarm that can be taken back. */
export interface Time {
  now(): number
  after(waitMs: number, run: () => void): () => void
}

/** It keeps no process alive. */
const realTime: Time = {
  now: () => performance.now(),
  after(waitMs, run) {
    const timer = setTimeout(run, waitMs).unref()
    return () => clearTimeout(timer)
  }
}

/** Seconds that a lifetime is taken for at least: a router that tells less is not asked in a hurry. */
const LEAST_LIFETIME_S = 60

/** Milliseconds between two askings, at least. */
const PAUSE_MS = 30_000

/** Milliseconds between two askings for a mapping that is lost, and the longest time that a router goes unasked. */
const AGAIN_MS = (LIFETIME_S / 2) * 1000

/** Milliseconds that a deletion is waited for. */
const DELETION_MS = 1000

export class Kept implements PortMapping {
  readonly localPort: number
  onChange: (external: Endpoint | undefined) => void = () => {}
  readonly #asker: Asker
  readonly #time: Time
  readonly #over = new AbortController()
  #external: Endpoint | undefined
  #askedMs: number
  #endsMs = 0
  #asking: Promise<void> | undefined
  #cancel = () => {}
  #closing: Promise<void> | undefined

  constructor(asker: Asker, { epoch }: Router, localPort: number, grant: Grant, time: Time = realTime) {
    this.localPort = localPort
    this.#asker = asker
    this.#time = time
    this.#askedMs = time.now()
    this.#granted(grant)
    epoch.addEventListener('restarted', () => this.renew(), { signal: this.#over.signal })
  }

  get protocol(): Protocol {
    return this.#asker.protocol
  }

  get external(): Endpoint | undefined {
    return this.#external
  }

  renew(): void {
    if (this.#over.signal.aborted || this.#asking) return
    this.#askIn(Math.max(0, this.#askedMs + PAUSE_MS - this.#time.now()))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#over.abort()
    this.#cancel()
    this.#external = undefined
    await this.#asking
    await this.#asker.release(DELETION_MS)
  }

  #askIn(waitMs: number): void {
    this.#cancel()
    this.#cancel = this.#time.after(waitMs, () => {
      this.#asking = this.#ask()
    })
  }

  async #ask(): Promise<void> {
    this.#askedMs = this.#time.now()
    const outcome = await askOnce(this.#asker, this.#over.signal)
    this.#asking = undefined
    if (this.#over.signal.aborted) return
    if (isGrant(outcome)) this.#granted(outcome)
    else this.#denied(outcome)
  }

  /** RFC 6887 section 11.2.1: half the lifetime is over when it is renewed. */
  #granted({ external, lifetimeS }: Grant): void {
    const believedMs = Math.min(Math.max(lifetimeS, LEAST_LIFETIME_S), LIFETIME_S) * 1000
    this.#endsMs = this.#time.now() + believedMs
    this.#askIn(believedMs / 2)
    this.#be(external)
  }

  #denied({ reason }: Refusal): void {
    const leftMs = this.#endsMs - this.#time.now()
    const mayLive = (reason === 'silent' || reason === 'nonsense') && leftMs > 0
    this.#askIn(mayLive ? Math.max(PAUSE_MS, leftMs / 2) : AGAIN_MS)
    if (!mayLive) this.#be(undefined)
  }

  #be(external: Endpoint | undefined): void {
    const before = this.#external
    this.#external = external
    if (before === external || (before && external && sameEndpoint(before, external))) return
    this.onChange(external)
  }
}
