// The style, the script and the icon. They are read once, and served under a path that changes with their text, so that a
// browser may keep them. They are open to everybody, since the login needs them and they say nothing of this gateway.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import Router from '@koa/router'

/** They are one file for the browser; later rules may refine earlier ones. */
const styles = ['base', 'frame', 'overview', 'list', 'trace', 'waterfall', 'networks'].map(name => `style/${name}.css`)

const read = (name: string, type: string, files: readonly string[] = [name]) => {
  const text = files.map(file => readFileSync(new URL(file, import.meta.url), 'utf8')).join('\n')
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12)
  return { text, type, path: `/assets/${hash}/${name}` }
}

const assets = {
  'style.css': read('style.css', 'text/css', styles),
  'live.js': read('live.js', 'text/javascript'),
  'icon.svg': read('icon.svg', 'image/svg+xml')
}

export const assetPath = (name: keyof typeof assets): string => assets[name].path

export function assetRoutes(): Router {
  const router = new Router()
  for (const { path, text, type } of Object.values(assets))
    router.get(path, ctx => {
      ctx.set({ 'content-type': `${type}; charset=utf-8`, 'cache-control': 'public, max-age=31536000, immutable' })
      ctx.body = text
    })
  return router
}
