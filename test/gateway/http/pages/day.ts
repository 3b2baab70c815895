// A day of a gateway, made up: some hundred requests of all fates, the same each time.

import type { TraceRecord } from '../../../../src/trace/record/record.ts'
import { failedRecord, relayedRecord } from './records.ts'

const names = [
  'alice-laptop',
  'bob',
  'workshop.printer-7',
  'nas',
  'build-runner-with-a-name-as-long-as-names-may-be-sixty-three-chars'
]

const HOUR = 3_600_000

/** Newest first, up to now. The first one is relayed, and has every sort of span. */
export function aDay(nowMs = Date.now()): TraceRecord[] {
  const random = generator(7)
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const rest = Array.from({ length: 400 }, (_, index): TraceRecord => {
    const startMs = nowMs - 23 * HOUR * random() ** 1.3
    const id = (index + 1).toString(16).padStart(32, '0')
    const [caller, callee] = [one(names), one(names)]
    const dice = random()
    if (dice < 0.08) return { ...failedRecord(), id, startMs, caller, callee }
    if (dice < 0.2) return { ...relayedRecord(), id, startMs, caller, callee, verdict: anyVerdict(random()) }
    const by = dice < 0.35 ? 'direct' : dice < 0.8 ? 'stun' : dice < 0.93 ? 'predict' : 'spray'
    const verdict = {
      ...failedRecord().verdict,
      code: 'direct',
      sentence: 'a direct path was found',
      side: 'none' as const
    }
    return {
      ...failedRecord(),
      id,
      startMs,
      ms: 10 + random() * 700,
      caller,
      callee,
      outcome: 'path',
      path: 'direct',
      by,
      verdict
    }
  })
  const first = { ...relayedRecord() }
  return [first, ...rest.sort((a, b) => b.startMs - a.startMs)]
}

function anyVerdict(dice: number): TraceRecord['verdict'] {
  const relayed = relayedRecord().verdict
  if (dice < 0.4) return relayed
  if (dice < 0.7)
    return { ...relayed, code: 'both-random', sentence: 'both NATs choose their ports at random', side: 'both' }
  return {
    ...relayed,
    code: 'not-tried',
    sentence: 'spray fits this pair, and is not in the list of strategies',
    side: 'gateway'
  }
}

/** A linear congruential generator (Numerical Recipes): the same day each time. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
