// The line that fits a row of figures best, and how sure its slope is.

export interface Trend {
  /** Of y for each unit of x. */
  readonly slope: number
  /** The standard error of the slope; 0 of a line through two points. */
  readonly error: number
}

/** By least squares. Both are NaN of less than two points. */
export function trendOf(points: readonly (readonly [x: number, y: number])[]): Trend {
  const mean = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const spread = points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0)
  const slope = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) / spread
  const rest = points.reduce((sum, point) => sum + (point[1] - y - slope * (point[0] - x)) ** 2, 0)
  return { slope, error: points.length > 2 ? Math.sqrt(rest / (points.length - 2) / spread) : 0 * slope }
}

/** By how much one grows more than another one. */
export const less = (one: Trend, other: Trend): Trend => ({
  slope: one.slope - other.slope,
  error: Math.hypot(one.error, other.error)
})
