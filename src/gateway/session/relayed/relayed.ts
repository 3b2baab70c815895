// Records what becomes of a relayed path after its request was decided, beside the request's root.

import { nowMs } from '../../../clock.ts'
import type { SideName } from '../../../wire/side.ts'
import { type Change, recordChange } from '../../recording/change-span.ts'
import type { Step } from '../../recording/step.ts'
import type { SpliceCounters } from '../../relay/counters.ts'

/** Most changes of the source that a trace records: a side that flaps must not fill it. */
const RELATCHES = 16

export class Relayed {
  /** Since when, in milliseconds since the epoch, and in which trace. */
  readonly sinceMs = nowMs()
  readonly trace: string
  readonly #root: Step
  #relatches = 0

  constructor(root: Step) {
    this.trace = root.span.spanContext().traceId
    this.#root = root
  }

  changed(change: Change): void {
    if (change.kind !== 'relatched' || ++this.#relatches <= RELATCHES) recordChange(this.#root, change)
  }

  /** @param side who left or was lost, where that is known */
  ended(side: SideName | undefined, counters: SpliceCounters): void {
    this.changed({ kind: 'ended', side, counters })
  }
}
