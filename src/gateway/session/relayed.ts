// Records what becomes of a relayed path after its request was decided, beside the request's root.

import type { SideName } from '../../wire/side.ts'
import { type Change, recordChange } from '../recording/change-span.ts'
import type { Beside } from '../recording/step.ts'
import type { SpliceCounters } from '../relay/splice.ts'

/** Most changes of the source that a trace records: a side that flaps must not fill it. */
const RELATCHES = 16

export class Relayed {
  readonly #root: Beside
  #relatches = 0

  constructor(root: Beside) {
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
