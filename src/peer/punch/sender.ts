// Everything a punch loop sends passes here: it is counted, and refused where the order's budget does not allow it.

import type { Endpoint } from '../../wire/endpoint.ts'
import type { Effort } from '../../wire/order.ts'
import { ANSWERS, GUESSES } from '../../wire/order.ts'
import type { Diary } from './diary.ts'
import type { RawSocket } from './raw.ts'

/**
 * What a datagram is for. A walk leaves some of the budget for answers and for probing who was heard; those leave the
 * last datagram for the answer to the far side's check, without which all the others were for nothing.
 */
export type Purpose = 'walk' | 'heard' | 'check'

/** Flows that are counted. An order with a budget has fewer; one without goes on as long as the far side finds new ports. */
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

  /** False where the budget does not allow it. */
  send(datagram: Buffer, raw: RawSocket, to: Endpoint, purpose: Purpose): boolean {
    if (this.#diary.sent + this.#kept[purpose] >= this.#budget) return false
    this.#diary.sends()
    if (this.#flows.size < MOST_FLOWS) this.#flows.add(`${raw.port} ${to.address} ${to.port}`)
    this.#diary.flows = this.#flows.size
    raw.send(datagram, to)
    return true
  }
}

/** An order that would make many flows and names no budget has the largest that an order can name. */
const budgetOf = ({ probes, guesses = [], sockets = 1 }: Effort): number =>
  probes ?? (guesses.length > 0 || sockets > 1 ? GUESSES : Number.POSITIVE_INFINITY)
