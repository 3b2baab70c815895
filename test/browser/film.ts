// Pages that film with a camera and a microphone of the browser's own, and what is seen and heard of it.

import type { ExecutionContext } from 'ava'
import type { Rig } from '../lab/rig.ts'
import type { Kind } from './browsers.ts'
import { media, type Seen } from './media.ts'
import { opened, type Web } from './page.ts'

/** So many are decoded. */
export const FRAMES = 40
/** Of sound: half a second. */
export const SAMPLES = 24_000

/** Joined, with a camera and a screen. */
export async function equipped(rig: Rig, site: number, kind: Kind): Promise<Web> {
  return await opened(rig, site, kind, { tools: media })
}

/** Once it is connected. */
export async function filming(web: Web): Promise<void> {
  await web.run('view(connection); await film(connection)')
}

export const sees = (web: Web, least: Partial<Seen>): Promise<Seen> =>
  web.run('return await sees(given)', least) as never

/** It has decoded enough of the far side's picture and sound. */
export async function isSeen(t: ExecutionContext, web: Web): Promise<Seen> {
  const seen = await sees(web, { frames: FRAMES, samples: SAMPLES })
  t.true(seen.frames >= FRAMES && seen.samples >= SAMPLES, `${web.name}: ${JSON.stringify(seen)}`)
  return seen
}
