// The page of a call. Which rooms there are is told to nobody: the page is the same for every name, and the secret of a room never comes
// here, since browsers keep what stands behind the `#` to themselves.

import Router from '@koa/router'
import { CALL_PATH } from '../../../wire/room/link.ts'
import { Program } from './program.ts'

const permissions =
  'camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), speaker-selection=(self)'

/** @param enabled whether rooms have pages here; a link that leads here says so where they have not */
export function callRoutes(enabled: boolean): Router {
  const router = new Router()
  if (!enabled)
    return router.get(`${CALL_PATH}:name`, ctx =>
      ctx.throw(404, 'this gateway has no rooms; its operator can let it have some: call: { enabled: true }')
    )
  const program = new Program('call')
  router.get(`${CALL_PATH}:name`, ctx =>
    program.show(ctx, {
      title: String(ctx.params.name),
      loading: 'The call is being loaded. Where nothing else comes, this browser is too old for it.',
      permissions
    })
  )
  router.use(program.files().routes())
  return router
}
