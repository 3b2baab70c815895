// How long a peer waits before it tries to join once more. Whenever many peers begin at one moment, after a power cut or as the
// jobs of one script, their waits differ, so that they do not all come back at one moment.

import type { PosternError } from '../errors.ts'

export interface Backoff {
  /** The first wait, and the longest, in milliseconds. */
  readonly firstMs: number
  readonly longestMs: number
}

/** Where a computer has just started, its network is there within seconds; a gateway may be away for days. */
export const FIRST: Backoff = { firstMs: 1000, longestMs: 30_000 }

/** A gateway that was there a moment ago is most likely starting again. */
export const AGAIN: Backoff = { firstMs: 250, longestMs: 15_000 }

/** Waits in milliseconds, without an end: each is twice the one before, shortened by up to a half at random. */
export function* backoff({ firstMs, longestMs }: Backoff): Generator<number> {
  for (let waitMs = firstMs; ; waitMs = Math.min(2 * waitMs, longestMs)) yield waitMs * (0.5 + Math.random() / 2)
}

/** No gateway makes its peers wait for longer than this, in milliseconds. */
const LONGEST_TOLD_MS = 300_000

/** What the gateway asks for, and up to a half more at random; undefined where it has not asked. */
export const toldMs = ({ retryMs }: PosternError): number | undefined =>
  retryMs === undefined ? undefined : Math.min(retryMs, LONGEST_TOLD_MS) * (1 + Math.random() / 2)
