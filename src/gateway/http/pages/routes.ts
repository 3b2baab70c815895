// From a path to a page. Requests that come here have been let in.

import Router from '@koa/router'
import type { Context } from 'koa'
import { nowMs } from '../../../clock.ts'
import { filterOf } from '../../../trace/store/filter.ts'
import type { TraceStore } from '../../../trace/store/store.ts'
import type { Warning } from '../../peers/sources.ts'
import type { Presence } from '../../session/presence.ts'
import { noTracePage } from './error.ts'
import { listPage, queryOf } from './list.ts'
import { overviewPage } from './overview.ts'
import { relayedPage } from './relayed.ts'
import { tracePage } from './trace.ts'

export interface PageSide {
  readonly traces: Pick<TraceStore, 'get' | 'list'>
  /** Counters, as `/api/status` shows them. */
  status(): Promise<object>
  /** Who is joined, and what is relayed. */
  present(): Promise<Presence>
  /** What is wrong with the gateway's own set-up. `/healthz` tells it to anybody. */
  warnings(): readonly Warning[]
}

/** Rows of the list on one page. */
const ROWS = 50

/** True for a person with a browser, but not for a program that takes whatever comes. */
export const wantsPage = (ctx: Context): boolean =>
  !/^\/(api|metrics)(\/|$)/.test(ctx.path) && ctx.accepts('json', 'html') === 'html'

export function pageRoutes({ traces, status, present, warnings }: PageSide): Router {
  const router = new Router()
  const show = (ctx: Context, body: { toString(): string }) => {
    ctx.type = 'html'
    ctx.body = body.toString()
  }
  router.get('/', async ctx => {
    const all = traces.list({ limit: Number.POSITIVE_INFINITY })
    const now = { status: await status(), present: await present(), warnings: warnings(), nowMs: nowMs() }
    show(ctx, overviewPage({ traces: all, ...now, session: hasSession(ctx) }))
  })
  router.get('/traces', ctx => {
    const { limit = String(ROWS), ...query } = queryOf(ctx.query)
    const filter = filterOf({ ...query, limit }, nowMs())
    // One trace more than is shown tells whether there is another page.
    const found = traces.list({ ...filter, limit: filter.limit + 1 })
    show(ctx, listPage({ found, rows: filter.limit, query: ctx.query, session: hasSession(ctx) }))
  })
  router.get('/relayed', async ctx => {
    const { relayed } = await present()
    show(ctx, relayedPage(relayed, ctx.query, hasSession(ctx)))
  })
  router.get('/traces/:id', ctx => {
    const id = String(ctx.params.id)
    const records = traces.get(id.toLowerCase())
    if (records.length === 0) ctx.status = 404
    show(ctx, records.length > 0 ? tracePage(records, hasSession(ctx)) : noTracePage(id, hasSession(ctx)))
  })
  return router
}

const hasSession = (ctx: Context): boolean => ctx.state.admission === 'session'
