// The time of day in fractions of a millisecond, and a signal that aborts when some time has passed. `Date.now` has whole
// milliseconds, which is too coarse for the order of steps.

let anchorMs = performance.timeOrigin

/** Milliseconds since the epoch. Follows the system's clock when that clock is set anew. */
export function nowMs(): number {
  const exact = anchorMs + performance.now()
  const coarse = Date.now()
  if (Math.abs(exact - coarse) <= 2) return exact
  anchorMs = coarse - performance.now()
  return coarse
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
  const timer = setTimeout(abort, waitMs).unref()
  return Object.assign(over.signal, { [Symbol.dispose]: () => clearTimeout(timer) })
}
