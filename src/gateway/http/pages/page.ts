// What every page has: head, landmarks, navigation, and a line that says whether the page is still up to date.

import { hostname } from 'node:os'
import { version } from '../../../version.ts'
import { assetPath } from './assets.ts'
import { type Html, html } from './html.ts'

export interface Page {
  readonly title: string
  readonly body: Html
  /** Which part of the navigation is open. */
  readonly at?: 'overview' | 'traces' | 'relayed'
  /** Milliseconds between two looks for news; left out if the page does not change. */
  readonly everyMs?: number
  /** True if there is a login to end. */
  readonly session?: boolean
  /** Without navigation: for the login and for errors. */
  readonly bare?: boolean
}

/** People tell gateways apart by their hosts. */
const gatewayName = hostname()

/** Two hosts of one room, and a door between them. */
const mark = html`<svg class="mark" viewBox="0 0 24 24" aria-hidden="true"><path d="M4 21V9a8 8 0 0 1 16 0v12M2 21h20"/><path d="M9 21v-9a3 3 0 0 1 6 0v9"/></svg>`

export function page({ title, body, at, everyMs, session, bare }: Page): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · postern${!bare && ` on ${gatewayName}`}</title>
<link rel="icon" href="${assetPath('icon.svg')}" type="image/svg+xml">
<link rel="stylesheet" href="${assetPath('style.css')}">
${everyMs !== undefined && html`<script src="${assetPath('live.js')}" defer></script>`}
</head>
<body${everyMs !== undefined && html` data-every="${everyMs}"`}>
<a class="skip" href="#main">Skip to content</a>
<header class="top">
  <a class="home" href="/">${mark}<span>postern</span></a>
  ${!bare && navigation(at, session ?? false)}
</header>
<main id="main" tabindex="-1">${body}</main>
${!bare && html`<footer><p>postern ${version} on <b>${gatewayName}</b>. Times are UTC.</p>${everyMs !== undefined && html`<p id="live" role="status"></p>`}</footer>`}
</body>
</html>
`
}

function navigation(at: Page['at'], session: boolean): Html {
  const link = (name: 'overview' | 'traces' | 'relayed', path: string, text: string) =>
    html`<li><a href="${path}"${at === name && html` aria-current="page"`}>${text}</a></li>`
  return html`<nav aria-label="Pages"><ul>${link('overview', '/', 'Overview')}${link('traces', '/traces', 'Traces')}${link('relayed', '/relayed', 'Relayed')}</ul></nav>
  ${session && html`<form class="logout" method="post" action="/logout"><button type="submit" class="quiet">Log out</button></form>`}`
}
