// The steps of a request as a waterfall: a row for each span, in the colour of its lane (caller, callee, gateway), with ticks
// for events and everything known of it when the row is opened. Positions are percentages of the request's own time. A step
// that began before the call stands at the left edge. What came after the end, changes of the path and searches for another one,
// has a list of its own, in which each search has its own time: it would be a dot at the right edge of the request's.

import { attributes as meanings } from '../../../../trace/record/conventions.ts'
import { treeOf } from '../../../../trace/record/fate.ts'
import { meaningOfWord, wordsIn } from '../../../../trace/record/glossary.ts'
import { read } from '../../../../trace/record/reader.ts'
import type { SpanRecord, TraceRecord } from '../../../../trace/record/record.ts'
import { ofRequest } from '../../../../trace/record/searches.ts'
import { formatBytes } from '../../../../units.ts'
import { type Html, html, type Piece } from '../html.ts'
import { lasted, share, shown, signed } from '../words.ts'
import { axis, timeTicks } from './axis.ts'

type Lane = 'caller' | 'callee' | 'gateway'

/** Most rows of one request: a strategy may make any number of plans. */
const ROWS = 300

/** Height of a bar's drawing. */
const HEIGHT = 16

export function waterfall(record: TraceRecord, key: string): Html {
  const { spans, caller, callee } = record
  const steps = ofRequest(spans).filter(({ name }) => name !== 'postern.change')
  const later = treeOf(spans.filter(span => !steps.includes(span)))
  const rows = treeOf(steps, steps[0])
  const lane = (name: Lane, text: string) =>
    html`<li><svg class="key" viewBox="0 0 10 10" aria-hidden="true"><rect class="lane-${name}" width="10" height="10" rx="2"/></svg>${text}</li>`
  return html`<div class="waterfall">
<ul class="lanes" aria-label="Lanes">${callee !== '' && [lane('caller', `caller ${caller}`), lane('callee', `callee ${callee}`)]}${lane('gateway', 'gateway')}</ul>
<div class="axis" aria-hidden="true"><span>step</span><span>${axis(timeTicks(record.ms))}</span><span class="number">began</span><span class="number">took</span></div>
<ol class="steps">${rows.slice(0, ROWS).map(({ span, depth }) => row({ span, depth, record, key, time: record, since: record.startMs }))}</ol>
${rows.length > ROWS && html`<p class="note">${rows.length - ROWS} more steps are in the JSON.</p>`}
${words(wordsIn(spans), key)}
${later.length > 0 && laterSteps(later, record, key)}
</div>`
}

function laterSteps(later: readonly Placed[], record: TraceRecord, key: string): Html {
  let top: SpanRecord | undefined
  const rows = later.slice(0, ROWS).map(({ span, depth }) => {
    if (depth === 0 || top === undefined) top = span
    const { startMs, endMs } = top
    const since = span === top ? record.startMs : startMs
    return row({ span, depth, record, key, since, time: { startMs, ms: endMs - startMs } })
  })
  const isSearched = later.some(({ span }) => span.name === 'postern.again')
  const note = isSearched && html`<p class="note">What is beneath a search counts from where that began.</p>`
  return html`<p class="later-title">Later on this path</p>${note}<ol class="steps later">${rows}</ol>`
}

/** What is not plain at a first reading, where it stands. */
const words = (known: ReadonlyMap<string, string>, key: string): Piece =>
  known.size > 0 &&
  html`<details class="words" id="${key}-words"><summary>What the words mean</summary><dl class="glossary">${[...known].map(([word, meaning]) => html`<div><dt>${word}</dt><dd>${meaning}</dd></div>`)}</dl></details>`

/** What a bar is a part of, in milliseconds. */
type Time = Pick<TraceRecord, 'startMs' | 'ms'>

interface Placed {
  readonly span: SpanRecord
  readonly depth: number
}

interface Row extends Placed {
  readonly record: TraceRecord
  readonly key: string
  readonly time: Time
  /** From when on its beginning is counted. */
  readonly since: number
}

function row({ span, depth, record, key, time, since }: Row): Html {
  const lane = laneOf(span)
  const outcome = read(span).shown('outcome')
  const reason = reasonOf(span, record)
  return html`<li><details id="${key}-${span.id}"><summary class="step d${Math.min(depth, 4)}">
<span class="what"><b>${explained(titleOf(span))}</b> <span class="about">${aboutOf(span, lane)}</span>${outcome && html` <span class="outcome ${outcome}">${outcome}</span>`} <span class="about">${oddsOf(span)}</span></span>
<span class="bar">${time.ms > 0 && bar(span, time, lane, time === record)}</span>
<span class="number began">${signed(span.startMs - since)}</span><span class="number took">${lasted(span.endMs - span.startMs)}</span>
${reason && html`<span class="reason">${reason}</span>`}
</summary>${details(span, since)}</details></li>`
}

/** Left out where it stands elsewhere: the verdict has the reason of the whole, and a parent may have the same reason. */
function reasonOf(span: SpanRecord, { spans }: TraceRecord): string {
  const reason = read(span).shown('reason') || pauseOf(span)
  const parent = spans.find(({ id }) => id === span.parent)
  return span === spans[0] || read(parent).shown('reason') === reason ? '' : reason
}

