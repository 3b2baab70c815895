// A gateway may be found below a path of a reverse proxy. The proxy takes that path off, or leaves it, and then listen.url has
// it. Within the gateway paths begin at its own root. So what is left is taken off on the way in, and on the way out each path
// becomes relative to the one that was asked for.
//
//   https://a/gate/traces/1 ─► (proxy) ─► /traces/1 or /gate/traces/1 ─► /traces/1 ─► page: href="/login" ─► href="../login"

import type { IncomingMessage } from 'node:http'
import type Koa from 'koa'

/** Takes off the path of the gateway's own URL, where the proxy has left it. */
export function takesOff(urls: readonly string[]): (request: IncomingMessage) => void {
  const paths = urls.map(url => new URL(url).pathname).filter(path => path !== '/')
  return request => {
    const url = request.url ?? ''
    const path = paths.find(path => url.startsWith(`${path}/`))
    if (path) request.url = url.slice(path.length)
  }
}

/** Makes links and redirects relative. Whoever asks for the root without its slash is sent to where links are right. */
export function relative(urls: readonly string[]): Koa.Middleware {
  const roots = new Map(urls.map(url => [new URL(url).pathname, url.split('/').at(-1)] as const))
  return async (ctx, next) => {
    const root = ctx.path === '/' ? undefined : roots.get(ctx.path)
    if (root !== undefined) {
      ctx.status = 308
      return ctx.set('location', `${root}/`)
    }
    await next()
    const up = upFrom(ctx.path)
    const location = ctx.res.getHeader('location')
    if (typeof location === 'string' && location.startsWith('/')) ctx.set('location', up + location.slice(1))
    // Quotes in what others have said are escaped: see pages/html.ts.
    if (ctx.type === 'text/html') ctx.body = String(ctx.body).replaceAll(/( (?:href|src|action)=")\//g, `$1${up}`)
  }
}

/** How the root is written in a page at `path`. A request may be for `*`, which has no slash (RFC 9112 section 3.2.4). */
const upFrom = (path: string): string => '../'.repeat(Math.max(0, path.split('/').length - 2)) || './'
