// What is tried once more, and how long a peer waits before it does. Whenever many peers begin at one moment, after a power cut
// or as the jobs of one script, their waits differ, so that they do not all come back at one moment.

import { sleep } from '../clock.ts'
import { asPosternError, type Code, type PosternError } from '../errors.ts'

/** A guest that is told these is in its room no more, and does not come again by itself. */
export const outcasts: readonly Code[] = ['no-room', 'turned-away']

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
export function* backoff({ firstMs, longestMs }: Backoff): Generator<number, never> {
  for (let waitMs = firstMs; ; waitMs = Math.min(2 * waitMs, longestMs)) yield waitMs * (0.5 + Math.random() / 2)
}

/** Whatever a gateway asks for, its peers wait no longer than this, and no shorter, in milliseconds. */
const TOLD_MS = { least: 100, most: 300_000 } as const

/** What the gateway asks for, and up to a half more at random; undefined where it has not asked. */
export function toldMs({ retryMs }: PosternError): number | undefined {
  if (retryMs === undefined) return undefined
  return Math.min(Math.max(retryMs, TOLD_MS.least), TOLD_MS.most) * (1 + Math.random() / 2)
}

/** How long a gateway that asks to be tried again is tried by whoever does not want to wait for it, in milliseconds. */
const PATIENCE_MS = 60_000

export interface Persistence {
  /** Whether to go on after an error without an end; otherwise only as long as the gateway asks for it, for a minute at most. */
  readonly goesOn?: (error: PosternError) => boolean
  /** Called before each wait, which is in milliseconds. */
  readonly onWaiting?: ((error: PosternError, waitMs: number) => void) | undefined
  /** Hands over what ends a wait that nobody asked for, once what was in the way may be gone. Gives what takes that back. */
  readonly sooner?: ((wake: () => void) => (() => void) | undefined) | undefined
  readonly signal?: AbortSignal | undefined
}

/** What `attempt` resolves with, in the end. Throws the error after which it was not tried again, or the signal's reason. */
export async function persist<T>(
  attempt: () => Promise<T>,
  { goesOn = () => false, onWaiting, sooner, signal }: Persistence
): Promise<T> {
  let waits = backoff(FIRST)
  const endMs = performance.now() + PATIENCE_MS
  let explained: PosternError | undefined
  for (;;) {
    try {
      return await attempt()
    } catch (thrown) {
      signal?.throwIfAborted()
      const error = asPosternError(thrown)
      if (error.verdict) explained = error
      const asked = toldMs(error)
      const waitMs = asked ?? waits.next().value
      const isAsked = asked !== undefined && performance.now() + asked < endMs
      // A gateway explains a few refusals in a minute: the same one said earlier says more.
      if (!isAsked && !goesOn(error)) throw explained?.code === error.code ? explained : thrown
      onWaiting?.(error, waitMs)
      if (await wait(waitMs, { signal, sooner: asked === undefined ? sooner : undefined })) waits = backoff(FIRST)
    }
  }
}

/** Waits so many milliseconds. Resolves with true if it was ended sooner. Throws what the signal aborts with. */
export async function wait(
  waitMs: number,
  { sooner, signal }: Pick<Persistence, 'sooner' | 'signal'>
): Promise<boolean> {
  const woken = new AbortController()
  const either = AbortSignal.any([woken.signal, ...(signal ? [signal] : [])])
  const takeBack = sooner?.(() => woken.abort())
  await sleep(waitMs, either).catch(() => {})
  takeBack?.()
  signal?.throwIfAborted()
  return woken.signal.aborted
}
