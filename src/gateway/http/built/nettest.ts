// The page by which anybody learns what the network of a browser is, and the results. The page is a program; a result is written here, and
// the program only copies its link. Where the gateway does not test networks, it says so.

import Router from '@koa/router'
import { off, page, result as resultWords } from '../../../network-words.ts'
import { TEST_PATH } from '../../../wire/nettest/path.ts'
import type { Results } from '../../nettest/results.ts'
import type { Way } from '../pages/error.ts'
import { testResult } from '../pages/test-result.ts'
import { Program } from './program.ts'

export interface TestSide {
  readonly results: Results
  /** UDP ports that a network has to let out. */
  readonly udp: readonly number[]
}

/** @param side undefined where networks are not tested */
export function testRoutes(side: TestSide | undefined): Router {
  const router = new Router()
  const paths = [TEST_PATH, `${TEST_PATH}/:id`] as const
  if (!side) return router.get([...paths], ctx => ctx.throw(404, off))
  const program = new Program('nettest')
  router.use(program.files().routes())
  router.use([...paths], (ctx, next) => {
    // Whoever has the link of a result may read it.
    ctx.set({ 'x-robots-tag': 'noindex', 'referrer-policy': 'no-referrer' })
    return next()
  })
  router.get(TEST_PATH, ctx => program.show(ctx, { title: page.title, loading: page.loading }))
  router.get(`${TEST_PATH}/:id`, ctx => {
    const found = side.results.read(ctx.params.id ?? '')
    if (!found) return ctx.throw(404, resultWords.gone, { way: [TEST_PATH, page.title] satisfies Way })
    return program.show(ctx, { title: resultWords.title, content: testResult(found, side.udp) })
  })
  return router
}
