// A thousand connections in a row in one process, then 50 at once: each opens or fails cleanly, descriptors stay flat,
// and memory grows no more than that of bare node-datachannel peers that do the same in the same run. (The library
// itself keeps about 22 kB of each connection.)
//
//   node bench/soak.ts [connections]

import { readdirSync, readFileSync } from 'node:fs'
import type { Driven } from '../test/lab/driven.ts'
import { openRig, type RigPeer } from '../test/lab/rig.ts'
import type { Host } from '../test/lab/world.ts'
import type { BareDeeds } from './means/bare.ts'
import { BarePair } from './means/bare-pair.ts'
import { goal, summary } from './means/figures.ts'

const connections = Number(process.argv[2] ?? 1000)
const AT_ONCE = 50
/** Each connection in a row carries a stream as well. */
const STREAM_BYTES = 1000
/** Code is compiled, pools and heaps are filled. */
const WARM_UP = 100

interface Footprint {
  readonly residentKilobytes: number
  readonly descriptors: number
}

type Child = Pick<Driven<BareDeeds>, 'pid'> & { do(deed: 'collect', given: object): Promise<unknown> }

await using rig = await openRig({
  sites: [{ nat: 'port-restricted' }, { nat: 'port-restricted' }],
  strategies: '[stun]'
})
const [caller, callee] = rig.peers as [RigPeer, RigPeer]
const hosts = rig.world.sites.map(site => site.hosts[0]) as [Host, Host]
await using bare = new BarePair(hosts, `${rig.world.gateway.addresses[0]}:3478`)
console.log(`${connections} connections in a row after ${WARM_UP} (seed ${rig.world.seed})`)

const failures: string[] = []
const times: number[] = []
const [ours, theirs] = await Promise.all([
  growth([caller.process, callee.process], connectOnce),
  growth(bare.processes, async () => {
    await bare.open()
    await bare.shut()
  })
])
console.log('from connect to open', summary(times))
const before = await footprints([caller.process, callee.process])
failures.push(...(await caller.process.do('openAtOnce', { to: callee.name, count: AT_ONCE })))
const after = await footprints([caller.process, callee.process])
for (const reason of failures) console.log('failed:', reason)

goal(`connections of ${WARM_UP + connections + AT_ONCE} that failed`, failures.length, { atMost: 0 })
for (const [index, side] of ['caller', 'callee'].entries()) {
  const [own, bare] = [ours[index] as Footprint, theirs[index] as Footprint]
  const perConnection = (footprint: Footprint) => `${(footprint.residentKilobytes / connections).toFixed(1)} kB`
  console.log(`${side}: a connection left ${perConnection(own)}, a bare one ${perConnection(bare)}`)
  goal(`descriptors more than before, ${side}`, own.descriptors, { atMost: 0 })
  goal(`memory beside bare, ${side}`, own.residentKilobytes / bare.residentKilobytes, { atMost: 1.1 })
  const kept = (after[index]?.descriptors ?? 0) - (before[index]?.descriptors ?? 0)
  goal(`descriptors more than before ${AT_ONCE} at once, ${side}`, kept, { atMost: 0 })
}

async function connectOnce(): Promise<void> {
  const { path, failed, intact } = await caller.connect(callee, STREAM_BYTES)
  if (path) times.push(path.ms)
  if (!intact) failures.push(failed?.reason ?? 'what was sent did not arrive')
}

/** What `connections` turns leave behind in each process, once it is warm. */
async function growth(processes: readonly Child[], connect: () => Promise<void>): Promise<Footprint[]> {
  for (let turn = 0; turn < WARM_UP; turn++) await connect()
  const start = await footprints(processes)
  for (let turn = 0; turn < connections; turn++) await connect()
  const end = await footprints(processes)
  return end.map((footprint, index) => less(footprint, start[index] as Footprint))
}

async function footprints(processes: readonly Child[]): Promise<Footprint[]> {
  return await Promise.all(processes.map(footprint))
}

async function footprint(child: Child): Promise<Footprint> {
  await child.do('collect', {})
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  return {
    residentKilobytes: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]),
    descriptors: readdirSync(`/proc/${child.pid}/fd`).length
  }
}

function less(after: Footprint, before: Footprint): Footprint {
  return {
    residentKilobytes: after.residentKilobytes - before.residentKilobytes,
    descriptors: after.descriptors - before.descriptors
  }
}
