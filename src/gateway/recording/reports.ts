// Records what peers report of their orders, beneath the plan an order was for. A report may come after the plan has ended: a
// side is told to stop, and then says how far it had got. A report does not influence the plan under way.
//
//   ordered ─► report ─► probe, handover        in time or late
//           ─► called off ─► … no report        by a side that is there: it did not obey

import { nowMs } from '../../clock.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import type { Member } from '../peers/member.ts'
import { recordReport, recordSilence, type Told } from './report-spans.ts'
import type { Beneath } from './step.ts'

/**
 * A report that is owed leaves when its peer hears that the order is called off. One lost segment of TCP costs a round trip and
 * 200 ms more (RFC 6298, with Linux's least RTO); the rest is for a busy computer. If we wait less, a side
 * that obeyed is blamed.
 */
const LATE_MS = 400

/** No report is waited for longer, in milliseconds: a session is over within seconds, however slow its sides are. */
const MOST_MS = 1000

interface Ordered {
  /** The plan that was ordered. */
  readonly step: Beneath
  /** When the orders left, in milliseconds since the epoch. */
  readonly leftMs: number
  readonly rttMs: Record<SideName, number>
  /** The sides that have not reported. */
  readonly awaited: Set<SideName>
  off?: { readonly atMs: number /** On the clock of `performance`. */; readonly dueMs: number }
}

export class Reports {
  readonly #peers: Readonly<Record<SideName, Member>>
  /** By the number of the plan. */
  readonly #orders = new Map<number, Ordered>()
  #arrived = () => {}

  constructor(peers: Readonly<Record<SideName, Member>>) {
    this.#peers = peers
  }

  /** Both orders of a plan leave now. */
  ordered(plan: number, step: Beneath, rttMs: Record<SideName, number>): void {
    this.#orders.set(plan, { step, leftMs: nowMs(), rttMs, awaited: new Set(sideNames) })
  }

  /** The first report of each side on each plan counts. */
  received(side: SideName, told: Told): void {
    const order = this.#orders.get(told.plan)
    if (!order?.awaited.delete(side)) return
    if (order.awaited.size === 0) this.#orders.delete(told.plan)
    const { step, leftMs, rttMs } = order
    const { clock, name: peer } = this.#peers[side]
    recordReport(step, { side, peer, told, clock, leftMs, arrivedMs: nowMs(), rttMs: rttMs[side] })
    this.#arrived()
  }

  calledOff(plan: number): void {
    const order = this.#orders.get(plan)
    if (!order || order.off) return
    const waitMs = Math.min(MOST_MS, 2 * Math.max(order.rttMs.caller, order.rttMs.callee) + LATE_MS)
    order.off = { atMs: nowMs(), dueMs: performance.now() + waitMs }
  }

  /** Resolves when every report that is owed has come, or is overdue. */
  async settled(): Promise<void> {
    // A timer of a busy process may fire some milliseconds early: it counts from the start of the event loop's turn.
    for (let restMs = this.#restMs(); restMs > 0; restMs = this.#restMs()) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, Math.ceil(restMs))
      this.#arrived = resolve
      await promise
      clearTimeout(timer)
    }
  }

  /** The request is about to be judged: reports that are overdue are recorded as missing. */
  close(): void {
    for (const { side, order, dueMs, offMs } of this.#owed()) {
      if (performance.now() < dueMs) continue
      order.awaited.delete(side)
      recordSilence(order.step, {
        side,
        peer: this.#peers[side].name,
        fromMs: order.leftMs + order.rttMs[side] / 2,
        toMs: offMs
      })
    }
  }

  /** Milliseconds until the last report that is owed is overdue; below 0 if it is overdue already, or if none is owed. */
  #restMs(): number {
    return Math.max(...this.#owed().map(({ dueMs }) => dueMs)) - performance.now()
  }

  #owed() {
    return [...this.#orders.values()].flatMap(order => {
      const { off, awaited } = order
      if (!off) return []
      const there = [...awaited].filter(side => !this.#peers[side].gone.aborted)
      return there.map(side => ({ side, order, dueMs: off.dueMs, offMs: off.atMs }))
    })
  }
}
