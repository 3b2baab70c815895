// Limits of the relay. Each direction of a session has a Shaper. The Shaper asks a list of token buckets (the direction's
// own, its sender's, the total). When all have tokens, a datagram goes out at once and all are charged. Otherwise it waits in
// the Shaper's queue. A datagram that does not fit there is dropped, and counted under the bucket that was short.
//
//   offer ─► all buckets open? ── yes ─► send
//                   │ no
//                   ▼
//            queue of queueMs ── full ─► dropped
//                   │ each millisecond, in turn (scheduler.ts)
//                   ▼
//                 send, or dropped when it has waited too long
//
// The queue is what lets SCTP use the limit: behind a bare bucket, SCTP reached 0.25 to 0.61 of the limit; behind this one,
// 0.94. Acknowledgements go ahead of data in the queue. Without that, two busy directions kept each other's acknowledgements
// waiting and reached 0.92 of the limit; with it they reach 0.98.

import type { Asker } from '../shares/shares.ts'
import { type Outcome, QUANTUM_BYTES, type Scheduler, type Waiter } from './scheduler.ts'

/** Whose limit a bucket is: the name under which drops are counted. */
export type LimitName = 'session' | 'peer' | 'total'

/**
 * A bucket is open while it has tokens. A datagram of any size passes an open bucket and may leave it in debt, so that
 * a small bucket does not shut out large datagrams.
 */
export class TokenBucket {
  readonly name: LimitName
  /** How many shapers wait for this bucket: while there are any, newcomers queue up behind them. */
  waiting = 0
  #bitsPerSecond: number
  #levelBytes = 0
  #filledMs: number

  /** A new bucket is full. */
  constructor(name: LimitName, bitsPerSecond: number, nowMs: number) {
    this.name = name
    this.#bitsPerSecond = bitsPerSecond
    this.#filledMs = nowMs - CAPACITY_MS
  }

  get bitsPerSecond(): number {
    return this.#bitsPerSecond
  }

  /** Sets another rate from now on, for all that share the bucket. */
  retune(bitsPerSecond: number): void {
    this.#bitsPerSecond = bitsPerSecond
  }

  isOpen(nowMs: number): boolean {
    const bytesPerMs = (this.#bitsPerSecond / 8000) * FILL_SHARE
    const level = this.#levelBytes + (nowMs - this.#filledMs) * bytesPerMs
    this.#levelBytes = Math.min(level, bytesPerMs * CAPACITY_MS)
    this.#filledMs = nowMs
    return this.#levelBytes > 0
  }

  take(bytes: number): void {
    this.#levelBytes -= bytes
  }
}

/** Node's timers fire up to a few ms late. Tokens that the bucket cannot hold until then are lost to the rate. */
const CAPACITY_MS = 7

/**
 * A bucket fills at 99 % of its rate. The 1 % left out is 10 ms of each second. A full bucket and the debt of one datagram
 * (3 ms of 4 Mbit/s) fit into these 10 ms, so that no second carries more than the limit.
 */
const FILL_SHARE = 0.99

export interface ShaperCounters {
  sentBytes: number
  sentDatagrams: number
  /** How many datagrams had to wait, whether they were sent later or not. */
  queued: number
  droppedBytes: number
  /** By the limit that was short. */
  dropped: Record<LimitName, number>
}

export interface ShaperOptions {
  scheduler: Scheduler
  /** All are charged for each datagram; a drop counts for the first bucket that is short. */
  buckets: readonly TokenBucket[]
  /** Whose turns it has where it waits with others. */
  holder: Asker
  /** How much may wait, in ms at the lowest of the buckets' rates. */
  queueMs?: number
  send: (datagram: Buffer) => void
}

interface Queued {
  readonly datagram: Buffer
  readonly arrivedMs: number
  /** Its number among all datagrams that were offered. */
  readonly number: number
}

export class Shaper implements Waiter {
  readonly counters: ShaperCounters = {
    sentBytes: 0,
    sentDatagrams: 0,
    queued: 0,
    droppedBytes: 0,
    dropped: { session: 0, peer: 0, total: 0 }
  }
  /** Bytes sent in turns, which is after waiting. */
  turnedBytes = 0
  readonly #scheduler: Scheduler
  readonly #holder: Asker
  readonly #buckets: readonly TokenBucket[]
  readonly #send: (datagram: Buffer) => void
  readonly #queueBytes: number
  readonly #patienceMs: number
  readonly #waiting: Queued[] = []
  #offered = 0
  #queuedBytes = 0
  #turnBytes = 0
  /** The bucket that the queue waits for; undefined while the queue is empty. */
  #short: TokenBucket | undefined

  constructor({ scheduler, buckets, holder, queueMs = 50, send }: ShaperOptions) {
    this.#scheduler = scheduler
    this.#holder = holder
    this.#buckets = buckets
    this.#send = send
    this.#queueBytes = (Math.min(...buckets.map(bucket => bucket.bitsPerSecond)) / 8000) * queueMs
    this.#patienceMs = queueMs + LATE_MS
  }

