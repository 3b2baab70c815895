// The module by which pages are peers, as `npm run build` makes it. It is open to everybody, and to pages of other origins, since it
// says nothing of this gateway.

import Router from '@koa/router'
import { answerWith, Built, notBuilt } from './built.ts'

/** The path at which pages find it. */
export const MODULE_PATH = '/postern.js'

/** @param file the module */
export function moduleRoutes(file = 'browser.js'): Router {
  const router = new Router()
  const module = new Built(file)
  router.get(MODULE_PATH, async ctx => {
    const found = await module.whole()
    if (!found) return ctx.throw(404, notBuilt)
    ctx.set({
      // A page asks again each time, and is told that nothing has changed.
      'cache-control': 'no-cache',
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin'
    })
    ctx.etag = found.hash
    if (ctx.get('if-none-match').includes(found.hash)) {
      ctx.status = 304
      return
    }
    answerWith(ctx, found, 'text/javascript')
  })
  return router
}
