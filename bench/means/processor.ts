// What processes take of the processor, as Linux counts it, and what was left to others: on a busy computer a rate says little, and what
// one thing costs says nearly as much as on a quiet one.

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

export interface Spent {
  readonly seconds: number
  /** Seconds of processor of each process, in their order. */
  readonly busy: readonly number[]
  /** The part of all cores that other programs had, in percent. */
  readonly others: number
}

/** Begins to measure. What it gives is called at the end. */
export function metered(pids: readonly number[]): () => Spent {
  const startMs = performance.now()
  const [before, all] = [pids.map(secondsOf), secondsOfAll()]
  return () => {
    const seconds = (performance.now() - startMs) / 1000
    const busy = pids.map((pid, at) => secondsOf(pid) - (before[at] ?? 0))
    const own = busy.reduce((sum, spent) => sum + spent, 0)
    return { seconds, busy, others: (100 * (secondsOfAll() - all - own)) / seconds / availableParallelism() }
  }
}

/** The kernel counts in hundredths of a second. */
const TICK_S = 1 / 100

function secondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * TICK_S
}

/** User, nice and system of all cores. */
function secondsOfAll(): number {
  const [user = 0, nice = 0, system = 0] = readFileSync('/proc/stat', 'latin1').split(/\s+/).slice(1, 4).map(Number)
  return (user + nice + system) * TICK_S
}
