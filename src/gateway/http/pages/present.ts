// Who is joined now, and what is relayed now, as two tables.

import { formatBytes } from '../../../units.ts'
import { sideNames } from '../../../wire/side.ts'
import type { Presence, PresentPeer, RelayedNow } from '../../session/presence.ts'
import { type Html, html } from './html.ts'
import { doorsText } from './relayed.ts'
import { grouped, timeTag } from './words.ts'

/** Rows of a table; some more are folded away, and others are told as a number. */
const ROWS = 8
const FOLDED = 100

export function presentNow({ peers, relayed }: Presence): Html {
  const nobody = html`<p class="empty">Nobody. A peer joins with <code>postern peer NAME</code></p>`
  const nothing = html`<p class="empty">Nothing goes through the gateway.</p>`
  return html`<section class="card" aria-labelledby="joined-now"><h2 id="joined-now">Joined now</h2>${
    peers.length === 0 ? nobody : folded('joined', peers, peerTable)
  }</section>
<section class="card" aria-labelledby="relayed-now"><h2 id="relayed-now">Relayed now</h2>${
    relayed.length === 0
      ? nothing
      : html`${folded('relayed', relayed, relayTable)}<p class="more"><a href="/relayed">What each takes now</a></p>`
  }</section>`
}

function folded<T>(id: string, all: readonly T[], tableOf: (rows: readonly T[]) => Html): Html {
  const [more, rest] = [all.slice(ROWS, ROWS + FOLDED), all.length - ROWS - FOLDED]
  return html`${tableOf(all.slice(0, ROWS))}${
    more.length > 0 &&
    html`<details id="${id}-more"><summary>${grouped(all.length - ROWS)} more</summary>${tableOf(more)}${rest > 0 && html`<p class="note">and ${grouped(rest)} more</p>`}</details>`
  }`
}

const table = (of: string, head: Html, rows: readonly Html[]): Html =>
  html`<div class="scroll" tabindex="0" role="region" aria-label="${of}"><table class="present"><thead><tr>${head}</tr></thead><tbody>${rows}</tbody></table></div>`

function peerTable(peers: readonly PresentPeer[]): Html {
  const hasNotes = peers.some(peer => noteOn(peer) !== '')
  const head = html`<th scope="col">Peer</th><th scope="col">Since</th>${hasNotes && html`<th scope="col">Note</th>`}`
  const row = (peer: PresentPeer) =>
    html`<tr><th scope="row"><a href="/traces?peer=${encodeURIComponent(peer.name)}">${peer.name}</a></th><td>${timeTag(peer.sinceMs)}</td>${hasNotes && html`<td>${noteOn(peer)}</td>`}</tr>`
  return table('Joined now', head, peers.map(row))
}

/** What is not as it should be, or not as with others. */
function noteOn({ accepts, reaches, silentSinceMs }: PresentPeer): Html | string {
  if (silentSinceMs !== undefined)
    return html`silent, heard last ${timeTag(silentSinceMs)}; it may be changing its network`
  if (reaches === false) return 'its UDP does not reach the gateway'
  if (reaches === undefined) return 'no idle socket of it is known'
  return accepts ? '' : 'calls, and takes no calls'
}

const relayTable = (relayed: readonly RelayedNow[]): Html => table('Relayed now', relayHead, relayed.map(relayRow))

const relayHead = html`<th scope="col">Caller → callee</th><th scope="col">Since</th><th scope="col" class="number">Forwarded</th><th scope="col" class="number">Dropped</th>`

function relayRow(relayed: RelayedNow): Html {
  const { caller, callee, sinceMs, trace, counters } = relayed
  const both = (of: 'sentBytes' | 'droppedBytes') =>
    counters ? formatBytes(sideNames.reduce((sum, side) => sum + counters[side][of], 0)) : '–'
  return html`<tr><th scope="row"><a href="/traces/${trace}">${caller} <span class="arrow">→</span> ${callee}</a>${doorsText(relayed)}</th><td>${timeTag(sinceMs)}</td><td class="number">${both('sentBytes')}</td><td class="number">${both('droppedBytes')}</td></tr>`
}
