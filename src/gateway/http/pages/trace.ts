// One trace. Each request in it shows why it ended as it did, then what happened when, then what was known of both NATs.

import { courseLine } from '../../../trace/record/course.ts'
import { fateOf } from '../../../trace/record/fate.ts'
import type { Loss, TraceRecord } from '../../../trace/record/record.ts'
import { ofRequest } from '../../../trace/record/searches.ts'
import { takingTurns } from '../../../trace/store/fair-share.ts'
import { lossesOf } from '../../../trace/verdict/losses/judge.ts'
import { roughly } from '../../../units.ts'
import { sideNames } from '../../../wire/side.ts'
import { portPictures } from './drawing/port-picture.ts'
import { waterfall } from './drawing/waterfall.ts'
import { type Html, html, type Piece } from './html.ts'
import { who } from './list.ts'
import { page } from './page.ts'
import { profileOf, profiles } from './profiles.ts'
import { badge, begun, blamedOn, lasted, utc } from './words.ts'

/** Milliseconds between two looks for news: a path may still change, but seldom does. */
const EVERY_MS = 10_000

/** How many requests of one trace are drawn: a caller may make any number of them under one id. */
const DRAWN = 10

/** @param records the requests of one trace, oldest first; at least one. */
export function tracePage(records: readonly TraceRecord[], session: boolean): Html {
  const [first] = records
  const id = first?.id ?? ''
  const drawn = takingTurns(records.toReversed(), DRAWN, record => record).toReversed()
  const title = records.length > 1 ? `${records.length} requests` : textOfWho(first)
  return page({
    title,
    at: 'traces',
    session,
    ...(records.some(({ path }) => path !== undefined) ? { everyMs: EVERY_MS } : {}),
    body: html`
<p class="crumbs"><a href="/traces">Traces</a> <span aria-hidden="true">/</span> <code>${id}</code></p>
${records.length > 1 && contents(drawn, records.length)}
${drawn.map((record, index) => request(record, { key: `r${index}`, alone: records.length === 1 }))}
<p class="download"><a class="button" href="/api/traces/${id}?download" download>Download as JSON</a> <span class="hint">for <code>postern explain</code>, or a report of a fault</span></p>`
  })
}

function contents(drawn: readonly TraceRecord[], all: number): Html {
  return html`<h1>${all} requests of one trace</h1>
${all > drawn.length && html`<p class="note">The last ${drawn.length} of them, taking callers in turn; the JSON has the others.</p>`}
<ol class="contents">${drawn.map((record, at) => html`<li><a href="#r${at}">${who(record)}</a> ${badge(fateOf(record))}</li>`)}</ol>`
}

const textOfWho = (record: TraceRecord | undefined) =>
  record?.callee ? `${record.caller} → ${record.callee}` : `${record?.caller || 'a stranger'} (join)`

/** @param key of the request within the page: ids begin with it. */
function request(record: TraceRecord, { key, alone }: { key: string; alone: boolean }): Html {
  const [h1, h2] = alone ? [heading(1), heading(2)] : [heading(2), heading(3)]
  const then = { ...record, spans: ofRequest(record.spans) }
  // Neither side's network was looked at where a request was refused, and a refused join has one side only.
  const judged = sideNames.some(side => profileOf(then, side))
  return html`<article class="request" id="${key}">
<div id="${key}-verdict" data-live>${verdict(record, h1)}</div>
<section aria-labelledby="${key}-steps"><div id="${key}-waterfall" data-live>${h2(html`Steps`, `${key}-steps`)}${waterfall(record, key)}</div></section>
${judged && html`<section aria-labelledby="${key}-ports">${h2(html`Ports`, `${key}-ports`)}${portPictures(then)}</section>`}
${judged && html`<section aria-labelledby="${key}-nats">${h2(html`Both networks`, `${key}-nats`)}${profiles(then)}</section>`}
</article>`
}

const heading =
  (level: 1 | 2 | 3) =>
  (text: Piece, id?: string): Html => {
    const attribute = id && html` id="${id}"`
    if (level === 1) return html`<h1${attribute}>${text}</h1>`
    return level === 2 ? html`<h2${attribute}>${text}</h2>` : html`<h3${attribute}>${text}</h3>`
  }

/** Why each path of the connection was lost. */
function losses(record: TraceRecord): Html {
  const all = lossesOf(record)
  const { startMs, ms } = record
  const one = ({
    atMs,
    code,
    sentence,
    side,
    evidence,
    advice
  }: Loss) => html`<li><details id="lost-${record.spans[0]?.id}-${atMs}">
<summary><code>${code}</code> ${begun(sentence, record)} <span class="hint">lost after ${roughly(Math.max(0, atMs - startMs - ms))}</span></summary>
${side !== 'none' && html`<p>From: ${blamedOn(side, record)}</p>`}
<ul class="evidence">${evidence.map(fact => html`<li>${fact}</li>`)}</ul>
<p class="advice">${begun(advice, record)}</p>
</details></li>`
  return html`${all.length > 0 && html`<h3 class="small">Why the path was lost</h3><ol class="losses">${all.map(one)}</ol>`}`
}

function verdict(record: TraceRecord, head: (text: Piece) => Html): Html {
  const { verdict, startMs, ms, by, reason } = record
  const { code, sentence, side, evidence, advice, also } = verdict
  const [fate, course] = [fateOf(record), courseLine(record)]
  return html`<div class="verdict-box card ${fate}">
<div class="line">${badge(fate)} ${head(who(record))}</div>
<p class="sentence">${begun(sentence, record)}</p>
<dl class="facts">
<div><dt>Verdict</dt><dd><a href="/traces?verdict=${code}"><code>${code}</code></a></dd></div>
${side !== 'none' && html`<div><dt>In the way</dt><dd>${blamedOn(side, record)}</dd></div>`}
${by !== code && html`<div><dt>${fate === 'failed' ? 'Error' : 'Strategy'}</dt><dd>${by}</dd></div>`}
<div><dt>Began</dt><dd>${utc(startMs)}</dd></div>
<div><dt>Took</dt><dd>${lasted(ms)}</dd></div>
${course !== undefined && html`<div class="course"><dt>The path since</dt><dd>${course}</dd></div>`}
</dl>
${losses(record)}
${evidence.length > 0 && html`<h3 class="small">What shows it</h3><ul class="evidence">${evidence.map(fact => html`<li>${fact}</li>`)}</ul>`}
${advice !== '' && html`<h3 class="small">What to do</h3><p class="advice">${begun(advice, record)}</p>`}
${also.length > 0 && html`<p class="also">Also in the way: ${also.map((other, at) => html`${at > 0 && ', '}<a href="/traces?verdict=${other}"><code>${other}</code></a>`)}</p>`}
${reason !== '' && html`<details id="said-${record.spans[0]?.id}"><summary>What the peers were told</summary><p>${reason}</p></details>`}
</div>`
}
