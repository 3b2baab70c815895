// Everything that a punch loop sends passes here. It is counted, and refused if the order's budget does not allow it, or what
// this peer sends for all its orders together (allowance.ts).

import type { Endpoint } from '../../wire/endpoint.ts'
import type { Effort } from '../../wire/order.ts'
import { ANSWERS, GUESSES } from '../../wire/order.ts'
import { KEPT, type OrderAllowance } from './allowance.ts'
import type { Diary } from './diary.ts'
import type { RawSocket } from './raw.ts'

/**
 * The purpose of a datagram. The walk leaves some of the budget for answers and for probes to sources that were heard. These
 * leave the last datagram for the answer to the far side's check, because without it all the others were for nothing.
 */
export type Purpose = 'walk' | 'heard' | 'check'

/** What becomes of a datagram: it has left, the budget is used up for good, or it may not leave now. */
export type Sending = 'sent' | 'spent' | 'held'

export class Sender {
  readonly #diary: Diary
  readonly #allowance: OrderAllowance
  readonly #budget: number
  readonly #kept: Record<Purpose, number>
  readonly #flows = new Set<string>()

  /** An order that names no budget has the largest one that an order can name. */
  constructor({ probes = GUESSES }: Effort, diary: Diary, allowance: OrderAllowance) {
    this.#diary = diary
    this.#allowance = allowance
    this.#budget = probes
    const reserve = Math.min(ANSWERS, Math.floor(this.#budget / 4))
    this.#kept = { walk: reserve, heard: Math.min(1, reserve), check: 0 }
  }

  /** False if the next datagram of a walk has to wait for those of other orders. */
  get mayWalk(): boolean {
    return this.#allowance.isOver || this.#allowance.isFree(KEPT)
  }

  send(datagram: Buffer, raw: RawSocket, to: Endpoint, purpose: Purpose): Sending {
    if (this.#diary.sent + this.#kept[purpose] >= this.#budget || this.#allowance.isOver) return 'spent'
    if (!this.#allowance.take(purpose === 'walk' ? KEPT : 0)) return 'held'
    this.#diary.sends()
    this.#flows.add(`${raw.port} ${to.address} ${to.port}`)
    this.#diary.flows = this.#flows.size
    raw.send(datagram, to)
    return 'sent'
  }
}
