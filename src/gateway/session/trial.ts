// The trial of one plan: both orders leave together, then the peers say how far they got. It ends when the channel is open on
// both sides, when a side gives up, or when its time is over. A plan that did not open is called off by attempts.ts.

import { nowMs } from '../../clock.ts'
import { asPosternError, PosternError } from '../../errors.ts'
import type { Cause, Failure } from '../../strategy/plan.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import { OWN_ADDRESS } from '../../wire/order.ts'
import type { Report } from '../../wire/report.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import { causeOf } from '../recording/step.ts'

export interface SideResult {
  readonly local?: Endpoint
  readonly remote?: Endpoint
  readonly code?: string
  readonly reason?: string
  readonly report?: Report
  /** When its last word came, in milliseconds since the epoch. */
  readonly atMs: number
}

export interface TrialResult {
  readonly open: boolean
  readonly reason: string
  /** Left out if the channel is open. */
  readonly cause?: Cause
  readonly caller?: SideResult
  readonly callee?: SideResult
  /** The sides whose socket node-datachannel has taken: it cannot be used for another plan. */
  readonly used: ReadonlySet<SideName>
}

export type FromTrial = Message<FromPeer, 'progress' | 'opened' | 'failed'>

/** Milliseconds from the first side's open channel to the other's: one way between the peers, on a busy computer. */
const GRACE_MS = 1000

export class Trial {
  readonly result: Promise<TrialResult>
  readonly #sides: Partial<Record<SideName, SideResult>> = {}
  readonly #used = new Set<SideName>()
  readonly #handoverMs: number
  readonly #blind: SideName | undefined
  #timer: NodeJS.Timeout
  #end: (result: TrialResult) => void = () => {}

  /**
   * @param waitMs until a side has found the path; `handoverMs` counts from then to the open channel on both sides.
   * @param blind hands its socket over whether it has heard anything or not, so its `progress` does not start `handoverMs`
   */
  constructor({
    waitMs,
    handoverMs,
    blind,
    signal
  }: {
    waitMs: number
    handoverMs: number
    blind: SideName | undefined
    signal: AbortSignal
  }) {
    this.#handoverMs = handoverMs
    this.#blind = blind
    this.result = new Promise(resolve => {
      const abort = () => this.#overdue(signal.reason)
      this.#end = result => {
        clearTimeout(this.#timer)
        signal.removeEventListener('abort', abort)
        resolve(result)
      }
      signal.addEventListener('abort', abort)
      if (signal.aborted) queueMicrotask(abort)
    })
    const reason = `no answer to any probe within ${Math.round(waitMs)} ms`
    this.#timer = this.#patience(waitMs, { reason, cause: 'unheard' })
  }

  hasOpened(side: SideName): boolean {
    return this.#sides[side]?.local !== undefined
  }

  receive(side: SideName, message: FromTrial): void {
    switch (message.type) {
      case 'progress':
        return this.#found(side)
      case 'opened':
        this.#used.add(side)
        this.#sides[side] = { local: message.local, remote: message.remote, report: message.report, atMs: nowMs() }
        if (this.#sides.caller?.local && this.#sides.callee?.local) this.#finish({ reason: 'open on both sides' })
        return
      case 'failed':
        this.#sides[side] = { code: message.code, reason: message.reason, report: message.report, atMs: nowMs() }
        return this.#finish({
          reason: `${side}: ${message.reason}`,
          cause: this.#isFound ? 'handover-lost' : message.code === OWN_ADDRESS ? 'own-address' : 'never-obeyed'
        })
    }
  }

  /** A side has the path, so packets got through at least one way. */
  get #isFound(): boolean {
    const steps = sideNames.flatMap(side => this.#sides[side]?.report?.steps ?? [])
    return sideNames.some(side => this.#knows(side)) || steps.some(([name]) => name === 'ice')
  }

  #knows(side: SideName): boolean {
    return this.#used.has(side) && side !== this.#blind
  }

  /** A side has the path and gives its socket to node-datachannel: from here on the handover's time counts. */
  #found(side: SideName): void {
    const known = sideNames.some(one => this.#knows(one))
    this.#used.add(side)
    if (known || !this.#knows(side)) return
    clearTimeout(this.#timer)
    const reason = `the path was found, but the channel did not open within ${Math.round(this.#handoverMs)} ms`
    this.#timer = this.#patience(this.#handoverMs, { reason, cause: 'handover-lost' })
  }

  /** If one side has opened the channel, the other is about to: the deadline waits for it, but not if a peer has gone. */
  #overdue(thrown: unknown): void {
    // The code does not tell: a side that has waited long enough leaves with a `timeout` of its own.
    const isDeadline = !(thrown instanceof PosternError)
    const { code, message: reason } = asPosternError(thrown)
    const ended: Failure = { reason, cause: isDeadline ? 'deadline' : causeOf(code) }
    if (!isDeadline || !sideNames.some(side => this.hasOpened(side))) return this.#finish(ended)
    clearTimeout(this.#timer)
    this.#timer = this.#patience(GRACE_MS, ended)
  }

  /**
   * The event loop runs timers before it reads messages. So the end waits until messages that arrived in time have been read,
   * however busy we were.
   */
  #patience(waitMs: number, ended: Failure): NodeJS.Timeout {
    return setTimeout(() => setImmediate(() => this.#finish(ended)), waitMs)
  }

  #finish(ended: Failure | { readonly reason: string }): void {
    this.#end({ open: !('cause' in ended), ...ended, ...this.#sides, used: this.#used })
  }
}
