// The time of day in fractions of a millisecond (`Date.now` has whole ones, too coarse for the order of steps), and a signal
// that tells when some of it has passed.

let anchorMs = performance.timeOrigin

/** Milliseconds since the epoch. Follows the system's clock when that is set anew. */
export function nowMs(): number {
  const exact = anchorMs + performance.now()
  const coarse = Date.now()
  if (Math.abs(exact - coarse) <= 2) return exact
  anchorMs = coarse - performance.now()
  return coarse
}

/**
 * Aborts with a TimeoutError, like `AbortSignal.timeout`. Node keeps for good what `AbortSignal.any` made of one of those, once
 * that is made part of another signal (24.21); not so of this one. Whoever does not need it any more disposes of it: a
 * gateway with many sessions would have the timers of all that ended within some seconds.
 */
export function timeoutSignal(waitMs: number): AbortSignal & Disposable {
  const over = new AbortController()
  const abort = () => over.abort(new DOMException('the time is over', 'TimeoutError'))
  const timer = setTimeout(abort, waitMs).unref()
  return Object.assign(over.signal, { [Symbol.dispose]: () => clearTimeout(timer) })
}
