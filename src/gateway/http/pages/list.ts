// The list of traces: a form that filters, rows that turn into cards where there is no room, and a link to older ones.

import type { ParsedUrlQuery } from 'node:querystring'
import { lostLine } from '../../../trace/record/course.ts'
import { fateOf } from '../../../trace/record/fate.ts'
import type { TraceSummary } from '../../../trace/record/record.ts'
import { verdicts } from '../../../verdict.ts'
import { type Html, html, type Piece } from './html.ts'
import { page } from './page.ts'
import { badge, lasted, timeTag } from './words.ts'

const fates = { failed: 'failed', relayed: 'relayed', direct: 'direct' } as const

const spans = { '15m': '15 minutes', '1h': 'hour', '6h': '6 hours', '24h': '24 hours', '168h': '7 days' } as const

/** Milliseconds between two looks for news, on the newest page. */
const EVERY_MS = 3000

/** Puts what the form sends into the words of the API. */
export function queryOf({ outcome, ...query }: ParsedUrlQuery): ParsedUrlQuery {
  return typeof outcome === 'string' && Object.hasOwn(fates, outcome) ? { ...query, [outcome]: '' } : query
}

export interface List {
  /** Newest first; one more than `rows` where there are older ones. */
  readonly found: readonly TraceSummary[]
  readonly rows: number
  readonly query: ParsedUrlQuery
  readonly session: boolean
}

export function listPage({ found, rows, query, session }: List): Html {
  const traces = found.slice(0, rows)
  const last = traces.at(-1)
  const older = found.length > rows && last ? withQuery(query, { before: String(last.startMs) }) : undefined
  return page({
    title: 'Traces',
    at: 'traces',
    session,
    ...(query.before === undefined ? { everyMs: EVERY_MS } : {}),
    body: html`
<h1>Traces</h1>
${filters(query)}
<section id="found" data-live aria-label="Found">
${traces.length > 0 ? traceTable(traces) : nothingFound(query)}
</section>
<nav class="pager" aria-label="Older and newer" id="pager" data-live>${query.before !== undefined && html`<a href="${withQuery(query, { before: undefined })}">Newest</a>`}${older !== undefined && html`<a href="${older}" rel="next">Older</a>`}</nav>`
  })
}

function filters(query: ParsedUrlQuery): Html {
  const now = (name: string) => String(query[name] ?? '')
  const outcome = now('outcome') || Object.keys(fates).find(fate => query[fate] !== undefined) || ''
  const filtered = Object.entries(query).some(([name, value]) => name !== 'before' && value !== '')
  return html`<form class="filters card" method="get" action="/traces" role="search" aria-label="Filter traces">
  ${choice({ name: 'outcome', label: 'Outcome', given: outcome, all: 'all', options: fates })}
  <div class="field"><label for="f-peer">Peer</label><input id="f-peer" name="peer" value="${now('peer')}" maxlength="63" autocomplete="off" autocapitalize="none" spellcheck="false" placeholder="any"></div>
  ${choice({ name: 'verdict', label: 'Verdict', given: now('verdict'), all: 'any', options: verdictNames })}
  ${choice({ name: 'since', label: 'Of the last', given: now('since'), all: 'any time', options: spans })}
  <div class="field buttons"><button type="submit">Filter</button>${filtered && html`<a href="/traces">Clear</a>`}</div>
</form>`
}

const verdictNames = Object.fromEntries(Object.keys(verdicts).map(code => [code, code]))

interface Choice {
  readonly name: string
  readonly label: string
  readonly given: string
  /** The choice that does not filter. */
  readonly all: string
  readonly options: Readonly<Record<string, string>>
}

/** A value in the address stays chosen even if the form does not offer it: `since` may be any time. */
function choice({ name, label, given, all, options }: Choice): Html {
  const other = given !== '' && !Object.hasOwn(options, given) ? { [given]: given } : {}
  const option = ([value, text]: [string, string]) =>
    html`<option value="${value}"${value === given && html` selected`}>${text}</option>`
  return html`<div class="field"><label for="f-${name}">${label}</label><select id="f-${name}" name="${name}"><option value="">${all}</option>${Object.entries({ ...options, ...other }).map(option)}</select></div>`
}

/** Each row leads to its trace. */
export function traceTable(traces: readonly TraceSummary[]): Html {
  return html`<table class="traces">
<thead><tr><th scope="col" class="time">Time</th><th scope="col" class="who">Caller → callee</th><th scope="col" class="fate">Outcome</th><th scope="col">Verdict</th><th scope="col" class="by">Strategy</th><th scope="col" class="ms number">Took</th></tr></thead>
<tbody>${traces.map(row)}</tbody>
</table>`
}

function row(trace: TraceSummary): Html {
  const { id, startMs, by, ms, verdict, lost } = trace
  const fate = fateOf(trace)
  return html`<tr>
<td class="time">${timeTag(startMs)}</td>
<td class="who"><a href="/traces/${id}">${who(trace)}</a></td>
<td class="fate">${badge(fate)}</td>
<td class="verdict"><code>${verdict.code}</code> <span class="sentence">${verdict.sentence}${lost && `; ${lostLine(lost)}`}</span></td>
<td class="by">${fate === 'failed' ? '' : by}</td>
<td class="ms number">${lasted(ms)}</td>
</tr>`
}

/** A refused join has one side only. A search for another path of a connection that has no record here says what it is. */
export function who({ caller, callee, continues }: Pick<TraceSummary, 'caller' | 'callee' | 'continues'>): Piece {
  if (!callee) return html`${caller || 'a stranger'} <span class="arrow">(join)</span>`
  return html`${caller} <span class="arrow">→</span> ${callee}${continues !== undefined && html` <span class="arrow">(again)</span>`}`
}

function nothingFound(query: ParsedUrlQuery): Html {
  const filtered = Object.values(query).some(value => value !== '')
  return filtered
    ? html`<p class="empty">No trace that is kept matches this. <a href="/traces">Show all</a></p>`
    : nothingYet
}

export const nothingYet = html`<p class="empty">No connection was asked for yet. Try: <code>postern ping NAME</code></p>`

function withQuery(query: ParsedUrlQuery, changed: Record<string, string | undefined>): string {
  const all = Object.entries({ ...query, ...changed }).flatMap(([name, value]): [string, string][] =>
    typeof value === 'string' && value !== '' ? [[name, value]] : []
  )
  return all.length > 0 ? `/traces?${new URLSearchParams(all)}` : '/traces'
}
