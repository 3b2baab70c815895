// Shares over time: a stacked bar for each stretch of time, with a legend that has the figures, and a table of the same.
// A plot is a pure function from what happened when, and in which category, to HTML and SVG. Positions are percentages, so
// that a plot fits its place without scaling its text.

import { type Html, html } from '../html.ts'
import { grouped, share } from '../words.ts'

export interface Happening {
  readonly atMs: number
  readonly category: string
}

export interface PlotSpec {
  readonly id: string
  readonly title: string
  readonly happenings: readonly Happening[]
  readonly nowMs: number
  /** The CSS class of each category's colour. Categories stand in this order, the first at the bottom. */
  readonly colours: Readonly<Record<string, string>>
  /** The classes of other categories, the most frequent first, and which category they stand before; left out: none. */
  readonly others: readonly string[]
  readonly othersBefore?: string
  /** Whether the legend says what share each category is of all. */
  readonly shares?: boolean
  readonly link?: (category: string) => string | undefined
}

const BARS = 24
const HEIGHT = 132

/** More categories than this cannot be told apart, so the rare ones become one. */
const CATEGORIES = 7
const OTHERS = 'others'

/** How long a bar may be: 24 bars cover between the last minutes and the last months. */
const widthsMs = [1, 2, 5, 10, 30, 60, 120, 360, 720, 1440, 2880, 10_080].map(minutes => minutes * 60_000)

export interface Bar {
  readonly fromMs: number
  readonly counts: ReadonlyMap<string, number>
  readonly total: number
}

/**
 * Bars of equal width that reach back to the oldest happening, or as far as the longest bars do. They begin at whole multiples
 * of their width.
 */
export function barsOf(happenings: readonly Happening[], nowMs: number): { widthMs: number; bars: Bar[] } {
  const oldestMs = happenings.reduce((oldest, { atMs }) => Math.min(oldest, atMs), nowMs)
  const longest = widthsMs.at(-1) ?? 0
  const startOf = (width: number) => (Math.floor(nowMs / width) - BARS + 1) * width
  const widthMs = widthsMs.find(width => startOf(width) <= oldestMs) ?? longest
  const startMs = startOf(widthMs)
  const counts = Array.from({ length: BARS }, () => new Map<string, number>())
  for (const { atMs, category } of happenings) {
    // A clock that was set back must not make the newest vanish.
    const bar = counts[Math.min(BARS - 1, Math.floor((atMs - startMs) / widthMs))]
    bar?.set(category, (bar.get(category) ?? 0) + 1)
  }
  const bars = counts.map((bar, index) => ({
    fromMs: startMs + index * widthMs,
    counts: bar,
    total: [...bar.values()].reduce((sum, count) => sum + count, 0)
  }))
  return { widthMs, bars }
}

export function plot(spec: PlotSpec): Html {
  const { widthMs, bars: counted } = barsOf(spec.happenings, spec.nowMs)
  const categories = categoriesOf(counted, spec)
  const bars = counted.map(bar => folded(bar, categories))
  const most = niceAbove(Math.max(1, ...bars.map(({ total }) => total)))
  return html`<figure class="plot" aria-labelledby="${spec.id}-title">
<figcaption id="${spec.id}-title">${spec.title}</figcaption>
<div class="frame"><span class="most" aria-hidden="true">${grouped(most)}</span>
<svg class="bars" width="100%" height="${HEIGHT}" role="img" aria-label="${spec.title}, ${bars.length} bars of ${widthText(widthMs)}; figures below">
<line class="grid" x1="0" x2="100%" y1="0.5" y2="0.5"/><line class="grid" x1="0" x2="100%" y1="${HEIGHT / 2}" y2="${HEIGHT / 2}"/><line class="base" x1="0" x2="100%" y1="${HEIGHT - 0.5}" y2="${HEIGHT - 0.5}"/>
${bars.map((bar, index) => barShape(bar, { index, most, categories, widthMs }))}
</svg></div>
<p class="scale" aria-hidden="true"><span>${labelOf(bars[0]?.fromMs ?? 0, widthMs)}</span><span>${labelOf(bars[BARS / 2]?.fromMs ?? 0, widthMs)}</span><span>now</span></p>
${legend(spec, categories)}
<details id="${spec.id}-table"><summary>Figures over time</summary><div class="scroll" tabindex="0" role="region" aria-label="${spec.title}, figures over time">${table(bars, categories, widthMs)}</div></details>
</figure>`
}

interface Category {
  readonly name: string
  readonly colour: string
  readonly count: number
}

