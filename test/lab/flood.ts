// Datagrams that come just when a port changes hands: flood.py in the box of a site, until it is disposed of.

import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { tool } from './sandbox.ts'
import type { Host, Site } from './world.ts'

/** How long a flow is answered, in milliseconds, and a little more. */
export const FLOOD_MS = 600

/** Each flow from behind this box to the other site is answered with a flood that only a closed port would notice. */
export async function flood(box: Host, to: Site): Promise<AsyncDisposable> {
  const program = fileURLToPath(new URL('programs/flood.py', import.meta.url))
  const child = box.spawn([tool('python3'), program, 'lan', ...to.publicAddresses], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const exited = once(child, 'exit')
  const [ready] = await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), exited])
  if (!String(ready).includes('ready')) throw new Error(`the flood of ${box.name} ended`)
  return {
    async [Symbol.asyncDispose]() {
      child.kill()
      await exited
    }
  }
}
