// The time of day in fractions of a millisecond. `Date.now` has whole ones, too coarse for the order of steps.

let anchorMs = performance.timeOrigin

/** Milliseconds since the epoch. Follows the system's clock when that is set anew. */
export function nowMs(): number {
  const exact = anchorMs + performance.now()
  const coarse = Date.now()
  if (Math.abs(exact - coarse) <= 2) return exact
  anchorMs = coarse - performance.now()
  return coarse
}