/** The categories there are, in their order; rare ones go under one name. */
function categoriesOf(bars: readonly Bar[], { colours, others, othersBefore = '' }: PlotSpec): Category[] {
  const counts = sumOf(bars)
  const known = Object.keys(colours)
  const othersAt = known.includes(othersBefore) ? known.indexOf(othersBefore) - 0.5 : known.length
  const place = (name: string) => (known.includes(name) ? known.indexOf(name) : othersAt)
  const byCount = [...counts].sort(([, a], [, b]) => b - a)
  const kept = byCount.length > CATEGORIES ? byCount.slice(0, CATEGORIES - 1) : byCount
  const rest = byCount.slice(kept.length).reduce((sum, [, count]) => sum + count, 0)
  const kinds = kept.map(([name]) => name)
  const taken = kinds.map(name => colours[name])
  const free = others.filter(colour => !taken.includes(colour))
  const colourOf = (name: string) => (known.includes(name) ? colours[name] : free.shift()) ?? 'c-other'
  const categories = kept
    .sort(([a], [b]) => place(a) - place(b))
    .map(([name, count]) => ({ name, colour: colourOf(name), count }))
  return rest > 0 ? [...categories, { name: OTHERS, colour: 'c-other', count: rest }] : categories
}

function sumOf(bars: readonly Bar[]): Map<string, number> {
  const sum = new Map<string, number>()
  for (const { counts } of bars) for (const [name, count] of counts) sum.set(name, (sum.get(name) ?? 0) + count)
  return sum
}

/** Happenings in none of the categories count under `others`. */
function folded(bar: Bar, categories: readonly Category[]): Bar {
  const counts = new Map(categories.map(({ name }) => [name, bar.counts.get(name) ?? 0]))
  const named = [...counts.values()].reduce((sum, count) => sum + count, 0)
  if (named < bar.total) counts.set(OTHERS, (counts.get(OTHERS) ?? 0) + bar.total - named)
  return { ...bar, counts }
}

interface Drawing {
  readonly index: number
  readonly most: number
  readonly categories: readonly Category[]
  readonly widthMs: number
}

function barShape({ fromMs, counts, total }: Bar, { index, most, categories, widthMs }: Drawing): Html | undefined {
  if (total === 0) return undefined
  const step = 100 / BARS
  let above = HEIGHT
  const pieces = categories.flatMap(({ name, colour }) => {
    const count = counts.get(name) ?? 0
    if (count === 0) return []
    const height = (count / most) * HEIGHT
    above -= height
    // A small count stays visible.
    return [
      html`<rect class="${colour}" x="${(index * step + step * 0.12).toFixed(2)}%" width="${(step * 0.76).toFixed(2)}%" y="${above.toFixed(1)}" height="${Math.max(1.5, height).toFixed(1)}"/>`
    ]
  })
  const said = categories.flatMap(({ name }) => (counts.get(name) ? [`${name} ${counts.get(name)}`] : []))
  return html`<g><title>${labelOf(fromMs, widthMs)}: ${said.join(', ')}</title>${pieces}</g>`
}

function legend({ link, shares }: PlotSpec, categories: readonly Category[]): Html {
  const whole = categories.reduce((sum, { count }) => sum + count, 0)
  const name = (category: string) => {
    const to = link?.(category)
    return to === undefined ? html`${category}` : html`<a href="${to}">${category}</a>`
  }
  return html`<table class="legend"><thead class="hidden"><tr><th scope="col">Kind</th><th scope="col">How many</th>${shares && html`<th scope="col">Share</th>`}</tr></thead><tbody>${categories.map(
    category =>
      html`<tr><th scope="row"><svg class="key" viewBox="0 0 10 10" aria-hidden="true"><rect class="${category.colour}" width="10" height="10" rx="2"/></svg>${name(category.name)}</th><td class="number">${grouped(category.count)}</td>${shares && html`<td class="number">${share(category.count, whole)}</td>`}</tr>`
  )}</tbody></table>`
}

function table(bars: readonly Bar[], categories: readonly Category[], widthMs: number): Html {
  return html`<table class="figures"><thead><tr><th scope="col">From</th>${categories.map(({ name }) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
<tbody>${bars
    .filter(({ total }) => total > 0)
    .toReversed()
    .map(
      ({ fromMs, counts }) =>
        html`<tr><th scope="row">${labelOf(fromMs, widthMs)}</th>${categories.map(({ name }) => html`<td class="number">${grouped(counts.get(name) ?? 0)}</td>`)}</tr>`
    )}</tbody></table>`
}

/** The time of day, or the day where bars are long. */
function labelOf(atMs: number, widthMs: number): string {
  const iso = new Date(atMs).toISOString()
  if (widthMs * BARS <= 86_400_000) return iso.slice(11, 16)
  return widthMs < 86_400_000 ? `${iso.slice(5, 10)} ${iso.slice(11, 16)}` : iso.slice(5, 10)
}

function widthText(widthMs: number): string {
  const minutes = widthMs / 60_000
  if (minutes < 60) return minutes === 1 ? 'a minute' : `${minutes} minutes`
  const hours = minutes / 60
  if (hours < 24) return hours === 1 ? 'an hour' : `${hours} hours`
  return hours === 24 ? 'a day' : `${hours / 24} days`
}

/** 1, 2, 4, 6, 8 or 10 times a power of ten. Half of it is a whole number, except half of 1. */
function niceAbove(count: number): number {
  const power = 10 ** Math.floor(Math.log10(count))
  return ([1, 2, 4, 6, 8].find(factor => factor * power >= count) ?? 10) * power
}
