// The handover, from a raw punch to an open channel: every combination of filters, each many times, without delay.
//
//   node bench/handover.ts [trials]

import type { NatType } from '../test/lab/nat.ts'
import { openRig, type RigPeer } from '../test/lab/rig.ts'
import { goal, summary } from './means/figures.ts'

const trials = Number(process.argv[2] ?? 100)
const types: NatType[] = ['open', 'restricted', 'port-restricted']
const SLOW_MS = 250

await using rig = await openRig({
  sites: [...types, ...types].map(nat => ({ nat })),
  strategies: '[stun: { waitMs: 3s }]'
})
console.log(`handover after a raw punch, no delay, ${trials} trials each (seed ${rig.world.seed})`)
const all: number[] = []
let failed = 0
for (const [row, from] of types.entries())
  for (const [column, to] of types.entries()) {
    const times = await run(rig.peers[row] as RigPeer, rig.peers[types.length + column] as RigPeer)
    all.push(...times)
    console.log(`${from} calls ${to}`.padEnd(36), summary(times))
  }
goal('connections that failed', failed, { atMost: 0 })
goal(`connections above ${SLOW_MS} ms`, all.filter(ms => ms > SLOW_MS).length, { atMost: 0 })

async function run(from: RigPeer, to: RigPeer): Promise<number[]> {
  const times: number[] = []
  for (let trial = 0; trial < trials; trial++) {
    const { path, failed: why } = await from.connect(to, 0)
    if (path) times.push(path.ms)
    else failed++
    if (!path || path.ms > SLOW_MS) await explain(path?.trace, why?.reason)
  }
  return times
}

/** A slow or failed trial is shown step by step. */
async function explain(trace: string | undefined, reason: string | undefined): Promise<void> {
  console.log(`  ${reason ?? 'slow'}`)
  const record = trace ? await rig.trace(trace) : undefined
  if (!record) return
  for (const { name, startMs, endMs, attributes, events } of record.spans) {
    const at = (ms: number) => (ms - record.startMs).toFixed(1)
    const steps = events.filter(event => event.name !== 'sample').map(event => `${event.name}@${at(event.atMs)}`)
    const side = attributes['postern.side'] ?? ''
    console.log(`    ${at(startMs)} to ${at(endMs)} ${name} ${side} ${steps.join(' ')}`)
  }
}
