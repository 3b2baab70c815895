// Everything that a punch loop sends passes here. It is counted, and refused if the order's budget does not allow it.

import type { Endpoint } from '../../wire/endpoint.ts'
import type { Effort } from '../../wire/order.ts'
import { ANSWERS, GUESSES } from '../../wire/order.ts'
import type { Diary } from './diary.ts'
import type { RawSocket } from './raw.ts'

/**
 * The purpose of a datagram. The walk leaves some of the budget for answers and for probes to sources that were heard. These
 * leave the last datagram for the answer to the far side's check, because without it all the others were for nothing.
 */
export type Purpose = 'walk' | 'heard' | 'check'

/**
 * The most flows that are counted. An order with a budget has no more. One without a budget goes on as long as the far side
 * finds new ports.
 */
const MOST_FLOWS = GUESSES

export class Sender {
  readonly #diary: Diary
  readonly #budget: number
  readonly #kept: Record<Purpose, number>
  readonly #flows = new Set<string>()

  constructor(effort: Effort, diary: Diary) {
    this.#diary = diary
    this.#budget = budgetOf(effort)
    const reserve = Math.min(ANSWERS, Math.floor(this.#budget / 4))
    this.#kept = { walk: reserve, heard: Math.min(1, reserve), check: 0 }
  }

  /** Sends and returns true, or returns false if the budget does not allow it. */
  send(datagram: Buffer, raw: RawSocket, to: Endpoint, purpose: Purpose): boolean {
    if (this.#diary.sent + this.#kept[purpose] >= this.#budget) return false
    this.#diary.sends()
    if (this.#flows.size < MOST_FLOWS) this.#flows.add(`${raw.port} ${to.address} ${to.port}`)
    this.#diary.flows = this.#flows.size
    raw.send(datagram, to)
    return true
  }
}

/** If an order would make many flows and names no budget, it has the largest budget that an order can name. */
const budgetOf = ({ probes, guesses = [], sockets = 1 }: Effort): number =>
  probes ?? (guesses.length > 0 || sockets > 1 ? GUESSES : Number.POSITIVE_INFINITY)
