// The lines of the log about who is refused. Anybody can be refused thousands of times a second, so some lines are written for each
// network and kind of refusal, some for all together, and of the rest how many they were.

import type { PosternError } from '../../errors.ts'
import { networkOf } from '../shares/network.ts'
import { Rate } from '../shares/rate.ts'
import { Shares } from '../shares/shares.ts'

/** Lines a minute for one network and one code: enough for a person who mistypes. */
const OF_ONE = 5

/** Lines a minute in all, of which the last few are for networks that have none yet. */
const IN_ALL = 60

const MINUTE_MS = 60_000

export interface RefusalLogOptions {
  readonly log: { info(fields: object, message: string): void }
  /** How long a minute is, in milliseconds. */
  readonly minuteMs?: number
}

export class RefusalLog implements Disposable {
  readonly #log: RefusalLogOptions['log']
  readonly #minuteMs: number
  readonly #ofOne: Rate
  readonly #inAll: Shares
  #leftOut = 0
  #rest: NodeJS.Timeout | undefined

  constructor({ log, minuteMs = MINUTE_MS }: RefusalLogOptions) {
    this.#log = log
    this.#minuteMs = minuteMs
    this.#ofOne = new Rate(OF_ONE, minuteMs)
    this.#inAll = new Shares({ capacity: IN_ALL, fadeMs: minuteMs })
  }

  /** @param from the address it came from; @param peer its name, if it had joined */
  tell({ code, message }: PosternError, from: string, peer: string | undefined): void {
    const network = networkOf(from)
    if (this.#ofOne.admits(`${code} ${network}`) && this.#inAll.take({ network }))
      return this.#log.info({ code, from, peer }, `refused: ${message}`)
    this.#leftOut++
    this.#rest ??= setTimeout(() => this[Symbol.dispose](), this.#minuteMs)
  }

  /** Says what was left out until now. */
  [Symbol.dispose](): void {
    clearTimeout(this.#rest)
    this.#rest = undefined
    if (this.#leftOut > 0)
      this.#log.info({ leftOut: this.#leftOut }, `… and ${this.#leftOut} more refusals in the last minute`)
    this.#leftOut = 0
  }
}
