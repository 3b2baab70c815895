// The JSON API: counters, traces with filters, and names. The token has been checked before a request comes here. A trace is also
// read by its caller, who has a key instead.

import Router from '@koa/router'
import { nowMs } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { forCaller } from '../../trace/record/for-caller.ts'
import { filterOf } from '../../trace/store/filter.ts'
import type { TraceStore } from '../../trace/store/store.ts'
import { normaliseFingerprint } from '../../wire/identity/fingerprint.ts'
import type { Names } from '../peers/names.ts'
import type { Presence } from '../session/presence.ts'
import type { Access } from './access.ts'
import { sorted } from './pages/relayed.ts'
import type { GatewayStatus } from './status.ts'

export interface ApiSide {
  readonly traces: TraceStore
  readonly names: Names
  /** What `/api/status` shows: counters, without names of peers. */
  status(): Promise<GatewayStatus>
  /** Who is joined, and what is relayed. */
  present(): Promise<Presence>
}

/** Open to whoever has the key of a request: the record of that request, as its caller may read it. */
export function ownTraceRoutes({ traces, access }: Pick<ApiSide, 'traces'> & { readonly access: Access }): Router {
  const router = new Router()
  router.get('/api/traces/:id', async (ctx, next) => {
    const key = /^Trace +(\S+)$/i.exec(ctx.get('authorization'))?.[1]
    if (key === undefined) return await next()
    const id = String(ctx.params.id)
    const root = access.readsOwn(id, key)
    if (root === undefined)
      throw new PosternError(
        'bad-token',
        'this key does not read this trace: it is good for one, for an hour, until the gateway stops'
      )
    const record = traces.request(id, root)
    if (!record) return ctx.throw(404, 'this request is under way, or its trace is kept no more')
    ctx.body = [forCaller(record)]
  })
  return router
}

/** The routes below `/api`. */
export function apiRoutes({ traces, names, status, present }: ApiSide): Router {
  const api = new Router({ prefix: '/api' })
  api.get('/status', async ctx => {
    ctx.body = await status()
  })
  api.get('/relayed', async ctx => {
    ctx.body = sorted((await present()).relayed, ctx.query)
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
