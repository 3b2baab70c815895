// Records requests and joins that are refused before there is a session. Each of them is a trace of one span, with its
// verdict. Anybody can be refused a join, so the number of recorded ones is limited: strangers must not be able to drive the
// traces of others out of the store.

import type { Span, Tracer } from '@opentelemetry/api'
import { LRUCache } from 'lru-cache'
import { nowMs } from '../../clock.ts'
import { TokenBucket } from '../../token-bucket.ts'
import type { SpanAttributes } from '../../trace/record/conventions.ts'
import { verdictAttributes } from '../../trace/record/verdict-attributes.ts'
import type { Verdict } from '../../verdict.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import { printable } from '../../wire/text.ts'
import type { Member } from '../peers/member.ts'
import { askedMs } from './on-our-clock.ts'
import { sourceAttribute } from './request-span.ts'
import { errorAttributes, parentOf, spanOptions } from './step.ts'

/** Where spans go, and how they are judged. */
export interface Recording {
  readonly tracer: Tracer
  /** The verdict on a request or a join that is about to end; undefined where nothing is recorded. */
  readonly judge: (root: Span) => Verdict | undefined
  /** By this key the caller of a request may read its record; undefined where nothing is recorded. */
  readonly keyOf: (root: Span) => string | undefined
}

/** The trace of a refusal, as the `refused` message names it. */
export interface Refusal {
  readonly trace: string
  readonly verdict?: Verdict
}

/** The same of a request, whose caller may read it. */
export interface RequestRefusal {
  readonly refusal: Refusal
  readonly key: string | undefined
}

/** Refused joins of one source that are recorded in a minute: enough for a person who mistypes a token. */
const PER_SOURCE = 5

/** Refused joins of all sources together that are recorded at once; after them one a minute, some megabytes in a day. */
const IN_ALL = 60
const MINUTE_MS = 60_000

/** Sources that are counted at once. If more come within a minute, the one not seen for the longest time begins anew. */
const SOURCES = 1024

/** The most characters recorded of a name that was not checked yet. */
const NAME_CHARACTERS = 63

export class Refusals {
  readonly #recording: Recording
  readonly #sources = new LRUCache<string, number>({ max: SOURCES, ttl: MINUTE_MS, noUpdateTTL: true })
  readonly #counters: { unrecorded: number }
  readonly #inAll = new TokenBucket({ perSecond: 1000 / MINUTE_MS, capacity: IN_ALL })

  /** @param counters `unrecorded`: refused joins that are in no trace */
  constructor(recording: Recording, counters: { unrecorded: number }) {
    this.#recording = recording
    this.#counters = counters
  }

  /** Records a refused request of a peer that has joined. */
  request(caller: Member, { to, traceparent, atMs }: Message<FromPeer, 'connect'>, error: unknown): RequestRefusal {
    const arrivedMs = nowMs()
    const names = { 'postern.caller': caller.name, 'postern.callee': printable(to, NAME_CHARACTERS) }
    const attributes = { ...names, ...sourceAttribute(caller.network) }
    const startTime = askedMs(atMs, caller.clock, arrivedMs)
    const options = spanOptions('postern.connect', attributes, startTime)
    const root = this.#recording.tracer.startSpan('postern.connect', options, parentOf(traceparent))
    root.addEvent('asked', {}, arrivedMs)
    const key = this.#recording.keyOf(root)
    return { refusal: this.#refuse(root, errorAttributes(error)), key }
  }

  /** Records a refused join. Returns undefined if there were too many of late. */
  join({ from, cameMs, name }: { from: string; cameMs: number; name?: string }, error: unknown): Refusal | undefined {
    if (!this.#admit(from)) {
      this.#counters.unrecorded++
      return undefined
    }
    const attributes = name === undefined ? {} : { 'postern.peer': printable(name, NAME_CHARACTERS) }
    const options = { ...spanOptions('postern.join', attributes, cameMs), root: true }
    const root = this.#recording.tracer.startSpan('postern.join', options)
    return this.#refuse(root, errorAttributes(error))
  }

  #refuse(root: Span, attributes: SpanAttributes): Refusal {
    root.setAttributes(attributes)
    const verdict = this.#recording.judge(root)
    if (verdict) root.setAttributes(verdictAttributes(verdict))
    root.end(nowMs())
    return { trace: root.spanContext().traceId, ...(verdict ? { verdict } : {}) }
  }

  #admit(from: string): boolean {
    const ofSource = (this.#sources.get(from) ?? 0) + 1
    this.#sources.set(from, ofSource)
    return ofSource <= PER_SOURCE && this.#inAll.take()
  }
}
