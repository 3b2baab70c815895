// The file descriptors of the process. When none is left, the system gives the next connection to nobody, and libuv closes it
// without a word to Node: no event, no error. So it is looked at before that whether there are some, and a few are kept for
// what else the gateway opens, such as its table of names.

import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'

/** Descriptors that connections never get: this many, or less where there are few in all. */
const SPARE = 32
const SPARE_PART = 1 / 10

/** It is told no more often than this, in milliseconds. */
const TELL_MS = 60_000

const remedy =
  'raise the limit (LimitNOFILE of systemd, --ulimit nofile of a container, ulimit -n), or lower limits.peers'

export interface DescriptorsOptions {
  readonly log: { warn(fields: object, text: string): void }
  /** The lowest number that is free; undefined if none is. */
  readonly free?: () => number | undefined
  /** How many there are in all; left out: what the system says. */
  readonly limit?: number
}

export class Descriptors {
  readonly #log: DescriptorsOptions['log']
  readonly #free: () => number | undefined
  readonly #limit: number
  #closed = 0
  #toldMs = Number.NEGATIVE_INFINITY

  constructor({ log, free = lowestFree, limit = limitOfProcess() }: DescriptorsOptions) {
    this.#log = log
    this.#free = free
    this.#limit = limit
  }

  /** Whether connections have all of them that they may have. The lowest free one is taken first, so all below it are in use. */
  areShort(): boolean {
    const free = this.#free()
    return free === undefined || free >= this.#limit - Math.min(SPARE, this.#limit * SPARE_PART)
  }

  /** Says that they ran out, once a minute. */
  tell(isOneClosed: boolean): void {
    if (isOneClosed) this.#closed++
    const nowMs = performance.now()
    if (nowMs - this.#toldMs < TELL_MS) return
    this.#toldMs = nowMs
    this.#log.warn(
      { limit: this.#limit, closed: this.#closed },
      `file descriptors run out (at most ${this.#limit}): the oldest connections that had not joined are closed for new ones; ${remedy}`
    )
    this.#closed = 0
  }
}

/** Costs about ten microseconds, which a new connection is worth. */
function lowestFree(): number | undefined {
  try {
    const free = openSync(devNull, 'r')
    closeSync(free)
    return free
  } catch {
    return undefined
  }
}

/** There is no other way to ask for it. Where the system has no such limit, it is infinite. */
function limitOfProcess(): number {
  const report = process.report as typeof process.report & { excludeNetwork: boolean }
  const { excludeNetwork } = report
  // Otherwise it would look up the names of all that is connected.
  report.excludeNetwork = true
  const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft?: number | 'unlimited' } } }
  report.excludeNetwork = excludeNetwork
  const soft = userLimits?.open_files?.soft
  return typeof soft === 'number' ? soft : Number.POSITIVE_INFINITY
}
