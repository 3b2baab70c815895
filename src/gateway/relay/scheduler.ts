// Who of those that wait for the same limit has the next turn. Turns go round the networks, within a network round its
// certificates, and within a certificate round its directions of sessions: so many sessions have no more than one.
//
//   networks ─► certificates of one ─► directions of one ─► 1500 bytes
//
// On each level it is a deficit round robin (Shreedhar and Varghese, 1995): what a turn has overdrawn is taken from the next
// one, so that shares are of bytes, not of datagrams.

import type { Asker } from '../shares/shares.ts'

/** The clock and the timers: monotonic milliseconds, and an alarm that can be called off. */
export interface Time {
  now(): number
  after(waitMs: number, run: () => void): () => void
}

export const systemTime: Time = {
  now: () => performance.now(),
  after(waitMs, run) {
    const timer = setTimeout(run, waitMs)
    return () => clearTimeout(timer)
  }
}

/** What became of a turn: something of its own holds it up, or what all share is short; it is used up and there is more; nothing is left. */
export type Outcome = 'blocked' | 'short' | 'more' | 'empty'

/** Something that waits, and sends in its turn. */
export interface Waiter {
  turn(nowMs: number): Outcome
  /** Bytes that it has sent in its turns so far. */
  readonly turnedBytes: number
}

/** Ethernet's payload is 1500 bytes: with a share of that size a turn is about one datagram. */
export const QUANTUM_BYTES = 1500

/** The finest resolution of Node's timers. */
const TICK_MS = 1

/** One alarm for all that wait; none while nobody does. */
export class Scheduler {
  readonly time: Time
  readonly #networks = new Ring(() => Number.POSITIVE_INFINITY)
  readonly #partOf: (network: string) => number
  #cancel: (() => void) | undefined

  /** @param partOf the part of a network whose turns are here, where it waits elsewhere as well (batch/dealt.ts) */
  constructor(time: Time = systemTime, partOf: (network: string) => number = () => 1) {
    this.time = time
    this.#partOf = partOf
  }

  add(waiter: Waiter, { network, certificate }: Asker): void {
    this.#networks.ring(network, this.#quantumOf).ring(certificate, aQuantum).add(waiter, waiter)
    this.#cancel ??= this.time.after(TICK_MS, this.#tick)
  }

  delete(waiter: Waiter, { network, certificate }: Asker): void {
    const ofNetwork = this.#networks.ring(network, this.#quantumOf)
    const ofCertificate = ofNetwork.ring(certificate, aQuantum)
    ofCertificate.delete(waiter)
    if (ofCertificate.isEmpty) ofNetwork.delete(certificate)
    if (ofNetwork.isEmpty) this.#networks.delete(network)
    if (!this.#networks.isEmpty) return
    this.#cancel?.()
    this.#cancel = undefined
  }

  readonly #quantumOf = (network: string): number => QUANTUM_BYTES * this.#partOf(network)

  readonly #tick = (): void => {
    this.#cancel = undefined
    this.#networks.turn(this.time.now())
    if (!this.#networks.isEmpty) this.#cancel = this.time.after(TICK_MS, this.#tick)
  }
}

const aQuantum = () => QUANTUM_BYTES

/**
 * Waiters that take turns, and that have their own turn together. A Map is walked in order of insertion: who has had his turn and
 * has more goes to the end, and is met again in the same walk. Who is blocked keeps his place, and what is left of his turn. Where what
 * all share is short, the walk stops there, and goes on there: walked on, it would give the others turns that are worth nothing now and
 * count later.
 */
class Ring implements Waiter {
  readonly #waiters = new Map<unknown, Waiter>()
  readonly #quantumBytes: () => number
  #leftBytes = 0
  turnedBytes = 0

  /** @param quantumBytes what a turn of it is worth */
  constructor(quantumBytes: () => number) {
    this.#quantumBytes = quantumBytes
  }

  get isEmpty(): boolean {
    return this.#waiters.size === 0
  }

  add(name: unknown, waiter: Waiter): void {
    this.#waiters.set(name, waiter)
  }

  delete(name: unknown): void {
    this.#waiters.delete(name)
  }

  /** The ring of this name within this one. */
  ring(name: string, quantumOf: (name: string) => number): Ring {
    const known = this.#waiters.get(name)
    if (known instanceof Ring) return known
    const ring = new Ring(() => quantumOf(name))
    this.#waiters.set(name, ring)
    return ring
  }

  turn(nowMs: number): Outcome {
    if (this.#leftBytes <= 0) this.#leftBytes += this.#quantumBytes()
    for (const [name, waiter] of this.#waiters) {
      if (this.#leftBytes <= 0) return 'more'
      const outcome = this.#turnOf(waiter, nowMs)
      // Whose turn is used up is not the next one all the same.
      if (outcome === 'short') return this.#leftBytes > 0 ? 'short' : 'more'
      if (outcome !== 'blocked') this.#waiters.delete(name)
      if (outcome === 'more') this.#waiters.set(name, waiter)
    }
    if (!this.isEmpty) return 'blocked'
    this.#leftBytes = 0
    return 'empty'
  }

  #turnOf(waiter: Waiter, nowMs: number): Outcome {
    const before = waiter.turnedBytes
    const outcome = waiter.turn(nowMs)
    const sent = waiter.turnedBytes - before
    this.turnedBytes += sent
    this.#leftBytes -= sent
    return outcome
  }
}
