// A login turns the admin token in a form, or a link that the gateway gave its operator, into a cookie that stands for it; a logout
// ends that. To open the link uses nothing up, whoever does it (a preview, a scanner, a browser that fetches ahead): it shows a
// button, and that logs in. The cookie holds a random id and nothing else. The port is in its name because browsers send the
// cookies of a host to all its ports.

import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import Router from '@koa/router'
import type { Context } from 'koa'
import { type Access, isForeign, SESSION_MS, type Visit } from './access.ts'
import { html } from './pages/html.ts'
import { page } from './pages/page.ts'

/** A token and a path, with room to spare. */
const FORM_BYTES = 4096

/** Where a link leads, by its secret. */
export const linkPath = (link: string): string => `/login?link=${link}`

export const loginPath = (to: string): string => (to === '/' ? '/login' : `/login?to=${encodeURIComponent(to)}`)

/** What a login has to know of the gateway. */
export interface Doorway {
  /** The address that the HTTP port is bound to. */
  readonly listener: string
  /** The address that a request came from. */
  clientOf(request: IncomingMessage): string
}

export function visitOf(ctx: Context, { listener, clientOf }: Doorway): Visit {
  return {
    method: ctx.method,
    httpVersion: ctx.req.httpVersion,
    headers: ctx.headers,
    isSecure: ownTls(ctx),
    listener,
    source: clientOf(ctx.req),
    session: ctx.cookies.get(cookieName(ctx))
  }
}

/** Open to everybody: `/login`, and `/logout`. */
export function loginRoutes(access: Access, doorway: Doorway): Router {
  const router = new Router()
  router.get('/login', ctx => {
    const to = localPath(String(ctx.query.to ?? '/'))
    ctx.type = 'html'
    const { link } = ctx.query
    if (typeof link === 'string' && access.isGood(link)) ctx.body = linkForm(link).toString()
    else
      ctx.body = form({
        to,
        foreign: isForeign(visitOf(ctx, doorway)),
        ...(link ? { wrong: 'over' as const } : {})
      }).toString()
  })
  router.post('/login', async ctx => {
    turnAwayForeign(ctx, doorway)
    const fields = new URLSearchParams(await bodyOf(ctx))
    const to = localPath(fields.get('to') ?? '/')
    const link = fields.get('link')
    const token = fields.get('token')?.trim() ?? ''
    const result = link === null ? access.logIn(token, visitOf(ctx, doorway)) : access.follow(link)
    if (typeof result === 'object') {
      setCookie(ctx, result.session, SESSION_MS)
      return seeOther(ctx, to)
    }
    ctx.status = result === 'limited' ? 429 : 401
    if (result === 'limited') ctx.set('retry-after', '60')
    ctx.type = 'html'
    ctx.body = form({ to, wrong: link === null ? result : 'over' }).toString()
  })
  router.post('/logout', ctx => {
    turnAwayForeign(ctx, doorway)
    access.logOut(ctx.cookies.get(cookieName(ctx)) ?? '')
    setCookie(ctx, '', 0)
    seeOther(ctx, '/login')
  })
  return router
}

/** A page of another site must neither log a browser in or out, nor use up the wrong tokens of whoever looks at it. */
function turnAwayForeign(ctx: Context, doorway: Doorway): void {
  if (isForeign(visitOf(ctx, doorway)))
    ctx.throw(
      403,
      'the form came from another site; if a proxy stands in front of the gateway, let it pass on the Host header'
    )
}

interface Form {
  readonly to: string
  readonly foreign?: boolean
  /** What was wrong with the token, or `over`: a link that is used up, or older than it may be. */
  readonly wrong?: 'refused' | 'limited' | 'over'
}

const problems: Readonly<Record<NonNullable<Form['wrong']>, string>> = {
  refused: 'This is not the admin token.',
  limited: 'Too many wrong tokens came from there. Wait a minute.',
  over: 'This link has been used, or its ten minutes are over. Log in with the admin token, or start the gateway again.'
}

function linkForm(link: string) {
  return page({
    title: 'Log in',
    bare: true,
    body: html`
<form class="login card" method="post" action="/login">
  <h1>This gateway’s traces</h1>
  <input type="hidden" name="link" value="${link}">
  <p class="hint">This link is good for one login.</p>
  <button type="submit" autofocus>Log in</button>
</form>`
  })
}

function form({ to, foreign, wrong }: Form) {
  return page({
    title: wrong ? 'Not logged in' : 'Log in',
    bare: true,
    body: html`
<form class="login card" method="post" action="/login">
  <h1>This gateway’s traces</h1>
  ${foreign && html`<p class="note">You came from another site. If you are logged in, <a href="${to}">go on</a>.</p>`}
  ${wrong && html`<p class="problem" id="problem" role="alert">${problems[wrong]}</p>`}
  <input type="hidden" name="to" value="${to}">
  <label for="token">Admin token</label>
  <input id="token" name="token" type="password" autocomplete="current-password" required autofocus maxlength="1024" spellcheck="false"
    ${wrong && html`aria-invalid="true" aria-describedby="problem"`}>
  <p class="hint">When the gateway starts, it says where the token is kept.</p>
  <button type="submit">Log in</button>
</form>`
  })
}

const cookieName = (ctx: Context) => `postern-${ctx.req.socket.localPort}`

/** Whether it came over TLS of the gateway's own. */
const ownTls = (ctx: Context) => ctx.req.socket instanceof TLSSocket

/** A client that claims https falsely harms only itself: its own cookie does not come back over http. */
const cameByHttps = (ctx: Context) => ownTls(ctx) || ctx.get('x-forwarded-proto').split(',')[0]?.trim() === 'https'

function setCookie(ctx: Context, value: string, maxAge: number): void {
  const secure = cameByHttps(ctx)
  // Otherwise the library refuses a secure cookie, since it sees plain HTTP from the proxy.
  ctx.cookies.secure = secure
  // Without a path it is for those beside the form alone, wherever a proxy has put it.
  const reach = { path: '', httpOnly: true, sameSite: 'strict', secure } as const
  ctx.cookies.set(cookieName(ctx), value, { ...reach, maxAge, overwrite: true })
}

/** The path if it is one of this gateway, otherwise `/`: a hyperlink may have put anything there. */
function localPath(to: string): string {
  const here = 'http://gateway.invalid'
  if (!URL.canParse(to, here)) return '/'
  const { origin, pathname, search } = new URL(to, here)
  return origin === here && !pathname.startsWith('//') ? pathname + search : '/'
}

function seeOther(ctx: Context, to: string): void {
  ctx.status = 303
  ctx.set('location', to)
}

async function bodyOf(ctx: Context): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  // The iterator must not destroy the connection, which is needed for the answer.
  for await (const chunk of (ctx.req as IncomingMessage).iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length
    if (bytes > FORM_BYTES) {
      ctx.set('connection', 'close')
      ctx.throw(413, 'the form is too long')
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}
