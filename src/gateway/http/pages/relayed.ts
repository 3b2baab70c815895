// What is relayed now, all of it: what each pair takes of the relay, and what the limits cost it. The links in the head sort.

import type { ParsedUrlQuery } from 'node:querystring'
import { formatBytes } from '../../../units.ts'
import { sideNames } from '../../../wire/side.ts'
import type { RelayedNow } from '../../session/presence.ts'
import { type Html, html } from './html.ts'
import { page } from './page.ts'
import { grouped, lasted, speed, timeTag } from './words.ts'

/** Milliseconds between two looks for news. */
const EVERY_MS = 3000

/** Rows; more are told as a number. */
const ROWS = 500

const sum = ({ counters }: RelayedNow, of: 'sentBytes' | 'droppedBytes'): number =>
  counters ? sideNames.reduce((all, side) => all + counters[side][of], 0) : 0

const rate = ({ rates }: RelayedNow): number =>
  sideNames.reduce((all, side) => all + (rates?.[side].bitsPerSecond ?? 0), 0)

const delay = ({ rates }: RelayedNow): number => Math.max(...sideNames.map(side => rates?.[side].delayMs ?? 0))

/** By what the list may be sorted, the largest first; pairs by name, and the oldest first. */
const orders = {
  rate: { head: 'Now', by: (a, b) => rate(b) - rate(a) },
  bytes: { head: 'Forwarded', by: (a, b) => sum(b, 'sentBytes') - sum(a, 'sentBytes') },
  dropped: { head: 'Dropped', by: (a, b) => sum(b, 'droppedBytes') - sum(a, 'droppedBytes') },
  delay: { head: 'Waits', by: (a, b) => delay(b) - delay(a) },
  since: { head: 'Since', by: (a, b) => a.sinceMs - b.sinceMs },
  pair: { head: 'Caller → callee', by: (a, b) => `${a.caller} ${a.callee}`.localeCompare(`${b.caller} ${b.callee}`) }
} as const satisfies Record<string, { head: string; by: (a: RelayedNow, b: RelayedNow) => number }>

type Order = keyof typeof orders

/** What `?sort=` asks for; the fastest first where that is nothing that is known. */
const orderOf = ({ sort }: ParsedUrlQuery): Order =>
  typeof sort === 'string' && Object.hasOwn(orders, sort) ? (sort as Order) : 'rate'

/** As the API lists it. */
export const sorted = (relayed: readonly RelayedNow[], query: ParsedUrlQuery): RelayedNow[] =>
  relayed.toSorted(orders[orderOf(query)].by)

export function relayedPage(relayed: readonly RelayedNow[], query: ParsedUrlQuery, session: boolean): Html {
  const rows = sorted(relayed, query)
  const rest = rows.length - ROWS
  return page({
    title: 'Relayed',
    at: 'relayed',
    session,
    everyMs: EVERY_MS,
    body: html`
<h1>Relayed now</h1>
<section id="relayed" data-live class="card" aria-label="Relayed now">${
      rows.length === 0
        ? html`<p class="empty">Nothing goes through the gateway.</p>`
        : html`<div class="scroll" tabindex="0" role="region" aria-label="Relayed now"><table class="present"><thead><tr>${head(orderOf(query))}</tr></thead><tbody>${rows.slice(0, ROWS).map(row)}</tbody></table></div>${rest > 0 && html`<p class="note">and ${grouped(rest)} more</p>`}`
    }</section>
<p class="note">Both directions together. Now: of the last seconds. Waits: how long a datagram waited for a limit that was short, of those
that had to. The same as JSON: <code>/api/relayed</code></p>`
  })
}

const head = (order: Order): Html[] =>
  (['pair', 'since', 'rate', 'bytes', 'dropped', 'delay'] as const).map(
    name =>
      html`<th scope="col"${name !== 'pair' && name !== 'since' && html` class="number"`}${name === order && html` aria-sort="${name === 'pair' || name === 'since' ? 'ascending' : 'descending'}"`}><a href="/relayed?sort=${name}">${orders[name].head}</a></th>`
  )

function row(relayed: RelayedNow): Html {
  const { caller, callee, sinceMs, trace, counters } = relayed
  const bytes = (of: 'sentBytes' | 'droppedBytes') => (counters ? formatBytes(sum(relayed, of)) : '–')
  return html`<tr><th scope="row"><a href="/traces/${trace}">${caller} <span class="arrow">→</span> ${callee}</a>${doorsText(relayed)}</th><td>${timeTag(sinceMs)}</td><td class="number">${relayed.rates ? speed(rate(relayed)) : '–'}</td><td class="number">${bytes('sentBytes')}</td><td class="number">${bytes('droppedBytes')}${reasons(relayed)}</td><td class="number">${delay(relayed) > 0 ? lasted(delay(relayed)) : '–'}</td></tr>`
}

/** The limits that were short, and how many datagrams each has cost. */
function reasons({ counters }: RelayedNow): Html | false {
  if (!counters) return false
  const names = Object.keys(counters.caller.dropped) as (keyof typeof counters.caller.dropped)[]
  const counts = names.map(name => [name, counters.caller.dropped[name] + counters.callee.dropped[name]] as const)
  const told = counts.filter(([, count]) => count > 0).map(([name, count]) => `${name} ${grouped(count)}`)
  return told.length > 0 && html` <span class="sentence">${told.join(', ')}</span>`
}

/** The doors of both sides, or the one that they have in common, where it is not UDP alone. */
export function doorsText({ doors = {} }: RelayedNow): string {
  const kinds = [...new Set(sideNames.flatMap(side => doors[side] ?? []))]
  return kinds.every(kind => kind === 'udp') ? '' : ` by ${kinds.join(' → ')}`
}
