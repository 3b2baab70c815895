// The time of day in fractions of a millisecond, waits, a signal that aborts when some time has passed, and a wait that other work
// may end. `Date.now` has whole milliseconds, which is too coarse for the order of steps. Nothing here is of Node alone: browsers
// have timers too, but theirs keep nothing alive.

let anchorMs = performance.timeOrigin

/** Milliseconds since the epoch. Follows the system's clock when that clock is set anew. */
export function nowMs(): number {
  const exact = anchorMs + performance.now()
  const coarse = Date.now()
  if (Math.abs(exact - coarse) <= 2) return exact
  anchorMs = coarse - performance.now()
  return coarse
}

/** What `setTimeout` and `setInterval` give. */
export type Timer = ReturnType<typeof setTimeout>

/** The timer, which from now on keeps no process alive. */
export function idly(timer: Timer): Timer {
  if (typeof timer === 'object') timer.unref()
  return timer
}

/** Resolves after so many milliseconds. Rejects with the signal's reason when that aborts before. */
export function sleep(waitMs: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  if (signal?.aborted) reject(signal.reason)
  const timer = setTimeout(resolve, waitMs)
  const abort = () => reject(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  return promise.finally(() => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  })
}

/** What `work` gives, unless the signal aborts before: some of it, such as the lookup of a name, cannot be told to end. */
export async function until<T>(work: Promise<T> | T, signal: AbortSignal | undefined): Promise<T> {
  signal?.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/**
 * Aborts with a TimeoutError, like `AbortSignal.timeout`. Node (24.21) never frees what `AbortSignal.any` made of an
 * `AbortSignal.timeout`, once that is made part of another signal. It does free what was made of this one. A caller that does
 * not need the signal any more disposes of it. Otherwise a gateway with many sessions would keep the timers of all sessions
 * that ended within some seconds.
 */
export function timeoutSignal(waitMs: number): AbortSignal & Disposable {
  const over = new AbortController()
  const abort = () => over.abort(new DOMException('the time is over', 'TimeoutError'))
  const timer = idly(setTimeout(abort, waitMs))
  return Object.assign(over.signal, { [Symbol.dispose]: () => clearTimeout(timer) })
}

/** Waits for `work`, for `waitMs`, or until `over` aborts, whichever comes first. Rejects only as `work` does. */
export async function within(waitMs: number, work: Promise<unknown>, over?: AbortSignal): Promise<void> {
  const done = new AbortController()
  const signal = over ? AbortSignal.any([over, done.signal]) : done.signal
  const late = sleep(waitMs, signal).catch(() => {})
  await Promise.race([work, late]).finally(() => done.abort())
}
