// The module by which pages are peers, as `npm run build` makes it: one file beside this program, read when it is asked for the first
// time. It is open to everybody, and to pages of other origins, since it says nothing of this gateway.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, gzip } from 'node:zlib'
import Router from '@koa/router'

/** The path at which pages find it. */
export const MODULE_PATH = '/postern.js'

/** The same from the source and from what is built of it. */
const built = fileURLToPath(new URL('../../../dist/browser.js', import.meta.url))

/** The smallest first. Browsers take Brotli (RFC 7932) by https alone. */
const encodings = ['br', 'gzip', 'identity'] as const

interface Module {
  readonly bodies: Readonly<Record<(typeof encodings)[number], Buffer>>
  readonly etag: string
}

/** @param file the module */
export function moduleRoutes(file = built): Router {
  const router = new Router()
  let module: Promise<Module | undefined> | undefined
  router.get(MODULE_PATH, async ctx => {
    module ??= read(file)
    const found = await module
    if (!found) {
      module = undefined
      return ctx.throw(
        404,
        'this gateway runs from its source, and the module for pages is not built: npm run build makes it'
      )
    }
    ctx.set({
      'content-type': 'text/javascript; charset=utf-8',
      // A page asks again each time, and is told that nothing has changed.
      'cache-control': 'no-cache',
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
      vary: 'accept-encoding'
    })
    ctx.etag = found.etag
    if (ctx.get('if-none-match').includes(found.etag)) {
      ctx.status = 304
      return
    }
    const encoding = encodings.find(one => ctx.acceptsEncodings(one)) ?? 'identity'
    if (encoding !== 'identity') ctx.set('content-encoding', encoding)
    ctx.body = found.bodies[encoding]
  })
  return router
}

async function read(file: string): Promise<Module | undefined> {
  const text = await readFile(file).catch(() => undefined)
  if (!text) return undefined
  const etag = createHash('sha256').update(text).digest('hex').slice(0, 16)
  const [br, zipped] = await Promise.all([promisify(brotliCompress)(text), promisify(gzip)(text, { level: 9 })])
  return { bodies: { br, gzip: zipped, identity: text }, etag }
}
