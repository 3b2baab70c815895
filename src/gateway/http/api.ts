// The JSON API: counters, traces with filters, and names. The token has been checked before a request comes here.

import Router from '@koa/router'
import { nowMs } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { filterOf } from '../../trace/store/filter.ts'
import type { TraceStore } from '../../trace/store/store.ts'
import { normaliseFingerprint } from '../../wire/certificate.ts'
import type { Names } from '../peers/names.ts'
import type { GatewayStatus } from './status.ts'

export interface ApiSide {
  readonly traces: TraceStore
  readonly names: Names
  /** What `/api/status` shows: counters, without names of peers. */
  status(): Promise<GatewayStatus>
}

/** The routes below `/api`. */
export function apiRoutes({ traces, names, status }: ApiSide): Router {
  const api = new Router({ prefix: '/api' })
  api.get('/status', async ctx => {
    ctx.body = await status()
  })
  api.get('/traces', ctx => {
    ctx.body = traces.list(filterOf(ctx.query, nowMs()))
  })
  api.get('/traces/:id', ctx => {
    const records = traces.get(String(ctx.params.id))
    const [first] = records
    if (!first) return ctx.throw(404, 'no trace of this id is kept')
    if (ctx.query.download !== undefined) ctx.attachment(`postern-trace-${first.id}.json`)
    ctx.body = records
  })
  api.get('/names', ctx => {
    ctx.body = names.list().map(([name, fingerprint]) => ({ name, fingerprint }))
  })
  api.delete('/names/:name', async ctx => {
    const name = String(ctx.params.name)
    if (!(await names.forget(name))) throw new PosternError('unknown-peer', `nobody has ever joined as ${name}`)
    ctx.status = 204
  })
  api.delete('/names', async ctx => {
    const fingerprint = normaliseFingerprint(String(ctx.query.fingerprint ?? ''))
    if (!fingerprint) throw new PosternError('bad-config', 'expected ?fingerprint= with 64 hexadecimal digits')
    const forgotten = await names.forgetAllOf(fingerprint)
    if (forgotten.length === 0) throw new PosternError('unknown-peer', 'no name belongs to this certificate')
    ctx.body = { forgotten }
  })
  return api
}
