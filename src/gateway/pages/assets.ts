// The style, the script and the icon: read once, served under a path that changes with their text, so that a browser may keep
// them. They say nothing of this gateway, and the login needs them: they are open.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import Router from '@koa/router'

const types = { 'style.css': 'text/css', 'live.js': 'text/javascript', 'icon.svg': 'image/svg+xml' } as const
type Name = keyof typeof types

const read = (name: Name) => {
  const text = readFileSync(new URL(name, import.meta.url))
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12)
  return { text, type: types[name], path: `/assets/${hash}/${name}` }
}

const assets: Readonly<Record<Name, ReturnType<typeof read>>> = {
  'style.css': read('style.css'),
  'live.js': read('live.js'),
  'icon.svg': read('icon.svg')
}

export const assetPath = (name: Name): string => assets[name].path

export function assetRoutes(): Router {
  const router = new Router()
  for (const { path, text, type } of Object.values(assets))
    router.get(path, ctx => {
      ctx.set({ 'content-type': `${type}; charset=utf-8`, 'cache-control': 'public, max-age=31536000, immutable' })
      ctx.body = text
    })
  return router
}
