// How long a connection, or a stream of it, waits for another path when its own is lost.

import { PosternError } from '../../errors.ts'
import { roughly } from '../../units.ts'

/** A NAT that starts anew takes half of that; a computer that is put away and taken out again takes longer. Milliseconds. */
export const RESUME_MS = 60_000

/** Whatever either side asks for, what is lost is kept no longer than this, in milliseconds. */
export const MOST_RESUME_MS = 600_000

/**
 * @param ms what a program asks for
 * @throws PosternError `bad-config` unless it is a number of milliseconds from 0 (never) to the most
 */
export function checkResumeMs(ms: number): number {
  if (ms >= 0 && ms <= MOST_RESUME_MS) return Math.round(ms)
  const range = `from 0, which is never, to ${MOST_RESUME_MS} (${roughly(MOST_RESUME_MS)})`
  throw new PosternError('bad-config', `resumeMs is ${ms}: a number of milliseconds ${range} is expected`)
}

/** What holds for both sides: the longer of the two waits, and none where one of them never waits. */
export function agreedResumeMs(oneMs: number, otherMs: number): number {
  return oneMs === 0 || otherMs === 0 ? 0 : Math.min(Math.max(oneMs, otherMs), MOST_RESUME_MS)
}