/** For how long the streams waited, and what they sent once more. */
function pauseOf(span: SpanRecord): string {
  const [pause, resent] = [read(span).number('pause'), read(span).number('resent')]
  return [
    ...(pause === undefined ? [] : [pause === 0 ? 'without a pause' : `no stream could send for ${lasted(pause)}`]),
    ...(resent ? [`${formatBytes(resent)} sent once more`] : [])
  ].join('; ')
}

const sideOf = (span: SpanRecord): Lane | undefined => {
  const side = read(span).shown('side')
  return side === 'caller' || side === 'callee' ? side : undefined
}

/** The root is the gateway's: the side it names is the one whose fault it was. */
const laneOf = (span: SpanRecord): Lane =>
  ['postern.connect', 'postern.again'].includes(span.name) ? 'gateway' : (sideOf(span) ?? 'gateway')

function titleOf(span: SpanRecord): string {
  const step = span.name.replace(/^postern\./, '')
  return step === 'plugin' ? read(span).shown('plugin') || step : step
}

/** A word that is not plain, with what it means. */
function explained(word: string): Piece {
  const meaning = meaningOfWord(word)
  return meaning === undefined ? word : html`<abbr title="${meaning}">${word}</abbr>`
}

/** Which side, which kind of order, which change. */
function aboutOf(span: SpanRecord, lane: Lane): Piece {
  if (lane !== 'gateway') return span.name === 'postern.change' ? [`${lane}, `, changeOf(span)] : lane
  const words = (['order', 'sides', 'change', 'only'] as const).map(name => read(span).shown(name))
  return words.filter(word => word !== '').map((word, at) => [at > 0 ? ', ' : '', explained(word)])
}

/** `lost: direct`, or `resumed: relay` where the streams go on there. */
function changeOf(span: SpanRecord): Piece {
  const [change, path] = [read(span).shown('change'), read(span).shown('path')]
  return [explained(change), path && `: ${path}`]
}

function oddsOf(span: SpanRecord): string {
  const expected = read(span).number('expected')
  return expected === undefined ? '' : `(expected ${share(expected, 1)})`
}

/** @returns percent of that time, from 0 to 100. */
function place(atMs: number, { startMs, ms }: Time): number {
  return Math.min(100, Math.max(0, ((atMs - startMs) / Math.max(ms, 0.001)) * 100))
}

/** @param hasGrid there is an axis above it */
function bar(span: SpanRecord, time: Time, lane: Lane, hasGrid: boolean): Html {
  const from = place(span.startMs, time)
  const width = Math.max(0, place(span.endMs, time) - from)
  const ticks = span.events.filter(({ atMs }) => atMs >= time.startMs && atMs <= time.startMs + time.ms)
  const grid = hasGrid ? timeTicks(time.ms) : []
  return html`<svg width="100%" height="${HEIGHT}" aria-hidden="true">${grid.map(({ percent }) => html`<line class="grid" x1="${percent}%" x2="${percent}%" y1="0" y2="${HEIGHT}"/>`)}
<rect class="lane-${lane}" x="${Math.min(from, 99.5).toFixed(2)}%" width="${Math.max(0.5, width).toFixed(2)}%" y="4" height="8" rx="1.5"/>
${ticks.map(({ name, atMs }) => html`<line class="tick" x1="${place(atMs, time).toFixed(2)}%" x2="${place(atMs, time).toFixed(2)}%" y1="1" y2="15"><title>${name} ${signed(atMs - time.startMs)}</title></line>`)}</svg>`
}

/** The meaning of an attribute, which the table has once for both sides. */
const meaningOf = (name: string): string =>
  (meanings as Readonly<Record<string, readonly [string, string]>>)[
    name.replace(/\.(caller|callee)\b/, '.SIDE')
  ]?.[1] ?? ''

function details({ name, attributes, events }: SpanRecord, startMs: number): Html {
  // The verdict stands on top of the page.
  const said = Object.entries(attributes).filter(([key]) => !key.startsWith('postern.verdict'))
  return html`<div class="opened">
<p class="span-name"><code>${name}</code></p>
${said.length > 0 && html`<dl class="attributes">${said.map(([key, value]) => html`<div><dt title="${meaningOf(key)}">${key}</dt><dd>${shown(value)}</dd></div>`)}</dl>`}
${events.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label="Events of ${name}"><table class="events"><thead><tr><th scope="col">Event</th><th scope="col" class="number">At</th><th scope="col">With</th></tr></thead><tbody>${events.map(event => html`<tr><td>${event.name}</td><td class="number">${signed(event.atMs - startMs)}</td><td>${pairs(event.attributes)}</td></tr>`)}</tbody></table></div>`}
</div>`
}

const pairs = (attributes: Readonly<Record<string, unknown>>): Piece =>
  Object.entries(attributes)
    .map(([key, value]) => `${key.replace(/^postern\./, '')} ${shown(value)}`)
    .join(', ')
