// Chooses which requests of one trace id are shown, if there are too many. A caller may make any number of them, under an
// id that another caller told it.

import type { TraceSummary } from '../record/record.ts'

/**
 * Takes the newest of each caller, then the second newest of each, and so on: no caller pushes the others out. Newest
 * first.
 */
export function takingTurns<T>(newestFirst: readonly T[], most: number, summaryOf: (one: T) => TraceSummary): T[] {
  const made = new Map<string, number>()
  const turns = newestFirst.map((one, place) => {
    const { caller } = summaryOf(one)
    const turn = made.get(caller) ?? 0
    made.set(caller, turn + 1)
    return { one, place, turn }
  })
  const taken = turns.sort((a, b) => a.turn - b.turn || a.place - b.place).slice(0, most)
  return taken.sort((a, b) => a.place - b.place).map(({ one }) => one)
}