  /** A queued datagram is kept without being copied: its buffer must not be used again. */
  offer(datagram: Buffer): 'sent' | 'queued' | 'dropped' {
    this.#offered++
    const nowMs = this.#scheduler.time.now()
    const short = this.#short ?? this.#firstShort(nowMs, true)
    if (!short) {
      this.#pass(datagram)
      return 'sent'
    }
    if (this.#queuedBytes + costOf(datagram) > this.#queueBytes) {
      this.#drop(datagram, short)
      return 'dropped'
    }
    this.#enqueue(datagram, nowMs, short)
    return 'queued'
  }

  /** Called by the scheduler. Sends until this turn's share is used up, a bucket is short, or the queue is empty. */
  turn(nowMs: number): Outcome {
    this.#dropLate(nowMs)
    if (this.#turnBytes <= 0) this.#turnBytes += QUANTUM_BYTES
    while (this.#waiting.length > 0) {
      if (this.#turnBytes <= 0) return 'more'
      const short = this.#firstShort(nowMs, false)
      this.#waitFor(short)
      if (short) return 'blocked'
      const datagram = this.#dequeue()
      this.#turnBytes -= costOf(datagram)
      this.turnedBytes += costOf(datagram)
      this.#pass(datagram)
    }
    this.#waitFor(undefined)
    this.#turnBytes = 0
    return 'empty'
  }

  /** Drops datagrams that still wait, and counts them as dropped. */
  close(): void {
    while (this.#waiting.length > 0) this.#dropOldest()
    this.#waitFor(undefined)
    this.#scheduler.delete(this, this.#holder)
  }

  #firstShort(nowMs: number, behindOthers: boolean): TokenBucket | undefined {
    for (const bucket of this.#buckets) {
      if ((behindOthers && bucket.waiting > 0) || !bucket.isOpen(nowMs)) return bucket
    }
    return undefined
  }

  #pass(datagram: Buffer): void {
    for (const bucket of this.#buckets) bucket.take(costOf(datagram))
    this.counters.sentBytes += datagram.length
    this.counters.sentDatagrams++
    this.#send(datagram)
  }

  #enqueue(datagram: Buffer, nowMs: number, short: TokenBucket): void {
    this.#waiting.splice(this.#placeOf(datagram), 0, { datagram, arrivedMs: nowMs, number: this.#offered })
    this.#queuedBytes += costOf(datagram)
    this.counters.queued++
    this.#waitFor(short)
    this.#scheduler.add(this, this.#holder)
  }

  /** A datagram goes to the end of the queue; an acknowledgement goes ahead of the data before it. */
  #placeOf(datagram: Buffer): number {
    let place = this.#waiting.length
    if (datagram.length > ACKNOWLEDGEMENT_BYTES) return place
    for (; place > 0; place--) {
      const before = this.#waiting[place - 1]
      if (!before || before.datagram.length <= ACKNOWLEDGEMENT_BYTES) break
      if (this.#offered - before.number >= OVERTAKEN) break
    }
    return place
  }

  /** The queue must not be empty. */
  #dequeue(): Buffer {
    const { datagram } = this.#waiting.shift() as Queued
    this.#queuedBytes -= costOf(datagram)
    return datagram
  }

  // The size of the queue assumes that the slowest bucket serves this queue alone. Where others share that bucket, the queue
  // drains more slowly.
  #dropLate(nowMs: number): void {
    while (this.#short && nowMs - (this.#waiting[0]?.arrivedMs ?? nowMs) > this.#patienceMs) this.#dropOldest()
  }

  #dropOldest(): void {
    const short = this.#short
    if (short) this.#drop(this.#dequeue(), short)
  }

  #drop(datagram: Buffer, short: TokenBucket): void {
    this.counters.droppedBytes += datagram.length
    this.counters.dropped[short.name]++
  }

  #waitFor(short: TokenBucket | undefined): void {
    if (this.#short) this.#short.waiting--
    if (short) short.waiting++
    this.#short = short
  }
}

/** A full queue takes a little longer than queueMs, because of the debt before it, the 1 % left out, and a late timer. */
const LATE_MS = 8

/** SCTP's acknowledgement in a DTLS record has 65 bytes, and 4 for each gap it tells of. Data seldom has so few bytes. */
const ACKNOWLEDGEMENT_BYTES = 128

/** DTLS takes a record for a replay if this many later records came before it (RFC 6347 section 4.1.2.6: at least 32). */
const OVERTAKEN = 31

/** A tiny datagram costs its receiver, and us, as much work as one of this size, which is the least that Ethernet sends. */
const LEAST_BYTES = 64

function costOf(datagram: Buffer): number {
  return Math.max(datagram.length, LEAST_BYTES)
}
