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
export type LimitName = 'session' | 'peer' | 'network' | 'total'

/**
 * A bucket is open while it has tokens. A datagram of any size passes an open bucket and may leave it in debt, so that
 * a small bucket does not shut out large datagrams.
 */
export interface Bucket {
  readonly name: LimitName
  readonly bitsPerSecond: number
  /** How many wait for this bucket: while there are any, newcomers queue up behind them. */
  readonly waiting: number
  /** A direction of a holder waits for it, or does so no more. */
  waits(change: 1 | -1, holder: Asker): void
  /** Sets another rate from now on, for all that share the bucket. */
  retune(bitsPerSecond: number): void
  /** @param beyond whether it would be open after so many bytes more */
  isOpen(nowMs: number, beyond?: number): boolean
  take(bytes: number): void
}

/** A bucket of one thread. */
export class TokenBucket implements Bucket {
  readonly name: LimitName
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

  waits(change: 1 | -1): void {
    this.waiting += change
  }

  retune(bitsPerSecond: number): void {
    this.#bitsPerSecond = bitsPerSecond
  }

  isOpen(nowMs: number, beyond = 0): boolean {
    const bytesPerMs = fillOf(this.#bitsPerSecond)
    const level = this.#levelBytes + (nowMs - this.#filledMs) * bytesPerMs
    this.#levelBytes = Math.min(level, bytesPerMs * CAPACITY_MS)
    this.#filledMs = nowMs
    return this.#levelBytes > beyond
  }

  take(bytes: number): void {
    this.#levelBytes -= bytes
  }
}

/** Node's timers fire up to a few ms late. Tokens that the bucket cannot hold until then are lost to the rate. */
export const CAPACITY_MS = 7

/**
 * A bucket fills at 99 % of its rate. The 1 % left out is 10 ms of each second. A full bucket and the debt of one datagram
 * (3 ms of 4 Mbit/s) fit into these 10 ms, so that no second carries more than the limit.
 */
const FILL_SHARE = 0.99

/** Bytes in a millisecond. */
export const fillOf = (bitsPerSecond: number): number => (bitsPerSecond / 8000) * FILL_SHARE

export interface ShaperCounters {
  sentBytes: number
  sentDatagrams: number
  /** How many datagrams had to wait, whether they were sent later or not. */
  queued: number
  /** Those that were sent after they had waited, and how long all of them did together, in milliseconds. */
  delayed: number
  delayedMs: number
  droppedBytes: number
  /** By the limit that was short. */
  dropped: Record<LimitName, number>
}

/** Where it is counted what becomes of datagrams. */
export interface Tally {
  sent(bytes: number, datagrams: number): void
  /** One has to wait. */
  waits(): void
  /** One is sent after it has waited. */
  waited(ms: number): void
  dropped(bytes: number, limit: LimitName): void
}

/** Counts in an object. */
export class Counting implements Tally {
  readonly counters: ShaperCounters = {
    sentBytes: 0,
    sentDatagrams: 0,
    queued: 0,
    delayed: 0,
    delayedMs: 0,
    droppedBytes: 0,
    dropped: { session: 0, peer: 0, network: 0, total: 0 }
  }

  sent(bytes: number, datagrams: number): void {
    this.counters.sentBytes += bytes
    this.counters.sentDatagrams += datagrams
  }

  waits(): void {
    this.counters.queued++
  }

  waited(ms: number): void {
    this.counters.delayed++
    this.counters.delayedMs += ms
  }

  dropped(bytes: number, limit: LimitName): void {
    this.counters.droppedBytes += bytes
    this.counters.dropped[limit]++
  }
}

/** What a direction has to pass: all of its buckets, each of which is charged. A drop counts for the first that is short. */
export class Gate {
  readonly buckets: readonly Bucket[]
  readonly tally: Tally

  constructor(buckets: readonly Bucket[], tally: Tally) {
    this.buckets = buckets
    this.tally = tally
  }

  /**
   * The first bucket that is short.
   * @param isFirst whether those that wait already do not matter
   * @param beyond bytes that have to pass before
   */
  firstShort(nowMs: number, isFirst: boolean, beyond = 0): Bucket | undefined {
    for (const bucket of this.buckets)
      if ((!isFirst && bucket.waiting > 0) || !bucket.isOpen(nowMs, beyond)) return bucket
    return undefined
  }

  /** Charges for what is sent. */
  pass(bytes: number, datagrams: number, cost: number): void {
    for (const bucket of this.buckets) bucket.take(cost)
    this.tally.sent(bytes, datagrams)
  }
}

export interface ShaperOptions<Datagram> {
  scheduler: Scheduler
  gate: Gate
  /** Whose turns it has where it waits with others. */
  holder: Asker
  /** How much may wait, in ms at the lowest of the buckets' rates. */
  queueMs?: number
  send: (datagram: Datagram) => void
  /** One that waited is not sent, and is nobody's any more. */
  lost?: (datagram: Datagram) => void
}

/** What waits of a direction. */
export class Shaper<Datagram extends { readonly length: number }> implements Waiter {
  /** Bytes sent in turns, which is after waiting. */
  turnedBytes = 0
  readonly #scheduler: Scheduler
  readonly #holder: Asker
  readonly #gate: Gate
  readonly #send: (datagram: Datagram) => void
  readonly #lost: (datagram: Datagram) => void
  readonly #queueBytes: number
  readonly #patienceMs: number
  readonly #waiting: Datagram[] = []
  /** Of each that waits, when it came, and its number among all that were offered. */
  readonly #arrivedMs: number[] = []
  readonly #numbers: number[] = []
  #offered = 0
  #queuedBytes = 0
  #turnBytes = 0
  /** The bucket that the queue waits for; undefined while the queue is empty. */
  #short: Bucket | undefined

