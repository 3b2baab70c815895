// Memory of a relay for each session that is latched and says nothing: the resident memory of its process, with many and with few of
// them, in tables of the same size. Once with threads and once without: the difference is what the engine takes.

import { readFileSync } from 'node:fs'
import { goal } from '../means/figures.ts'
import { withRelay } from './line-rate.ts'
import type { Serving } from './serve.ts'

const [FEW, MANY] = [1_000, 100_000]

export async function idleSessions(): Promise<void> {
  console.log(`\nresident memory of a relay for each latched session that is idle, ${MANY} of them beside ${FEW}`)
  const both = await bytesOf({ engine: 'batch', threads: 1 })
  const none = await bytesOf({ engine: 'dgram', threads: 1 })
  console.log(`  batch ${both.toFixed(0)} bytes, all of the relay; dgram ${none.toFixed(0)}`)
  goal('bytes of the engine for an idle session', both - none, { atMost: 2048 })
}

async function bytesOf(kind: Pick<Serving, 'engine' | 'threads'>): Promise<number> {
  const [few, many] = [await residentOf({ ...kind, sessions: FEW }), await residentOf({ ...kind, sessions: MANY })]
  return (many - few) / (MANY - FEW)
}

/** In bytes. */
async function residentOf(kind: Pick<Serving, 'engine' | 'threads' | 'sessions'>): Promise<number> {
  const serving: Serving = { ...kind, port: 13_999, callers: 20_000, callees: 30_000, most: MANY + 1 }
  return await withRelay(
    serving,
    async ({ pid }) => {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1')
      return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1])
    },
    ['--expose-gc']
  )
}
