// A request of 1 kB and its answer on a path that a file fills at the same time, beside the same request on the path while it is
// idle: over a direct path, and over the relay at 200 Mbit/s. How long it waits is how much is buffered below the streams.
//
//   node bench/small.ts [requests]

import { openRig, type RigPeer } from '../test/lab/rig.ts'
import { goal, percentile, summary } from './means/figures.ts'

const requests = Number(process.argv[2] ?? 300)
for (const [kind, strategies] of [
  ['direct', '[stun]'],
  ['relayed at 200 Mbit/s', '[relay: { perSession: 200 Mbit/s, perPeer: 400 Mbit/s, total: 400 Mbit/s }]']
] as const) {
  await using rig = await openRig({ sites: [{ nat: 'port-restricted' }, { nat: 'port-restricted-moved' }], strategies })
  const [caller, callee] = rig.peers as [RigPeer, RigPeer]
  const { idle, busy, megabytesPerSecond } = await caller.process.do('small', { to: callee.name, requests })
  console.log(`${kind} (seed ${rig.world.seed})`)
  console.log('  idle', summary(idle))
  console.log(`  beside ${megabytesPerSecond.toFixed(1)} MB/s`, summary(busy))
  goal(`99th percentile above idle, ${kind}, ms`, percentile(busy, 99) - percentile(idle, 99), { atMost: 20 })
}
