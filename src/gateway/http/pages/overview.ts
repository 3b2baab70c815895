// The first page: how many peers and sessions there are now, how connections came about over time, the last ones that failed
// or were relayed, and the counters.

import { fateOf } from '../../../trace/record/fate.ts'
import type { TraceSummary } from '../../../trace/record/record.ts'
import type { Warning } from '../../peers/sources.ts'
import { type Html, html } from './html.ts'
import { nothingYet, traceTable } from './list.ts'
import { page } from './page.ts'
import { plot } from './plot.ts'
import { grouped, share } from './words.ts'

export interface Overview {
  /** All that are kept, newest first. */
  readonly traces: readonly TraceSummary[]
  readonly status: object
  readonly warnings: readonly Warning[]
  readonly nowMs: number
  readonly session: boolean
}

/** How many of the last traces of each kind are shown. */
const LAST = 5

const EVERY_MS = 3000

/** Cheap strategies stand at the bottom of a bar, costly ones above them. */
const strategyColours = {
  direct: 'c-1',
  stun: 'c-2',
  predict: 'c-3',
  spray: 'c-4',
  relay: 'c-relay',
  failed: 'c-failed'
} as const

export function overviewPage({ traces, status, warnings, nowMs, session }: Overview): Html {
  const counts = numbersIn(status)
  return page({
    title: 'Overview',
    at: 'overview',
    session,
    everyMs: EVERY_MS,
    body: html`
<h1 class="hidden">Overview</h1>
<section id="warnings" data-live aria-label="Warnings">${warnings.map(warning)}</section>
<section id="now" data-live aria-label="Now">${tiles(traces, counts)}</section>
${traces.length === 0 ? html`<section id="plots" data-live class="card">${nothingYet}</section>` : plots(traces, nowMs)}
<section id="last" data-live>${traces.length > 0 && [last(traces, 'failed'), last(traces, 'relayed')]}</section>
<section id="counters" data-live>${counters(counts)}</section>`
  })
}

const warning = ({ code, sentence, advice }: Warning): Html =>
  html`<p class="card warning"><b>${code}</b> ${sentence}. To do: ${advice}.</p>`

function tiles(traces: readonly TraceSummary[], counts: ReadonlyMap<string, number>): Html {
  const requests = traces.filter(({ callee }) => callee !== '')
  const direct = requests.filter(trace => fateOf(trace) === 'direct').length
  const tile = (label: string, figure: string, more = '') =>
    html`<div class="tile"><dt>${label}</dt><dd><b>${figure}</b>${more && html` <span>${more}</span>`}</dd></div>`
  return html`<dl class="tiles">
${tile('Peers joined', grouped(counts.get('peers') ?? 0))}
${tile('Sessions now', grouped(counts.get('sessions now') ?? 0))}
${tile('Relayed now', grouped(counts.get('sessions relayed') ?? 0))}
${tile('Direct', share(direct, requests.length), `of ${grouped(requests.length)} traces kept`)}
</dl>`
}

function plots(traces: readonly TraceSummary[], nowMs: number): Html {
  const requests = traces.filter(({ callee }) => callee !== '')
  const verdictLink = (code: string) =>
    code === 'others' ? undefined : `/traces?verdict=${encodeURIComponent(code.toWellFormed())}`
  return html`<section id="plots" data-live class="plots" aria-label="Connections over time">
<div class="card">${plot({
    id: 'by-strategy',
    title: 'Connections by strategy',
    happenings: requests.map(trace => ({
      atMs: trace.startMs,
      category: fateOf(trace) === 'failed' ? 'failed' : trace.by
    })),
    nowMs,
    colours: strategyColours,
    link: strategy => (strategy === 'failed' ? '/traces?outcome=failed' : undefined)
  })}</div>
<div class="card">${plot({
    id: 'by-verdict',
    title: 'Connections by verdict',
    happenings: traces.map(({ startMs, verdict }) => ({ atMs: startMs, category: verdict.code })),
    nowMs,
    colours: { direct: 'c-1' },
    link: verdictLink
  })}</div>
<p class="note">Only traces that are kept count here. If memory is short, traces of direct paths go first.</p>
</section>`
}

function last(traces: readonly TraceSummary[], fate: 'failed' | 'relayed'): Html {
  const found = traces.filter(trace => fateOf(trace) === fate).slice(0, LAST)
  return html`<section class="last"><h2>Last ${fate}</h2>
${found.length > 0 ? html`${traceTable(found)}<p class="more"><a href="/traces?outcome=${fate}">All ${fate}</a></p>` : html`<p class="empty">None is kept.</p>`}</section>`
}

/** A box for each part of the gateway. Figures of the present are in the tiles already. */
function counters(counts: ReadonlyMap<string, number>): Html {
  const parts = Map.groupBy(
    [...counts].filter(([name]) => !present.has(name)),
    ([name]) => name.split(' ')[0] ?? ''
  )
  return html`<h2>Since the start</h2><div class="counters">${[...parts].map(
    ([part, figures]) =>
      html`<section class="card"><h3>${part}</h3><dl>${figures.map(
        ([name, count]) =>
          html`<div><dt>${name.slice(part.length + 1)}</dt><dd class="number">${grouped(count)}</dd></div>`
      )}</dl></section>`
  )}</div>`
}

const present = new Set(['peers', 'hidden', 'sessions now', 'sessions relayed'])

/** Every number of the status, by the words that lead to it. */
function numbersIn(status: object, path: readonly string[] = []): Map<string, number> {
  return new Map(
    Object.entries(status).flatMap(([key, value]: [string, unknown]) => {
      const here = [...path, ...key.split(/(?=[A-Z])/).map(word => word.toLowerCase())]
      if (typeof value === 'number') return [[here.join(' '), value] as const]
      return typeof value === 'object' && value !== null ? [...numbersIn(value, here)] : []
    })
  )
}
