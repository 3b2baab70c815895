// The JSON API: counters, traces with filters, and names. Whoever mounts it has checked the token.

import Router from '@koa/router'
import { PosternError } from '../errors.ts'
import type { Names } from './names.ts'
import type { TraceStore } from './trace/store.ts'

export interface ApiSide {
  readonly traces: TraceStore
  readonly names: Names
  /** What `/api/status` shows: counters, without names of peers. */
  status(): object
}

/** Traces in one answer of the list. */
const LIST = 200

/** The routes below `/api`. */
export function apiRoutes({ traces, names, status }: ApiSide): Router {
  const api = new Router({ prefix: '/api' })
  api.get('/status', ctx => {
    ctx.body = status()
  })
  api.get('/traces', ctx => {
    ctx.body = traces
      .list({ failed: ctx.query.failed !== undefined, limit: LIST })
      .map(({ spans: _, ...summary }) => summary)
  })
  api.get('/traces/:id', ctx => {
    const records = traces.get(String(ctx.params.id))
    if (records.length === 0) ctx.throw(404, 'no trace of this id is kept')
    ctx.body = records
  })
  api.get('/names', ctx => {
    ctx.body = names.list().map(([name, fingerprint]) => ({ name, fingerprint }))
  })
  api.delete('/names/:name', ctx => {
    const name = String(ctx.params.name)
    if (!names.forget(name)) throw new PosternError('unknown-peer', `nobody has ever joined as ${name}`)
    ctx.status = 204
  })
  return api
}
