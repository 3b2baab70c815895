// Pages that a person gets instead of the one that was asked for.

import { type Html, html } from './html.ts'
import { page } from './page.ts'

const titles: Readonly<Record<number, string>> = {
  400: 'This cannot be asked for',
  401: 'Not logged in',
  404: 'Not found',
  413: 'Too long',
  429: 'Wait a minute'
}

/** A page that helps on, and what it is called. */
export type Way = readonly [path: string, text: string]

/** @param way in the place of the administrator's pages, for whoever has never heard of them */
export function errorPage(status: number, reason: string, way?: Way): Html {
  const title = titles[status] ?? 'Something went wrong'
  return page({
    title,
    bare: true,
    body: html`<section class="card narrow"><h1>${title}</h1><p>${capital(reason)}.</p>
<p>${way ? html`<a href="${way[0]}">${way[1]}</a>` : html`<a href="/">Overview</a> · <a href="/traces">All traces</a>`}</p></section>`
  })
}

/** The page for a trace without a record: it may be under way, be gone, or never have existed. */
export const noTracePage = (id: string, session: boolean): Html =>
  page({
    title: 'No such trace',
    at: 'traces',
    session,
    body: html`<section class="card narrow"><h1>No such trace</h1>
<p>Nothing is kept under <code>${id.slice(0, 64)}</code>. That is so while its request is under way, after it had to make room for newer
ones, and after a restart, unless the gateway keeps its traces in a file (<code>traces.file</code>).</p>
<form method="get" action="/traces" class="find"><label for="peer">Look for a peer’s traces</label>
<span class="row"><input id="peer" name="peer" autocomplete="off" spellcheck="false" required><button type="submit">Find</button></span></form>
<p><a href="/traces">All traces</a></p></section>`
  })

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
