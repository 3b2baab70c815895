// Records requests and joins that are refused before there is a session. Each of them is a trace of one span, with its
// verdict. Anybody can be refused, so the number of recorded ones is limited, and each network and certificate has a share of it:
// strangers must not be able to drive the traces of others out of the store, and a peer that is refused thousands of times a
// second must not take the event loop for itself.

import type { Span, Tracer } from '@opentelemetry/api'
import { nowMs } from '../../clock.ts'
import type { SpanAttributes } from '../../trace/record/conventions.ts'
import { verdictAttributes } from '../../trace/record/verdict-attributes.ts'
import type { Verdict } from '../../verdict.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import { printable } from '../../wire/text.ts'
import type { Member } from '../peers/member.ts'
import { networkOf } from '../shares/network.ts'
import { Rate } from '../shares/rate.ts'
import { Shares } from '../shares/shares.ts'
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

/** Refused joins of one network that are recorded in a minute: enough for a person who mistypes a token. */
const JOINS_OF_ONE = 5
const MINUTE_MS = 60_000

/** Refused joins of all networks that are recorded at once; after them about one a minute, some megabytes in a day. */
const JOINS = 60

/**
 * Refused requests of all peers that are recorded in a second, and the part of them that one may have. Each takes about half a
 * millisecond of the event loop.
 */
const REQUESTS = 20
const OF_ONE = 1 / 2

/** The most characters recorded of a name that was not checked yet. */
const NAME_CHARACTERS = 63

export class Refusals {
  readonly #recording: Recording
  readonly #counters: { unrecorded: number }
  readonly #joinsOfOne = new Rate(JOINS_OF_ONE, MINUTE_MS)
  readonly #joins = new Shares({ capacity: JOINS, fadeMs: JOINS * MINUTE_MS })
  readonly #requests = new Shares({ capacity: REQUESTS, most: OF_ONE, fadeMs: 1000 })

  /** @param counters `unrecorded`: refused joins and requests that are in no trace */
  constructor(recording: Recording, counters: { unrecorded: number }) {
    this.#recording = recording
    this.#counters = counters
  }

  /** Records a refused request of a peer that has joined. Returns undefined if there were too many of late. */
  request(
    caller: Member,
    { to, traceparent, atMs }: Message<FromPeer, 'connect'>,
    error: unknown
  ): RequestRefusal | undefined {
    if (!this.#requests.take(caller.account)) return this.#unrecorded()
    const arrivedMs = nowMs()
    const names = { 'postern.caller': caller.name, 'postern.callee': printable(to, NAME_CHARACTERS) }
    const attributes = { ...names, ...sourceAttribute(caller.account.network) }
    const startTime = askedMs(atMs, caller.clock, arrivedMs)
    const options = spanOptions('postern.connect', attributes, startTime)
    const root = this.#recording.tracer.startSpan('postern.connect', options, parentOf(traceparent))
    root.addEvent('asked', {}, arrivedMs)
    const key = this.#recording.keyOf(root)
    return { refusal: this.#refuse(root, errorAttributes(error)), key }
  }

  /** Records a refused join. Returns undefined if there were too many of late. */
  join(
    { from, cameMs, name }: { from: string; cameMs: number; name?: string | undefined },
    error: unknown
  ): Refusal | undefined {
    const network = networkOf(from)
    if (!this.#joinsOfOne.admits(network) || !this.#joins.take({ network })) return this.#unrecorded()
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

  #unrecorded(): undefined {
    this.#counters.unrecorded++
  }
}
