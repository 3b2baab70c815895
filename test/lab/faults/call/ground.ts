// Two NATs, a gateway with TLS that serves calls, and somebody who makes rooms.

import { authority, tlsFiles } from '../../../browser/tls.ts'
import { Driven } from '../../driven.ts'
import type { deeds } from '../../driver.ts'
import { GATEWAY, TOKEN } from '../ground.ts'
import { type Base, openBase } from '../life/ground.ts'

export interface CallGround extends Base {
  /** The link of a room in which nobody is. */
  link(): Promise<string>
}

export async function openCallGround(seed?: number): Promise<CallGround> {
  await using opened = new AsyncDisposableStack()
  const files = opened.use(await tlsFiles())
  const base = opened.use(await openBase({ seed, tls: files.yaml }))
  const maker = opened.use(new Driven<typeof deeds>(base.world.gateway, new URL('../../driver.ts', import.meta.url)))
  const all = opened.move()
  return {
    ...base,
    async link() {
      // Afresh each time: a gateway that was killed has not had it back yet.
      await maker.do('join', { url: `https://${GATEWAY}`, token: TOKEN, name: 'maker', ca: authority })
      return await maker.do('room', { name: 'call' })
    },
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}
