// The ticks of an axis at whole numbers, and the axis as a drawing that is as wide as its place.

import { roundStep } from '../../../../units.ts'
import { type Html, html } from '../html.ts'
import { grouped } from '../words.ts'

export interface Tick {
  /** Where it stands: percent of the width. */
  readonly percent: string
  readonly text: string
}

/** More labels than these would touch each other. */
const TIME_TICKS = 6
const PORT_TICKS = 5

const HEIGHT = 16

/** A label that would reach over the end of the axis ends there. */
const NEAR_END = 92

const SECOND = 1000

/** @param ms the whole axis, from 0 */
export function timeTicks(ms: number): Tick[] {
  const whole = Math.max(ms, 0.001)
  const isLong = whole >= 10 * SECOND
  // Steps are 1, 2 or 5 times a power of ten, so twelve digits leave out all rounding errors of the product.
  const text = (at: number) => `${grouped(Number((at / (isLong ? SECOND : 1)).toPrecision(12)))} ${isLong ? 's' : 'ms'}`
  return ticksIn(0, whole, roundStep(whole / TIME_TICKS), at => (at === 0 ? '0' : text(at)))
}

export const portTicks = (low: number, high: number): Tick[] =>
  ticksIn(low, high, Math.max(1, roundStep((high - low) / PORT_TICKS)), String)

function ticksIn(low: number, high: number, step: number, textOf: (at: number) => string): Tick[] {
  const first = Math.ceil(low / step)
  const count = Math.max(0, Math.floor(high / step) - first + 1)
  return Array.from({ length: count }, (_, index) => {
    const at = (first + index) * step
    return { percent: (((at - low) / (high - low)) * 100).toFixed(2), text: textOf(at) }
  })
}

export const axis = (ticks: readonly Tick[]): Html =>
  html`<svg class="ticks" width="100%" height="${HEIGHT}">${ticks.map(tick => label(tick))}</svg>`

function label({ percent, text }: Tick): Html {
  const at = Number(percent)
  const anchor = at < 100 - NEAR_END ? 'start' : at > NEAR_END ? 'end' : 'middle'
  return html`<text x="${percent}%" y="12" text-anchor="${anchor}">${text}</text>`
}
