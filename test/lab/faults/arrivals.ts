// When bytes arrived, and what that says of a fault: how long nothing came, and when the stream flowed again. Times are of the
// kernel's monotonic clock, in milliseconds, which all processes of one computer share.

/** `bytes` so many had been handed on in all by then. */
export interface Arrival {
  readonly atMs: number
  readonly bytes: number
}

export interface Pause {
  readonly fromMs: number
  readonly toMs: number
}

/** What two busy processors hold up a stream for by themselves is shorter. */
export const PAUSE_MS = 200
/** A stream flows again if it goes on for so long … */
export const STEADY_MS = 2000
/** … without a pause that is longer than this: bytes that had waited in a buffer are no stream. */
export const HALT_MS = 1000

/** The clock of arrivals. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6

/** Stretches from `sinceMs` to `untilMs` in which nothing arrived, the last one up to `untilMs` itself. */
export function pausesOf(arrivals: readonly Arrival[], sinceMs: number, untilMs: number): Pause[] {
  const times = arrivals.map(({ atMs }) => atMs).filter(atMs => atMs > sinceMs && atMs < untilMs)
  const edges = [sinceMs, ...times, untilMs]
  return edges.slice(1).map((toMs, at) => ({ fromMs: edges[at] as number, toMs }))
}

/** The longest of them, in milliseconds. */
export const longestPause = (arrivals: readonly Arrival[], sinceMs: number, untilMs: number): number =>
  Math.max(...pausesOf(arrivals, sinceMs, untilMs).map(lengthOf))

/**
 * When the first new byte came of a stream that flows again, or `sinceMs` itself where it never stopped; undefined as long as
 * neither is sure at `nowMs`. What had been on its way when the fault came arrives without a pause, so it is not taken for new.
 */
export function flowsAgainAt(arrivals: readonly Arrival[], sinceMs: number, nowMs: number): number | undefined {
  const pauses = pausesOf(arrivals, sinceMs, nowMs).filter(pause => lengthOf(pause) >= PAUSE_MS)
  const began = [sinceMs, ...pauses.map(({ toMs }) => toMs).filter(toMs => toMs < nowMs)]
  return began.find((fromMs, at) => {
    const endMs = fromMs + STEADY_MS
    // Where nothing was noticed, a pause may be about to begin: the shortest counts.
    const most = at === 0 ? PAUSE_MS : HALT_MS
    return nowMs >= endMs && !pauses.some(pause => overlaps(pause, fromMs, endMs) && lengthOf(pause) >= most)
  })
}

const lengthOf = ({ fromMs, toMs }: Pause): number => toMs - fromMs

const overlaps = (pause: Pause, fromMs: number, toMs: number): boolean => pause.fromMs < toMs && pause.toMs > fromMs