  constructor({ scheduler, gate, holder, queueMs = 50, send, lost = () => {} }: ShaperOptions<Datagram>) {
    this.#scheduler = scheduler
    this.#holder = holder
    this.#gate = gate
    this.#send = send
    this.#lost = lost
    this.#queueBytes = (Math.min(...gate.buckets.map(bucket => bucket.bitsPerSecond)) / 8000) * queueMs
    this.#patienceMs = queueMs + LATE_MS
  }

  get isEmpty(): boolean {
    return this.#short === undefined
  }

  /** A queued datagram is kept without being copied: its memory must not be used again until it is sent or lost. */
  offer(datagram: Datagram): 'sent' | 'queued' | 'dropped' {
    this.#offered++
    const nowMs = this.#scheduler.time.now()
    const short = this.#short ?? this.#gate.firstShort(nowMs, false)
    if (!short) {
      this.#pass(datagram)
      return 'sent'
    }
    // Its turn may be far off, where many wait.
    this.#dropLate(nowMs)
    if (this.#queuedBytes + costOf(datagram.length) > this.#queueBytes) {
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
      const short = this.#gate.firstShort(nowMs, true)
      if (short) {
        this.#waitFor(short)
        return short.name === 'total' ? 'short' : 'blocked'
      }
      this.#gate.tally.waited(nowMs - (this.#arrivedMs[0] ?? nowMs))
      const datagram = this.#dequeue()
      this.#turnBytes -= costOf(datagram.length)
      this.turnedBytes += costOf(datagram.length)
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

  #pass(datagram: Datagram): void {
    this.#gate.pass(datagram.length, 1, costOf(datagram.length))
    this.#send(datagram)
  }

  #enqueue(datagram: Datagram, nowMs: number, short: Bucket): void {
    const place = this.#placeOf(datagram)
    insert(this.#waiting, place, datagram)
    insert(this.#arrivedMs, place, nowMs)
    insert(this.#numbers, place, this.#offered)
    this.#queuedBytes += costOf(datagram.length)
    this.#gate.tally.waits()
    this.#waitFor(short)
    this.#scheduler.add(this, this.#holder)
  }

  /** A datagram goes to the end of the queue; an acknowledgement goes ahead of the data before it. */
  #placeOf(datagram: Datagram): number {
    let place = this.#waiting.length
    if (datagram.length > ACKNOWLEDGEMENT_BYTES) return place
    for (; place > 0; place--) {
      const before = this.#waiting[place - 1]
      if (!before || before.length <= ACKNOWLEDGEMENT_BYTES) break
      if (this.#offered - (this.#numbers[place - 1] as number) >= OVERTAKEN) break
    }
    return place
  }

  /** The queue must not be empty. */
  #dequeue(): Datagram {
    const datagram = this.#waiting.shift() as Datagram
    this.#arrivedMs.shift()
    this.#numbers.shift()
    this.#queuedBytes -= costOf(datagram.length)
    return datagram
  }

  // The size of the queue assumes that the slowest bucket serves this queue alone. Where others share that bucket, the queue
  // drains more slowly.
  #dropLate(nowMs: number): void {
    while (this.#short && nowMs - (this.#arrivedMs[0] ?? nowMs) > this.#patienceMs) this.#dropOldest()
  }

  #dropOldest(): void {
    const short = this.#short
    if (short) this.#drop(this.#dequeue(), short)
  }

  #drop(datagram: Datagram, short: Bucket): void {
    this.#gate.tally.dropped(datagram.length, short.name)
    this.#lost(datagram)
  }

  #waitFor(short: Bucket | undefined): void {
    if (this.#short === short) return
    this.#short?.waits(-1, this.#holder)
    short?.waits(1, this.#holder)
    this.#short = short
  }
}

function insert<Value>(list: Value[], at: number, value: Value): void {
  if (at === list.length) list.push(value)
  else list.splice(at, 0, value)
}

/** A full queue takes a little longer than queueMs, because of the debt before it, the 1 % left out, and a late timer. */
const LATE_MS = 8

/** SCTP's acknowledgement in a DTLS record has 65 bytes, and 4 for each gap it tells of. Data seldom has so few bytes. */
const ACKNOWLEDGEMENT_BYTES = 128

/** DTLS takes a record for a replay if this many later records came before it (RFC 6347 section 4.1.2.6: at least 32). */
const OVERTAKEN = 31

/** A tiny datagram costs its receiver, and us, as much work as one of this size, which is the least that Ethernet sends. */
const LEAST_BYTES = 64

export const costOf = (bytes: number): number => Math.max(bytes, LEAST_BYTES)
