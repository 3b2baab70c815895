// The first page: who is there now, how connections came about over time, the last ones that failed or were relayed, and the
// counters.

import { fateOf, isAttempt } from '../../../trace/record/fate.ts'
import type { TraceSummary } from '../../../trace/record/record.ts'
import type { Warning } from '../../peers/sources.ts'
import type { Presence } from '../../session/presence.ts'
import { counters, numbersIn } from './counters.ts'
import { plot } from './drawing/plot.ts'
import { type Html, html } from './html.ts'
import { nothingYet, traceTable } from './list.ts'
import { page } from './page.ts'
import { presentNow } from './present.ts'
import { grouped, share } from './words.ts'

export interface Overview {
  /** All that are kept, newest first. */
  readonly traces: readonly TraceSummary[]
  readonly status: object
  readonly present: Presence
  readonly warnings: readonly Warning[]
  readonly nowMs: number
  readonly session: boolean
}

/** How many of the last traces of each kind are shown. */
const LAST = 5

const EVERY_MS = 3000

/** Cheap strategies stand at the bottom of a bar, costly ones above them. Plugins have two of their own. */
const strategyColours = {
  direct: 's-direct',
  stun: 's-stun',
  map: 's-map',
  predict: 's-predict',
  spray: 's-spray',
  relay: 's-relay',
  failed: 's-failed'
} as const
const pluginColours = ['s-plugin', 's-plugin2']

/** What stood in the way has colours of its own, which no strategy has. */
const verdictColours = { direct: 'v-direct' } as const
const obstacleColours = ['v-1', 'v-2', 'v-3', 'v-4', 'v-5', 'v-6']

export function overviewPage({ traces, status, present, warnings, nowMs, session }: Overview): Html {
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
<div id="present" data-live class="plots">${presentNow(present)}</div>
<section id="last" data-live>${traces.length > 0 && [last(traces, 'failed'), last(traces, 'relayed')]}</section>
<section id="counters" data-live>${counters(status)}</section>`
  })
}

const warning = ({ code, sentence, advice }: Warning): Html =>
  html`<p class="card warning"><b>${code}</b> ${sentence}. To do: ${advice}.</p>`

function tiles(traces: readonly TraceSummary[], counts: ReadonlyMap<string, number>): Html {
  const attempts = traces.filter(isAttempt)
  const direct = attempts.filter(trace => fateOf(trace) === 'direct').length
  const tile = (label: string, figure: string, more = '') =>
    html`<div class="tile"><dt>${label}</dt><dd><b>${figure}</b>${more && html` <span>${more}</span>`}</dd></div>`
  return html`<dl class="tiles">
${tile('Peers joined', grouped(counts.get('peers') ?? 0))}
${tile('Sessions now', grouped(counts.get('sessions now') ?? 0), 'under way, or relayed')}
${tile('Relayed now', grouped(counts.get('sessions relayed') ?? 0))}
${tile('Direct', share(direct, attempts.length), `of ${grouped(attempts.length)} ${attempts.length === 1 ? 'attempt' : 'attempts'}`)}
</dl>`
}

function plots(traces: readonly TraceSummary[], nowMs: number): Html {
  const verdictLink = (code: string) =>
    code === 'others' ? undefined : `/traces?verdict=${encodeURIComponent(code.toWellFormed())}`
  return html`<section id="plots" data-live class="plots" aria-label="Connections over time">
<div class="card">${plot({
    id: 'by-strategy',
    title: 'Attempts by strategy',
    happenings: traces.filter(isAttempt).map(trace => ({
      atMs: trace.startMs,
      category: fateOf(trace) === 'failed' ? 'failed' : trace.by
    })),
    nowMs,
    colours: strategyColours,
    others: pluginColours,
    othersBefore: 'relay',
    shares: true,
    link: strategy => (strategy === 'failed' ? '/traces?outcome=failed' : undefined)
  })}</div>
<div class="card">${plot({
    id: 'by-verdict',
    title: 'Requests and refused joins by verdict',
    happenings: traces.map(({ startMs, verdict }) => ({ atMs: startMs, category: verdict.code })),
    nowMs,
    colours: verdictColours,
    others: obstacleColours,
    link: verdictLink
  })}</div>
<p class="note">An attempt is a request that could have had a path. One for an unknown name, for a peer that is away or does not answer,
for oneself, or with a certificate that is refused is none. Only traces that are kept count here; if memory is short, those of direct
paths go first.</p>
</section>`
}

function last(traces: readonly TraceSummary[], fate: 'failed' | 'relayed'): Html {
  const found = traces.filter(trace => fateOf(trace) === fate).slice(0, LAST)
  return html`<section class="last"><h2>Last ${fate}</h2>
${found.length > 0 ? html`${traceTable(found)}<p class="more"><a href="/traces?outcome=${fate}">All ${fate}</a></p>` : html`<p class="empty">None is kept.</p>`}</section>`
}
