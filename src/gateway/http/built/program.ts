// A page that is a program: a shell that the gateway writes, which a script of `npm run build` fills, and nothing of this gateway's state
// in it. The script and its style are served under a path that changes with them, so that a browser may keep them.

import Router from '@koa/router'
import type { Context } from 'koa'
import { assetPath } from '../pages/assets.ts'
import { type Html, html } from '../pages/html.ts'
import { answerWith, Built, notBuilt } from './built.ts'

/**
 * Scripts and styles are files of this gateway alone. The program shows pictures and sounds that it makes itself (`blob:`). WebSockets of
 * the same host are `'self'` too.
 */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'"

const types = { js: 'text/javascript', css: 'text/css' } as const
type Kind = keyof typeof types

export interface Shell {
  readonly title: string
  /** What stands there until the program runs. */
  readonly loading?: string
  /** What stands there for good, with a `main` of its own: whoever allows no scripts has it too. */
  readonly content?: Html
  /** What the page may ask a person for, as `Permissions-Policy` has it. */
  readonly permissions?: string
}

export class Program {
  readonly #name: string
  readonly #built: Readonly<Record<Kind, Built>>

  /** @param name of the files of `npm run build` */
  constructor(name: string) {
    this.#name = name
    this.#built = { js: new Built(`${name}.js`), css: new Built(`${name}.css`) }
  }

  /** Routes of its script and its style. */
  files(): Router {
    const router = new Router()
    for (const kind of Object.keys(types) as Kind[])
      router.get(`/assets/:hash/${this.#name}.${kind}`, async ctx => {
        const whole = await this.#built[kind].whole()
        // A page of the release before asks for what is no more.
        if (!whole || whole.hash !== ctx.params.hash) return ctx.throw(404, 'there is nothing here')
        ctx.set('cache-control', 'public, max-age=31536000, immutable')
        answerWith(ctx, whole, types[kind])
      })
    return router
  }

  /** Answers with its shell. Throws 404 where the program is not built. */
  async show(ctx: Context, { title, loading, content, permissions = '' }: Shell): Promise<void> {
    const [script, style] = await Promise.all([this.#path('js'), this.#path('css')])
    if (!script || !style) return ctx.throw(404, notBuilt)
    ctx.set({ 'content-security-policy': POLICY, ...(permissions ? { 'permissions-policy': permissions } : {}) })
    ctx.type = 'html'
    ctx.body = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="icon" href="${assetPath('icon.svg')}" type="image/svg+xml">
<link rel="stylesheet" href="${style}">
<script src="${script}" type="module"></script>
</head>
<body>
${
  content ??
  html`<div id="program"><main class="alone"><h1>${title}</h1><p>${loading}</p></main></div>
<noscript><p class="alone">This page is a program: allow JavaScript here, and load it again.</p></noscript>`
}
</body>
</html>
`.toString()
  }

  async #path(kind: Kind): Promise<string | undefined> {
    const whole = await this.#built[kind].whole()
    return whole && `/assets/${whole.hash}/${this.#name}.${kind}`
  }
}
